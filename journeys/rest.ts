/** A request at the public door. */
export interface RestRequest {
  readonly token?: string;
  /** The Idempotency-Key. */
  readonly key?: string;
  /** JSON where it is an object, else sent as it is. */
  readonly body?: object | string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer; `body` is its JSON, undefined where it has none. */
export interface Answer<Body = unknown> {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Body;
}

const answerWithinMs = 15_000;

/** Sends a request and reads the whole answer. */
export async function send<Body>(
  url: string,
  method: string,
  request: RestRequest = {},
): Promise<Answer<Body>> {
  const response = await fetch(url, {
    method,
    headers: headersOf(request),
    body: bytesOf(request.body),
    signal: AbortSignal.timeout(answerWithinMs),
  });
  const text = await response.text();
  const isJson = /^application\/(problem\+)?json/.test(response.headers.get("content-type") ?? "");
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: isJson ? JSON.parse(text) : undefined,
  };
}

function headersOf({ token, key, body, headers }: RestRequest): Record<string, string> {
  return {
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(key !== undefined && { "idempotency-key": key }),
    ...(body !== undefined && { "content-type": "application/json" }),
    ...headers,
  };
}

function bytesOf(body: RestRequest["body"]) {
  if (body === undefined) return null;
  return typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
}

/** What must not leave the house: stacks, SQL, drivers, paths and addresses of this machine. */
export const leaks =
  /\bat .*:\d+:\d+|node_modules|\.ts\b|\/(work|home|root|tmp|usr)\/|select |insert |postgres|ECONN|127\.0\.0\.1/i;
