import net from "node:net";

/** An HTTP/1.1 answer as it came over the socket. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly bytes: Buffer;
  /** The body as JSON. */
  json(): Record<string, unknown>;
}

/** What a raw request says. */
export interface RawRequest {
  readonly method?: string;
  readonly target: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
}

const answerTimeoutMs = 10_000;

/** Sends one request byte for byte, so that no client normalises its target, and reads until the server closes. */
export function sendRaw(
  port: number,
  { method = "GET", target, headers = {}, body }: RawRequest,
): Promise<RawAnswer> {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body ?? "");
  const length: Record<string, string> = body === undefined ? {} : { "content-length": String(bytes.length) };
  const all: Record<string, string> = { host: "shop.test", connection: "close", ...length, ...headers };
  const head = Object.entries(all)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
  return exchangeBytes(
    port,
    Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${head}\r\n`, "latin1"), bytes]),
  );
}

/** Sends bytes and parses what comes back as one HTTP/1.1 answer. */
export function exchangeBytes(port: number, bytes: Uint8Array | string): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1");
    const chunks: Buffer[] = [];
    const late = setTimeout(() => socket.destroy(new Error("no answer in time")), answerTimeoutMs);
    socket.on("connect", () =>
      socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes),
    );
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("close", () => {
      clearTimeout(late);
      try {
        resolve(parseAnswer(Buffer.concat(chunks)));
      } catch (error) {
        reject(error as Error);
      }
    });
  });
}

function parseAnswer(bytes: Buffer): RawAnswer {
  const split = bytes.indexOf("\r\n\r\n");
  if (split === -1) throw new Error(`no HTTP answer: '${bytes.toString("latin1").slice(0, 200)}'`);
  const [line = "", ...fields] = bytes.toString("latin1", 0, split).split("\r\n");
  const headers = Object.fromEntries(
    fields.map((field) => [
      field.slice(0, field.indexOf(":")).toLowerCase(),
      field.slice(field.indexOf(":") + 1).trim(),
    ]),
  );
  const rest = bytes.subarray(split + 4);
  const content = headers["transfer-encoding"] === "chunked" ? dechunk(rest) : rest;
  const body = content.toString("utf8");
  return {
    status: Number(line.split(" ")[1]),
    headers,
    body,
    bytes: content,
    json: () => JSON.parse(body) as Record<string, unknown>,
  };
}

function dechunk(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    const lineEnd = bytes.indexOf("\r\n", at);
    const size = Number.parseInt(bytes.toString("latin1", at, lineEnd), 16);
    if (!(size > 0)) break;
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
  return Buffer.concat(parts);
}
