import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { rpc } from "#kit/service/handlers.ts";
import { defineService, run } from "#kit/service/service.ts";
import { readConfig } from "./config.ts";
import { paymentReconciliations } from "./reconciliations.ts";
import { finishAbandonedRefunds } from "./refund-truth.ts";
import { paymentsRpc } from "./rpc.ts";
import { createStripeProcessor } from "./stripe/stripe-processor.ts";
import { createPaymentsUnderWay } from "./under-way.ts";
import { forgetProcessorEvents } from "./webhook-store.ts";

/** Payments: moves money between a customer's card and the shop, once, and keeps the ledger. */
export const payments = defineService({
  name: "payments",
  migrations: new URL("./migrations/", import.meta.url),
  readConfig,
  wire({ db, signal }, config) {
    const processor = createStripeProcessor({
      url: config.cardProcessorUrl,
      key: config.cardProcessorKey,
      timeoutMs: config.cardProcessorTimeoutMs,
    });
    signal.addEventListener("abort", () => processor.close(), { once: true });
    const underWay = createPaymentsUnderWay({ patienceMs: 1_000, maxKnown: 10_000 });
    const webhookSecret = config.cardProcessorWebhookSecret;
    return {
      rpcs: [rpc(PaymentsService, paymentsRpc({ db, processor, underWay, webhookSecret }))],
      reconciliations: paymentReconciliations({ db, processor }),
      jobs: [
        { name: "finish-refunds", everyMs: 30_000, run: () => finishAbandonedRefunds({ db, processor }) },
        { name: "forget-webhooks", everyMs: 60_000, run: () => forgetProcessorEvents(db, signal) },
      ],
    };
  },
});

if (import.meta.main) await run(payments);
