import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { getOption } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { Audience, policy } from "#gen/souk/options/v1/options_pb.ts";
import { type Edge, readCallGraph, readCalls } from "./call-graph.ts";
import { brokerFiles, jobFiles, policyFiles } from "./files.ts";
import { authorizationPolicies } from "./mesh-objects.ts";
import { networkPolicies, standInPolicies } from "./network-objects.ts";

const repository = resolve(import.meta.dirname, "../..");
const services = globSync("services/*/", { cwd: repository })
  .map((path) => basename(path))
  .sort();

describe("the policies in deploy/", () => {
  test("are what npm run gen:policies makes of the declared calls and of the migrations", async () => {
    const files = new Map([
      ...policyFiles(await readCallGraph()),
      ...(await jobFiles()),
      ...(await brokerFiles()),
    ]);
    const stale = [...files].filter(([path, text]) => {
      const file = join(repository, path);
      return !existsSync(file) || readFileSync(file, "utf8") !== text;
    });
    expect(stale.map(([path]) => path)).toEqual([]);
  });

  test("name a migration Job anew as soon as a migration is another", async () => {
    const [path = "", text = ""] = [...(await jobFiles())].find(([file]) => file.includes("orders")) ?? [];
    expect(path).toBe("deploy/base/services/orders/migrate-job.yaml");
    expect(text).toMatch(/name: orders-migrate-[0-9a-f]{10}$/m);
    const hashes = Array.from((await jobFiles()).values(), (job) => /-([0-9a-f]{10})$/m.exec(job)?.[1]);
    expect(new Set(hashes).size).toBe(services.length);
  });
});

describe("the calls a service declares", () => {
  /** Calls in the code, by the name of the client's variable and of the method. */
  function usedBy(service: string): string[] {
    const clients = services.filter((name) => name !== "gateway" && name !== service).join("|");
    const call = new RegExp(`\\b(${clients})\\.(\\w+)\\(\\s*\\{`, "g");
    const paths = globSync(`services/${service}/**/*.ts`, { cwd: repository }).filter(
      (path) => !/\.test\.ts$|\/tests\//.test(path),
    );
    const found = paths.flatMap((path) =>
      Array.from(
        readFileSync(join(repository, path), "utf8").matchAll(call),
        ([, area, method]) => `${area}.${method}`,
      ),
    );
    return [...new Set(found)].sort();
  }

  async function declaredBy(service: string): Promise<string[]> {
    const { rpcs = [] } = await readCalls(`services/${service}/calls.ts`);
    return rpcs
      .map(({ parent, localName }) => `${parent.file.proto.package.split(".")[1]}.${localName}`)
      .sort();
  }

  test.each(services.filter((name) => name !== "gateway"))("are those it makes: %s", async (service) => {
    expect(await declaredBy(service)).toEqual(usedBy(service));
  });

  test("are read from the code, so that one more or one less is caught", () => {
    expect(usedBy("orders")).toContain("payments.capturePayment");
    expect(usedBy("orders").length).toBeGreaterThan(12);
  });

  test("of the gateway are all that the contract opens to the outside, and none that it does not", async () => {
    const { rpcs = [] } = await readCalls("services/gateway/calls.ts");
    const audiences = rpcs.map((method) => getOption(method, policy).audience);
    expect(new Set(audiences)).toEqual(new Set([Audience.EDGE]));
    expect(rpcs.length).toBeGreaterThan(30);
  });
});

describe("a policy", () => {
  const edge = (caller: string, callee: string, paths: string[]): Edge => ({
    caller,
    callee,
    operations: [{ methods: ["POST"], paths }],
  });
  const edges = [
    edge("orders", "payments", ["/a.B/C"]),
    { caller: "payments", callee: "card-processor", operations: [] },
  ];

  test("allows the declared caller the declared methods on the declared port, and nobody else anything", () => {
    const policies = new Map(authorizationPolicies(edges).map(({ metadata, spec }) => [metadata.name, spec]));
    expect(policies.get("payments")).toMatchObject({
      action: "ALLOW",
      rules: [
        {
          from: [{ source: { principals: ["cluster.local/ns/souk/sa/orders"] } }],
          to: [{ operation: { ports: ["50051"], methods: ["POST"], paths: ["/a.B/C"] } }],
        },
      ],
    });
    // An ALLOW policy without rules allows nothing.
    expect(policies.get("orders")).toMatchObject({ action: "ALLOW", rules: [] });
  });

  test("of the network opens the callee's port to the caller, on both sides, and not the other way round", () => {
    const text = (name: string) =>
      JSON.stringify(networkPolicies(edges).find(({ metadata }) => metadata.name === name)?.spec);
    const peer = (name: string) =>
      JSON.stringify({ podSelector: { matchLabels: { "app.kubernetes.io/name": name } } });
    expect(text("payments")).toContain(
      `"from":[${peer("orders")}],"ports":[{"protocol":"TCP","port":50051}]`,
    );
    expect(text("orders")).toContain(`"to":[${peer("payments")}],"ports":[{"protocol":"TCP","port":50051}]`);
    expect(text("orders")).not.toContain(`"from":[${peer("payments")}]`);
    expect(text("catalog")).not.toContain(peer("orders"));
  });

  test("for stand-ins is apart from those of the shop, so that production has none", () => {
    expect(JSON.stringify(networkPolicies(edges))).not.toContain("card-processor");
    const standIns = new Map(
      standInPolicies(edges).map(({ metadata, spec }) => [metadata.name, JSON.stringify(spec)]),
    );
    expect(standIns.get("card-processor")).toContain(
      '"from":[{"podSelector":{"matchLabels":{"app.kubernetes.io/name":"payments"}}}]',
    );
    expect(standIns.get("payments-stand-ins")).toContain("card-processor");
  });
});
