// A supervisor that died leaves a closed pipe behind; a sandbox must outlive that, its callers may still be served.
process.stdout.on("error", () => {});

/** Writes one JSON line to stdout; `msg` comes first so that a supervisor can wait for `{"msg":"listening",…}`. */
export function log(msg: string, fields: Record<string, unknown> = {}): void {
  process.stdout.write(`${JSON.stringify({ msg, ...fields, at: new Date().toISOString() })}\n`);
}
