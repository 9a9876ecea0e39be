import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { command, refusal } from "#kit/service/handlers.ts";
import { fromAuthorizeRequest, toPaymentMessage } from "../messages.ts";
import { authorizationCancelled, checkSameRequest, paymentDeclined } from "../payment.ts";
import { openPayment, readPaymentByKey } from "../payment-store.ts";
import { askAgain, authorize, type OpenQuestion, recordTruth } from "../truth.ts";
import { keyOf, type PaymentsParts } from "./parts.ts";

/** Asks the card's bank to set the amount aside. A refusal of the bank is recorded and announced before it is reported. */
export const authorizePayment = ({ processor, underWay }: PaymentsParts) =>
  command(PaymentsService.method.authorizePayment, {
    groupCommit: true,
    async intend(tx, request, call): Promise<OpenQuestion> {
      const wanted = fromAuthorizeRequest(request, keyOf(call));
      const { payment, forgotten } = await openPayment(tx, {
        ...wanted,
        paymentMethod: request.paymentMethod,
      });
      if (!payment) throw authorizationCancelled();
      checkSameRequest(payment, wanted);
      return { payment, forgotten };
    },
    async prepare(_request, call, question) {
      const { payment } = question;
      if (payment.status !== "PENDING") return undefined;
      underWay.start(payment.authorizeKey);
      const { deadline } = call;
      // What was asked for so long ago and never arrived can be asked for anew.
      return (
        (await askAgain(processor, question, deadline)) ?? (await authorize(processor, payment, deadline))
      );
    },
    async apply(tx, _request, call, truth) {
      const authorizeKey = keyOf(call);
      const moved = truth && (await recordTruth(tx, { authorizeKey, status: "PENDING" }, truth, call));
      const payment = moved ?? (await readPaymentByKey(tx, authorizeKey));
      if (!payment || payment.status === "VOIDED") throw authorizationCancelled();
      tx.afterCommit(() => underWay.recorded(payment));
      if (payment.status === "DECLINED") return refusal(paymentDeclined(payment.declineReason));
      return { payment: toPaymentMessage(payment) };
    },
  });
