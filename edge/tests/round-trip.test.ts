import {
  createRegistry,
  type DescField,
  fromBinary,
  fromJson,
  type JsonValue,
  toJson,
} from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EverySchema, file_edge_testing_v1_kinds } from "#gen/edge/testing/v1/kinds_pb.ts";
import { fuzzing } from "./fuzzing.ts";
import { hasText, type JsonObject, messages, valuesOf } from "./random-message.ts";
import { type RawRequest, sendRaw } from "./raw-http.ts";
import { edgeWith } from "./transcoding/start-up.ts";

const registry = createRegistry(file_edge_testing_v1_kinds);
const every = EverySchema.fields;

let server: grpc.Server;
let port: number;
let received: Buffer;

/** A backend that answers with the bytes it is sent. */
beforeAll(async () => {
  const bytes = (value: Buffer) => value;
  server = new grpc.Server();
  server.register<Buffer, Buffer>(
    "/made.up.MadeUpService/Call",
    (call: grpc.ServerUnaryCall<Buffer, Buffer>, respond: grpc.sendUnaryData<Buffer>) => {
      received = call.request;
      respond(null, call.request);
    },
    bytes,
    bytes,
    "unary",
  );
  port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, at) =>
      error === null ? resolve(at) : reject(error),
    );
  });
});

afterAll(() => server.forceShutdown());

/** A field reached through messages named `child`, with the value the path gives it. */
interface PathLeaf {
  readonly parents: number;
  readonly field: DescField;
  readonly pattern: "" | "=*" | "=**";
  readonly value: JsonValue;
}

/** A route with a request for it, as far as they are drawn by chance. */
interface Draw {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly leaves: readonly PathLeaf[];
  readonly verb: string;
  /** `*`, a field, or undefined for none. */
  readonly body: "*" | DescField | undefined;
  readonly responseField: DescField | undefined;
  readonly message: JsonObject;
  readonly protoNames: boolean;
  readonly plus: boolean;
}

const texted = every.filter(
  (field) => field.fieldKind !== "list" && hasText(field) && valuesOf(field, 0) !== undefined,
);

const leaves: fc.Arbitrary<PathLeaf> = fc.constantFrom(...texted).chain((field) =>
  fc.record({
    parents: fc.nat(2),
    field: fc.constant(field),
    pattern: fc.constantFrom("", "=*", "=**"),
    // An empty segment never binds.
    value: (valuesOf(field, 0) as fc.Arbitrary<JsonValue>).filter((value) => String(value) !== ""),
  }),
);

const draws: fc.Arbitrary<Draw> = fc.record({
  method: fc.constantFrom("GET", "POST", "PUT", "DELETE"),
  leaves: fc.uniqueArray(leaves, { maxLength: 3, selector: (leaf) => nameOf(leaf) }),
  verb: fc.constantFrom("", "", ":go"),
  body: fc.oneof(fc.constant(undefined), fc.constant("*" as const), fc.constantFrom(...every)),
  responseField: fc.option(fc.constantFrom(...every), { nil: undefined }),
  message: messages(EverySchema, 2),
  protoNames: fc.boolean(),
  plus: fc.boolean(),
});

function nameOf({ parents, field }: PathLeaf): string {
  return `${"child.".repeat(parents)}${field.name}`;
}

/** The draw made consistent: `**` comes last, GET has no body, and what a oneof has chosen is not chosen twice. */
function consistent(draw: Draw): Draw {
  const patterns = draw.leaves.map((leaf, at): PathLeaf => {
    const isText = leaf.field.fieldKind === "scalar" && typeof leaf.value === "string";
    const last = at === draw.leaves.length - 1 && isText && isSegments(String(leaf.value));
    return leaf.pattern === "=**" && !last ? { ...leaf, pattern: "" } : leaf;
  });
  const chosen = new Set<string>();
  const leavesKept = patterns.filter(({ parents, field }) => {
    if (field.oneof === undefined) return true;
    if (chosen.has(String(parents))) return false;
    chosen.add(String(parents));
    return true;
  });
  return { ...draw, leaves: leavesKept, body: draw.method === "GET" ? undefined : draw.body };
}

function isSegments(text: string): boolean {
  return text.split("/").every((segment) => segment !== "");
}

/** The whole message: what was drawn, as far as path, query and body can say it, with the path's values in it. */
function messageOf(draw: Draw): JsonObject {
  const { body, leaves: bound } = draw;
  const whole: JsonObject = body === "*" ? { ...draw.message } : queryable(draw.message, body);
  for (const { parents, field, value } of bound) {
    let holder = whole;
    for (let at = 0; at < parents; at++) {
      holder.child = { ...(holder.child as JsonObject | undefined) };
      holder = holder.child;
    }
    for (const other of field.oneof?.fields ?? []) delete holder[other.jsonName];
    holder[field.jsonName] = value;
  }
  return whole;
}

/** Without what has no text form; the body's field keeps all of it. Messages that would say nothing are left out. */
function queryable(message: JsonObject, body: DescField | undefined): JsonObject {
  const kept: JsonObject = {};
  for (const field of every) {
    const value = message[field.jsonName];
    if (value === undefined) continue;
    if (field === body || hasText(field)) kept[field.jsonName] = value;
    else if (field.message === EverySchema && field.fieldKind === "message") {
      const below = queryable(value as JsonObject, undefined);
      if (Object.keys(below).some((name) => !Array.isArray(below[name]) || (below[name] as []).length > 0)) {
        kept[field.jsonName] = below;
      }
    }
  }
  return kept;
}

function requestOf(draw: Draw, message: JsonObject): RawRequest {
  const path = draw.leaves.map((leaf) => segmentsOf(leaf)).join("");
  const pairs = draw.body === "*" ? [] : pairsOf(draw, message, "", []);
  const query = pairs.length === 0 ? "" : `?${pairs.join("&")}`;
  const request = { method: draw.method, target: `/call${path}${draw.verb}${query}` };
  if (draw.body === undefined) return request;
  const body = draw.body === "*" ? message : message[draw.body.jsonName];
  if (body === undefined) return request;
  return { ...request, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
}

function segmentsOf({ pattern, value }: PathLeaf): string {
  const text = String(value);
  return `/${pattern === "=**" ? text.split("/").map(encodeURIComponent).join("/") : encodeURIComponent(text)}`;
}

/** Every leaf of a message that neither path nor body says, in either spelling. */
function pairsOf(draw: Draw, message: JsonObject, spelled: string, parents: readonly string[]): string[] {
  return every.flatMap((field) => {
    const value = message[field.jsonName];
    const path = [...parents, field.name].join(".");
    if (value === undefined || draw.leaves.some((leaf) => nameOf(leaf) === path)) return [];
    if (parents.length === 0 && field === draw.body) return [];
    const name = `${spelled}${draw.protoNames ? field.name : field.jsonName}`;
    if (!hasText(field)) return pairsOf(draw, value as JsonObject, `${name}.`, [...parents, field.name]);
    return (Array.isArray(value) ? value : [value]).map(
      (item) => `${escaped(name, draw)}=${escaped(String(item), draw)}`,
    );
  });
}

function escaped(text: string, { plus }: Draw): string {
  return plus ? encodeURIComponent(text).replaceAll("%20", "+") : encodeURIComponent(text);
}

function ruleOf({ method, leaves: bound, verb, body, responseField }: Draw) {
  const value = `/call${bound.map((leaf) => `/{${nameOf(leaf)}${leaf.pattern}}`).join("")}${verb}`;
  const kind = method.toLowerCase() as "get" | "post" | "put" | "delete";
  return {
    pattern: { case: kind, value },
    body: body === undefined || body === "*" ? (body ?? "") : body.name,
    responseBody: responseField?.name ?? "",
  };
}

test("any message over any route comes to the backend, and back, as protobuf-es has it", async () => {
  await fc.assert(
    fc.asyncProperty(draws, async (drawn) => {
      const draw = consistent(drawn);
      const message = messageOf(draw);
      const expected = fromJson(EverySchema, message, { registry });
      const edge = edgeWith({ Call: ruleOf(draw) }, { address: `http://127.0.0.1:${port}` });
      const { port: at } = await edge.listen({ host: "127.0.0.1", port: 0 });
      try {
        const request = requestOf(draw, message);
        const answer = await sendRaw(at, request);
        expect([answer.status, answer.status === 200 ? "" : `${request.target}: ${answer.body}`]).toEqual([
          200,
          "",
        ]);
        expect(toJson(EverySchema, fromBinary(EverySchema, received), { registry })).toEqual(
          toJson(EverySchema, expected, { registry }),
        );
        const shown = toJson(EverySchema, expected, { registry, alwaysEmitImplicit: true }) as JsonObject;
        const field = draw.responseField;
        expect(JSON.parse(answer.body)).toEqual(
          field === undefined ? shown : (shown[field.jsonName] ?? null),
        );
      } finally {
        await edge.close();
      }
    }),
    fuzzing(150),
  );
}, 60_000);
