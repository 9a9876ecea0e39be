import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { REPOSITORY } from "./render.ts";

const SYSTEM = ["bash", "env", "uname", "stat", "awk", "grep", "cat"];

let tools: string;

beforeEach(async () => {
  tools = mkdtempSync(join(tmpdir(), "souk-tools-"));
  for (const name of SYSTEM) symlinkSync(await whereIs(name), join(tools, name));
});
afterEach(() => rmSync(tools, { recursive: true }));

async function whereIs(program: string): Promise<string> {
  const { stdout } = await promisify(execFile)("bash", ["-c", `type -P ${program}`]);
  return stdout.trim();
}

/** A program of that name, which says nothing and ends as it is told. */
function install(name: string, script: string) {
  writeFileSync(join(tools, name), `#!/usr/bin/env bash\n${script}\n`);
  chmodSync(join(tools, name), 0o755);
}

/** What the script says on a machine that has the system's own programs and those that were installed. */
async function preflight(what: string): Promise<{ code: number; said: string }> {
  const script = join(REPOSITORY, "deploy/platform/preflight.sh");
  try {
    const { stdout } = await promisify(execFile)(script, [what], { env: { PATH: tools } });
    return { code: 0, said: stdout };
  } catch (error) {
    const { code, stderr } = error as { code: number; stderr: string };
    return { code, said: stderr };
  }
}

describe("preflight", () => {
  test("names everything that a machine lacks at once, and where each is to be had", async () => {
    const { code, said } = await preflight("machine");
    expect(code).toBe(1);
    const lacking = Array.from(said.matchAll(/^(\S+) is not on the path: https:\/\//gm), ([, name]) => name);
    expect(lacking).toEqual(["docker", "kubectl", "kind", "ctlptl", "tilt", "istioctl"]);
    expect(said).toContain("docker does not answer");
  });

  test("says how to get a cluster, where none answers", async () => {
    install("kubectl", "exit 1");
    const { code, said } = await preflight("cluster");
    expect(code).toBe(1);
    expect(said).toBe("no cluster answers: ctlptl apply -f deploy/platform/ctlptl.yaml\n");
  });

  test("says what a cluster lacks of the mesh, and is content with one that has all", async () => {
    install("kubectl", 'case "$*" in *peerauthentications*) exit 1 ;; *storageclass*) echo standard ;; esac');
    const { said } = await preflight("cluster");
    expect(said).toBe("Istio is not in the cluster: deploy/platform/install.sh\n");
    install("kubectl", 'case "$*" in *storageclass*) echo standard ;; esac');
    expect(await preflight("cluster")).toEqual({ code: 0, said: "cluster: all there\n" });
  });
});
