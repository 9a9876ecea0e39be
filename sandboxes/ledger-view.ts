import type { SandboxReply } from "./http.ts";
import type { Ledger, LedgerEntry } from "./ledger.ts";

/** Replies with the ledger as JSON lines, oldest first, without hashes and answers: what happened, not what was said. */
export function ledgerReply(ledger: Ledger, matches: (entry: LedgerEntry) => boolean): SandboxReply {
  return { status: 200, body: readMatching(ledger, matches) };
}

async function* readMatching(
  ledger: Ledger,
  matches: (entry: LedgerEntry) => boolean,
): AsyncGenerator<string> {
  await ledger.settled();
  for await (const entry of ledger.entries()) {
    if (!matches(entry)) continue;
    const { answer: _answer, fingerprint: _fingerprint, ...shown } = entry;
    yield `${JSON.stringify(shown)}\n`;
  }
}

/** Whether each `metadata[key]=value`, and each other parameter, of a query equals the entry's. */
export function matchesQuery(query: string): (entry: LedgerEntry) => boolean {
  const wanted = [...new URLSearchParams(query)];
  return (entry) =>
    wanted.every(([name, value]) => {
      const inner = /^(\w+)\[(.+)\]$/.exec(name);
      const field = inner
        ? (entry[inner[1] as string] as Record<string, unknown>)?.[inner[2] as string]
        : entry[name];
      return field !== undefined && String(field) === value;
    });
}
