import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { DEFAULT_PORT_BASE, portsFrom } from "../tools/start/ports.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string) => readFileSync(join(root, path), "utf8");

const pages = globSync("{*,*/**/*}.md", {
  cwd: root,
  exclude: (path) => /(^|\/)(node_modules|coverage|house-fixture)$/.test(path),
}).sort();

const withoutCode = (text: string) => text.replaceAll(/^```.*?^```/gms, "").replaceAll(/`[^`\n]*`/g, "code");

/** The anchor a heading gets, as GitHub makes it. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");

const anchorsOf = (text: string) =>
  Array.from(text.replaceAll(/^```.*?^```/gms, "").matchAll(/^#+ (.+)$/gm), ([, heading = ""]) =>
    anchorOf(heading),
  );

describe("the links of a page", () => {
  function deadLinks(page: string, text: string): string[] {
    const targets = Array.from(withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g), ([, target = ""]) => target);
    return targets.filter((target) => !/^[a-z]+:/.test(target) && !resolves(page, text, target));
  }

  function resolves(page: string, text: string, target: string): boolean {
    const [path = "", anchor] = target.split("#");
    const file = join(root, dirname(page), path);
    if (path !== "" && !existsSync(file)) return false;
    return (
      anchor === undefined || anchorsOf(path === "" ? text : readFileSync(file, "utf8")).includes(anchor)
    );
  }

  it.each(pages)("lead somewhere: %s", (page) => {
    expect(deadLinks(page, read(page))).toEqual([]);
  });

  it("that lead nowhere are caught", () => {
    const text = [
      "# Ours",
      "[a](gone.md) [b](architecture.md) [c](architecture.md#the-life-of-one-order) [d](architecture.md#gone)",
      "[e](#ours) [f](#theirs) [g](https://example.org/gone) [h](../README.md) `[i](gone.md)`",
    ];
    const dead = deadLinks("docs/page.md", text.join("\n"));
    expect(dead).toEqual(["gone.md", "architecture.md#gone", "#theirs"]);
  });
});

describe("the commands of a page", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };

  function unknownCommands(text: string): string[] {
    const commands = text.matchAll(/\bnpm (?:(start|test)\b|run (?:-s |--silent )?([\w:-]+))/g);
    const names = Array.from(commands, ([, verb, script]) => verb ?? script ?? "");
    return names.filter((name) => !(name in scripts));
  }

  it.each(pages)("are scripts of package.json: %s", (page) => {
    expect(unknownCommands(read(page))).toEqual([]);
  });

  it("that are none are caught", () => {
    const text = "`npm ci && npm start`, npm run order -- --count 2, `npm run deploy`, npm run -s tokens";
    expect(unknownCommands(text)).toEqual(["deploy", "tokens"]);
  });

  it("in package.json run files that exist", () => {
    const files = Object.values(scripts).flatMap((script) => script.match(/\S+\.ts/g) ?? []);
    expect(files.length).toBeGreaterThan(5);
    expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });
});

describe("the ports in README.md", () => {
  function documentedPorts(text: string): Record<string, number> {
    const rows = text.matchAll(/^\| (\d{4,5}) \| ([\w-]+) \|/gm);
    return Object.fromEntries(Array.from(rows, ([, port, name = ""]) => [name, Number(port)]));
  }

  it("are those of npm start", () => {
    expect(documentedPorts(read("README.md"))).toEqual(portsFrom(DEFAULT_PORT_BASE));
  });

  it("that are wrong, missing or gone are caught", () => {
    const text = read("README.md")
      .replace("| 8083 |", "| 8084 |")
      .replace(/^.*\| redis \|.*$/m, "| 8199 | carts | gRPC |");
    const { orders, redis, carts } = documentedPorts(text);
    expect([orders, redis, carts]).toEqual([8084, undefined, 8199]);
    expect(documentedPorts(text)).not.toEqual(portsFrom(DEFAULT_PORT_BASE));
  });
});

describe("the tree in README.md", () => {
  function treeFaults(text: string, present: readonly string[]): string[] {
    const tree = /^## The tree\n+```\n(.*?)^```/ms.exec(text)?.[1] ?? "";
    const named = Array.from(tree.matchAll(/^(\S+?)\/? {2,}\S/gm), ([, name = ""]) => name);
    return [
      ...named.filter((name) => !existsSync(join(root, name))).map((name) => `${name} does not exist`),
      ...present.filter((name) => !named.includes(name)).map((name) => `${name} is not in the tree`),
    ];
  }

  const passing = new Set(["node_modules", "coverage"]);
  const folders = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith(".") && !passing.has(entry.name))
    .map(({ name }) => name);

  it("names every folder there is, and nothing else", () => {
    expect(folders.length).toBeGreaterThan(8);
    expect(treeFaults(read("README.md"), folders)).toEqual([]);
  });

  it("that names a folder too many or too few is caught", () => {
    const text = "## The tree\n\n```\nkit/     the chassis\nlib/     who knows\n```\n";
    expect(treeFaults(text, ["kit", "edge"])).toEqual(["lib does not exist", "edge is not in the tree"]);
  });
});

describe("a decision", () => {
  const decisions = globSync("docs/decisions/*.md", { cwd: root }).sort();
  function decisionFaults(path: string, text: string): string[] {
    const number = Number(/^(\d{4})-[a-z0-9-]+\.md$/.exec(basename(path))?.[1]);
    const sections = ["Context", "Choice", "Price"];
    const headings = Array.from(text.matchAll(/^## (\w+)/gm), ([, name = ""]) => name);
    return [
      ...(text.startsWith(`# ${number}. `) ? [] : ["has another number than its file"]),
      ...sections.filter((section) => !headings.includes(section)).map((section) => `has no ${section}`),
      ...(text.split("\n").length > 60 ? ["is longer than a page"] : []),
    ];
  }

  it.each(decisions)("is one page with context, choice and price: %s", (path) => {
    expect(decisionFaults(path, read(path))).toEqual([]);
  });

  it("has a number of its own, and none is missing", () => {
    const numbers = decisions.map((path) => Number(basename(path).slice(0, 4)));
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  });

  it("without its price, or under another number, is caught", () => {
    const text = "# 3. We use nothing\n\n## Context\nNothing.\n\n## Choice\nNothing.\n";
    expect(decisionFaults("docs/decisions/0004-nothing.md", text)).toEqual([
      "has another number than its file",
      "has no Price",
    ]);
    expect(
      decisionFaults("docs/decisions/0003-nothing.md", `${text}## Price\n${"Much.\n".repeat(60)}`),
    ).toEqual(["is longer than a page"]);
  });
});

describe("what a service's README.md says of its events", () => {
  /** Names in code marks of the row with that title. */
  function namesIn(text: string, title: string): string[] {
    const row = new RegExp(`^\\| ${title} \\|(.*)$`, "m").exec(text)?.[1] ?? "";
    return Array.from(row.matchAll(/`([A-Z]\w+)`/g), ([, name = ""]) => name).sort();
  }

  function eventsOf(service: string): string[] {
    const path = `proto/souk/${service}/v1/events.proto`;
    const contract = existsSync(join(root, path)) ? read(path) : "";
    const events = contract.matchAll(
      /^message (\w+) \{\n(?: *\/\/.*\n)* *option \(souk\.options\.v1\.event\)/gm,
    );
    return Array.from(events, ([, name = ""]) => name).sort();
  }

  function heardBy(service: string): string[] {
    const path = `services/${service}/consumers.ts`;
    const code = existsSync(join(root, path)) ? read(path) : "";
    return Array.from(code.matchAll(/\bon\((\w+)Schema,/g), ([, name = ""]) => name).sort();
  }

  const services = globSync("services/*/", { cwd: root })
    .map((path) => basename(path))
    .sort();

  it.each(services)("is what the contract declares and the code reacts to: %s", (service) => {
    const text = read(`services/${service}/README.md`);
    expect(namesIn(text, "Announces")).toEqual(eventsOf(service));
    expect(namesIn(text, "Listens to")).toEqual(heardBy(service));
  });

  it("is the same in README.md", () => {
    const rows = read("README.md").matchAll(
      /^\| \[(\w+)\]\(services\/.*?\| (?:[^|]*) \| ([^|]*) \| ([^|]*) \|$/gm,
    );
    const eventsIn = (cell = "") => (cell.match(/\b[A-Z]\w+\b/g) ?? []).sort();
    const documented = Array.from(rows, ([, service, announced, heard]) => [
      service,
      eventsIn(announced),
      eventsIn(heard),
    ]);
    const actual = services.map((service) => [service, eventsOf(service), heardBy(service)]);
    expect(documented.sort()).toEqual(actual);
  });

  it("is read from contract and code, so that a wrong name is caught", () => {
    expect(eventsOf("shipping")).toEqual(["ShipmentBooked", "ShipmentCancelled"]);
    expect(heardBy("inventory")).toEqual(["OrderConfirmed"]);
    const text = "| Announces | `OrderPlaced`, `OrderEaten` |\n| Listens to | nobody |";
    expect(namesIn(text, "Announces")).toEqual(["OrderEaten", "OrderPlaced"]);
    expect(namesIn(text, "Listens to")).toEqual([]);
  });
});
