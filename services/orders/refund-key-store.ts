import { statement, type Transaction } from "#kit/postgres/postgres.ts";
import type { Refund } from "./order.ts";

/** Who asked for a return or refund under which key: its natural key. */
export interface RefundKey {
  readonly requestedBy: string;
  readonly kind: Refund["kind"];
  readonly key: string;
}

/** What a key stands for. */
export interface KeyedRefund {
  readonly orderId: string;
  readonly refundId: string;
}

// The no-op update returns the row of an earlier request, and waits for one that is being written now.
const claimKey = statement(
  "orders-claim-refund-key",
  `insert into refund_keys as k (requested_by, kind, key, order_id, refund_id) values ($1, $2, $3, $4, $5)
   on conflict (requested_by, kind, key) do update set key = k.key
   returning order_id as "orderId", refund_id as "refundId"`,
);

/** Has a key stand for a refund that is about to be accepted, unless it stands for one already; answers what it stands for. */
export async function claimRefundKey(
  tx: Transaction,
  { requestedBy, kind, key }: RefundKey,
  { orderId, refundId }: KeyedRefund,
): Promise<KeyedRefund> {
  const [row] = await tx.query<KeyedRefund>(claimKey, [requestedBy, kind, key, orderId, refundId]);
  if (!row) throw new Error("an insert that updates on conflict returned no row");
  return row;
}
