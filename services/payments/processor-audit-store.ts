import { type Queryable, statement } from "#kit/postgres/postgres.ts";
import type { Payment } from "./payment.ts";
import { columns, firstPayment, type PaymentRow } from "./payment-store.ts";

/** What is known here under an authorization's key. */
export interface KnownKey {
  readonly paymentId: string;
  /** The processor's id of it; undefined while the outcome is unknown. */
  readonly processorReference: string | undefined;
}

/** $1 ids, $2 grace in milliseconds. A refund under way holds its amount: the processor may be ahead. */
const selectResting = statement(
  "payments-select-resting",
  `select ${columns}, p.refunding_minor = 0 and p.updated_at <= souk_now() - $2 * interval '1 millisecond' as at_rest
     from payments p where payment_id = any($1) and amount_minor is not null order by payment_id`,
);

const selectKeys = statement(
  "payments-select-known-keys",
  `select authorize_key as key, payment_id as "paymentId", processor_reference as reference from payments
    where authorize_key = any($1) and amount_minor is not null`,
);

/** Reads those of some payments that have not changed for `graceMs`, and the ids of those that have. */
export async function readRestingPayments(
  source: Queryable,
  paymentIds: readonly string[],
  graceMs: number,
): Promise<{ readonly resting: readonly Payment[]; readonly busyIds: readonly string[] }> {
  const rows = await source.query<PaymentRow & { at_rest: boolean }>(selectResting, [paymentIds, graceMs]);
  return {
    resting: rows.filter(({ at_rest: atRest }) => atRest).flatMap((row) => firstPayment([row]) ?? []),
    busyIds: rows.filter(({ at_rest: atRest }) => !atRest).map((row) => row.payment_id),
  };
}

/** Reads what is known under some keys; a void that came before its authorization is no payment. */
export async function readKnownKeys(
  source: Queryable,
  keys: readonly string[],
): Promise<ReadonlyMap<string, KnownKey>> {
  const rows = await source.query<{ key: string; paymentId: string; reference: string | null }>(selectKeys, [
    keys,
  ]);
  return new Map(
    rows.map(({ key, paymentId, reference }) => [
      key,
      { paymentId, processorReference: reference ?? undefined },
    ]),
  );
}
