import type { DescMessage } from "@bufbuild/protobuf";
import { type EventName, eventName, streamName, streamSubjects } from "#kit/nats/event-names.ts";
import type { Consumer } from "./inbox.ts";

/** The reactions of one service to one stream, and the durable consumer that feeds them. */
export interface ConsumerGroup {
  readonly stream: string;
  readonly subjects: string;
  readonly durable: string;
  readonly filter: string;
  readonly byType: ReadonlyMap<string, { readonly consumer: Consumer; readonly name: EventName }>;
  /** Whether aggregates' events are applied in the order of their versions. */
  readonly ordered: boolean;
  /** Root of the subjects. */
  readonly prefix: string;
}

/** What groups are made of. */
export interface GroupOptions {
  readonly service: string;
  readonly consumers: readonly Consumer[];
  readonly prefix: string;
}

/**
 * One durable consumer per stream: server 2.9 knows one filter per consumer, so several types mean the whole stream. So does
 * order: of an aggregate whose events are not all heard, nobody can tell whether one is missing.
 */
export function groupByStream({ consumers, prefix, service }: GroupOptions): ConsumerGroup[] {
  const groups = Map.groupBy(consumers, ({ event }) => streamName(event.file, prefix));
  return [...groups].map(([stream, members]) => {
    const subjects = streamSubjects(firstOf(members).event.file, prefix);
    const names = members.map((consumer) => ({
      consumer,
      name: eventName(consumer.event as DescMessage, prefix),
    }));
    const ordered = members.some(({ anyOrder }) => !anyOrder);
    return {
      stream,
      subjects,
      durable: `${service}_${stream}`,
      filter: names.length === 1 && !ordered ? firstOf(names).name.subject : subjects,
      byType: new Map(names.map((entry) => [entry.name.type, entry])),
      ordered,
      prefix,
    };
  });
}

function firstOf<T>(list: readonly T[]): T {
  const [first] = list;
  if (first === undefined) throw new Error("empty group");
  return first;
}
