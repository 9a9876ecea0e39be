import {
  createRegistry,
  type DescMessage,
  fromBinary,
  type JsonValue,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { EnumSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { AuthorSchema, BookSchema, KindsSchema, LibraryService } from "#gen/edge/testing/v1/library_pb.ts";
import { createQuickRequest } from "../rest/quick-request.ts";
import { encodeByMessage, type RequestShape } from "../rest/request-message.ts";
import { createMessageEncoder } from "../rest/response-message.ts";
import { createQueryReader } from "../routing/query.ts";
import { fuzzing } from "../tests/fuzzing.ts";
import { jsonFor } from "../tests/random-json.ts";
import { compileAnswer } from "./answer-json.ts";

const registry = createRegistry(LibraryService, AuthorSchema);
const reading = { registry, unknownMembers: "drop", maxDepth: 100 } as const;

function shapeFor(input: DescMessage): RequestShape {
  const readQuery = createQueryReader({
    input,
    binds: false,
    pathBound: new Set(),
    bodyField: "",
    ignored: [],
  });
  const shape = {
    input,
    pathBindings: [],
    readQuery,
    body: "*",
    rawBody: false,
    derivesMask: false,
  } as const;
  return { ...shape, quick: createQuickRequest(shape) };
}

const partsOf = (body: Buffer) => ({ segments: [], query: "", contentType: "application/json", body });

/** What both ways make of a body; undefined for the quick one where it leaves the body to the other. */
function bothWays(shape: RequestShape, body: Buffer) {
  const quick = shape.quick?.(partsOf(body), reading.maxDepth);
  const decode = (bytes: Uint8Array): Message => fromBinary(shape.input, Uint8Array.from(bytes));
  let slow: Message | undefined;
  try {
    slow = decode(encodeByMessage(shape, partsOf(body), reading));
  } catch {
    // Refused; then the quick way must have left it.
  }
  return { quick: quick && decode(quick), slow };
}

const messageOf = (desc: DescMessage, json: JsonValue): Uint8Array =>
  encodeByMessage(shapeFor(desc), partsOf(Buffer.from(JSON.stringify(json))), reading);

// The random cases take half a second on a machine that is left alone.
vi.setConfig({ testTimeout: 60_000 });

const runs = fuzzing(100);
const types = [KindsSchema, BookSchema] as const;

describe("the answer codec", () => {
  test.each([true, false])("writes what the way over messages writes (defaults: %o)", (emitDefaults) => {
    for (const output of types) {
      const quick = compileAnswer(output, emitDefaults, registry);
      const slow = createMessageEncoder({ output, field: undefined, emitDefaults, registry });
      fc.assert(
        fc.property(jsonFor(output), (json) => {
          const bytes = messageOf(output, json);
          const written = quick?.(bytes);
          expect(written).toBeDefined();
          expect(JSON.parse(String(written))).toEqual(JSON.parse(String(slow(bytes).bytes)));
        }),
        runs,
      );
    }
  });

  test("knows a message whose name ends like a wrapper's from a wrapper", () => {
    const quick = compileAnswer(EnumSchema, true, registry);
    const json = { name: "Genre", enumvalue: [{ name: "GENRE_FICTION", number: 1 }] };
    const bytes = messageOf(EnumSchema, json);
    expect(JSON.parse(String(quick?.(bytes)))).toMatchObject(json);
  });

  test("writes the very bytes where nothing is a map", () => {
    const output = AuthorSchema;
    const quick = compileAnswer(output, true, registry);
    const slow = createMessageEncoder({ output, field: undefined, emitDefaults: true, registry });
    fc.assert(
      fc.property(jsonFor(output), (json) => {
        const bytes = messageOf(output, json);
        expect(String(quick?.(bytes))).toBe(String(slow(bytes).bytes));
      }),
      runs,
    );
  });

  test("leaves broken bytes alone, or reads them as the way over messages does", () => {
    const output = KindsSchema;
    const quick = compileAnswer(output, true, registry);
    const slow = createMessageEncoder({ output, field: undefined, emitDefaults: true, registry });
    fc.assert(
      fc.property(jsonFor(output), fc.nat(), fc.nat(255), fc.boolean(), (json, place, value, cut) => {
        const bytes = Uint8Array.from(messageOf(output, json));
        const at = place % (bytes.length + 1);
        if (at < bytes.length) bytes[at] = value;
        const broken = cut ? bytes.subarray(0, at) : bytes;
        const written = quick?.(broken);
        if (written !== undefined)
          expect(JSON.parse(String(written))).toEqual(JSON.parse(String(slow(broken).bytes)));
      }),
      fuzzing(300),
    );
  });
});

test("a map's entry under a tag of another wire type is left to the way over messages, which refuses it", () => {
  const bytes = messageOf(KindsSchema, { counts: { a: 1 } });
  bytes[0] = (bytes[0] as number) | 7;
  expect(compileAnswer(KindsSchema, true, registry)?.(bytes)).toBeUndefined();
});

const leftToMessages = /"(?:mask|free|anyValue|any_value|packed|extra|__proto__)":/;

describe("the request codec", () => {
  test.each(types)("reads what the way over messages reads: $typeName", (input) => {
    const shape = shapeFor(input);
    const escaped = (body: string) =>
      body.replace(/[^\n\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
    fc.assert(
      fc.property(jsonFor(input), fc.constantFrom(0, 2), fc.boolean(), (json, spaces, asAscii) => {
        const plain = JSON.stringify(json, null, spaces);
        const body = asAscii ? escaped(plain) : plain;
        const { quick, slow } = bothWays(shape, Buffer.from(body));
        if (!leftToMessages.test(body) && !body.includes("\\")) expect(quick).toBeDefined();
        if (quick !== undefined) expect(quick).toEqual(slow);
      }),
      runs,
    );
  });

  test("leaves broken bodies alone, or reads them as the way over messages does", () => {
    const shape = shapeFor(KindsSchema);
    const edits = [
      '"',
      "\\",
      "}",
      "{",
      "[",
      "]",
      ",",
      ":",
      "0",
      "-",
      ".",
      "e",
      "null",
      " ",
      "\n",
      "\\ud800",
      "1",
      "é",
      "\ud800",
    ];
    fc.assert(
      fc.property(
        jsonFor(KindsSchema),
        fc.nat(),
        fc.constantFrom(...edits),
        fc.nat(3),
        (json, place, edit, removed) => {
          const body = JSON.stringify(json);
          const at = place % (body.length + 1);
          const { quick, slow } = bothWays(
            shape,
            Buffer.from(body.slice(0, at) + edit + body.slice(at + removed)),
          );
          if (quick !== undefined) expect(quick).toEqual(slow);
        },
      ),
      fuzzing(500),
    );
  });

  test.each([
    ["a null", '{"stringValue":null}'],
    ["a member twice", '{"int32Value":1,"int32Value":2}'],
    ["a member in both spellings", '{"int32Value":1,"int32_value":2}'],
    ["two members of a oneof", '{"choiceString":"a","choiceNumber":1}'],
    ["an unknown member", '{"unheard":1}'],
    ["a fraction", '{"int32Value":1.0}'],
    ["a number with a zero before it", '{"int32Value":01}'],
    ["an integer out of range", '{"int32Value":2147483648}'],
    ["a digit too many for a double", '{"int64Value":1234567890123456}'],
    ["half a surrogate pair", '{"stringValue":"\\ud834"}'],
    ["a control character", '{"stringValue":"\u0001"}'],
    ["text after the end", "{} {}"],
    ["a day that is none", '{"time":"2026-02-29T00:00:00Z"}'],
    ["an escaped name", '{"string\\u0056alue":"a"}'],
    ["a map key twice", '{"counts":{"a":1,"a":2}}'],
    ["more levels than it may", `${'{"nested":{"deeper":'.repeat(60)}{}${"}}".repeat(60)}`],
  ])("leaves %s to the way over messages", (_what, body) => {
    expect(shapeFor(KindsSchema).quick?.(partsOf(Buffer.from(body)), 100)).toBeUndefined();
  });

  test("leaves text that is no UTF-8", () => {
    const body = Buffer.concat([Buffer.from('{"stringValue":"'), Buffer.from([0xff]), Buffer.from('"}')]);
    expect(shapeFor(KindsSchema).quick?.(partsOf(body), 100)).toBeUndefined();
  });

  test("writes a long message's length in as many bytes as it takes", () => {
    const shape = shapeFor(KindsSchema);
    for (const length of [1, 127, 128, 16_383, 16_384, 2_097_152]) {
      const nested = { textValue: "x".repeat(length), deeper: { textValue: "y".repeat(length) } };
      const { quick, slow } = bothWays(shape, Buffer.from(JSON.stringify({ nested, maybeNumber: -1 })));
      expect(toBinary(KindsSchema, quick as never)).toEqual(toBinary(KindsSchema, slow as never));
    }
  });
});
