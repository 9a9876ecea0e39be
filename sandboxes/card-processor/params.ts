import type { Form } from "./form.ts";
import { invalidRequest, parameterMissing } from "./problems.ts";

const MAX_AMOUNT = 99_999_999;
const MAX_METADATA_KEYS = 50;
const MAX_METADATA_KEY_LENGTH = 40;
const MAX_METADATA_VALUE_LENGTH = 500;

/** The least and the greatest number allowed. */
export type Bounds = { min: number; max: number };

/** Refuses parameters that are neither read nor known to be harmless, so that a typing error is not lost in silence. */
export function refuseUnknown(form: Form, known: ReadonlySet<string>): void {
  for (const name of Object.keys(form)) {
    if (known.has(name)) continue;
    throw invalidRequest(`Received unknown parameter: ${name}`, { code: "parameter_unknown", param: name });
  }
}

/** Reads a text; undefined when it is absent or empty (Stripe's way to unset). */
export function optionalText(form: Form, name: string): string | undefined {
  const value = form[name];
  if (typeof value === "object") throw invalidRequest(`Invalid string: ${name}`, { param: name });
  return value === "" ? undefined : value;
}

/** Reads a text that must be there. */
export function requiredText(form: Form, name: string): string {
  const value = optionalText(form, name);
  if (value === undefined) throw parameterMissing(name);
  return value;
}

/** Reads one of a few words; the first of them when it is absent. */
export function oneOf<Word extends string>(form: Form, name: string, words: readonly Word[]): Word {
  const value = optionalText(form, name) ?? words[0];
  const word = words.find((candidate) => candidate === value);
  if (word === undefined)
    throw invalidRequest(`Invalid ${name}: must be one of ${words.join(", ")}`, { param: name });
  return word;
}

/** Reads a whole number within bounds; undefined when it is absent. */
export function optionalInteger(form: Form, name: string, { min, max }: Bounds): number | undefined {
  const value = optionalText(form, name);
  if (value === undefined) return undefined;
  const number = /^-?\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= min && number <= max) return number;
  const message = `Invalid integer: ${name} must be from ${min} to ${max}, it is ${value}`;
  throw invalidRequest(message, { code: "parameter_invalid_integer", param: name });
}

/** Reads an amount of money in minor units. */
export function optionalAmount(form: Form, name: string): number | undefined {
  return optionalInteger(form, name, { min: 1, max: MAX_AMOUNT });
}

/** Reads an amount of money in minor units that must be there. */
export function requiredAmount(form: Form, name: string): number {
  const amount = optionalAmount(form, name);
  if (amount === undefined) throw parameterMissing(name);
  return amount;
}

/** Reads a currency; answers it in lower case, as Stripe does. */
export function requiredCurrency(form: Form): string {
  const currency = requiredText(form, "currency").toLowerCase();
  if (!/^[a-z]{3}$/.test(currency))
    throw invalidRequest(`Invalid currency: ${currency}`, { param: "currency" });
  return currency;
}

/** Reads `metadata[...]`; an absent one is empty. */
export function readMetadata(form: Form): Record<string, string> {
  const given = form.metadata;
  if (given === undefined || given === "") return {};
  if (typeof given === "string") throw invalidRequest("Invalid hash: metadata", { param: "metadata" });
  const entries = Object.entries(given);
  if (entries.length > MAX_METADATA_KEYS)
    throw invalidRequest("Too many metadata keys.", { param: "metadata" });
  for (const [name, value] of entries) refuseMetadata(name, value);
  return Object.fromEntries(entries) as Record<string, string>;
}

function refuseMetadata(name: string, value: string | Form): void {
  if (
    name.length > MAX_METADATA_KEY_LENGTH ||
    typeof value !== "string" ||
    value.length > MAX_METADATA_VALUE_LENGTH
  ) {
    throw invalidRequest(`Invalid metadata: ${name}`, { param: `metadata[${name}]` });
  }
}
