import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** What is run in a container, and what it sees of this machine. */
export type ContainerOptions = {
  image: string;
  name: string;
  /** The folder that appears as `/data`. */
  dataDir: string;
  /** The port of 127.0.0.1, and the one inside. */
  port: number;
  args: readonly string[];
};

/**
 * The launch of a store in a container: the `docker` command stays in the foreground and passes signals on. A container
 * outlives a killed `docker` command, so it has a name by which it is removed before each start and after each end.
 */
export function containerLaunch({ image, name, dataDir, port, args }: ContainerOptions) {
  const unique = createHash("sha256").update(dataDir).digest("hex").slice(0, 12);
  const container = `souk-${name}-${unique}`;
  const user = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
  return {
    command: "docker",
    args: [
      ...["run", "--rm", "--name", container, "--user", user],
      ...["--publish", `127.0.0.1:${port}:${port}`, "--volume", `${dataDir}:/data`],
      ...[image, ...args],
    ],
    env: process.env,
    cleanUp: async () => {
      // Fails where there is no such container, which is what is wanted.
      await execute("docker", ["rm", "--force", container]).catch(() => undefined);
    },
  };
}
