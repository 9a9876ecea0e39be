import type { Database } from "#kit/postgres/postgres.ts";
import { inFew, type Scope, type Verdict } from "#kit/reconciliation/definition.ts";
import type { CardProcessor, ProcessorRecord } from "../card-processor.ts";
import { type KnownKey, readKnownKeys } from "../processor-audit-store.ts";
import { show } from "./money.ts";

interface Parts {
  readonly db: Database;
  readonly processor: CardProcessor;
}

/** References of the processor's records that hold or took money for no payment of ours. */
export async function* strangers(
  { db, processor }: Parts,
  { since, deadline }: Scope,
): AsyncGenerator<readonly string[]> {
  for await (const records of processor.list({ from: since, to: undefined }, deadline)) {
    const known = await readKnownKeys(db, keysOf(records));
    yield records
      .filter((record) => complaint(record, known) !== undefined)
      .map(({ reference }) => reference);
  }
}

/** Asks about each again: what was released or paid back since is settled. */
export async function judgeStrangers(
  { db, processor }: Parts,
  references: readonly string[],
  { deadline }: Scope,
): Promise<Verdict[]> {
  const records = new Map<string, ProcessorRecord>();
  await inFew(references, async (reference) => {
    const record = await processor.look({ key: undefined, reference }, deadline);
    if (record) records.set(reference, record);
  });
  const known = await readKnownKeys(db, keysOf([...records.values()]));
  return references.map((subjectId) => {
    const record = records.get(subjectId);
    return { subjectId, discrepancy: record && complaint(record, known) };
  });
}

const keysOf = (records: readonly ProcessorRecord[]) => records.flatMap(({ key }) => key ?? []);

/** The shop's row comes before the processor's record, so that a record which is young has its payment too. */
function complaint(record: ProcessorRecord, known: ReadonlyMap<string, KnownKey>): string | undefined {
  const { key, standing, amount, refundedMinor, reference } = record;
  const keeps = standing === "held" || (standing === "taken" && refundedMinor < amount.amountMinor);
  if (!keeps) return undefined;
  const payment = key === undefined ? undefined : known.get(key);
  if (!payment) return `${show(amount)} is ${standing} there, for no payment of ours`;
  const { paymentId, processorReference: own } = payment;
  if (own === undefined || own === reference) return undefined;
  return `${show(amount)} is ${standing} there for ${paymentId}, which is ${own}`;
}
