// What runs inside a pod: `node --input-type=module-typescript -e THIS JOB`. It has nothing but Node, so it runs in every image of the
// shop, and it repeats nothing by itself: what it reports is what a caller without any patience would have seen.

import { once } from "node:events";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** One call. `grpc` sends one message and reads the status; `http` sends a request; `tcp` only connects. */
export interface ProbeCall {
  readonly kind: "grpc" | "http" | "tcp";
  /** Host and port. */
  readonly target: string;
  readonly path?: string;
  readonly method?: string;
  /** The message of a gRPC call, in base64. */
  readonly message?: string;
  /** The body of an HTTP request. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Waits for the answer this long, 5 s where it is not said. */
  readonly timeoutMs?: number;
}

/** What came of a call: a gRPC status, an HTTP status, 0 for a connection; -1 where there was no answer. */
export interface ProbeAnswer {
  readonly status: number;
  readonly text: string;
}

/** Whose token goes with the calls: a person's from the development issuer, or the pod's own service's. */
export type ProbeToken = { readonly sub: string; readonly scope: string; readonly roles: string } | "service";

/** What a pod is asked to do: each call once, or all of them in turn until standard input ends. */
export interface ProbeJob {
  readonly calls: readonly ProbeCall[];
  readonly token?: ProbeToken | undefined;
  readonly ratePerSecond?: number;
}

/** What a load has seen. */
export interface LoadReport {
  readonly sent: number;
  readonly succeeded: number;
  /** The first of those that failed. */
  readonly failures: readonly (ProbeAnswer & { readonly atMs: number; readonly target: string })[];
  readonly failed: number;
  /** When the last of those was sent that failed, in milliseconds since 1970; 0 where none did. */
  readonly lastFailedAtMs: number;
  readonly slowestMs: number;
}

const ISSUER = "http://issuer:8102/token";
const CALL_TIMEOUT_MS = 5_000;
const KEPT_FAILURES = 10;
const GRPC_OK = 0;
const HTTP_ERROR = 400;

const job = JSON.parse(process.argv[1] ?? "{}") as ProbeJob;
const sessions = new Map<string, ClientHttp2Session>();
const bearer = job.token === undefined ? undefined : `Bearer ${await fetchToken(job.token)}`;
const answer = job.ratePerSecond === undefined ? await callOnce() : await callUntilTold(job.ratePerSecond);
process.stdout.write(JSON.stringify(answer), () => process.exit(0));

async function callOnce(): Promise<ProbeAnswer[]> {
  const answers: ProbeAnswer[] = [];
  for (const call of job.calls) answers.push(await callAny(call));
  return answers;
}

async function callUntilTold(ratePerSecond: number): Promise<LoadReport> {
  let told = false;
  process.stdin.resume().once("end", () => {
    told = true;
  });
  const startedAt = performance.now();
  const seen = {
    sent: 0,
    succeeded: 0,
    failed: 0,
    lastFailedAtMs: 0,
    slowestMs: 0,
    failures: [] as LoadReport["failures"][number][],
  };
  const underWay = new Set<Promise<void>>();
  while (!told) {
    const dueAt = startedAt + (seen.sent * 1000) / ratePerSecond;
    if (dueAt > performance.now()) await delay(dueAt - performance.now());
    const call = job.calls[seen.sent % job.calls.length] as ProbeCall;
    seen.sent += 1;
    const one = countOne(call, startedAt, seen).finally(() => underWay.delete(one));
    underWay.add(one);
  }
  await Promise.all(underWay);
  return seen;
}

type Seen = { -readonly [Key in keyof LoadReport]: LoadReport[Key] } & {
  failures: LoadReport["failures"][number][];
};

async function countOne(call: ProbeCall, startedAt: number, seen: Seen): Promise<void> {
  const sentAt = performance.now();
  const { status, text } = await callAny(call);
  seen.slowestMs = Math.max(seen.slowestMs, Math.round(performance.now() - sentAt));
  const good = call.kind === "http" ? status >= 0 && status < HTTP_ERROR : status === GRPC_OK;
  if (good) {
    seen.succeeded += 1;
    return;
  }
  seen.failed += 1;
  seen.lastFailedAtMs = Math.max(seen.lastFailedAtMs, Math.round(performance.timeOrigin + sentAt));
  if (seen.failures.length < KEPT_FAILURES)
    seen.failures.push({ status, text, atMs: Math.round(sentAt - startedAt), target: call.target });
}

async function callAny(call: ProbeCall): Promise<ProbeAnswer> {
  const timeoutMs = call.timeoutMs ?? CALL_TIMEOUT_MS;
  try {
    if (call.kind === "grpc") return await callGrpc(call, timeoutMs);
    return call.kind === "http" ? await callHttp(call, timeoutMs) : await connectOnly(call, timeoutMs);
  } catch (error) {
    const { message, cause } = error as Error & { cause?: Error };
    return { status: -1, text: cause?.message ?? message };
  }
}

async function callHttp(call: ProbeCall, timeoutMs: number): Promise<ProbeAnswer> {
  const response = await fetch(`http://${call.target}${call.path ?? "/"}`, {
    method: call.method ?? "GET",
    // A key per request: each is an order of its own.
    headers: {
      ...call.headers,
      ...(bearer && { authorization: bearer }),
      "idempotency-key": crypto.randomUUID(),
    },
    body: call.body ?? null,
    signal: AbortSignal.timeout(timeoutMs),
  });
  return { status: response.status, text: (await response.text()).slice(0, 300) };
}

async function connectOnly({ target }: ProbeCall, timeoutMs: number): Promise<ProbeAnswer> {
  const [host = "", port = ""] = target.split(":");
  const socket = connectTcp({ host, port: Number(port) });
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(timeoutMs) });
    return { status: 0, text: "connected" };
  } finally {
    socket.destroy();
  }
}

async function callGrpc(call: ProbeCall, timeoutMs: number): Promise<ProbeAnswer> {
  const stream = sessionTo(call.target).request({
    ":method": "POST",
    ":path": call.path ?? "/",
    "content-type": "application/grpc",
    te: "trailers",
    "grpc-timeout": `${timeoutMs}m`,
    ...(bearer && { authorization: bearer }),
    ...call.headers,
  });
  const message = Buffer.from(call.message ?? "", "base64");
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([prefix, message]));
  stream.resume();
  let status: string | undefined;
  let text = "";
  const read = (headers: Record<string, unknown>) => {
    if (headers["grpc-status"] === undefined) return;
    status = String(headers["grpc-status"]);
    text = decodeURIComponent(String(headers["grpc-message"] ?? ""));
  };
  stream.on("response", read).on("trailers", read);
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), timeoutMs + 500);
  try {
    await once(stream, "close");
  } finally {
    clearTimeout(timer);
  }
  return {
    status: status === undefined ? -1 : Number(status),
    text: text || `HTTP/2 code ${stream.rstCode}`,
  };
}

function sessionTo(target: string): ClientHttp2Session {
  const known = sessions.get(target);
  if (known && !known.closed && !known.destroyed) return known;
  const session = connect(`http://${target}`);
  const forget = () => sessions.get(target) === session && sessions.delete(target);
  session.on("error", forget).on("goaway", forget).on("close", forget);
  sessions.set(target, session);
  return session;
}

async function fetchToken(token: ProbeToken): Promise<string> {
  const { CLIENT_ID = "", CLIENT_SECRET = "" } = process.env;
  const form =
    token === "service"
      ? { grant_type: "client_credentials", client_id: CLIENT_ID, client_secret: CLIENT_SECRET }
      : { grant_type: "urn:souk:development", ...token };
  const response = await fetch(ISSUER, {
    method: "POST",
    body: new URLSearchParams(form),
    signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
  });
  const { access_token } = (await response.json()) as { access_token?: string };
  if (access_token === undefined) throw new Error(`the issuer answered ${response.status}`);
  return access_token;
}
