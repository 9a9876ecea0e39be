import type { Floor } from "./floor.ts";

/** One number of buyers. */
export interface LevelResult {
  readonly buyers: number;
  readonly ordersPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** By process. */
  readonly cpuMsPerOrder: ReadonlyMap<string, number>;
  readonly failures: number;
}

/** What a run of the benchmark found. */
export interface OrdersResult {
  readonly machine: string;
  readonly node: string;
  readonly durability: string;
  readonly plan: string;
  /** The flags it was run with. */
  readonly flags: string;
  readonly levels: readonly LevelResult[];
  /** Undefined where there is no pgbench. */
  readonly floor: Floor | undefined;
}

/** Not part of the shop: what stands in for the outside world, and what loads it. */
const apart = new Set(["generator", "card-processor", "carrier", "issuer"]);

/** The middle one, or the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2;
}

/** The result as a page. */
export function toMarkdown({ machine, node, durability, plan, flags, levels, floor }: OrdersResult): string {
  const names = [...(levels[0]?.cpuMsPerOrder.keys() ?? [])];
  const header = ["", ...levels.map(({ buyers }) => `${buyers} at once`)];
  const row = (title: string, pick: (level: LevelResult) => string) => [title, ...levels.map(pick)];
  const cpu = (name: string) => row(name, ({ cpuMsPerOrder }) => (cpuMsPerOrder.get(name) ?? 0).toFixed(2));
  const shop = names.filter((name) => !apart.has(name));
  const sum = (level: LevelResult) =>
    shop.reduce((total, name) => total + (level.cpuMsPerOrder.get(name) ?? 0), 0);
  return [
    "# bench/orders",
    "",
    "From submission (`POST /v1/orders`) to the terminal event over SSE (`GET /v1/orders/{id}:watch`).",
    "",
    `- Machine: ${machine}; Node ${node}`,
    `- Durability: ${durability}`,
    `- Plan: ${plan}`,
    `- Repeat: \`npm ci && npm run bench -- orders ${flags}\``,
    "",
    ...table(header, [
      row("orders per second", (level) => level.ordersPerSecond.toFixed(0)),
      row("p50 ms", (level) => level.p50Ms.toFixed(0)),
      row("p99 ms", (level) => level.p99Ms.toFixed(0)),
      row("**CPU ms per order, the shop**", (level) => `**${sum(level).toFixed(2)}**`),
      row("orders not confirmed", (level) => String(level.failures)),
    ]),
    "",
    "CPU ms per order, by process:",
    "",
    ...table(header, shop.map(cpu)),
    "",
    "Apart from the shop:",
    "",
    ...table(header, names.filter((name) => apart.has(name)).map(cpu)),
    "",
    ...(floor ? floorSection(floor, levels) : [noFloor]),
    "",
  ].join("\n");
}

const noFloor =
  "No SQL floor: pgbench was not found (Debian has it in the package `postgresql`; the shop does not need it).";

function floorSection(floor: Floor, levels: readonly LevelResult[]): string[] {
  const timesFloor = (level: LevelResult) =>
    (level.cpuMsPerOrder.get("postgres") ?? 0) / floor.postgresCpuMsPerOrder;
  const header = ["", "SQL floor", ...levels.map(({ buyers }) => `${buyers} at once`)];
  return [
    `The SQL floor, on the same server in the same run: the rows of one order over all services (\`bench/orders/floor.sql\`), written by ${floor.clients} clients of ${floor.pgbench} with nothing before or behind them:`,
    "",
    ...table(header, [
      [
        "orders, or their rows, per second",
        floor.ordersPerSecond.toFixed(0),
        ...levels.map((level) => level.ordersPerSecond.toFixed(0)),
      ],
      [
        "Postgres CPU ms per order",
        floor.postgresCpuMsPerOrder.toFixed(2),
        ...levels.map((level) => (level.cpuMsPerOrder.get("postgres") ?? 0).toFixed(2)),
      ],
      ["times the floor's CPU", "1", ...levels.map((level) => timesFloor(level).toFixed(2))],
    ]),
  ];
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)];
}
