import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fetchToken } from "../../../tools/client/tokens.ts";
import type { Check } from "../check.ts";
import { openDoor } from "../cluster/doors.ts";
import { kubectl, readJson } from "../cluster/kubectl.ts";
import { SERVICES, SHOP } from "../cluster/namespaces.ts";
import { anybody, grpcTarget, readCalls } from "../cluster/requests.ts";
import { until } from "../cluster/until.ts";

const IDENTITY = readFileSync(join(import.meta.dirname, "../../components/debug/run.json"), "utf8");
const ENDED_WITHIN_MS = 60_000;
const DOOR_WITHIN_MS = 30_000;
const NEVER_STARTS = /^(ErrImage|ImagePull|CreateContainer|InvalidImage)/;

/** The real tool, run as deploy/README.md says: a pod of its own with the debug account, in the mesh, against each service. */
export const grpcurl: Check = {
  name: "grpcurl",
  async run({ grpcurlImage }, report) {
    const token = await fetchPersonsToken();
    for (const service of SERVICES.filter((name) => name !== "gateway")) {
      const method = readCalls[service].path?.slice(1) ?? "";
      const list = await runGrpcurl(grpcurlImage, [grpcTarget(service), "list"]);
      const area = method.slice(0, method.indexOf("/"));
      report.expect(
        list.succeeded && list.text.split("\n").includes(area),
        `grpcurl lists what ${service} offers`,
        inLine(list.text),
      );
      const call = await runGrpcurl(grpcurlImage, [
        ...["-H", `authorization: Bearer ${token}`, "-d", bodies[service]],
        ...[grpcTarget(service), method],
      ]);
      report.expect(call.succeeded, `grpcurl calls ${method}`, inLine(call.text));
    }
  },
};

/** The messages of {@link readCalls}, as a person would type them. */
const bodies: Readonly<Record<(typeof SERVICES)[number], string>> = {
  gateway: "",
  catalog: '{"page_size": 5}',
  inventory: '{"page_size": 5}',
  orders: '{"page_size": 5}',
  payments: '{"service": "payments"}',
  shipping: '{"service": "shipping"}',
};

const SHOWN = 120;
const inLine = (text: string) => text.replaceAll(/\s+/g, " ").trim().slice(0, SHOWN);

async function fetchPersonsToken(): Promise<string> {
  const closing = new AbortController();
  try {
    const port = await openDoor({ namespace: SHOP, resource: "service/issuer", port: 8102 }, closing.signal);
    return await until("a token", DOOR_WITHIN_MS, async () =>
      fetchToken(`http://127.0.0.1:${port}`, anybody).catch(() => undefined),
    );
  } finally {
    closing.abort();
  }
}

/** Runs it once in a pod, and tells what it printed. */
async function runGrpcurl(image: string, args: readonly string[]) {
  const pod = `grpcurl-${randomUUID().slice(0, 8)}`;
  const overrides = IDENTITY.replace('"name": "grpcurl"', `"name": "${pod}"`);
  try {
    await kubectl([
      ...["--namespace", SHOP, "run", pod, "--restart=Never", `--image=${image}`],
      ...["--labels=app.kubernetes.io/name=debug", "--override-type=strategic", `--overrides=${overrides}`],
      ...["--", "-plaintext", ...args],
    ]);
    const phase = await until(`the end of ${pod}`, ENDED_WITHIN_MS, () => endOf(pod));
    const text = await kubectl(["--namespace", SHOP, "logs", pod, `--container=${pod}`]);
    return { succeeded: phase === "Succeeded", text };
  } finally {
    await kubectl(["--namespace", SHOP, "delete", "pod", pod, "--ignore-not-found", "--grace-period=1"]);
  }
}

interface Started {
  readonly status: {
    readonly phase: string;
    readonly containerStatuses?: readonly {
      readonly state: { readonly waiting?: { reason: string; message?: string } };
    }[];
  };
}

/** The phase in which a pod has ended; undefined while it has not. Rejects where it never will start. */
async function endOf(pod: string): Promise<string | undefined> {
  const { status } = await readJson<Started>(["--namespace", SHOP, "get", "pod", pod]);
  const { reason = "", message = "" } = status.containerStatuses?.[0]?.state.waiting ?? {};
  if (NEVER_STARTS.test(reason)) throw new Error(`${pod} does not start: ${reason} ${message}`);
  return ["Succeeded", "Failed"].find((end) => end === status.phase);
}
