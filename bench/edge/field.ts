// The gateways that are compared, each a process of its own before the same backend.

import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CUSTOMER_SCOPES, fetchToken } from "../../tools/client/tokens.ts";
import { startIssuer } from "../../tools/issuer/issuer.ts";
import { startRedis } from "../../tools/stores/redis.ts";
import { startGuard } from "../../tools/stores/store-set.ts";
import { envoyVersion, startEnvoy } from "./envoy.ts";

/** A gateway under test. */
export interface Gateway {
  readonly name: string;
  readonly pid: number;
  /** Of HTTP/1.1. */
  readonly port: number;
  /** Of HTTP/2. */
  readonly grpcPort: number;
  /** It takes calls in the Connect protocol: it knows no REST. */
  readonly connect: boolean;
}

/** Everything that runs for the benchmark. */
export interface Field {
  readonly gateways: readonly Gateway[];
  /** Envoy's version; undefined where it was not named. */
  readonly envoy: string | undefined;
  /** Headers that every request carries. */
  readonly headers: readonly string[];
  stop(): Promise<void>;
}

const readyWithinMs = 20_000;

interface Ports {
  readonly port: number;
  readonly grpcPort: number;
}

/** Starts all of them; those started before end where one fails. */
export async function startField(envoyBinary: string | undefined): Promise<Field> {
  const folder = mkdtempSync(join(tmpdir(), "souk-bench-"));
  // Ends what is no child of Node's should this process be killed.
  const guard = startGuard(folder);
  const endings: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true }), guard.dismiss];
  const stop = async () => {
    for (const end of endings.toReversed()) await end();
  };
  const children: ChildProcess[] = [];
  endings.push(() => {
    for (const child of children) child.kill("SIGKILL");
  });
  try {
    const redis = await startRedis({
      port: 0,
      dataDir: join(folder, "redis"),
      logPath: join(folder, "redis.log"),
      log: (line) => console.error(line),
      onPid: (pid) => guard.watch("redis", pid),
    });
    endings.push(() => redis.stop());
    const issuer = await startIssuer({ port: 0, dataDir: join(folder, "issuer"), clients: {} });
    endings.push(() => issuer.close());
    const backend = await startChild(children, "backend.ts", {});
    const backendUrl = `http://127.0.0.1:${backend.ports.port}`;
    const env = { BACKEND_URL: backendUrl };
    const gateways: Gateway[] = [];
    const add = async (name: string, file: string, settings: Record<string, string>, connect = false) => {
      const { pid, ports } = await startChild(children, file, settings);
      gateways.push({ name, pid, ...ports, connect });
    };
    await add("floor", "floor.ts", env);
    await add("edge", "bare-edge.ts", env);
    await add("edge with policy", "shop-gateway.ts", gatewaySettings(backendUrl, redis.url, issuer.url));
    await add("connect-node", "connect-gateway.ts", env, true);
    if (envoyBinary !== undefined) {
      const { child, port } = await startEnvoy(envoyBinary, backend.ports.port, folder);
      children.push(child);
      guard.watch("envoy", child.pid);
      gateways.push({ name: "Envoy", pid: child.pid ?? 0, port, grpcPort: port, connect: false });
    }
    const token = await fetchToken(issuer.url, {
      sub: "user_01j2mdhkv3fh3r8q5w9x7y4zab",
      scope: CUSTOMER_SCOPES,
      roles: "customer",
    });
    const headers = [
      `authorization: Bearer ${token}`,
      "idempotency-key: 0197a3f0-5d7e-7c1a-9f5e-1f2d3c4b5a69",
    ];
    return { gateways, envoy: envoyBinary && envoyVersion(envoyBinary), headers, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Nobody is limited, but every request is counted. */
function gatewaySettings(backendUrl: string, redisUrl: string, issuerUrl: string): Record<string, string> {
  const urls = ["CATALOG", "INVENTORY", "ORDERS", "PAYMENTS", "SHIPPING"].map((name) => [
    `${name}_URL`,
    backendUrl,
  ]);
  return {
    ...Object.fromEntries(urls),
    ENVIRONMENT: "test",
    LOG_LEVEL: "warn",
    PORT: "0",
    METRICS_PORT: "0",
    REDIS_URL: redisUrl,
    TOKEN_ISSUER: issuerUrl,
    RATE_LIMIT_PER_SECOND: "100000",
    RATE_LIMIT_BURST: "100000",
  };
}

async function startChild(children: ChildProcess[], file: string, settings: Record<string, string>) {
  const child = fork(new URL(file, import.meta.url), { env: { ...process.env, ...settings } });
  children.push(child);
  const ports = await new Promise<Ports>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${file} is not ready`)), readyWithinMs);
    child.once("message", (sent: Ports) => {
      clearTimeout(late);
      resolve(sent);
    });
    child.once("exit", () => reject(new Error(`${file} has ended`)));
  });
  return { pid: child.pid ?? 0, ports };
}
