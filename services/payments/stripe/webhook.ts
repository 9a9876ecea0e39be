import { createHmac, timingSafeEqual } from "node:crypto";
import { type Money, type ProcessorTruth, webhookSignatureInvalid } from "../payment.ts";
import { commandField, type Intent, readTruth, toIntent } from "./intent.ts";

/** Older than this a webhook is refused, so that a recorded one is worthless soon; Stripe's own tolerance. */
const toleranceMs = 5 * 60 * 1000;
const maxSignatures = 10;

/** What a webhook tells about a payment. */
export interface ProcessorNews {
  readonly eventId: string;
  readonly kind: string;
  readonly authorizeKey: string;
  readonly amount: Money;
  readonly truth: ProcessorTruth;
}

/**
 * Checks a webhook's signature over its raw bytes.
 * @throws ServiceError WEBHOOK_SIGNATURE_INVALID when it is missing, wrong, or more than 5 minutes off `nowMs`.
 */
export function checkSignature(
  payload: Uint8Array,
  header: string | undefined,
  secret: string,
  nowMs: number,
): void {
  const { seconds, signatures } = parseHeader(header ?? "");
  if (!/^\d{1,12}$/.test(seconds) || Math.abs(nowMs - Number(seconds) * 1000) > toleranceMs) {
    throw webhookSignatureInvalid();
  }
  const expected = createHmac("sha256", secret).update(`${seconds}.`).update(payload).digest();
  const matches = signatures.some((text) => isSame(Buffer.from(text, "hex"), expected));
  if (!matches) throw webhookSignatureInvalid();
}

/** The news in a webhook; undefined for events that say nothing about a payment of ours. */
export function readNews(payload: Uint8Array): ProcessorNews | undefined {
  const event = parseEvent(payload);
  if (typeof event?.id !== "string" || !event.type?.startsWith("payment_intent.")) return undefined;
  const intent = toIntent(event.data?.object);
  const authorizeKey = intent?.metadata?.[commandField];
  const truth = intent && readTruth(intent);
  if (!truth || authorizeKey === undefined) return undefined;
  return { eventId: event.id, kind: event.type, authorizeKey, amount: amountOf(intent), truth };
}

interface WebhookEvent {
  readonly id?: unknown;
  readonly type?: string;
  readonly data?: { readonly object?: unknown };
}

/** What is signed but no event is ignored: refusing it would only make the processor repeat it. */
function parseEvent(payload: Uint8Array): WebhookEvent | undefined {
  try {
    const parsed = JSON.parse(
      Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("utf8"),
    );
    return typeof parsed?.type === "string" ? parsed : undefined;
  } catch {
    return undefined;
  }
}

const amountOf = ({ amount, currency }: Intent): Money => ({
  amountMinor: BigInt(Math.trunc(amount)),
  currencyCode: currency.toUpperCase(),
});

function parseHeader(header: string): { seconds: string; signatures: string[] } {
  const pairs = header.split(",", maxSignatures + 1).map((pair) => pair.split("=", 2));
  const valuesOf = (name: string) =>
    pairs.filter(([key]) => key?.trim() === name).map(([, value]) => value ?? "");
  return { seconds: valuesOf("t")[0] ?? "", signatures: valuesOf("v1") };
}

const isSame = (given: Buffer, expected: Buffer) =>
  given.length === expected.length && timingSafeEqual(given, expected);
