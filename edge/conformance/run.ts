// `npm run conformance`: connectrpc's conformance suite, for servers through the edge, for clients by its own client of backends.

import { spawn, spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const here = "edge/conformance";
const runner = process.env.CONNECTCONFORMANCE ?? "connectconformance";

interface Part {
  readonly mode: "server" | "client";
  readonly config: string;
  readonly knownFailing: string;
  readonly program: string;
  readonly more: readonly string[];
}

const parts: readonly Part[] = [
  {
    mode: "server",
    config: "edge.yaml",
    knownFailing: "known-failing.txt",
    program: "server.ts",
    // Few at once: the suite's timeouts are short, and a busy machine would miss them.
    more: ["--parallel", "4", "--max-servers", "1"],
  },
  {
    mode: "client",
    config: "client.yaml",
    knownFailing: "known-failing-client.txt",
    program: "client.ts",
    more: [],
  },
];

function run({ mode, config, knownFailing, program, more }: Part): Promise<number> {
  const own = ["--mode", mode, "--conf", `${here}/${config}`, "--known-failing", `@${here}/${knownFailing}`];
  const args = [...own, ...more, ...process.argv.slice(2), "--", process.execPath, `${here}/${program}`];
  const path = `${dirname(process.execPath)}:${process.env.PATH ?? ""}`;
  const suite = spawn(runner, args, { cwd: root, stdio: "inherit", env: { ...process.env, PATH: path } });
  const end = (): unknown => suite.kill("SIGTERM");
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, end);
  return new Promise((resolve) => {
    suite.once("exit", (code) => {
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, end);
      resolve(code ?? 1);
    });
  });
}

if (spawnSync(runner, ["--version"]).error !== undefined) {
  process.stderr.write(
    `${runner} is not here: 'go install connectrpc.com/conformance/cmd/connectconformance@v1.0.5' makes it; ` +
      "put it on the path or name it in CONNECTCONFORMANCE\n",
  );
  process.exitCode = 2;
} else {
  for (const part of parts) process.exitCode = Math.max(Number(process.exitCode ?? 0), await run(part));
}
