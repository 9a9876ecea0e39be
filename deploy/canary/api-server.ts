// The API server: one way to ask, with a deadline on everything.

import { readFileSync } from "node:fs";
import { request as requestPlain } from "node:http";
import { Agent, type RequestOptions, request } from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import type { KubernetesObject } from "./objects.ts";

/** An answer that is no success. */
export class ApiRefusal extends Error {
  override readonly name = "ApiRefusal";
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** What is asked for. */
export interface Question {
  readonly verb?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** From the root, with its query. */
  readonly path: string;
  readonly body?: unknown;
  /** Of a PATCH. */
  readonly contentType?: string;
  readonly timeoutMs?: number;
}

/** A way to an API server. */
export interface ApiServer {
  /** Resolves to what was answered; rejects with an {@link ApiRefusal}, or where nothing came in time. */
  ask<Answer = KubernetesObject>(question: Question): Promise<Answer>;
  /** For streams into pods; undefined inside a cluster, where nothing needs them. */
  readonly config?: KubeConfig;
  close(): void;
}

const TIMEOUT_MS = 4_000;
const MAX_ANSWER = 32_000_000;

/** Finds the cluster that kubectl would ask: KUBECONFIG, ~/.kube/config. */
export async function connectAsPerson(): Promise<ApiServer> {
  const { KubeConfig: Config } = await import("@kubernetes/client-node");
  const config = new Config();
  config.loadFromDefault();
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error("no cluster is chosen: set KUBECONFIG, or choose a context with kubectl");
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const authorize = async (options: RequestOptions) => {
    await config.applyToHTTPSOptions(options);
    // The library's agents know the way through a proxy, but begin a connection for each request.
    return cluster.proxyUrl || cluster.server.startsWith("http:") ? options : { ...options, agent };
  };
  return { ...createApiServer(cluster.server, authorize), config, close: () => agent.destroy() };
}

const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The cluster that this process runs in, by its service account. */
export function connectFromPod(env: Readonly<Record<string, string | undefined>>): ApiServer {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (!host) throw new Error("this is no pod of a cluster: KUBERNETES_SERVICE_HOST is unset");
  const agent = new Agent({ keepAlive: true, maxSockets: 4, ca: readFileSync(`${ACCOUNT}/ca.crt`) });
  const authorize = async (options: RequestOptions) => ({
    ...options,
    agent,
    // Tokens are renewed in place.
    headers: {
      ...options.headers,
      authorization: `Bearer ${readFileSync(`${ACCOUNT}/token`, "utf8").trim()}`,
    },
  });
  return { ...createApiServer(`https://${host}:${port ?? 443}`, authorize), close: () => agent.destroy() };
}

/** The namespace of the pod that this process runs in. */
export const readNamespace = (): string => readFileSync(`${ACCOUNT}/namespace`, "utf8").trim();

type Authorize = (options: RequestOptions) => Promise<RequestOptions>;

function createApiServer(server: string, authorize: Authorize): Pick<ApiServer, "ask"> {
  return {
    async ask<Answer>({ verb = "GET", path, body, contentType, timeoutMs = TIMEOUT_MS }: Question) {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const options = await authorize({
        method: verb,
        headers: {
          accept: "application/json",
          ...(text && {
            "content-type": contentType ?? "application/json",
            "content-length": Buffer.byteLength(text),
          }),
        },
        signal: AbortSignal.timeout(timeoutMs),
      });
      const base = new URL(server);
      const url = new URL(base.pathname.replace(/\/$/, "") + path, base);
      const { status, answer } = await send(url, options, text);
      if (status >= 200 && status < 300) return JSON.parse(answer) as Answer;
      throw new ApiRefusal(status, messageOf(answer) ?? `${verb} ${path}: ${status}`);
    },
  };
}

function send(url: URL, options: RequestOptions, body: string | undefined) {
  return new Promise<{ status: number; answer: string }>((resolve, reject) => {
    const failed = (error: Error) =>
      reject(new Error(`${url.host} does not answer: ${error.message}`, { cause: error }));
    const ask = url.protocol === "http:" ? requestPlain : request;
    const asking = ask(url, options, (response) => {
      let answer = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        answer += chunk;
        if (answer.length > MAX_ANSWER) asking.destroy(new Error("the answer has no end"));
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, answer }));
      response.on("error", failed);
    });
    asking.on("error", failed);
    asking.end(body);
  });
}

function messageOf(answer: string): string | undefined {
  try {
    return (JSON.parse(answer) as { message?: string }).message;
  } catch {
    return undefined;
  }
}
