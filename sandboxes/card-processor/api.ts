import type { IncomingHttpHeaders } from "node:http";
import type { Answers, Attempt, Outcome } from "../answers.ts";
import type { Handle, PlainReply, SandboxReply, SandboxRequest } from "../http.ts";
import type { Ledger } from "../ledger.ts";
import { ledgerReply, matchesQuery } from "../ledger-view.ts";
import { type Accounts, refundOf } from "./accounts.ts";
import {
  type Announcement,
  type Applied,
  type Command,
  cancelCommand,
  captureCommand,
  confirmCommand,
  createCommand,
  refundCommand,
} from "./commands.ts";
import type { Config } from "./config.ts";
import { type Form, parseForm } from "./form.ts";
import { newId } from "./payment-intent.ts";
import {
  type ErrorBody,
  invalidRequest,
  keyInUse,
  keyOfOtherRequest,
  Problem,
  unauthorized,
  unknownRoute,
} from "./problems.ts";
import { listIntents, listRefunds, retrieveIntent, searchIntents } from "./queries.ts";
import type { WebhookSender } from "./webhooks.ts";

const FORM_TYPE = "application/x-www-form-urlencoded";
const MAX_KEY_LENGTH = 255;
/** The version of the API whose shapes these are; a caller that names another gets the same ones. */
const API_VERSION = "2026-10-28.endive";

/** What the API works with. */
export type Processor = {
  config: Config;
  accounts: Accounts;
  answers: Answers;
  ledger: Ledger;
  webhooks: WebhookSender | undefined;
};

/** Answers every request of the card processor. */
export function createHandle(processor: Processor): Handle {
  const keys = new Set([
    `Bearer ${processor.config.apiKey}`,
    `Basic ${Buffer.from(`${processor.config.apiKey}:`).toString("base64")}`,
  ]);
  return async (request) => {
    const requestId = newId("req");
    const headers = { "request-id": requestId, "stripe-version": versionOf(request.headers) };
    try {
      if (request.path !== "/health" && !keys.has(request.headers.authorization ?? "")) throw unauthorized();
      const reply = await answer(processor, request, requestId);
      return { ...reply, headers: { ...headers, ...reply.headers } };
    } catch (cause) {
      if (!(cause instanceof Problem)) throw cause;
      return { status: cause.status, headers, body: JSON.stringify({ error: cause.body }) };
    }
  };
}

/** What the HTTP server says where no request reaches the API, in Stripe's shape. */
export const plainReply: PlainReply = (status, message) => {
  const type = status >= 500 ? "api_error" : "invalid_request_error";
  const error: ErrorBody = status === 429 ? { type, code: "rate_limit", message } : { type, message };
  return { status, headers: { "request-id": newId("req") }, body: JSON.stringify({ error }) };
};

async function answer(
  processor: Processor,
  request: SandboxRequest,
  requestId: string,
): Promise<SandboxReply> {
  const { method, path } = request;
  if (path === "/health") {
    await processor.ledger.settled();
    return ok({ status: "ok" });
  }
  if (method === "POST") return post(processor, request, requestId);
  if (method !== "GET") throw unknownRoute(method, path);
  if (path === "/sandbox/ledger") return ledgerReply(processor.ledger, matchesQuery(request.query));
  const found = get(processor.accounts, request);
  await processor.ledger.settled();
  return ok(found);
}

function get(accounts: Accounts, { path, query }: SandboxRequest): object {
  if (path === "/v1/payment_intents") return listIntents(accounts, query);
  if (path === "/v1/payment_intents/search") return searchIntents(accounts, query);
  if (path === "/v1/refunds") return listRefunds(accounts, query);
  const [, version, resource, id, rest] = path.split("/");
  if (version !== "v1" || id === undefined || rest !== undefined) throw unknownRoute("GET", path);
  if (resource === "payment_intents") return retrieveIntent(accounts, id, query);
  if (resource === "refunds") return refundOf(accounts, id);
  throw unknownRoute("GET", path);
}

async function post(processor: Processor, request: SandboxRequest, requestId: string): Promise<SandboxReply> {
  const key = keyOf(request.headers);
  const command = readCommand(processor.accounts, request.path, readForm(request));
  const attempt = { key, method: "POST", path: request.path, body: request.body, requestId };
  let announcements: Announcement[] = [];
  const outcome = await processor.answers.once(attempt, command.slow ? processor.config.slowMs : 0, () => {
    const applied = applyCommand(command);
    announcements = applied.announcements;
    return applied.effect;
  });
  for (const announcement of announcements) announce(processor, announcement, attempt);
  const reply = replyOf(outcome, key ?? "");
  const withheld = outcome.outcome === "answered" && outcome.withheld;
  return withheld ? { ...reply, withholdMs: processor.config.withholdMs } : reply;
}

/** Carries a command out; a refusal that depends on the state becomes an answer that is remembered. */
function applyCommand(command: Command): Applied {
  try {
    return command.apply();
  } catch (cause) {
    if (!(cause instanceof Problem && cause.remembered)) throw cause;
    const fields = { payment_intent: command.intentId };
    const effect = { kind: "refused", fields, status: cause.status, answer: { error: cause.body } };
    return { effect, announcements: [] };
  }
}

function readCommand(accounts: Accounts, path: string, form: Form): Command {
  if (path === "/v1/payment_intents") return createCommand(accounts, form);
  if (path === "/v1/refunds") return refundCommand(accounts, form);
  const [, version, resource, id, action, rest] = path.split("/");
  if (version === "v1" && resource === "payment_intents" && id !== undefined && rest === undefined) {
    if (action === "confirm") return confirmCommand(accounts, id, form);
    if (action === "capture") return captureCommand(accounts, id, form);
    if (action === "cancel") return cancelCommand(accounts, id, form);
  }
  throw unknownRoute("POST", path);
}

function readForm({ headers, body }: SandboxRequest): Form {
  if (body !== "" && !headers["content-type"]?.startsWith(FORM_TYPE)) {
    throw invalidRequest(`Invalid request (check that your POST content type is ${FORM_TYPE}).`);
  }
  return parseForm(body);
}

function keyOf(headers: IncomingHttpHeaders): string | undefined {
  const key = headers["idempotency-key"];
  if (key === undefined) return undefined;
  if (typeof key === "string" && key.length > 0 && key.length <= MAX_KEY_LENGTH) return key;
  throw invalidRequest(`An Idempotency-Key has 1 to ${MAX_KEY_LENGTH} characters.`);
}

function versionOf(headers: IncomingHttpHeaders): string {
  const version = headers["stripe-version"];
  return typeof version === "string" ? version : API_VERSION;
}

function replyOf(outcome: Outcome, key: string): SandboxReply {
  if (outcome.outcome === "under_way") throw keyInUse();
  if (outcome.outcome === "other_request") throw keyOfOtherRequest(key);
  const headers: Record<string, string> = key === "" ? {} : { "idempotency-key": key };
  if (outcome.outcome === "replayed") {
    headers["idempotent-replayed"] = "true";
    headers["original-request"] = String(outcome.firstRequestId);
    return { status: outcome.status, headers, body: outcome.body };
  }
  return { status: outcome.status, headers, body: outcome.body };
}

function announce({ webhooks }: Processor, { type, object }: Announcement, attempt: Attempt): void {
  if (!webhooks?.wants(type)) return;
  const id = newId("evt");
  const event = {
    id,
    object: "event",
    api_version: API_VERSION,
    created: Math.floor(Date.now() / 1000),
    data: { object: object() },
    livemode: false,
    pending_webhooks: 1,
    request: { id: attempt.requestId, idempotency_key: attempt.key ?? null },
    type,
  };
  webhooks.send(id, JSON.stringify(event));
}

function ok(answered: object): SandboxReply {
  return { status: 200, body: JSON.stringify(answered) };
}
