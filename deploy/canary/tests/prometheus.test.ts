import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createMetrics, startSidePort } from "#kit/telemetry/telemetry.ts";
import { eventually } from "#kit/testing/testing.ts";
import { findFreePort } from "../../../tools/stores/free-port.ts";
import { callsOf, readCounts } from "../counts.ts";
import { createPrometheusScrape } from "../prometheus.ts";

const METHOD = "souk.orders.v1.OrdersService/PlaceOrder";
const isThere = spawnSync("prometheus", ["--version"]).status === 0;
if (!isThere)
  console.warn("skipped: prometheus is not on the path, so the canary tool was not tried with one");

test.skipIf(!isThere)("what a Prometheus has of a pod is counted as what the pod shows", async () => {
  const metrics = createMetrics();
  for (let call = 0; call < 25; call += 1) {
    metrics.rpcServerCalls(METHOD, call % 5 === 0 ? "INTERNAL" : "OK").inc();
    metrics.rpcServerDuration(METHOD).observe(0.004);
  }
  const { registry } = metrics;
  const side = await startSidePort({ host: "127.0.0.1", port: 0, registry, isReady: () => true });
  const port = await findFreePort();
  const folder = mkdtempSync(join(tmpdir(), "souk-prometheus-"));
  // Asked by two jobs, as pods are that an annotation and a PodMonitor name.
  const job = (name: string) => ({
    job_name: name,
    scrape_interval: "200ms",
    scrape_timeout: "200ms",
    static_configs: [
      { targets: [`127.0.0.1:${side.port}`], labels: { namespace: "souk", pod: "orders-canary-1" } },
    ],
  });
  // JSON is YAML too.
  writeFileSync(join(folder, "prometheus.yml"), JSON.stringify({ scrape_configs: [job("a"), job("b")] }));
  const flags = [`--web.listen-address=127.0.0.1:${port}`, `--storage.tsdb.path=${join(folder, "data")}`];
  const child = spawn("prometheus", [`--config.file=${join(folder, "prometheus.yml")}`, ...flags], {
    stdio: "ignore",
  });
  const gone = new Promise((resolve) => child.once("close", resolve).once("error", resolve));
  try {
    const scrape = createPrometheusScrape(`http://127.0.0.1:${port}`);
    await eventually(async () => {
      const asked = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=count(rpc_server_calls_total)`);
      // Two codes, by two jobs.
      expect(await asked.text()).toContain('"4"');
    }, 30_000);
    const counts = readCounts(await scrape("souk", "orders-canary-1"));
    expect(counts).toEqual(readCounts(await registry.metrics()));
    expect([callsOf(counts), counts[METHOD]?.faults]).toEqual([25, 5]);
    await expect(scrape("souk", "orders-1")).rejects.toThrow("knows nothing of orders-1");
  } finally {
    child.kill("SIGTERM");
    await gone;
    await side.close();
    rmSync(folder, { recursive: true });
  }
});

test("a Prometheus that does not answer is said to be the trouble", async () => {
  const port = await findFreePort();
  await expect(createPrometheusScrape(`http://127.0.0.1:${port}/`)("souk", "orders-1")).rejects.toThrow(
    "fetch failed",
  );
});
