import {
  DeadLetterService,
  type DiscardDeadLetterRequest,
  type ReplayDeadLettersRequest,
  ReplayOutcome,
} from "#gen/souk/ops/v1/ops_pb.ts";
import { toServiceError } from "#kit/errors/errors.ts";
import {
  countWaitingBehind,
  type DeadLetter,
  type DeadLetterVerb,
  describe,
  noteOnDeadLetter,
  readDeadLetter,
  readWaiting,
} from "#kit/inbox/dead-letters.ts";
import type { ConsumerGroup } from "#kit/inbox/group.ts";
import { type Outcome, passOver, replay } from "#kit/inbox/replay.ts";
import type { Database, Transaction } from "#kit/postgres/postgres.ts";
import type { Call } from "#kit/rpc/call.ts";
import { command } from "../handlers.ts";
import { announceOperation } from "./announce-operation.ts";
import { deadLetterNotFound, deadLetterSettled, toFullMessage } from "./dead-letter-messages.ts";

const { method } = DeadLetterService;

/** What replays and discards work on. */
export interface ReplayParts {
  readonly service: string;
  readonly db: Database;
  readonly groups: readonly ConsumerGroup[];
}

const outcomes: Record<Outcome, { readonly wire: ReplayOutcome; readonly detail: string }> = {
  applied: { wire: ReplayOutcome.APPLIED, detail: "" },
  repeated: { wire: ReplayOutcome.ALREADY_APPLIED, detail: "It had taken effect before; nothing was done." },
  old: { wire: ReplayOutcome.TOO_LATE, detail: "Its aggregate has gone on without it; nothing was done." },
  parked: { wire: ReplayOutcome.PARKED, detail: "It waits for an earlier version of its aggregate." },
};

/** The replay runs in transactions of its own, before the answer's: one of them fails with its handler, and that is noted too. */
export const replayDeadLetter = (parts: ReplayParts) =>
  command(method.replayDeadLetter, {
    async prepare({ deadLetterId }, call: Call) {
      const letter = await readDeadLetter(parts.db, deadLetterId);
      if (!letter) throw deadLetterNotFound(deadLetterId);
      if (letter.status !== "waiting") throw deadLetterSettled(letter);
      return await replayOne(parts, letter, call);
    },
    async apply(tx, { deadLetterId }, _call, outcome) {
      const letter = await readDeadLetter(tx, deadLetterId);
      if (!letter) throw deadLetterNotFound(deadLetterId);
      return { deadLetter: toFullMessage(letter, parts.groups), outcome: outcomes[outcome].wire };
    },
  });

export const replayDeadLetters = (parts: ReplayParts) =>
  command(method.replayDeadLetters, {
    prepare: (request, call: Call) => replayAll(parts, request, call),
    apply: async (_tx, _request, _call, counts) => counts,
  });

/** Nothing waits for what was discarded: its aggregate goes on. */
export const discardDeadLetter = ({ service, groups }: ReplayParts) =>
  command(method.discardDeadLetter, {
    async apply(tx, { deadLetterId, why }: DiscardDeadLetterRequest, call: Call) {
      const letter = await lockWaiting(tx, deadLetterId);
      await passOver(tx, letter);
      announceOperation(tx, { service, call, target: deadLetterId, why });
      const note = { status: "discarded", actor: actorOf(call), action: "discarded", detail: why } as const;
      const discarded = await noteOnDeadLetter(tx, deadLetterId, note);
      return { deadLetter: toFullMessage(discarded ?? letter, groups) };
    },
  });

const pageSize = 50;
/** What is left of the deadline goes to the answer. */
const reserveMs = 1_000;

async function replayAll(parts: ReplayParts, { consumer, eventType }: ReplayDeadLettersRequest, call: Call) {
  const filter = { consumer, eventType };
  let [replayed, failed, lastId] = [0, 0, ""];
  for (;;) {
    const page = await readWaiting(parts.db, filter, lastId, pageSize);
    for (const letter of page) {
      if (call.deadline.remainingMs() < reserveMs || call.signal.aborted)
        return { replayed, failed, remaining: await countWaitingBehind(parts.db, filter, lastId) };
      lastId = letter.deadLetterId;
      await replayOne(parts, letter, call).then(
        () => (replayed += 1),
        () => (failed += 1),
      );
    }
    if (page.length < pageSize) return { replayed, failed, remaining: 0 };
  }
}

/** @throws the handler's error, after it was noted. */
async function replayOne(parts: ReplayParts, letter: DeadLetter, call: Call): Promise<Outcome> {
  const { deadLetterId } = letter;
  try {
    return await replay(parts, letter, async (tx, outcome) => {
      await lockWaiting(tx, deadLetterId);
      await note(parts, tx, call, deadLetterId, "replayed", outcomes[outcome].detail);
    });
  } catch (error) {
    await parts.db.transaction(async (tx) => {
      const found = await readDeadLetter(tx, deadLetterId, true);
      if (found?.status !== "waiting") return;
      await note(parts, tx, call, deadLetterId, "replay failed", describe(error).message);
    });
    throw toServiceError(error);
  }
}

async function note(
  { service }: ReplayParts,
  tx: Transaction,
  call: Call,
  deadLetterId: string,
  action: Extract<DeadLetterVerb, "replayed" | "replay failed">,
  detail: string,
) {
  const status = action === "replayed" ? "replayed" : "waiting";
  await noteOnDeadLetter(tx, deadLetterId, { status, actor: actorOf(call), action, detail });
  announceOperation(tx, { service, call, target: deadLetterId });
}

async function lockWaiting(tx: Transaction, deadLetterId: string): Promise<DeadLetter> {
  const letter = await readDeadLetter(tx, deadLetterId, true);
  if (!letter) throw deadLetterNotFound(deadLetterId);
  if (letter.status !== "waiting") throw deadLetterSettled(letter);
  return letter;
}

/** Every method here needs a token, so there is a principal. */
const actorOf = (call: Call) => call.principal?.subject ?? "";
