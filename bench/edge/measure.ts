import { median } from "../orders/report.ts";
import { type BenchCall, calls } from "./calls.ts";
import { cpuTimeUs } from "./cpu-time.ts";
import type { Field, Gateway } from "./field.ts";
import { grpcLanes, type Lane, requestBytes, restLane, sendClosed, sendOpen } from "./lanes.ts";

/** How much is measured. */
export interface Plan {
  readonly rounds: number;
  /** Requests in one turn of a gateway. */
  readonly requests: number;
  /** Requests to each gateway before the first turn. */
  readonly warmUp: number;
  /** How long one turn at 60 % load lasts. */
  readonly tailMs: number;
}

/** How a call is sent. */
export type Wire = "REST" | "gRPC";

/** One call to one gateway. */
export interface Cell {
  readonly gateway: string;
  readonly call: string;
  readonly wire: Wire;
  /** CPU time of the gateway's process per request, in microseconds, round by round. */
  readonly cpuUs: readonly number[];
  /** Requests a second with all lanes busy, round by round. */
  readonly perSecond: readonly number[];
}

/** Latency of one call through one gateway at 60 % of the rate it reached. */
export interface Tail {
  readonly gateway: string;
  readonly call: string;
  readonly perSecond: number;
  readonly p50Ms: readonly number[];
  readonly p99Ms: readonly number[];
}

const lanesAtOnce = 16;
const tailLanes = 64;
const tailLoad = 0.6;
const tailRounds = 3;

/** Gateways whose tails are compared. */
const tailed = ["floor", "edge"];

/** Measures every call through every gateway, in turns, so that what else happens on the machine happens to all. */
export async function measureCells({ gateways, headers }: Field, plan: Plan): Promise<Cell[]> {
  const cells: Cell[] = [];
  for (const wire of ["REST", "gRPC"] as const) {
    for (const call of calls) {
      const turns: Turn[] = [];
      for (const gateway of gateways) {
        const turn = openTurn(gateway, call, wire, headers);
        // At once: a connection that sends nothing is closed before long.
        await sendClosed(turn.lanes, plan.warmUp);
        turns.push(turn);
      }
      for (let round = 0; round < plan.rounds; round++) {
        // Whoever comes first is another one each time.
        for (let at = 0; at < turns.length; at++) {
          await takeTurn(turns[(at + round) % turns.length] as Turn, plan.requests);
        }
      }
      for (const { lanes, gateway, cpuUs, perSecond } of turns) {
        for (const lane of lanes) lane.close();
        cells.push({ gateway: gateway.name, call: call.title, wire, cpuUs, perSecond });
      }
      const costs = turns.map(({ gateway, cpuUs }) => `${gateway.name} ${median(cpuUs).toFixed(0)}`);
      console.error(`${wire} ${call.title}: ${costs.join(", ")} µs`);
    }
  }
  return cells;
}

interface Turn {
  readonly gateway: Gateway;
  readonly lanes: readonly Lane[];
  readonly cpuUs: number[];
  readonly perSecond: number[];
}

function openTurn(gateway: Gateway, call: BenchCall, wire: Wire, headers: readonly string[]): Turn {
  const lanes =
    wire === "REST"
      ? restLanes(gateway, call, headers, lanesAtOnce)
      : grpcLanes(gateway.grpcPort, call, headers, lanesAtOnce);
  return { gateway, lanes, cpuUs: [], perSecond: [] };
}

function restLanes(gateway: Gateway, call: BenchCall, headers: readonly string[], count: number): Lane[] {
  const request = requestBytes(call, gateway.connect, headers);
  return Array.from({ length: count }, () => restLane(gateway.port, request));
}

async function takeTurn({ gateway, lanes, cpuUs, perSecond }: Turn, requests: number): Promise<void> {
  const cpuBefore = cpuTimeUs(gateway.pid);
  const startedAt = performance.now();
  await sendClosed(lanes, requests);
  perSecond.push((requests * 1_000) / (performance.now() - startedAt));
  cpuUs.push((cpuTimeUs(gateway.pid) - cpuBefore) / requests);
}

/** Measures the latencies over REST at 60 % of what each gateway reached with all lanes busy. */
export async function measureTails(
  { gateways, headers }: Field,
  cells: readonly Cell[],
  plan: Plan,
): Promise<Tail[]> {
  const tails: Tail[] = [];
  for (const call of calls) {
    const turns = gateways
      .filter(({ name }) => tailed.includes(name))
      .map((gateway) => ({
        lanes: restLanes(gateway, call, headers, tailLanes),
        tail: {
          gateway: gateway.name,
          call: call.title,
          perSecond: tailLoad * reached(cells, gateway, call),
          p50Ms: [] as number[],
          p99Ms: [] as number[],
        },
      }));
    for (let round = 0; round < tailRounds; round++) {
      for (const { lanes, tail } of turns) {
        const latenciesMs = (await sendOpen(lanes, tail.perSecond, plan.tailMs)).toSorted((a, b) => a - b);
        tail.p50Ms.push(percentile(latenciesMs, 0.5));
        tail.p99Ms.push(percentile(latenciesMs, 0.99));
      }
    }
    for (const { lanes, tail } of turns) {
      for (const lane of lanes) lane.close();
      tails.push(tail);
    }
    console.error(`tails of ${call.title}`);
  }
  return tails;
}

function reached(cells: readonly Cell[], { name }: Gateway, { title }: BenchCall): number {
  const cell = cells.find(({ gateway, call, wire }) => gateway === name && call === title && wire === "REST");
  return median(cell?.perSecond ?? []);
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
