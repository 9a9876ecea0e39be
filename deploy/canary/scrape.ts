// Pods' own metrics, asked through the API server's way into each pod: past policies of the mesh and the network, and of no other pod.

import { PassThrough, Writable } from "node:stream";
import type { ApiServer } from "./api-server.ts";

const METRICS_PORT = 9090;
const TIMEOUT_MS = 5_000;
const MAX_BYTES = 8_000_000;

/** Reads `/metrics` of one pod. Rejects where nothing whole came in time. */
export type Scrape = (namespace: string, pod: string) => Promise<string>;

/** A way to pods' metrics over the API server's port forwarding. */
export function createScrape({ config }: ApiServer): Scrape {
  if (!config) throw new Error("metrics of pods are read with a kubeconfig");
  // Loaded by who judges: the watchdog's image does without.
  const loading = import("@kubernetes/client-node").then(({ PortForward }) => new PortForward(config));
  return async (namespace, pod) => {
    const forward = await loading;
    const answer = Promise.withResolvers<string>();
    const asking = new PassThrough();
    const timer = setTimeout(
      () => answer.reject(new Error(`${pod} showed no metrics in ${TIMEOUT_MS} ms`)),
      TIMEOUT_MS,
    );
    const opening = forward.portForward(namespace, pod, [METRICS_PORT], collect(answer), null, asking);
    opening.then(
      // HTTP/1.1, where an answer says its end by itself: that a connection was closed does not come through reliably.
      () => asking.write(`GET /metrics HTTP/1.1\r\nhost: ${pod}\r\n\r\n`),
      (error: Error) => answer.reject(new Error(`${pod}: ${error.message}`)),
    );
    try {
      return await answer.promise;
    } finally {
      clearTimeout(timer);
      asking.destroy();
      opening
        .then((socket) => (typeof socket === "function" ? socket()?.close() : socket.close()))
        .catch(() => {});
    }
  };
}

function collect({ resolve, reject }: PromiseWithResolvers<string>): Writable {
  let received = Buffer.alloc(0);
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      received = Buffer.concat([received, chunk]);
      const body = wholeBody(received);
      if (body !== undefined) resolve(body);
      else if (received.length > MAX_BYTES) reject(new Error("metrics have no end"));
      done();
    },
  });
}

/** The body of an HTTP/1.1 answer, once all of it is there. What is no such answer never is, and times out. */
export function wholeBody(received: Buffer): string | undefined {
  const end = received.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const head = received.toString("latin1", 0, end);
  const body = received.subarray(end + 4);
  if (/^transfer-encoding: *chunked/im.test(head)) return joinChunks(body);
  const length = /^content-length: *(\d+)/im.exec(head)?.[1];
  const isWhole = length !== undefined && body.length >= Number(length);
  return isWhole ? body.toString("utf8", 0, Number(length)) : undefined;
}

function joinChunks(body: Buffer): string | undefined {
  const chunks: Buffer[] = [];
  let at = 0;
  for (;;) {
    const line = body.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const size = Number.parseInt(body.toString("latin1", at, line), 16);
    if (size === 0) return Buffer.concat(chunks).toString("utf8");
    at = line + 2 + size + 2;
    if (!(at <= body.length)) return undefined;
    chunks.push(body.subarray(line + 2, line + 2 + size));
  }
}
