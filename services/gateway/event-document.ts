// Describes the shop's events as AsyncAPI 3: a channel for each, named as its subject, the message with its CloudEvents headers, and who
// sends it. Everything is derived from the contract's declarations.

import { type AnyDesc, type DescMessage, hasOption, type JsonObject } from "@bufbuild/protobuf";
import { exampleOf } from "#edge/openapi/example.ts";
import { createSchemas, type Schemas } from "#edge/openapi/schema.ts";
import { comments } from "#gen/comments.ts";
import { file_souk_catalog_v1_events } from "#gen/souk/catalog/v1/events_pb.ts";
import { file_souk_inventory_v1_events } from "#gen/souk/inventory/v1/events_pb.ts";
import { file_souk_ops_v1_events } from "#gen/souk/ops/v1/events_pb.ts";
import { event as eventOption } from "#gen/souk/options/v1/options_pb.ts";
import { file_souk_orders_v1_events } from "#gen/souk/orders/v1/events_pb.ts";
import { file_souk_payments_v1_events } from "#gen/souk/payments/v1/events_pb.ts";
import { file_souk_shipping_v1_events } from "#gen/souk/shipping/v1/events_pb.ts";
import { type EventName, eventName } from "#kit/nats/event-names.ts";
import { exampleOf as fieldExample } from "./api-examples.ts";

/** The files that declare events; a test compares them with the contract's. */
export const eventFiles = [
  file_souk_catalog_v1_events,
  file_souk_inventory_v1_events,
  file_souk_ops_v1_events,
  file_souk_orders_v1_events,
  file_souk_payments_v1_events,
  file_souk_shipping_v1_events,
];

const prefix = "souk";
const contentType = "application/protobuf";

interface DeclaredEvent {
  readonly desc: DescMessage;
  readonly name: EventName;
  /** The service that announces it. */
  readonly service: string;
}

/** The AsyncAPI document of every event of the contract. */
export function describeEvents(): JsonObject {
  const events = readEvents();
  const schemas = createSchemas({ commentOf, refPrefix: "#/components/schemas/" });
  const messages = Object.fromEntries(events.map((event) => [event.name.type, messageOf(event, schemas)]));
  return {
    asyncapi: "3.0.0",
    info: { title: "Souk's events", version: "1.0.0", description, license: { name: "Apache-2.0" } },
    defaultContentType: contentType,
    servers: {
      nats: {
        host: "127.0.0.1:8111",
        protocol: "nats",
        description: "NATS JetStream, as `npm start` has it.",
      },
    },
    channels: Object.fromEntries(events.map((event) => [event.name.type, channelOf(event)])),
    operations: Object.fromEntries(events.map((event) => [`announce${event.desc.name}`, operationOf(event)])),
    components: {
      messages,
      messageTraits: { cloudEvent: { headers: cloudEventHeaders } },
      schemas: schemas.components(),
    },
  };
}

const description = `What services of the shop tell each other, and whoever else wants to hear.

Every event leaves its service through a transactional outbox and is published at least once: consumers drop an event whose \`ce-id\` they have applied. Events of one aggregate are numbered by \`souk-aggregate-version\`; \`souk-previous-version\` names the one before. The payload is the protobuf message itself; the schemas here show it as ProtoJSON.`;

function readEvents(): DeclaredEvent[] {
  return eventFiles.flatMap((file) =>
    file.messages
      .filter((desc) => hasOption(desc, eventOption))
      .map((desc) => ({
        desc,
        name: eventName(desc, prefix),
        service: file.proto.package.split(".")[1] ?? "",
      })),
  );
}

function commentOf(desc: AnyDesc): string | undefined {
  if (desc.kind === "field" || desc.kind === "enum_value")
    return comments[`${desc.parent?.typeName}.${desc.name}`];
  return "typeName" in desc ? comments[desc.typeName] : undefined;
}

function channelOf({ name, desc }: DeclaredEvent): JsonObject {
  return {
    address: name.subject,
    title: desc.name,
    description: `In the stream \`${name.stream}\`, by the version of its ${name.aggregate}.`,
    messages: { [desc.name]: { $ref: `#/components/messages/${name.type}` } },
  };
}

function operationOf({ name, desc, service }: DeclaredEvent): JsonObject {
  const channel = `#/channels/${name.type.replaceAll("/", "~1")}`;
  return {
    action: "send",
    title: `${service} announces ${desc.name}`,
    ...(comments[desc.typeName] && { summary: comments[desc.typeName] }),
    channel: { $ref: channel },
    messages: [{ $ref: `${channel}/messages/${desc.name}` }],
    tags: [{ name: service }],
  };
}

function messageOf({ desc, name }: DeclaredEvent, schemas: Schemas): JsonObject {
  const payload = exampleOf(desc, fieldExample);
  return {
    name: name.type,
    title: desc.name,
    ...(comments[desc.typeName] && { summary: comments[desc.typeName] }),
    contentType,
    traits: [{ $ref: "#/components/messageTraits/cloudEvent" }],
    payload: schemas.message(desc),
    examples: [{ headers: exampleHeaders(name, desc, payload), payload }],
  };
}

function exampleHeaders({ type, aggregate }: EventName, desc: DescMessage, payload: JsonObject): JsonObject {
  const [first] = desc.fields;
  return {
    "ce-specversion": "1.0",
    "ce-id": "0198c0de-7a11-7000-8000-5c0ffee5c0de",
    "ce-source": type.split(".")[1] ?? "",
    "ce-type": type,
    "ce-subject": String(payload[first?.jsonName ?? ""] ?? ""),
    "ce-time": "2026-01-02T03:04:05.678Z",
    "ce-dataschema": desc.file.name,
    "content-type": contentType,
    "souk-aggregate": aggregate,
    "souk-aggregate-version": "1",
    "x-correlation-id": "checkout-42",
  };
}

const text = (says: string, more: JsonObject = {}): JsonObject => ({
  type: "string",
  description: says,
  ...more,
});

/** CloudEvents 1.0 over NATS, and what Souk adds. */
const cloudEventHeaders: JsonObject = {
  type: "object",
  properties: {
    "ce-specversion": text("Version of CloudEvents.", { const: "1.0" }),
    "ce-id": text("Id of the event, the same at each delivery.", { format: "uuid" }),
    "ce-source": text("The service that announced it."),
    "ce-type": text("Full name of the message."),
    "ce-subject": text("Id of what changed."),
    "ce-time": text("When it was announced.", { format: "date-time" }),
    "ce-dataschema": text("File of the contract that declares the message."),
    "content-type": text("How the payload is written.", { const: contentType }),
    "souk-aggregate": text("Kind of what changed: `order`."),
    "souk-aggregate-version": text("Version of what changed that the event tells of."),
    "souk-previous-version": text("The version announced before; none at the first."),
    "x-correlation-id": text("Follows one piece of work through every service."),
    "x-causation-id": text("Id of the event or saga that led to this one."),
    traceparent: text("W3C trace context."),
  },
  required: [
    "ce-specversion",
    "ce-id",
    "ce-source",
    "ce-type",
    "ce-subject",
    "ce-time",
    "content-type",
    "souk-aggregate",
    "souk-aggregate-version",
    "x-correlation-id",
  ],
};
