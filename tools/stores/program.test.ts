import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Installer } from "./installers.ts";
import { NATS_SERVER } from "./nats.ts";
import { findProgram } from "./program.ts";
import { REDIS_SERVER } from "./redis.ts";

let folder: string;
let said: string[];
const log = (line: string) => said.push(line);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "souk-program-"));
  said = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Puts a program into the folder that tells a version, in the words of the real one. */
function putProgram(command: string, output: string): string {
  const path = join(folder, command);
  writeFileSync(path, `#!/bin/sh\necho '${output}'\n`);
  chmodSync(path, 0o755);
  return path;
}

function installer(name: string, install: Installer["install"], available = true): Installer {
  return { name, isAvailable: async () => available, install };
}

const find = (...installers: Installer[]) => findProgram(NATS_SERVER, log, { folders: [folder], installers });

describe("a program on the path", () => {
  test("is taken as it is, and nothing is installed", async () => {
    const path = putProgram("nats-server", "nats-server: v2.9.10");
    const installing = installer("none", () => Promise.reject(new Error("must not be asked")));
    expect(await find(installing)).toEqual({ path, version: "2.9.10" });
    expect(said).toEqual([]);
  });

  test("tells its version in Redis' words too", async () => {
    const path = putProgram(
      "redis-server",
      "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64",
    );
    const surroundings = { folders: [folder], installers: [] };
    expect(await findProgram(REDIS_SERVER, log, surroundings)).toEqual({ path, version: "7.0.15" });
  });

  test.each(["2.8.4", "1.4.1", "2.8.99-beta.1"])(
    "of version %s is refused by name, not replaced",
    async (version) => {
      const path = putProgram("nats-server", `nats-server: v${version}`);
      const installing = installer("none", () => Promise.reject(new Error("must not be asked")));
      await expect(find(installing)).rejects.toThrow(
        `nats-server ${version} (${path}) is too old: Souk needs 2.9`,
      );
    },
  );

  test.each(["2.9.0", "2.10.25", "2.12.1", "3.0.0"])("of version %s is accepted", async (version) => {
    putProgram("nats-server", `nats-server: v${version}`);
    expect(await find()).toMatchObject({ version });
  });
});

describe("a program that is missing", () => {
  test("is installed by the first installer this system has", async () => {
    const apt = installer("apt", () => Promise.reject(new Error("must not be asked")), false);
    const homebrew = installer("Homebrew", async () => {
      putProgram("nats-server", "nats-server: v2.12.0");
      return undefined;
    });
    expect(await find(apt, homebrew)).toMatchObject({ version: "2.12.0" });
  });

  test("is had as an image where an installer can only bring that", async () => {
    const docker = installer("Docker", async ({ dockerImage }) => ({ dockerImage }));
    expect(await find(docker)).toEqual({ dockerImage: NATS_SERVER.dockerImage });
  });

  test("is looked for with the next installer where one brings a version that is too old", async () => {
    const apt = installer("apt", async () => {
      putProgram("nats-server", "nats-server: v2.7.4");
      return undefined;
    });
    const docker = installer("Docker", async ({ dockerImage }) => ({ dockerImage }));
    expect(await find(apt, docker)).toEqual({ dockerImage: NATS_SERVER.dockerImage });
  });

  test("that nothing can install gets a line to type for each system, and what was tried", async () => {
    const apt = installer("apt", () => Promise.reject(new Error("no network")));
    const failure = await find(apt).then(
      () => "",
      (error: Error) => error.message,
    );
    expect(failure).toContain("sudo apt-get install -y nats-server");
    expect(failure).toContain("brew install nats-server");
    expect(failure).toContain("docker pull nats:");
    expect(failure).toContain("Tried: apt: no network");
  });

  test("waits for another one that is being installed: package managers hold locks", async () => {
    let underWay = 0;
    let most = 0;
    const apt = installer("apt", async ({ command }) => {
      underWay += 1;
      most = Math.max(most, underWay);
      await new Promise(setImmediate);
      underWay -= 1;
      putProgram(command, `${command}: v9.0.0`);
      return undefined;
    });
    const surroundings = { folders: [folder], installers: [apt] };
    await Promise.all([NATS_SERVER, REDIS_SERVER].map((needed) => findProgram(needed, log, surroundings)));
    expect(most).toBe(1);
  });
});
