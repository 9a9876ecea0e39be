import type { Answer, RestRequest } from "../rest.ts";
import type { Person } from "../shop.ts";
import type { Scene } from "./scene.ts";

/** A request as somebody sends it who means no good, or does not care. */
export interface HostileRequest extends RestRequest {
  readonly method: string;
  readonly path: string;
}

/** What is sent, all at once, and what may have come of it. */
export interface Attack {
  readonly requests: readonly HostileRequest[];
  /** Checks what has changed. Without it nothing may have. */
  readonly effect?: (answers: readonly Answer[]) => Promise<void>;
}

/** A row of the table. */
export interface HostileInput {
  /** The kind of input; one number has many rows. */
  readonly number: number;
  readonly name: string;
  readonly attack: (scene: Scene) => Attack | Promise<Attack>;
  /** How often each answer has to come: `400 VALIDATION_FAILED lines[0].quantity`. */
  readonly answers: Readonly<Record<string, number>>;
}

/** A request that is refused and changes nothing. */
export const refused = (
  number: number,
  name: string,
  answer: string,
  request: (scene: Scene) => HostileRequest,
): HostileInput => ({
  number,
  name,
  attack: (scene) => ({ requests: [request(scene)] }),
  answers: { [answer]: 1 },
});

const newKey = () => crypto.randomUUID();

/** Places an order. */
export const order = ({ token }: Person, body: object): HostileRequest => ({
  method: "POST",
  path: "/v1/orders",
  token,
  key: newKey(),
  body,
});

/** A change that only staff may make. */
export const byStaff = ({ shop }: Scene, path: string, body: object): HostileRequest => ({
  method: "POST",
  path,
  token: shop.staff.token,
  key: newKey(),
  body,
});

/** How the table spells an answer: status, reason, fields; or status and whether it was a replay. */
export function spell({ status, headers, body }: Answer): string {
  if (status < 400) return headers.get("idempotent-replayed") === "true" ? `${status} replayed` : `${status}`;
  const { reason, field, violations } = (body ?? {}) as {
    readonly reason?: string;
    readonly field?: string;
    readonly violations?: readonly { readonly field: string }[];
  };
  const fields = new Set([field, ...(violations ?? []).map((violation) => violation.field)]);
  return [status, reason, ...fields].filter((part) => part !== undefined && part !== "").join(" ");
}

/** Counts answers as the table does. */
export const tally = (answers: readonly Answer[]): Record<string, number> =>
  Object.fromEntries([...Map.groupBy(answers, spell)].map(([spelled, same]) => [spelled, same.length]));
