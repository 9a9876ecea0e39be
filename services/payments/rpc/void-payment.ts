import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { keyReused } from "#kit/errors/errors.ts";
import { cancelCommand } from "#kit/idempotency/idempotency.ts";
import { command, refusal } from "#kit/service/handlers.ts";
import type { Deadline } from "#kit/time/time.ts";
import type { CardProcessor } from "../card-processor.ts";
import { toPaymentMessage } from "../messages.ts";
import { type Payment, type ProcessorTruth, paymentAlreadyCaptured, wasCaptured } from "../payment.ts";
import { type MetPayment, readPaymentByKey, voidAhead } from "../payment-store.ts";
import { askAgain, recordTruth } from "../truth.ts";
import { keyOf, type PaymentsParts, subjectOf } from "./parts.ts";

/** Gives up an authorization, also one that has not arrived yet or whose outcome nobody knows. */
export const voidPayment = ({ processor, underWay }: PaymentsParts) =>
  command(PaymentsService.method.voidPayment, {
    async intend(tx, { orderId, authorizeKey }, call) {
      const authorization = {
        principal: subjectOf(call),
        method: PaymentsService.method.authorizePayment,
        key: authorizeKey,
      };
      const [met] = await Promise.all([
        voidAhead(tx, orderId, authorizeKey),
        cancelCommand(tx, authorization),
      ]);
      if (met.payment && met.payment.orderId !== orderId) throw keyReused();
      return met;
    },
    async prepare(_request, call, met) {
      const { payment } = met;
      if (payment?.status !== "PENDING" && payment?.status !== "AUTHORIZED")
        return { before: payment, truth: undefined };
      underWay.start(payment.authorizeKey);
      return {
        before: payment,
        truth: await release(processor, { ...met, payment }, keyOf(call), call.deadline),
      };
    },
    async apply(tx, { authorizeKey }, call, { before, truth }) {
      if (!before) return {};
      const moved = truth && (await recordTruth(tx, before, truth, call));
      const payment = moved ?? (await readPaymentByKey(tx, authorizeKey)) ?? before;
      tx.afterCommit(() => underWay.recorded(payment));
      if (wasCaptured(payment)) return refusal(paymentAlreadyCaptured(payment.paymentId));
      return { payment: toPaymentMessage(payment) };
    },
  });

/** Undoing what may not have happened could miss it, so an unknown outcome is found out first. */
async function release(
  processor: CardProcessor,
  { payment, forgotten }: MetPayment & { payment: Payment },
  key: string,
  deadline: Deadline,
): Promise<ProcessorTruth> {
  const truth = await currentTruth(processor, { payment, forgotten }, deadline);
  if (truth?.standing !== "held") return truth ?? neverArrived;
  return await processor.void({ key, reference: truth.reference }, deadline);
}

async function currentTruth(
  processor: CardProcessor,
  question: MetPayment & { payment: Payment },
  deadline: Deadline,
): Promise<ProcessorTruth | undefined> {
  const { status, processorReference: reference } = question.payment;
  if (status === "PENDING" || reference === undefined) return await askAgain(processor, question, deadline);
  return { standing: "held", reference, declineReason: "" };
}

const neverArrived: ProcessorTruth = { standing: "released", reference: undefined, declineReason: "" };
