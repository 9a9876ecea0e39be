/** Stripe's error object, as it stands under `error` in an answer. */
export type ErrorBody = {
  type: "api_error" | "card_error" | "idempotency_error" | "invalid_request_error";
  code?: string | undefined;
  decline_code?: string | undefined;
  message: string;
  param?: string | undefined;
  payment_intent?: unknown;
};

/** A refusal in Stripe's words. Only `remembered` ones answer a repeat of the same idempotency key. */
export class Problem extends Error {
  readonly status: number;
  readonly body: ErrorBody;
  /** True for refusals that depend on the state (not on the form) of the request: Stripe stores those. */
  readonly remembered: boolean;

  constructor(status: number, body: ErrorBody, remembered = false) {
    super(body.message);
    this.status = status;
    this.body = body;
    this.remembered = remembered;
  }
}

/** 400: the request is wrong in itself, whatever the state. */
export function invalidRequest(message: string, more: { code?: string; param?: string } = {}): Problem {
  return new Problem(400, { type: "invalid_request_error", message, ...more });
}

/** 400: a required parameter is missing. */
export function parameterMissing(param: string): Problem {
  return invalidRequest(`Missing required param: ${param}.`, { code: "parameter_missing", param });
}

/** 404: nothing has that id. */
export function noSuch(what: string, id: string, param = "id"): Problem {
  const message = `No such ${what}: '${id}'`;
  return new Problem(404, { type: "invalid_request_error", code: "resource_missing", message, param });
}

/** 404: the API has no such address. */
export function unknownRoute(method: string, path: string): Problem {
  return new Problem(404, {
    type: "invalid_request_error",
    message: `Unrecognized request URL (${method}: ${path}).`,
  });
}

/** 401: no key, or another one. */
export function unauthorized(): Problem {
  return new Problem(401, { type: "invalid_request_error", message: "Invalid API Key provided." });
}

/** 400: the intent's status does not allow this. `intent` is shown to the caller. */
export function unexpectedState(message: string, intent: unknown): Problem {
  const code = "payment_intent_unexpected_state";
  return new Problem(400, { type: "invalid_request_error", code, message, payment_intent: intent }, true);
}

/** 400: the amount is more than what is left. */
export function amountTooLarge(message: string, param: string, code = "amount_too_large"): Problem {
  return new Problem(400, { type: "invalid_request_error", code, message, param }, true);
}

/** 409: the first request with this key has not been answered yet. */
export function keyInUse(): Problem {
  const message = "There is currently another in-progress request using this Idempotency Key.";
  return new Problem(409, { type: "idempotency_error", code: "idempotency_key_in_use", message });
}

/** 400: the key belongs to another request. */
export function keyOfOtherRequest(key: string): Problem {
  const message = `Keys for idempotent requests can only be used with the same parameters they were first used with. '${key}' was first used with others.`;
  return new Problem(400, { type: "idempotency_error", message });
}
