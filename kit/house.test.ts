import { globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { create, type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ServerReflection } from "#gen/grpc/reflection/v1/reflection_pb.ts";
import {
  Audience,
  type MethodPolicy,
  MethodPolicySchema,
  policy as policyOption,
  Retry,
} from "#gen/souk/options/v1/options_pb.ts";
import { errorsPage } from "../tools/errors-page.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
// Its code ends in `.ts.txt`, so that no tool takes it for code.
const fixture = fileURLToPath(new URL("house-fixture", import.meta.url));
const codeFolders = "{kit,edge,services,sandboxes,tools,journeys,chaos,bench,web}";

function read(folder: string, path: string): string {
  return readFileSync(join(folder, path), "utf8");
}

describe("names", () => {
  const bannedWords = "utils?|helpers?|common|managers?|impl|misc";
  // These say nothing as the whole of a name, and something as a part of one: `cart-base`, `page-index`.
  const bannedNames = "index|base|types|lib|src|dist";
  const banned = new RegExp(`^(${bannedNames})$|(^|-)(${bannedWords})(-|$)`);

  function emptyNames(folder: string, ending: string): string[] {
    const paths = globSync(`${codeFolders}/**/*${ending}`, { cwd: folder, exclude: ["**/node_modules/**"] });
    const isBanned = (path: string) =>
      [basename(path).replace(/\..*$/, ""), ...dirname(path).split("/")].some((name) => banned.test(name));
    return paths.filter(isBanned).sort();
  }

  it("of files and folders say what a thing is", () => {
    expect(emptyNames(root, ".ts")).toEqual([]);
  });

  it("that say nothing are caught", () => {
    expect(emptyNames(fixture, ".ts.txt")).toEqual([
      "kit/common/index.ts.txt",
      "kit/common/order-utils.ts.txt",
    ]);
  });
});

describe("a service's main.ts", () => {
  function faultsOf(folder: string, path: string): string[] {
    const lines = read(folder, path).trimEnd().split("\n");
    const body = lines
      .slice(0, -1)
      .filter((line) => !/^\s*(\/\/|\/?\*)/.test(line))
      .join("\n");
    const faults = [
      lines.length > 40 && `has ${lines.length} lines`,
      /\bawait\b/.test(body) && "awaits before its last line",
      /\bif\b/.test(body) && "decides something",
      /\bprocess\b/.test(lines.join("\n")) && "looks at the process",
      !/^if \(import\.meta\.main\) await run\w*\(.+\);$/.test(lines.at(-1) ?? "") &&
        "does not end by running its definition",
    ];
    return faults.flatMap((fault) => (fault === false ? [] : [`${path} ${fault}`]));
  }

  const mains = (folder: string, ending: string) =>
    globSync(`services/*/main${ending}`, { cwd: folder }).sort();

  it("is a table of contents", () => {
    const paths = mains(root, ".ts");
    expect(paths.length).toBeGreaterThan(0);
    expect(paths.flatMap((path) => faultsOf(root, path))).toEqual([]);
  });

  it("that does something itself is caught", () => {
    const path = "services/carts/main.ts.txt";
    expect(mains(fixture, ".ts.txt").flatMap((main) => faultsOf(fixture, main))).toEqual([
      `${path} has 41 lines`,
      `${path} awaits before its last line`,
      `${path} decides something`,
      `${path} looks at the process`,
      `${path} does not end by running its definition`,
    ]);
  });
});

describe("docs/errors.md", () => {
  /** Lines that only one of the two has: `+` where the contract has it, `-` where the page has it. */
  function differences(declared: string, page: string): string[] {
    const [wanted, present] = [new Set(declared.split("\n")), new Set(page.split("\n"))];
    return [
      ...Array.from(wanted.difference(present), (line) => `+ ${line}`),
      ...Array.from(present.difference(wanted), (line) => `- ${line}`),
    ];
  }

  it("lists the reasons of the contract, as the contract declares them, and no others", async () => {
    const declared = await errorsPage();
    expect(declared.match(/^\| `[A-Z_]+` \|/gm)?.length).toBeGreaterThan(20);
    expect(declared).not.toContain("undefined");
    expect(differences(declared, read(root, "docs/errors.md"))).toEqual([]);
  });

  it("that lacks a reason or names a dead one is caught", async () => {
    const found = differences(await errorsPage(), read(fixture, "docs/errors.md"));
    expect(
      found.filter((line) => /TOKEN_MISSING|ORDER_EATEN/.test(line)).map((line) => line.slice(0, 20)),
    ).toEqual(["+ | `TOKEN_MISSING` ", "- | `ORDER_EATEN` | "]);
  });
});

describe("the table of services in README.md", () => {
  /** First cells of the table whose first column is called Service, without their markup. */
  function documented(folder: string): string[] {
    const lines = read(folder, "README.md").split("\n");
    const start = lines.findIndex((line) => /^\|\s*Service\s*\|/.test(line));
    const rows = start < 0 ? [] : lines.slice(start + 2);
    const end = rows.findIndex((line) => !line.startsWith("|"));
    const cells = rows.slice(0, end < 0 ? rows.length : end).map((row) => row.split("|")[1] ?? "");
    return cells.map((cell) => /\w[\w-]*/.exec(cell)?.[0] ?? "").sort();
  }

  const folders = (folder: string) =>
    globSync("services/*/", { cwd: folder })
      .map((path) => basename(path))
      .sort();

  it("names the folders in services/", () => {
    expect(documented(root)).toEqual(folders(root));
  });

  it("that lacks a folder or names one that is gone is caught", () => {
    expect(documented(fixture)).toEqual(["orders", "payments"]);
    expect(folders(fixture)).toEqual(["carts", "orders"]);
  });
});

describe("the policy of a method", () => {
  const noPolicy = create(MethodPolicySchema);

  function policyOf(method: DescMethod): MethodPolicy | undefined {
    return hasOption(method, policyOption) ? getOption(method, policyOption) : undefined;
  }

  function faultsOf(policy: MethodPolicy | undefined): string[] {
    if (policy === undefined) return ["has no policy"];
    const { audience, retry, deadlineMs, anonymous, scopes, idempotencyKeyRequired } = policy;
    const faults = [
      audience === Audience.UNSPECIFIED && "names no audience",
      retry === Retry.UNSPECIFIED && "names no retry class",
      deadlineMs <= 0 && "has no deadline",
      anonymous !== (scopes.length === 0) && "is open to everybody with a token, or to nobody",
      idempotencyKeyRequired !== (retry === Retry.WITH_KEY) &&
        "is repeated with a key it does not ask for, or the reverse",
    ];
    return faults.filter((fault) => fault !== false);
  }

  async function servicesOfTheContract(): Promise<DescService[]> {
    const paths = globSync("gen/souk/**/*_pb.ts", { cwd: root });
    const modules = await Promise.all(
      paths.map((path) => import(join(root, path)) as Promise<Record<string, unknown>>),
    );
    const isService = (value: unknown): value is DescService =>
      (value as { kind?: unknown })?.kind === "service";
    return modules.flatMap((module) => Object.values(module).filter(isService));
  }

  it("says for every RPC who may call it, for how long, and how it may be repeated", async () => {
    const methods = (await servicesOfTheContract()).flatMap((service) => service.methods);
    expect(methods.length).toBeGreaterThan(25);
    const faults = methods.flatMap((method) =>
      faultsOf(policyOf(method)).map((fault) => `${method} ${fault}`),
    );
    expect(faults).toEqual([]);
  });

  it("that is missing or half is caught", () => {
    expect(ServerReflection.methods.flatMap((method) => faultsOf(policyOf(method)))).toEqual([
      "has no policy",
    ]);
    const whole = { audience: Audience.EDGE, retry: Retry.SAFE, deadlineMs: 1_000, scopes: ["orders:read"] };
    const half = (change: Partial<Omit<MethodPolicy, "$typeName">>) =>
      faultsOf(create(MethodPolicySchema, { ...whole, ...change }));
    expect(half({})).toEqual([]);
    expect(half({ audience: Audience.UNSPECIFIED })).toEqual(["names no audience"]);
    expect(half({ retry: Retry.UNSPECIFIED })).toEqual(["names no retry class"]);
    expect(half({ deadlineMs: 0 })).toEqual(["has no deadline"]);
    expect(half({ scopes: [] })).toEqual(["is open to everybody with a token, or to nobody"]);
    expect(half({ anonymous: true })).toEqual(["is open to everybody with a token, or to nobody"]);
    expect(half({ idempotencyKeyRequired: true })).toHaveLength(1);
    expect(half({ retry: Retry.WITH_KEY })).toHaveLength(1);
    expect(faultsOf(noPolicy)).toHaveLength(4);
  });
});
