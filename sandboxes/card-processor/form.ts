// Stripe's form encoding: `metadata[saga]=x`, `created[gt]=5`, `payment_method_types[]=card`.
import { invalidRequest } from "./problems.ts";

const MAX_PARAMETERS = 200;
const MAX_DEPTH = 4;

/** A decoded form: texts and nested forms; the members of a list have their index as name. */
export type Form = { [name: string]: string | Form };

/** Decodes a form or a query string; throws a 400 problem when it is malformed or too large. */
export function parseForm(text: string): Form {
  const form = emptyForm();
  if (text === "") return form;
  const pairs = text.split("&", MAX_PARAMETERS + 1);
  if (pairs.length > MAX_PARAMETERS) throw invalidRequest(`A request may have ${MAX_PARAMETERS} parameters.`);
  for (const pair of pairs) {
    const mark = pair.indexOf("=");
    const name = decode(mark < 0 ? pair : pair.slice(0, mark));
    put(form, name, mark < 0 ? "" : decode(pair.slice(mark + 1)));
  }
  return form;
}

function put(form: Form, name: string, value: string): void {
  const bracket = name.indexOf("[");
  if (bracket < 0) {
    form[name] = value;
    return;
  }
  if (bracket === 0 || !name.endsWith("]"))
    throw invalidRequest(`Invalid parameter name: ${name}`, { param: name });
  const inner = name.slice(bracket + 1, -1).split("][");
  if (inner.length >= MAX_DEPTH)
    throw invalidRequest(`Parameter nested too deeply: ${name}`, { param: name });
  let target = formAt(form, name.slice(0, bracket));
  for (const part of inner.slice(0, -1)) target = formAt(target, part);
  const last = inner.at(-1) as string;
  target[last === "" ? String(Object.keys(target).length) : last] = value;
}

function formAt(form: Form, name: string): Form {
  const found = form[name];
  if (typeof found === "object") return found;
  const created = emptyForm();
  form[name] = created;
  return created;
}

/** Without a prototype, so that a parameter named `__proto__` or `constructor` is a parameter like any other. */
function emptyForm(): Form {
  return Object.create(null);
}

function decode(text: string): string {
  const spaced = text.includes("+") ? text.replaceAll("+", " ") : text;
  if (!spaced.includes("%")) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    throw invalidRequest(`Invalid percent-encoding: ${text}`);
  }
}
