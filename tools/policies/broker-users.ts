import { SERVICE_NAMES } from "../start/service-names.ts";
import { readStreams } from "../streams/streams.ts";

/** Who may do everything: people who look into streams, never a pod of the shop. */
const OPERATOR = "operator";
/** The Job that makes the streams. */
const STREAMS_JOB = "streams";
/** Where answers to a client's own questions arrive. */
const ANSWERS = ["_INBOX.>"];
/** Of its own actions on behalf of operators every service tells (souk.ops.v1). */
const OPERATIONS = "ops";

/** Everybody who has a password at the broker. */
export const BROKER_USERS: readonly string[] = [...SERVICE_NAMES, STREAMS_JOB, OPERATOR];

/** The variable in which the broker's pods find a user's password. */
export const passwordVariable = (user: string) => `${user.toUpperCase()}_NATS_PASSWORD`;

interface User {
  readonly user: string;
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/**
 * The broker's users, in NATS' own configuration: a service announces its own events and nobody else's, reads and acknowledges by its own
 * consumers, and can neither remove nor empty a stream.
 */
export async function brokerUsers(): Promise<string> {
  const streams = (await readStreams("souk")).map(({ name }) => name);
  const users: User[] = [
    ...SERVICE_NAMES.map((user) => ({ user, publish: subjectsOf(user, streams), subscribe: ANSWERS })),
    { user: STREAMS_JOB, publish: ["INFO", "CREATE", "UPDATE"].map(streamRequest), subscribe: ANSWERS },
    { user: OPERATOR, publish: [">"], subscribe: [">"] },
  ];
  return `authorization {\n  timeout: 5\n  users: [\n${users.map(write).join("\n")}\n  ]\n}\n`;
}

const streamRequest = (verb: string) => `$JS.API.STREAM.${verb}.*`;

function subjectsOf(service: string, streams: readonly string[]): string[] {
  // As the kit names them; exhausted deliveries have a stream of their own, with consumers of the same names.
  const consumers = streams.map((stream) => `${service}_${stream}`);
  return [
    ...[service, OPERATIONS].map((area) => `souk.${area}.*.*`),
    // Streams are made by whoever comes first; all that is there is left as it is.
    ...["INFO", "CREATE"].map(streamRequest),
    ...consumers.flatMap((consumer) => [
      `$JS.API.CONSUMER.INFO.*.${consumer}`,
      `$JS.API.CONSUMER.CREATE.*.${consumer}`,
      `$JS.API.CONSUMER.CREATE.*.${consumer}.>`,
      `$JS.API.CONSUMER.MSG.NEXT.*.${consumer}`,
      `$JS.ACK.*.${consumer}.>`,
    ]),
  ];
}

function write({ user, publish, subscribe }: User): string {
  const list = (subjects: readonly string[]) =>
    subjects.map((subject) => `          "${subject}"`).join("\n");
  return [
    `    {`,
    `      user: ${user}`,
    `      password: $${passwordVariable(user)}`,
    `      permissions: {`,
    `        publish: [\n${list(publish)}\n        ]`,
    `        subscribe: [\n${list(subscribe)}\n        ]`,
    `      }`,
    `    }`,
  ].join("\n");
}
