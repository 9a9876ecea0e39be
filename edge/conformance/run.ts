// `npm run conformance`: connectrpc's conformance suite through the edge.

import { spawn, spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const here = "edge/conformance";
const runner = process.env.CONNECTCONFORMANCE ?? "connectconformance";

const probe = spawnSync(runner, ["--version"], { encoding: "utf8" });
if (probe.error !== undefined) {
  process.stderr.write(
    `${runner} is not here: 'go install connectrpc.com/conformance/cmd/connectconformance@v1.0.5' makes it; ` +
      "put it on the path or name it in CONNECTCONFORMANCE\n",
  );
  process.exitCode = 2;
} else {
  const args = [
    ...["--mode", "server", "--conf", `${here}/edge.yaml`, "--known-failing", `@${here}/known-failing.txt`],
    // Few at once: the suite's timeouts are short, and a busy machine would miss them.
    ...["--parallel", "4", "--max-servers", "2"],
    ...process.argv.slice(2),
    ...["--", process.execPath, `${here}/server.ts`],
  ];
  const path = `${dirname(process.execPath)}:${process.env.PATH ?? ""}`;
  const suite = spawn(runner, args, { cwd: root, stdio: "inherit", env: { ...process.env, PATH: path } });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => suite.kill(signal));
  suite.once("exit", (code) => {
    process.exitCode = code ?? 1;
  });
}
