// A service of the kit's making whose only effect is a row per event. The shop's own consumers would forgive a second
// application, since their effects are idempotent by themselves; this one shows it.

import { type DescFile, hasOption } from "@bufbuild/protobuf";
import { file_souk_catalog_v1_events } from "#gen/souk/catalog/v1/events_pb.ts";
import { file_souk_inventory_v1_events } from "#gen/souk/inventory/v1/events_pb.ts";
import { event as eventOption } from "#gen/souk/options/v1/options_pb.ts";
import { file_souk_orders_v1_events } from "#gen/souk/orders/v1/events_pb.ts";
import { file_souk_payments_v1_events } from "#gen/souk/payments/v1/events_pb.ts";
import { file_souk_shipping_v1_events } from "#gen/souk/shipping/v1/events_pb.ts";
import { readServiceConfig } from "#kit/config/config.ts";
import { type Consumer, on } from "#kit/inbox/inbox.ts";
import { statement } from "#kit/postgres/postgres.ts";
import { defineService } from "#kit/service/service.ts";

/** The contracts whose events the witness hears. */
const witnessedFiles: readonly DescFile[] = [
  file_souk_catalog_v1_events,
  file_souk_inventory_v1_events,
  file_souk_orders_v1_events,
  file_souk_payments_v1_events,
  file_souk_shipping_v1_events,
];

/** No key but the running number: what is applied twice stands here twice. */
const insertSighting = statement(
  "witness-insert-sighting",
  `insert into sightings (event_id, type, aggregate_id, aggregate_version, deliveries) values ($1, $2, $3, $4, $5)`,
);

/** Makes the definition. */
export const createWitness = () =>
  defineService({
    name: "witness",
    migrations: new URL("./migrations/", import.meta.url),
    readConfig: readServiceConfig,
    wire: () => ({ rpcs: [], consumers: witnessedFiles.flatMap(consumersOf) }),
  });

const consumersOf = ({ messages }: DescFile): Consumer[] =>
  messages
    .filter((message) => hasOption(message, eventOption))
    .map((message) =>
      on(message, {
        async apply(tx, _event, { eventId, aggregateId, aggregateVersion, deliveries }) {
          await tx.query(insertSighting, [
            eventId,
            message.typeName,
            aggregateId,
            aggregateVersion,
            deliveries,
          ]);
        },
      }),
    );
