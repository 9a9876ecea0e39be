/** A problem document (RFC 9457) as the gateway writes it. */
export type Problem = {
  reason?: string;
  detail?: string;
  title?: string;
  /** Where the gateway itself could not read the request. */
  field?: string;
  /** What the service finds wrong in it. */
  violations?: readonly { field?: string; description?: string }[];
};

/** The shop's answer to a call that it does not grant. */
export class Refusal extends Error {
  readonly status: number;
  /** An error reason of the contract; empty where the answer has none. */
  readonly reason: string;

  constructor(status: number, problem: Problem) {
    super(textOf(status, problem));
    this.status = status;
    this.reason = problem.reason ?? "";
  }
}

/** The reason and what was said about it, then each field that is wrong on a line of its own. */
function textOf(status: number, { reason, detail, title, field: unread, violations = [] }: Problem): string {
  const said = [reason, detail ?? title ?? `HTTP status ${status}`].filter(Boolean).join(": ");
  const fields = violations.map(({ field = "", description = "" }) => `${field}: ${description}`);
  return [said, ...(unread ? [unread] : []), ...fields].join("\n  ");
}
