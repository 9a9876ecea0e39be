import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type FieldRulesSchema, file_buf_validate_validate, Ignore } from "#gen/buf/validate/validate_pb.ts";
import { Code } from "#gen/google/rpc/code_pb.ts";
import { InventoryService, MovementReason } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { ServiceError, type Violation } from "#kit/errors/errors.ts";
import { createClient } from "./client.ts";
import { check } from "./interceptors/validation.ts";
import { type FieldPlan, type MessagePlan, messageOf } from "./tests/contract.ts";
import { allowed, orderId, sku, startInventory } from "./tests/inventory.ts";

type Value = Readonly<Record<string, unknown>>;
type Rules = NonNullable<MessageInitShape<typeof FieldRulesSchema>["type"]>;

/** One rule: values that obey it, and values that do not, each with the field that is blamed. */
interface Proof {
  readonly plan: MessagePlan;
  readonly good: readonly Value[];
  readonly bad: readonly { readonly value: Value; readonly field: string }[];
}

// Proves a rule of a single field, whose values stand for messages with only that field.
function ofField(
  plan: FieldPlan,
  good: readonly unknown[],
  bad: readonly unknown[],
  field = "subject",
): Proof {
  return {
    plan: { fields: { subject: plan } },
    good: good.map((subject) => ({ subject })),
    bad: bad.map((subject) => ({ value: { subject }, field })),
  };
}

function ruled(type: FieldPlan["type"], rules: Rules, ignore: Ignore = Ignore.UNSPECIFIED): FieldPlan {
  return { type, rules: { type: rules, ignore } };
}

function listed(type: FieldPlan["type"], value: Extract<Rules, { case: "repeated" }>["value"]): FieldPlan {
  return { type, list: true, rules: { type: { case: "repeated", value } } };
}

const even = { id: "even", message: "must be even", expression: "this % 2 == 0" };
const ordered = {
  id: "ordered",
  message: "must not end before it starts",
  expression: "this.start <= this.end",
};
const atLeast5 = { case: "int32", value: { greaterThan: { case: "gte", value: 5 } } } as const;
const choice = { a: { type: "int32", oneof: true }, b: { type: "int32", oneof: true } } as const;

// By the rule's name in proto/buf/validate/validate.proto; what follows a comma tells several proofs of one rule apart.
const proofs: Readonly<Record<string, Proof>> = {
  "MessageRules.cel": {
    plan: { fields: { start: { type: "int32" }, end: { type: "int32" } }, rules: { cel: [ordered] } },
    good: [{ start: 1, end: 1 }],
    bad: [{ value: { start: 2, end: 1 }, field: "" }],
  },
  "OneofRules.required": {
    plan: { fields: choice, oneofRules: { required: true } },
    good: [{ choice: { case: "a", value: 0 } }],
    bad: [{ value: {}, field: "choice" }],
  },
  "FieldRules.cel": ofField({ type: "int32", rules: { cel: [even] } }, [0, 2], [1]),
  "FieldRules.required": ofField({ type: "string", rules: { required: true } }, ["a"], [""]),
  "FieldRules.required, presence": ofField(
    { type: "int32", optional: true, rules: { required: true } },
    [0, 1],
    [undefined],
  ),
  "FieldRules.required, message": ofField(
    { type: "Item", rules: { required: true } },
    [{ name: "a" }],
    [undefined],
  ),
  "FieldRules.required, list": ofField({ type: "int32", list: true, rules: { required: true } }, [[0]], [[]]),
  "FieldRules.required, inside a message": ofField(
    { type: "Item" },
    [undefined],
    [{ name: "" }],
    "subject.name",
  ),
  "FieldRules.required, inside a list": ofField(
    { type: "Item", list: true },
    [[], [{ name: "a" }]],
    [[{ name: "a" }, { name: "" }]],
    "subject[1].name",
  ),
  "FieldRules.ignore, unset fields with presence": ofField(
    { ...ruled("int32", atLeast5), optional: true },
    [undefined, 5],
    [0, 4],
  ),
  "FieldRules.ignore, zero": ofField(ruled("int32", atLeast5, Ignore.IF_ZERO_VALUE), [0, 5], [4]),
  "FieldRules.ignore, always": ofField(ruled("int32", atLeast5, Ignore.ALWAYS), [0, 4], []),
  "Int32Rules.lt": ofField(
    ruled("int32", { case: "int32", value: { lessThan: { case: "lt", value: 5 } } }),
    [4],
    [5],
  ),
  "Int32Rules.lte": ofField(
    ruled("int32", { case: "int32", value: { lessThan: { case: "lte", value: 5 } } }),
    [5, -7],
    [6],
  ),
  "Int32Rules.gt": ofField(
    ruled("int32", { case: "int32", value: { greaterThan: { case: "gt", value: 5 } } }),
    [6],
    [5, 0],
  ),
  "Int32Rules.gte": ofField(ruled("int32", atLeast5), [5], [4, 0, -5]),
  "Int64Rules.lt": ofField(
    ruled("int64", { case: "int64", value: { lessThan: { case: "lt", value: 5n } } }),
    [4n],
    [5n],
  ),
  "Int64Rules.lte": ofField(
    ruled("int64", { case: "int64", value: { lessThan: { case: "lte", value: 2n ** 60n } } }),
    [2n ** 60n],
    [2n ** 60n + 1n],
  ),
  "Int64Rules.gt": ofField(
    ruled("int64", { case: "int64", value: { greaterThan: { case: "gt", value: 5n } } }),
    [6n],
    [5n],
  ),
  "Int64Rules.gte": ofField(
    ruled("int64", { case: "int64", value: { greaterThan: { case: "gte", value: 0n } } }),
    [0n],
    [-1n],
  ),
  "StringRules.min_len": ofField(
    ruled("string", { case: "string", value: { minLen: 2n } }),
    ["ab", "🫖🍵"],
    ["", "a", "🫖"],
  ),
  "StringRules.max_len": ofField(
    ruled("string", { case: "string", value: { maxLen: 2n } }),
    ["", "🫖🍵"],
    ["abc"],
  ),
  "StringRules.pattern": ofField(
    ruled("string", { case: "string", value: { pattern: "^[A-Z]{3}$" } }),
    ["EUR"],
    ["", "eur", "EURO", "EUR\n"],
  ),
  "BytesRules.max_len": ofField(
    ruled("bytes", { case: "bytes", value: { maxLen: 2n } }),
    [new Uint8Array(2)],
    [new Uint8Array(3)],
  ),
  "EnumRules.defined_only": ofField(
    ruled("Color", { case: "enum", value: { definedOnly: true } }),
    [0, 2],
    [3, -1],
  ),
  "RepeatedRules.min_items": ofField(listed("int32", { minItems: 1n }), [[0]], [[]]),
  "RepeatedRules.max_items": ofField(listed("int32", { maxItems: 2n }), [[], [1, 1]], [[1, 1, 1]]),
  "RepeatedRules.unique": ofField(listed("string", { unique: true }), [["a", "b"]], [["a", "b", "a"]]),
  "RepeatedRules.items": ofField(
    listed("int32", { items: { type: atLeast5 } }),
    [[5, 6]],
    [[5, 4]],
    "subject[1]",
  ),
};

describe.each(Object.entries(proofs))("%s", (_rule, { plan, good, bad }) => {
  it.each(good)("lets %o through", (value) => {
    expect(violations(plan, value)).toEqual([]);
  });
  it.skipIf(bad.length === 0).each(bad)("refuses $value", ({ value, field }) => {
    expect(violations(plan, value).map((violation) => violation.field)).toEqual([field]);
  });
});

it("every rule of the contract's vocabulary is proven here", () => {
  const vocabulary = file_buf_validate_validate.messages
    .filter(({ name }) => name.endsWith("Rules"))
    .flatMap(({ name, fields }) =>
      fields.filter(({ oneof }) => oneof?.name !== "type").map((field) => `${name}.${field.name}`),
    );
  const proven = new Set(Object.keys(proofs).map((rule) => rule.split(",")[0]));
  expect(vocabulary.filter((rule) => !proven.has(rule))).toEqual([]);
  expect(vocabulary.length).toBeGreaterThan(15);
});

it("a refusal names every field that breaks a rule, with what is wrong", async () => {
  await using inventory = await startInventory();
  const client = createClient(InventoryService, { url: inventory.url, token: () => allowed });
  const lines = [
    { sku, quantity: 1 },
    { sku: "no spaces", quantity: 0 },
  ];
  await expect(client.reserveStock({ orderId: "17", lines }, { idempotencyKey: "a" })).rejects.toMatchObject({
    code: Code.INVALID_ARGUMENT,
    reason: "VALIDATION_FAILED",
    violations: [
      { field: "order_id", description: expect.stringContaining("pattern") },
      { field: "lines[1].sku", description: expect.stringContaining("pattern") },
      { field: "lines[1].quantity", description: expect.stringContaining("1") },
    ],
  });
  client.close();
});

it("a rule written as an expression refuses with its own message", async () => {
  await using inventory = await startInventory();
  const client = createClient(InventoryService, { url: inventory.url, token: () => allowed });
  const nothing = { sku, quantity: 0, reason: MovementReason.COUNTED };
  await expect(client.adjustStock(nothing, { idempotencyKey: "a" })).rejects.toMatchObject({
    violations: [{ field: "quantity", description: "must not be 0" }],
  });
  client.close();
});

it("a request that breaks a rule does not reach its handler", async () => {
  let reached = 0;
  await using inventory = await startInventory({
    reserveStock: () => {
      reached++;
      return {};
    },
  });
  const client = createClient(InventoryService, { url: inventory.url, token: () => allowed });
  const options = { idempotencyKey: "a" };
  await expect(client.reserveStock({ orderId, lines: [] }, options)).rejects.toThrow();
  expect(reached).toBe(0);
  await client.reserveStock({ orderId, lines: [{ sku, quantity: 1 }] }, options);
  expect(reached).toBe(1);
  client.close();
});

function violations(plan: MessagePlan, value: Value): readonly Violation[] {
  const schema = messageOf(plan);
  try {
    check(schema, create(schema, value));
    return [];
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    return error.violations;
  }
}
