import { type Payment, PaymentStatus, type PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import type { Client } from "#kit/rpc/client.ts";
import { refundedOf } from "../order.ts";
import { type EndedOrder, idsOf, judgeEach, type OrderJudge } from "./judge.ts";

/**
 * A confirmed order is paid exactly once, with its total, and what was paid back is what it knows of; a cancelled one keeps no
 * money, taken or on hold.
 */
export const judgePayments =
  (payments: Client<typeof PaymentsService>): OrderJudge =>
  async (orders) => {
    const answer = await payments.batchGetPayments({ orderIds: idsOf(orders) });
    return judgeEach(orders, answer.payments, (order, held) =>
      order.outcome === "confirmed" ? confirmedComplaints(order, held) : cancelledComplaints(held),
    );
  };

const taken = ({ status }: Payment) => status === PaymentStatus.CAPTURED || status === PaymentStatus.REFUNDED;
const onHold = ({ status }: Payment) =>
  status === PaymentStatus.AUTHORIZED || status === PaymentStatus.PENDING;

function confirmedComplaints(order: EndedOrder, held: readonly Payment[]) {
  const { paymentId, total } = order;
  const captured = held.filter(taken);
  const own = captured.find((payment) => payment.paymentId === paymentId);
  const isTotal =
    own?.amount?.amountMinor === total.amountMinor && own.amount.currencyCode === total.currencyCode;
  const refunded = refundedOf(order);
  return [
    !own && `confirmed, but its payment ${paymentId} was not taken`,
    captured.length > 1 && `confirmed and paid ${captured.length} times`,
    own !== undefined &&
      !isTotal &&
      `its total is ${show(total)}, ${show(own.amount)} was taken by ${paymentId}`,
    own !== undefined &&
      (own.refunded?.amountMinor ?? 0n) !== refunded.amountMinor &&
      `${show(refunded)} of it should be paid back, ${show(own.refunded)} was by ${paymentId}`,
    ...leftOnHold(held),
  ];
}

function cancelledComplaints(held: readonly Payment[]) {
  const kept = held.filter(
    (payment) => taken(payment) && payment.refunded?.amountMinor !== payment.amount?.amountMinor,
  );
  return [
    ...kept.map(
      ({ paymentId, amount, refunded }) =>
        `cancelled, but of ${show(amount)} taken by ${paymentId} only ${show(refunded)} was paid back`,
    ),
    ...leftOnHold(held),
  ];
}

const leftOnHold = (held: readonly Payment[]) =>
  held.filter(onHold).map(({ paymentId, amount }) => `${show(amount)} is still on hold by ${paymentId}`);

const show = (money: { readonly amountMinor: bigint; readonly currencyCode: string } | undefined) =>
  `${money?.amountMinor ?? 0n} ${money?.currencyCode ?? ""}`.trim();
