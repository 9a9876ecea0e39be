import type { DescField, JsonValue } from "@bufbuild/protobuf";
import { CreateRefundRequestSchema } from "#gen/souk/orders/v1/orders_pb.ts";

/** What follows an id's kind. */
const idEnding = "01hzy3v8q0e9wb0c1a2d3f4g5h";

/** Examples by message and field, then by field: what a reader of the reference can send as it stands. */
const examples: Readonly<Record<string, JsonValue>> = {
  "Address.name": "Samira Haddad",
  "Buyer.name": "Samira Haddad",
  "Category.name": "Lamps",
  "CreateCategoryRequest.name": "Lamps",
  "GetStockRequest.sku": "LAMP-BRASS",
  name: "Brass lamp",
  description: "A table lamp of brass.",
  slug: "lamps",
  sku: "LAMP-BRASS",
  line1: "Oranienstrasse 25",
  line2: "",
  city: "Berlin",
  postal_code: "10999",
  country_code: "DE",
  currency_code: "EUR",
  amount_minor: "4990",
  payment_method: "pm_card_visa",
  query: "lamp",
  service: "orders",
  tracking_number: "SK123456789",
  customer_id: `user_${idEnding}`,
  expected_version: "3",
  version: "3",
  page_token: "",
  next_page_token: "",
  ticket: "6b2x0uWc…",
  note: "Changed their mind.",
  why: "Looked at by hand.",
  event_id: "0198c0de-7a11-7000-8000-5c0ffee5c0de",
};

/** Why something was refused; nothing in an example is. */
const reasonOfRefusal = /^(cancel|cancel_refuse|refuse|decline)_reason$/;

/** An example of a field as the shop's contracts mean it; null where it must not stand beside another. */
export function exampleOf(field: DescField): JsonValue | undefined {
  // A refund names either lines or an amount.
  if (field.parent.typeName === CreateRefundRequestSchema.typeName && field.name === "amount") return null;
  if (field.fieldKind === "message" || field.enum) return undefined;
  const said = examples[`${field.parent.name}.${field.name}`] ?? examples[field.name];
  if (said !== undefined) return said;
  if (reasonOfRefusal.test(field.name)) return "";
  const kind = /^(\w+)_ids?$/.exec(field.name)?.[1];
  return kind === undefined ? undefined : `${kinds[kind] ?? kind}_${idEnding}`;
}

/** Kinds of ids whose prefix is not what the field is called. */
const kinds: Readonly<Record<string, string>> = { dead_letter: "letter" };
