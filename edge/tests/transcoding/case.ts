import type { RawRequest } from "../raw-http.ts";

/** What must come back. */
export interface Expected {
  readonly status: number;
  /** Members the answer must have. */
  readonly json?: unknown;
  /** The whole body. */
  readonly body?: string;
  readonly headers?: Record<string, string>;
  /** Names that must not be among the metadata the backend saw. */
  readonly withoutMetadata?: readonly string[];
  /** Sent to the edge that refuses unknown members. */
  readonly strictly?: boolean;
}

/** One request with the rule it tries and the fact it shows. */
export type Case = readonly [rule: string, fact: string, request: RawRequest, expected: Expected];

type Headers = Record<string, string>;

/** A GET of a raw target. */
export const get = (target: string, headers: Headers = {}): RawRequest => ({ target, headers });

/** A request without a body. */
export const by = (method: string, target: string, headers: Headers = {}): RawRequest => ({
  method,
  target,
  headers,
});

/** A JSON body: text and bytes go as they are. */
export const post = (target: string, body: unknown, headers: Headers = {}): RawRequest => ({
  method: "POST",
  target,
  headers: { "content-type": "application/json", ...headers },
  body: typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body),
});

/** The same with another method. */
export const put = (target: string, body: unknown, headers: Headers = {}): RawRequest => ({
  ...post(target, body, headers),
  method: "PUT",
});

/** The same with another method. */
export const patch = (target: string, body: unknown): RawRequest => ({
  ...post(target, body),
  method: "PATCH",
});

/** 200 with at least these members. */
export const ok = (json: unknown): Expected => ({ status: 200, json });

/** 200 with just this body. */
export const says = (body: string, headers: Headers = {}): Expected => ({ status: 200, body, headers });

/** 400 for a reason, at a member. */
export const refused = (reason: string, field?: string): Expected => ({
  status: 400,
  json: { code: "INVALID_ARGUMENT", reason, ...(field === undefined ? {} : { field }) },
});

/** 400 for what a member holds. */
export const invalid = (field?: string): Expected => refused("INVALID_VALUE", field);

/** No such route. */
export const notFound: Expected = { status: 404, json: { reason: "ROUTE_NOT_FOUND", code: "NOT_FOUND" } };

/** Another status with its reason. */
export const fails = (status: number, reason: string): Expected => ({ status, json: { status, reason } });

/** The same at the edge that refuses unknown members. */
export const strictly = (expected: Expected): Expected => ({ ...expected, strictly: true });
