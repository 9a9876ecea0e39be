import { ErrorReason, ErrorReasonSchema } from "#gen/souk/catalog/v1/errors_pb.ts";
import {
  ErrorReason as SharedReason,
  ErrorReasonSchema as SharedReasonSchema,
} from "#gen/souk/errors/v1/errors_pb.ts";
import { serviceError, type Violation } from "#kit/errors/errors.ts";

/** An amount in the currency's minor unit. */
export interface Money {
  /** ISO 4217, in capitals. */
  readonly currencyCode: string;
  readonly amountMinor: bigint;
}

/** Something the shop sells. */
export interface Product {
  readonly productId: string;
  readonly sku: string;
  readonly name: string;
  readonly description: string;
  readonly categoryId: string;
  readonly price: Money;
  readonly status: "active" | "archived";
  /** As inventory last announced it; false where it has not yet. */
  readonly inStock: boolean;
  /** 1 when made, one more with each event about it. */
  readonly version: bigint;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A product that is yet to be added. */
export type ProductDraft = Pick<
  Product,
  "productId" | "sku" | "name" | "description" | "categoryId" | "price"
>;

/** The fields to change; what is left out stays. */
export type ProductChange = Partial<Pick<Product, "name" | "description" | "categoryId">> & {
  readonly price?: Partial<Money>;
};

/** What a change means to others; each is a version of its own, so that nobody takes one for a repeat of the other. */
export type ProductEvent =
  | {
      readonly kind: "price-changed";
      readonly oldPrice: Money;
      readonly newPrice: Money;
      readonly version: bigint;
    }
  | { readonly kind: "updated"; readonly version: bigint };

/**
 * Checks what the contract's rules cannot say: `path` is where the fields stand in the request.
 * @throws ServiceError VALIDATION_FAILED.
 */
export function checkDraft(draft: ProductDraft): ProductDraft {
  refuse(checkFields(draft, ""));
  return draft;
}

/**
 * Changes a product. Saying what already is changes nothing and makes no event.
 * @throws ServiceError PRODUCT_ARCHIVED, PRODUCT_CHANGED, VALIDATION_FAILED.
 */
export function changeProduct(
  product: Product,
  change: ProductChange,
  expectedVersion: bigint,
): { readonly product: Product; readonly events: readonly ProductEvent[] } {
  checkChangeable(product, expectedVersion);
  const price = { ...product.price, ...change.price };
  const next = { ...product, ...change, price };
  refuse(checkFields(next, "product."));
  const events = eventsBetween(product, next);
  return { product: { ...next, version: product.version + BigInt(events.length) }, events };
}

/**
 * Takes a product off sale.
 * @throws ServiceError PRODUCT_ARCHIVED, PRODUCT_CHANGED.
 */
export function archiveProduct(product: Product, expectedVersion: bigint): Product {
  checkChangeable(product, expectedVersion);
  return { ...product, status: "archived", version: product.version + 1n };
}

function checkChangeable(product: Product, expectedVersion: bigint) {
  if (product.status === "archived") throw productArchived(product.productId);
  if (expectedVersion !== 0n && expectedVersion !== product.version) throw productChanged(product);
}

function eventsBetween(before: Product, after: Product): ProductEvent[] {
  const { price: oldPrice } = before;
  const { price: newPrice } = after;
  let { version } = before;
  const events: ProductEvent[] = [];
  if (!samePrice(oldPrice, newPrice)) {
    version += 1n;
    events.push({ kind: "price-changed", oldPrice, newPrice, version });
  }
  if (!sameDetails(before, after)) {
    version += 1n;
    events.push({ kind: "updated", version });
  }
  return events;
}

const samePrice = (left: Money, right: Money) =>
  left.currencyCode === right.currencyCode && left.amountMinor === right.amountMinor;

const sameDetails = (left: Product, right: Product) =>
  left.name === right.name && left.description === right.description && left.categoryId === right.categoryId;

const currencies: ReadonlySet<string> = new Set(Intl.supportedValuesOf("currency"));

function checkFields({ name, categoryId, price }: ProductDraft, path: string): Violation[] {
  const violations: Violation[] = [];
  if (name.trim() === "") violations.push({ field: `${path}name`, description: "must not be empty" });
  if (categoryId === "")
    violations.push({ field: `${path}category_id`, description: "must name a category" });
  if (!currencies.has(price.currencyCode)) {
    violations.push({ field: `${path}price.currency_code`, description: "must be a currency of ISO 4217" });
  }
  return violations;
}

function refuse(violations: readonly Violation[]) {
  if (violations.length === 0) return;
  throw serviceError(SharedReasonSchema, SharedReason.VALIDATION_FAILED, "The product is not valid.", {
    violations,
  });
}

/** There is no product of this id. */
export const productNotFound = (productId: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.PRODUCT_NOT_FOUND, "There is no such product.", {
    metadata: { product_id: productId },
  });

/** There is no category of this id. */
export const categoryNotFound = (categoryId: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.CATEGORY_NOT_FOUND, "There is no such category.", {
    metadata: { category_id: categoryId },
  });

/** A SKU names one product, also after it is archived: stock and old orders refer to it. */
export const skuTaken = (sku: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.SKU_TAKEN, `Another product has the SKU ${sku}.`, {
    metadata: { sku },
  });

/** A slug names one category. */
export const slugTaken = (slug: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.SLUG_TAKEN, `Another category has the slug ${slug}.`, {
    metadata: { slug },
  });

/** The mask is empty, or names what cannot be changed. */
export const updateMaskInvalid = (path: string) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.UPDATE_MASK_INVALID,
    path === "" ? "The update mask is empty." : `The update mask names ${path}, which cannot be changed.`,
    { metadata: { path } },
  );

const productArchived = (productId: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.PRODUCT_ARCHIVED, "The product is no longer on sale.", {
    metadata: { product_id: productId },
  });

const productChanged = ({ productId, version }: Product) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.PRODUCT_CHANGED,
    "The product has changed meanwhile; read it again.",
    {
      metadata: { product_id: productId, version: String(version) },
    },
  );
