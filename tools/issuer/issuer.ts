// The development issuer: a JWKS and a token endpoint, for as long as there is no identity service. Whoever reaches it
// can be anybody, so it listens on the loopback address only, unless it is given a name in a cluster whose policies say who
// reaches it, and answers only requests that were meant for it.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { answerTokenRequest, type Grants, type IssuerClient } from "./grants.ts";
import { readSigningKey } from "./signing-key.ts";

/** What an issuer is started with. */
export type IssuerOptions = {
  /** The address to bind, 127.0.0.1 by default; another one needs a `url`. */
  host?: string;
  /** The tokens' `iss` where it is not `http://127.0.0.1:<port>`: how others reach the issuer. */
  url?: string;
  /** 0 takes a free port. */
  port: number;
  /** Where the signing key is kept, so that tokens outlive a restart. */
  dataDir: string;
  /** The programs that get tokens in their own name, by client id. */
  clients: Readonly<Record<string, IssuerClient>>;
};

/** An issuer that listens. */
export type Issuer = {
  /** The tokens' `iss`, and where the endpoints are: `/.well-known/jwks.json` and `/token`. */
  url: string;
  /** Where it listens. */
  port: number;
  /** Stops listening and waits for requests under way. */
  close(): Promise<void>;
};

const LOOPBACK = "127.0.0.1";
const MAX_BODY_BYTES = 16_384;
const REQUEST_TIMEOUT_MS = 5000;

/** Starts the issuer. Rejects where the port is taken, the key file cannot be read, or strangers could reach it unnamed. */
export async function startIssuer(options: IssuerOptions): Promise<Issuer> {
  const { host = LOOPBACK, url, port, dataDir, clients } = options;
  if (host !== LOOPBACK && url === undefined)
    throw new Error(
      `The issuer gives a token to everybody: HOST must be ${LOOPBACK}, not ${host}, or ISSUER_URL set`,
    );
  const key = await readSigningKey(join(dataDir, "signing-key.json"));
  const grants: Grants = { issuer: url ?? "", key, clients };
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    answer(grants, request, response).catch((error: unknown) => {
      console.error("The issuer could not answer:", error);
      response.destroy();
    });
  });
  const listening = await listen(server, host, port);
  grants.issuer ||= `http://${LOOPBACK}:${listening}`;
  return { url: grants.issuer, port: listening, close: () => close(server) };
}

async function answer(grants: Grants, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { host = "" } = request.headers;
  const route = `${request.method} ${request.url?.split("?")[0]}`;
  // A page in a browser may reach this address under a name of its own; it must not get a token.
  if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host) && host !== new URL(grants.issuer).host)
    return sendJson(response, 403, { error: "wrong_host" });
  if (route === "GET /health") return sendJson(response, 200, { status: "ok" });
  if (route === "GET /.well-known/jwks.json")
    return sendJson(response, 200, { keys: [grants.key.publicJwk] });
  if (route !== "POST /token") return sendJson(response, 404, { error: "not_found" });
  const form = await readForm(request);
  if (!form) return sendJson(response, 413, { error: "invalid_request" });
  const { status, body } = await answerTokenRequest(
    grants,
    form,
    basicCredentials(request.headers.authorization),
  );
  return sendJson(response, status, body);
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString("utf8"));
}

function basicCredentials(header: string | undefined): { id: string; secret: string } | undefined {
  const encoded = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(header ?? "")?.[1];
  if (encoded === undefined) return undefined;
  // RFC 6749, 2.3.1: both halves are form-encoded before they are joined.
  const [id = "", secret = ""] = Buffer.from(encoded, "base64").toString("utf8").split(":", 2);
  const [[decodedId = ""] = [], [decodedSecret = ""] = []] = [id, secret].map((half) => [
    ...new URLSearchParams(`half=${half}`).values(),
  ]);
  return { id: decodedId, secret: decodedSecret };
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(JSON.stringify(body));
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : port);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
