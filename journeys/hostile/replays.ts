// The same request again, under somebody else's name, or much later; and webhooks that the card processor never sent.

import { createHmac } from "node:crypto";
import { expect } from "vitest";
import { runSql } from "#kit/testing/tests/parts.ts";
import type { Answer } from "../rest.ts";
import { purchaseBody, type ShownOrder } from "../shop.ts";
import { type HostileInput, type HostileRequest, order, refused } from "./input.ts";
import { type Intent, readConfirmed, type Scene } from "./scene.ts";

/** The buyer's order once more, as it was placed but for what is named. */
const again = ({ buyer, placed }: Scene, change: Partial<HostileRequest> = {}): HostileRequest => ({
  ...order(buyer, placed.body),
  key: placed.key,
  ...change,
});

const orderUnder = (key: string) => (scene: Scene) => ({ ...order(scene.buyer, scene.placed.body), key });

const idsOf = (answers: readonly Answer[]) =>
  new Set(answers.map(({ body }) => (body as { order: ShownOrder }).order.orderId));

const atOnce = 50;

const keys: HostileInput[] = [
  refused(69, "a used key with another body", "422 IDEMPOTENCY_KEY_REUSED", (scene) =>
    again(scene, { body: purchaseBody({ goods: scene.goods, quantity: 2 }) }),
  ),
  refused(69, "a used key with a body that cannot be read", "400 INVALID_VALUE lines", (scene) =>
    again(scene, { body: { ...scene.placed.body, lines: 1 } }),
  ),
  refused(69, "a used key once more", "202 replayed", again),
  refused(69, "a key of 300 characters", "400 IDEMPOTENCY_KEY_INVALID", orderUnder("k".repeat(300))),
  refused(69, "an empty key", "400 IDEMPOTENCY_KEY_INVALID", orderUnder("")),
  refused(69, "a key outside ASCII", "400 IDEMPOTENCY_KEY_INVALID", orderUnder("clé")),
  refused(69, "no key", "400 IDEMPOTENCY_KEY_MISSING", ({ buyer, placed }) => ({
    method: "POST",
    path: "/v1/orders",
    token: buyer.token,
    body: placed.body,
  })),
  {
    number: 69,
    name: "50 orders at once under one key are one order",
    answers: { "202": 1, "202 replayed": atOnce - 1 },
    attack: ({ shop, buyer, goods }) => {
      const one = order(buyer, purchaseBody({ goods }));
      return {
        requests: Array.from({ length: atOnce }, () => one),
        effect: async (answers) => {
          const [orderId = "", ...others] = idsOf(answers);
          expect(others).toEqual([]);
          await readConfirmed(shop, buyer, orderId);
        },
      };
    },
  },
  {
    number: 69,
    name: "another customer's used key is no key of theirs",
    answers: { "202": 1 },
    attack: async (scene) => {
      const { shop } = scene;
      const other = await shop.person();
      return {
        requests: [again(scene, { token: other.token })],
        effect: async (answers) => {
          const [orderId = ""] = idsOf(answers);
          await readConfirmed(shop, other, orderId);
        },
      };
    },
  },
];

/** A remembered answer is shown to nobody who could not have asked for it now. */
const tokens: HostileInput[] = [
  refused(69, "a used key with a token for reading", "403 SCOPE_MISSING", (scene) =>
    again(scene, { token: scene.tokens.reading }),
  ),
  refused(69, "a used key with a token that has expired", "401 TOKEN_INVALID", (scene) =>
    again(scene, { token: scene.tokens.expired }),
  ),
  refused(69, "a used key without a token", "401 TOKEN_MISSING", (scene) => {
    const { token: _, ...request } = again(scene);
    return request;
  }),
  refused(69, "a used key with a token that is none", "401 TOKEN_INVALID", (scene) =>
    again(scene, { token: `${scene.buyer.token}x` }),
  ),
];

interface Event {
  readonly intent: Intent;
  readonly type: string;
  readonly status: string;
  readonly amountMinor?: number;
  readonly currency?: string;
}

function eventBody({
  intent,
  type,
  status,
  amountMinor = intent.amountMinor,
  currency = "eur",
}: Event): string {
  const object = {
    id: intent.id,
    object: "payment_intent",
    status,
    amount: amountMinor,
    currency,
    metadata: { command: intent.command },
    last_payment_error: null,
  };
  return JSON.stringify({ id: `evt_${crypto.randomUUID()}`, object: "event", type, data: { object } });
}

interface Signing {
  readonly secret?: string;
  readonly agoSeconds?: number;
  /** Changes the body after it was signed. */
  readonly tamper?: (body: string) => string;
}

function webhook({ shop }: Scene, body: string, signing: Signing = {}): HostileRequest {
  const { agoSeconds = 0, tamper = String } = signing;
  const secret = signing.secret ?? shop.processes.secrets.cardProcessorWebhookSecret;
  const seconds = Math.floor(Date.now() / 1_000) - agoSeconds;
  const signature = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex");
  const headers = { "stripe-signature": `t=${seconds},v1=${signature}` };
  return { method: "POST", path: "/v1/webhooks/card-processor", body: tamper(body), headers };
}

const succeeded = ({ intent }: Scene, change: Partial<Event> = {}) =>
  eventBody({ intent, type: "payment_intent.succeeded", status: "succeeded", ...change });

const invalid = "401 WEBHOOK_SIGNATURE_INVALID";
const contradiction = "409 WEBHOOK_CONTRADICTS_PAYMENT";

const webhooks: HostileInput[] = [
  refused(70, "a webhook without a signature", invalid, (scene) => {
    const { headers: _, ...request } = webhook(scene, succeeded(scene));
    return request;
  }),
  refused(70, "a webhook signed with a guessed secret", invalid, (scene) =>
    webhook(scene, succeeded(scene), { secret: "whsec_guessed" }),
  ),
  refused(70, "a webhook changed after it was signed", invalid, (scene) =>
    webhook(scene, succeeded(scene), { tamper: (body) => body.replace('"eur"', '"usd"') }),
  ),
  refused(70, "a webhook ten minutes old", invalid, (scene) =>
    webhook(scene, succeeded(scene), { agoSeconds: 600 }),
  ),
  refused(70, "a webhook from ten minutes ahead", invalid, (scene) =>
    webhook(scene, succeeded(scene), { agoSeconds: -600 }),
  ),
  refused(70, "a webhook of another order's amount", contradiction, (scene) =>
    webhook(scene, succeeded(scene, { amountMinor: scene.otherIntent.amountMinor })),
  ),
  refused(70, "a webhook in another currency", contradiction, (scene) =>
    webhook(scene, succeeded(scene, { currency: "usd" })),
  ),
  {
    number: 70,
    name: "a genuine webhook replayed 20 times is taken in and changes nothing",
    answers: { "200": 20 },
    attack: (scene) => {
      const one = webhook(scene, succeeded(scene));
      return { requests: Array.from({ length: 20 }, () => one) };
    },
  },
  {
    number: 70,
    name: "a genuine webhook replayed ten minutes after it was signed",
    answers: { "200": 1, [invalid]: 1 },
    attack: (scene) => {
      const body = succeeded(scene);
      return { requests: [webhook(scene, body), webhook(scene, body, { agoSeconds: 600 })] };
    },
  },
  refused(70, "news that a captured payment was given up", "200", (scene) =>
    webhook(scene, succeeded(scene, { type: "payment_intent.canceled", status: "canceled" })),
  ),
];

/** Comes last: for orders it is a day later from then on. */
const dayLater: HostileInput = {
  number: 69,
  name: "a key that was used 25 hours ago, by 20 at once, is the same order and no second charge",
  answers: { "202": 1, "202 replayed": 19 },
  attack: async (scene) => {
    const { shop, orderId, totalMinor } = scene;
    await passADay(shop);
    return {
      requests: Array.from({ length: 20 }, () => again(scene)),
      effect: async (answers) => {
        expect(idsOf(answers)).toEqual(new Set([orderId]));
        const captured = (await shop.processorLedger(orderId)).filter(({ kind }) => kind === "captured");
        expect(captured.map(({ amount }) => amount)).toEqual([totalMinor]);
      },
    };
  },
};

/** Answers are remembered for 24 hours, by the clock of the database that remembers them. */
async function passADay({ processes }: Scene["shop"]) {
  const { ownerUrl = "" } = processes.databases.orders ?? {};
  await runSql(ownerUrl, `update kit.clock set offset_ms = offset_ms + ${25 * 60 * 60_000}`);
  await runSql(ownerUrl, "delete from kit.idempotency where created_at < souk_now() - interval '24 hours'");
}

/** Rows 69 and 70. */
export const replayInputs: readonly HostileInput[] = [...keys, ...tokens, ...webhooks, dayLater];
