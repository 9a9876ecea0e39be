import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { command, refusal } from "#kit/service/handlers.ts";
import type { Deadline } from "#kit/time/time.ts";
import type { CardProcessor } from "../card-processor.ts";
import { toPaymentMessage } from "../messages.ts";
import {
  outcomeUnknown,
  type Payment,
  type ProcessorTruth,
  paymentDeclined,
  paymentNotAuthorized,
  paymentNotFound,
  wasCaptured,
} from "../payment.ts";
import { readPayment } from "../payment-store.ts";
import { recordTruth } from "../truth.ts";
import { keyOf, type PaymentsParts } from "./parts.ts";

/** Takes the authorized amount and books it. A payment that was captured before, by whichever command, is answered as it is. */
export const capturePayment = ({ db, processor, underWay }: PaymentsParts) =>
  command(PaymentsService.method.capturePayment, {
    groupCommit: true,
    async prepare({ paymentId }, call) {
      const payment = await readPayment(db, paymentId);
      if (!payment) throw paymentNotFound(paymentId);
      if (wasCaptured(payment)) return { payment, truth: undefined };
      underWay.start(payment.authorizeKey);
      return { payment, truth: await capture(processor, payment, keyOf(call), call.deadline) };
    },
    async apply(tx, { paymentId }, call, { payment: before, truth }) {
      const moved = truth && (await recordTruth(tx, before, truth, call));
      const payment = moved ?? (await readPayment(tx, paymentId)) ?? before;
      tx.afterCommit(() => underWay.recorded(payment));
      if (!wasCaptured(payment)) return refusal(paymentNotAuthorized(payment));
      return { payment: toPaymentMessage(payment) };
    },
  });

async function capture(
  processor: CardProcessor,
  payment: Payment,
  key: string,
  deadline: Deadline,
): Promise<ProcessorTruth> {
  const { status, processorReference: reference } = payment;
  if (status !== "AUTHORIZED" || reference === undefined) throw paymentNotAuthorized(payment);
  const { truth, refusedFor } = await processor.capture({ key, reference }, deadline);
  if (refusedFor) throw paymentDeclined(refusedFor);
  if (truth.standing === "held")
    throw outcomeUnknown(new Error(`${reference} is still held after its capture`));
  return truth;
}
