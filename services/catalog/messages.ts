import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  Availability,
  type CreateProductRequest,
  type ProductSchema,
  ProductStatus,
  type UpdateProductRequest,
} from "#gen/souk/catalog/v1/catalog_pb.ts";
import {
  type Money,
  type Product,
  type ProductChange,
  type ProductDraft,
  updateMaskInvalid,
} from "./product.ts";

/** A product as callers and events carry it. */
export const toProductMessage = (product: Product): MessageInitShape<typeof ProductSchema> => ({
  productId: product.productId,
  sku: product.sku,
  name: product.name,
  description: product.description,
  categoryId: product.categoryId,
  price: toMoneyMessage(product.price),
  status: product.status === "active" ? ProductStatus.ACTIVE : ProductStatus.ARCHIVED,
  availability: product.inStock ? Availability.IN_STOCK : Availability.LOW,
  version: product.version,
  createdAt: timestampFromDate(product.createdAt),
  updatedAt: timestampFromDate(product.updatedAt),
});

/** Money as callers and events carry it. */
export const toMoneyMessage = ({ currencyCode, amountMinor }: Money) => ({ currencyCode, amountMinor });

/** The product that a request asks to add. */
export const fromCreateRequest = (request: CreateProductRequest, productId: string): ProductDraft => ({
  productId,
  sku: request.sku,
  name: request.name,
  description: request.description,
  categoryId: request.categoryId,
  price: toMoney(request.price),
});

/**
 * The change that a request asks for: the values of the fields its mask names.
 * @throws ServiceError UPDATE_MASK_INVALID.
 */
export function fromUpdateRequest({ product, updateMask }: UpdateProductRequest): ProductChange {
  const paths = updateMask?.paths ?? [];
  if (!product || paths.length === 0) throw updateMaskInvalid("");
  const price = toMoney(product.price);
  const change: Partial<ProductChange> & { price?: Partial<Money> } = {};
  for (const path of paths) Object.assign(change, fieldAt(path, product, price, change.price));
  return change;
}

function fieldAt(
  path: string,
  product: NonNullable<UpdateProductRequest["product"]>,
  price: Money,
  priceSoFar: Partial<Money> | undefined,
): ProductChange {
  switch (path) {
    case "name":
      return { name: product.name };
    case "description":
      return { description: product.description };
    case "category_id":
      return { categoryId: product.categoryId };
    case "price":
      return { price };
    case "price.currency_code":
      return { price: { ...priceSoFar, currencyCode: price.currencyCode } };
    case "price.amount_minor":
      return { price: { ...priceSoFar, amountMinor: price.amountMinor } };
    default:
      throw updateMaskInvalid(path);
  }
}

/** Unset money has no currency, which the domain refuses by name. */
const toMoney = (money: Money | undefined): Money => ({
  currencyCode: money?.currencyCode ?? "",
  amountMinor: money?.amountMinor ?? 0n,
});
