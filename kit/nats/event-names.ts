import { type DescFile, type DescMessage, getOption, hasOption } from "@bufbuild/protobuf";
import { event as eventOption } from "#gen/souk/options/v1/options_pb.ts";

/** What a message's contract says about it as an event, and where it travels. */
export interface EventName {
  /** The message's full name, which is the CloudEvents `type`: `souk.orders.v1.OrderPlaced`. */
  readonly type: string;
  /** Under the default prefix the type itself. */
  readonly subject: string;
  /** Stream of the event's package: `souk_orders_v1`. */
  readonly stream: string;
  /** The kind of thing that changed: `order`. */
  readonly aggregate: string;
  /** The property of the generated message that holds that thing's id. */
  readonly idProperty: string;
}

/** Reading an option of a contract costs as much as writing an event. */
const known = new Map<string, WeakMap<DescMessage, EventName>>();

/**
 * Derives an event's names. `prefix` replaces the first part of the package, so that copies of the shop (tests, mostly)
 * can share a server.
 * @throws Error when the message is not declared to be an event.
 */
export function eventName(desc: DescMessage, prefix: string): EventName {
  const names = known.getOrInsertComputed(prefix, () => new WeakMap());
  return names.getOrInsertComputed(desc, () => deriveName(desc, prefix));
}

function deriveName(desc: DescMessage, prefix: string): EventName {
  if (!hasOption(desc, eventOption)) throw new Error(`${desc.typeName} is not declared to be an event`);
  const { aggregate, idField } = getOption(desc, eventOption);
  const field = desc.fields.find((candidate) => candidate.name === idField);
  if (!field) throw new Error(`${desc.typeName} has no field ${idField}`);
  const subject = withPrefix(desc.typeName, prefix);
  return {
    type: desc.typeName,
    subject,
    stream: streamName(desc.file, prefix),
    aggregate,
    idProperty: field.localName,
  };
}

/** Name of the stream that holds the events of a file's package. */
export const streamName = (file: DescFile, prefix: string) => packageOf(file, prefix).replaceAll(".", "_");

/** Name of the stream that an event's subject belongs to. */
export const streamOf = (subject: string) => subject.slice(0, subject.lastIndexOf(".")).replaceAll(".", "_");

/** The subjects of that stream. */
export const subjectsOf = (subject: string) => `${subject.slice(0, subject.lastIndexOf("."))}.*`;

/** The subjects of all events of a file's package. */
export const streamSubjects = (file: DescFile, prefix: string) => `${packageOf(file, prefix)}.*`;

const packageOf = (file: DescFile, prefix: string) => withPrefix(file.proto.package, prefix);

const withPrefix = (name: string, prefix: string) => prefix + name.slice(name.indexOf("."));
