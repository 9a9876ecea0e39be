/** What a client sends to the public door. */
export interface DoorRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly token: string;
  readonly key?: string;
  readonly body?: unknown;
}

/** What came of it. No answer at all has status 0. */
export interface DoorAnswer {
  readonly outcome: "ok" | "fail" | "unknown";
  readonly status: number;
  readonly text: string;
  /** The problem's reason, or what broke. */
  readonly reason: string;
}

const answerWithinMs = 15_000;
/** Refusals that say nothing about the request: it may, or will, fare otherwise when repeated. */
const passing = new Set([401, 408, 409, 425, 429, 499]);
/** What an order's state forbids has the status of a key that is in use, and is final. */
const forbidden = /^(ORDER_|REFUND_|QUANTITY_EXCEEDS_ORDER$|TOO_MANY_REFUNDS$)/;

/** Sends a request once. Never rejects. */
export async function knock(gatewayUrl: string, request: DoorRequest): Promise<DoorAnswer> {
  const { method, path, token, key, body } = request;
  const headers: Record<string, string> = { authorization: `Bearer ${token}` };
  if (key !== undefined) headers["idempotency-key"] = key;
  if (body !== undefined) headers["content-type"] = "application/json";
  try {
    const response = await fetch(`${gatewayUrl}${path}`, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(answerWithinMs),
    });
    const text = await response.text();
    const { status } = response;
    const reason = reasonOf(response, text);
    return { outcome: outcomeOf(status, reason), status, text, reason };
  } catch (error) {
    return { outcome: "unknown", status: 0, text: "", reason: describe(error) };
  }
}

function outcomeOf(status: number, reason: string): DoorAnswer["outcome"] {
  if (status < 300) return "ok";
  if (forbidden.test(reason)) return "fail";
  return status >= 500 || passing.has(status) ? "unknown" : "fail";
}

function reasonOf({ ok, status }: Response, text: string): string {
  if (ok) return "";
  try {
    return (JSON.parse(text) as { reason?: string }).reason ?? String(status);
  } catch {
    return String(status);
  }
}

function describe(error: unknown): string {
  const { name, cause } = error as Error & { cause?: { code?: string } };
  return cause?.code ?? name;
}
