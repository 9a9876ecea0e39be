import { globSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { describe, expect, it, vi } from "vitest";
import { Audience } from "#gen/souk/options/v1/options_pb.ts";
import { compileRoutes } from "../services/gateway/api-document.ts";
import { eventFiles } from "../services/gateway/event-document.ts";
import { policyOf, servedServices } from "../services/gateway/policy.ts";
import { apiPages } from "../tools/api-pages.ts";

// biome-ignore lint/suspicious/noExplicitAny: documents are walked as they come.
type Json = any;

// Validators compile large schemas: seconds of work on a machine that is busy with other suites.
vi.setConfig({ testTimeout: 60_000 });

const made = apiPages();
const committed = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
const openapi: Json = JSON.parse(committed("docs/openapi.json"));
const asyncapi: Json = JSON.parse(committed("docs/asyncapi.json"));

/** Paths of references that lead nowhere in their own document. */
function deadRefs(document: Json): string[] {
  const refs = JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g);
  const resolve = (path: string) =>
    path
      .split("/")
      .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"))
      .reduce((within: Json, step) => within?.[step], document);
  return Array.from(refs, ([, path = ""]) => path).filter((path) => resolve(path) === undefined);
}

/** A validator of the schemas of a document; formats that only describe are known to it. */
function validatorOf(document: Json) {
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: true });
  addFormats.default(ajv);
  for (const format of ["int32", "int64", "uint64", "float", "double"]) ajv.addFormat(format, true);
  ajv.addSchema(document, "document");
  const pointer = (path: readonly string[]) =>
    path.map((step) => encodeURIComponent(step.replaceAll("~", "~0").replaceAll("/", "~1"))).join("/");
  return (path: readonly string[], value: Json): string[] => {
    const validate = ajv.getSchema(`document#/${pointer(path)}`);
    if (!validate) return [`no schema at ${path.join("/")}`];
    return validate(value) ? [] : [`${path.join("/")}: ${ajv.errorsText(validate.errors)}`];
  };
}

describe.each([...made])("%s", (path, text) => {
  it("is what the contract and the gateway say today", () => {
    expect(committed(path) === text, "run npm run gen, and commit what it changes").toBe(true);
  });

  it("refers to nothing that is not in it", () => {
    expect(deadRefs(JSON.parse(text))).toEqual([]);
    expect(deadRefs({ a: { $ref: "#/b" } })).toEqual(["b"]);
  });
});

describe("docs/openapi.json", () => {
  const operations: [string, string, Json][] = Object.entries<Json>(openapi.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]): [string, string, Json] => [path, method, operation]),
  );

  it("is valid OpenAPI 3.1, and a document that is not is caught", async () => {
    const isValid = async (document: Json) =>
      (await new Validator().validate(structuredClone(document))).valid;
    expect(await isValid(openapi)).toBe(true);
    expect(openapi.openapi).toMatch(/^3\.1\./);
    expect(await isValid({ openapi: "3.1.0", info: { title: "Souk" }, paths: {} })).toBe(false);
  });

  it("has an operation for each route that the gateway compiles, and no other", () => {
    const routes = compileRoutes().map(({ httpMethod, template }) => `${httpMethod} ${template}`);
    expect(operations.map(([path, method]) => `${method.toUpperCase()} ${path}`).sort()).toEqual(
      routes.sort(),
    );
  });

  it("has an operation for every method of the contract that is for callers from outside", () => {
    const outside = servedServices
      .flatMap(({ methods }) => methods)
      .filter((method) => policyOf(method).audience === Audience.EDGE);
    const ids = operations.map(([, , { operationId }]) => operationId);
    expect(ids.sort()).toEqual(outside.map(({ parent, name }) => `${parent.name}_${name}`).sort());
  });

  it("says in words what each operation, parameter, answer and field is", () => {
    const silent = operations.flatMap(([path, method, operation]) => [
      ...(operation.description ? [] : [`${method} ${path}`]),
      ...(operation.parameters ?? [])
        .filter(({ description }: Json) => !description)
        .map(({ name }: Json) => `${method} ${path} ${name}`),
    ]);
    const fields = Object.entries<Json>(openapi.components.schemas)
      .filter(([name]) => name.startsWith("souk."))
      .flatMap(([name, schema]) =>
        Object.entries<Json>(schema.properties ?? {})
          .filter(([, { description }]) => !description)
          .map(([field]) => `${name}.${field}`),
      );
    expect([...silent, ...fields]).toEqual([]);
  });

  it("names for each operation who may call it, and asks for a key where the contract does", () => {
    const place = openapi.paths["/v1/orders"].post;
    expect(place.security).toEqual([{ bearer: ["orders:create"] }]);
    expect(place.parameters).toEqual([
      expect.objectContaining({ name: "Idempotency-Key", in: "header", required: true }),
    ]);
    expect(openapi.paths["/v1/products"].get.security).toEqual([]);
    const watch = openapi.paths["/v1/orders/{order_id}:watch"].get;
    expect(watch.security).toEqual([{ bearer: ["orders:read"] }, { ticket: ["orders:read"] }]);
    expect(Object.keys(watch.responses["200"].content)).toContain("text/event-stream");
    expect(Object.keys(place.responses)).toEqual(expect.arrayContaining(["202", "400", "401", "422", "429"]));
  });

  it("has examples that its own schemas take, and one that they refuse is caught", () => {
    const check = validatorOf(openapi);
    const faults = operations.flatMap(([path, method, operation]) => {
      const at = ["paths", path, method];
      const contents = [
        [[...at, "requestBody", "content"], operation.requestBody?.content],
        ...Object.entries<Json>(operation.responses).map(([status, { content }]) => [
          [...at, "responses", status, "content"],
          content,
        ]),
      ] as [string[], Json][];
      const bodies = contents.flatMap(([where, content]) =>
        Object.entries<Json>(content ?? {}).flatMap(([type, { example }]) =>
          example === undefined ? [] : check([...where, type, "schema"], example),
        ),
      );
      const parameters = (operation.parameters ?? []).flatMap(({ example }: Json, index: number) =>
        example === undefined ? [] : check([...at, "parameters", String(index), "schema"], example),
      );
      return [...bodies, ...parameters];
    });
    expect(faults).toEqual([]);
    const problem = ["components", "schemas", "Problem"];
    const problems = Object.values<Json>(openapi.components.examples);
    expect(problems.length).toBeGreaterThan(40);
    expect(problems.flatMap(({ value }) => check(problem, value))).toEqual([]);
    const place = ["paths", "/v1/orders", "post", "requestBody", "content", "application/json", "schema"];
    expect(check(place, { lines: [{ productId: "lamp", quantity: 0 }] })).not.toEqual([]);
  });
});

describe("docs/asyncapi.json", () => {
  it("tells of every file of the contract that declares events", () => {
    const declared = globSync("proto/souk/*/v*/events.proto", { cwd: new URL("..", import.meta.url) });
    expect(eventFiles.map(({ name }) => `proto/${name}.proto`)).toEqual(declared.sort());
  });

  it("is valid AsyncAPI 3, and a document that is not is caught", () => {
    const schema = createRequire(import.meta.url)("@asyncapi/specs/schemas/3.0.0.json");
    const ajv = new Ajv({ strict: false, validateFormats: false, meta: false, validateSchema: false });
    const isValid = ajv.compile(schema);
    expect(isValid(asyncapi), ajv.errorsText(isValid.errors)).toBe(true);
    expect(asyncapi.asyncapi).toBe("3.0.0");
    expect(isValid({ ...asyncapi, channels: { a: { address: 1 } } })).toBe(false);
  });

  it("has a channel for each event that a contract declares, by the subject it is published under", () => {
    const channels = Object.values<Json>(asyncapi.channels).map(({ address }) => address);
    expect(channels).toEqual(
      expect.arrayContaining(["souk.orders.v1.OrderPlaced", "souk.payments.v1.PaymentCaptured"]),
    );
    const sent = Object.values<Json>(asyncapi.operations).map(({ action }) => action);
    expect(sent).toHaveLength(channels.length);
    expect(new Set(sent)).toEqual(new Set(["send"]));
  });

  it("has an example of each event that its schema and its headers take", () => {
    const check = validatorOf(asyncapi);
    const headers = ["components", "messageTraits", "cloudEvent", "headers"];
    const faults = Object.entries<Json>(asyncapi.components.messages).flatMap(([name, { examples }]) => [
      ...check(["components", "messages", name, "payload"], examples[0].payload),
      ...check(headers, examples[0].headers),
    ]);
    expect(faults).toEqual([]);
    expect(check(headers, { "ce-id": "1" })).not.toEqual([]);
  });
});
