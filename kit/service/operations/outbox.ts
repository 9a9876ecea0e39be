import { timestampDate } from "@bufbuild/protobuf/wkt";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/ops/v1/errors_pb.ts";
import { OutboxService } from "#gen/souk/ops/v1/ops_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";
import { inboxRetentionDays } from "#kit/inbox/inbox.ts";
import { republishSince } from "#kit/outbox/republish.ts";
import { statement, type Transaction } from "#kit/postgres/postgres.ts";
import { command, rpc, type ServiceRpcs } from "../handlers.ts";
import { announceOperation } from "./announce-operation.ts";

/** Publishes events again. */
export const outboxRpcs = ({ service }: { readonly service: string }): ServiceRpcs =>
  rpc(OutboxService, {
    republishEvents: command(OutboxService.method.republishEvents, {
      async apply(tx, { since: from }, call) {
        const since = from ? timestampDate(from) : new Date(0);
        await refuseUnremembered(tx, since);
        const events = await republishSince(tx, since);
        announceOperation(tx, { service, call, target: since.toISOString() });
        return { events };
      },
    }),
  });

const isUnremembered = statement(
  "kit-is-beyond-inbox",
  `select $1::timestamptz < souk_now() - $2 * interval '1 day' as too_old`,
);

/** Consumers apply once what their inbox remembers, and no longer. */
async function refuseUnremembered(tx: Transaction, since: Date) {
  const [row] = await tx.query<{ too_old: boolean }>(isUnremembered, [since, inboxRetentionDays]);
  if (row?.too_old) throw tooOld(since);
}

const tooOld = (since: Date) =>
  serviceError(
    ErrorReasonSchema,
    ErrorReason.REPUBLISH_TOO_OLD,
    `Events older than ${inboxRetentionDays} days could be applied twice.`,
    { metadata: { since: since.toISOString() } },
  );
