/** What stands under `error` in a refusal. */
export type ErrorBody = { code: string; message: string; field?: string | undefined };

/** A refusal in the carrier's words. Only `remembered` ones answer a repeat of the same idempotency key. */
export class Problem extends Error {
  readonly status: number;
  readonly body: ErrorBody;
  /** True when the refusal depends on the address or the shipment's state, not on the form of the request. */
  readonly remembered: boolean;

  constructor(status: number, body: ErrorBody, remembered = false) {
    super(body.message);
    this.status = status;
    this.body = body;
    this.remembered = remembered;
  }
}

/** 400: a field of the body or query is missing, unknown or malformed. */
export function invalidField(field: string, message: string): Problem {
  return new Problem(400, { code: "invalid_field", message, field });
}

/** 400: the body is no JSON object. */
export function malformedBody(): Problem {
  return new Problem(400, { code: "malformed_body", message: "The body must be a JSON object." });
}

/** 400: booking without an Idempotency-Key could book twice. */
export function keyMissing(): Problem {
  const message = "Idempotency-Key must have 1 to 255 characters.";
  return new Problem(400, { code: "idempotency_key_missing", message });
}

/** 401: no key, or another one. */
export function unauthorized(): Problem {
  return new Problem(401, { code: "unauthorized", message: "The API key is missing or wrong." });
}

/** 404: nothing has that id or number. */
export function notFound(what: string): Problem {
  return new Problem(404, { code: "not_found", message: `There is no ${what}.` });
}

/** 422: the carrier does not deliver there. */
export function addressRefused(postalCode: string): Problem {
  const message = `The carrier does not deliver to ${postalCode}.`;
  return new Problem(422, { code: "address_refused", message, field: "destination.postal_code" }, true);
}

/** 409: the parcels have left. */
export function alreadyDispatched(status: string): Problem {
  const message = `The shipment can no longer be changed, it is ${status}.`;
  return new Problem(409, { code: "already_dispatched", message }, true);
}

/** 409: the shipment has arrived or was canceled. */
export function alreadyEnded(status: string): Problem {
  return new Problem(409, { code: "already_ended", message: `The shipment is ${status}.` }, true);
}

/** 409: the first request with this key has not been answered yet. */
export function keyInUse(): Problem {
  const message = "A request with this Idempotency-Key is being carried out.";
  return new Problem(409, { code: "idempotency_key_in_use", message });
}

/** 422: the key belongs to another request. */
export function keyOfOtherRequest(): Problem {
  const message = "This Idempotency-Key was used for another request.";
  return new Problem(422, { code: "idempotency_key_reused", message });
}
