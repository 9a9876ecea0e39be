// A shop of two small processes under the real supervisor, for its tests: argv is the data folder and the two scripts.

import { LaunchedProcess } from "../../stores/launched-process.ts";
import { recordProcess } from "../process-records.ts";
import { shopFolder } from "../shop-folder.ts";
import { supervise } from "../supervise.ts";

const [dataDir = "", storeScript = "", serviceScript = "", fresh = ""] = process.argv.slice(2);
const folder = shopFolder(dataDir);
const say = (line: string) => console.log(line);

process.exitCode = await supervise({ folder, fresh: fresh === "fresh", say }, async (supervisor) => {
  await supervisor.keep(small("store", 0, storeScript), 0);
  await supervisor.keep(small("service", 2, serviceScript), 2);
  say("ready");
});

function small(name: string, rank: number, script: string): LaunchedProcess {
  return new LaunchedProcess({
    name,
    command: "/bin/sh",
    args: ["-c", script],
    env: { PATH: "/usr/bin:/bin" },
    cwd: dataDir,
    logPath: folder.logPath(name),
    isReady: async () => true,
    readyWithinMs: 5000,
    onPid: (pid) => recordProcess(folder.processesDir, { name, pid, rank, stopSignal: "SIGTERM" }),
  });
}
