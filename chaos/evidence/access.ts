/** How evidence is reached: past all links, as nobody but the harness reaches it. */
export interface Access {
  readonly gatewayUrl: string;
  readonly issuerUrl: string;
  /** A superuser's URL of the server with all databases. */
  readonly postgresUrl: string;
  readonly natsUrl: string;
  readonly cardProcessor: Sandbox;
  readonly carrier: Sandbox;
  /** The services that have a database. */
  readonly databases: readonly string[];
}

/** A stand-in for the outside world, with a ledger. */
export interface Sandbox {
  readonly url: string;
  readonly key: string;
}

const readWithinMs = 60_000;

/** Reads a sandbox' whole ledger, oldest line first. */
export async function readLedger<Line>({ url, key }: Sandbox): Promise<Line[]> {
  const response = await fetch(`${url}/sandbox/ledger`, {
    headers: { authorization: `Bearer ${key}` },
    signal: AbortSignal.timeout(readWithinMs),
  });
  if (!response.ok) throw new Error(`the ledger of ${url} was answered with ${response.status}`);
  const lines = (await response.text()).split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as Line);
}
