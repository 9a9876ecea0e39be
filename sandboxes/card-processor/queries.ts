import type { Collection, Listed, PageQuery } from "../collection.ts";
import { type Accounts, intentOf, refundedOf } from "./accounts.ts";
import { type Form, parseForm } from "./form.ts";
import { optionalInteger, optionalText, refuseUnknown, requiredText } from "./params.ts";
import { type PaymentIntent, toWire } from "./payment-intent.ts";
import { invalidRequest, noSuch } from "./problems.ts";
import { chargeToWire } from "./refund.ts";

const DEFAULT_LIMIT = 10;
const MAX_LIMIT = 100;
const MAX_SECONDS = 99_999_999_999;
const PAGE_PARAMETERS = ["limit", "starting_after", "ending_before", "created"];
const INTENT_PARAMETERS = new Set(["expand"]);
const INTENT_LIST_PARAMETERS = new Set([...PAGE_PARAMETERS, "expand"]);
const REFUND_LIST_PARAMETERS = new Set([...PAGE_PARAMETERS, "payment_intent"]);
const SEARCH_PARAMETERS = new Set(["query", "limit", "expand"]);
const MAX_EXPANDED = 20;
const METADATA_QUERY = /^metadata\[(["'])(.+?)\1\]:(["'])(.*)\3$/;

/** GET /v1/payment_intents/:id */
export function retrieveIntent(accounts: Accounts, id: string, query: string): object {
  const form = parseForm(query);
  refuseUnknown(form, INTENT_PARAMETERS);
  return readShow(accounts, form, "latest_charge")(intentOf(accounts, id));
}

/** GET /v1/payment_intents */
export function listIntents(accounts: Accounts, query: string): object {
  const { intents } = accounts;
  const form = parseForm(query);
  refuseUnknown(form, INTENT_LIST_PARAMETERS);
  const show = readShow(accounts, form, "data.latest_charge");
  const { data, hasMore } = intents.page(readPageQuery(form, intents));
  return { object: "list", data: data.map(show), has_more: hasMore, url: "/v1/payment_intents" };
}

/** GET /v1/refunds */
export function listRefunds({ refunds }: Accounts, query: string): object {
  const form = parseForm(query);
  refuseUnknown(form, REFUND_LIST_PARAMETERS);
  const pageQuery = readPageQuery(form, refunds);
  const intentId = optionalText(form, "payment_intent");
  if (intentId !== undefined) pageQuery.matches = (refund) => refund.payment_intent === intentId;
  const { data, hasMore } = refunds.page(pageQuery);
  return { object: "list", data, has_more: hasMore, url: "/v1/refunds" };
}

/** GET /v1/payment_intents/search: one metadata value, `metadata['saga']:'x'`; looks at every intent. */
export function searchIntents(accounts: Accounts, query: string): object {
  const form = parseForm(query);
  refuseUnknown(form, SEARCH_PARAMETERS);
  const show = readShow(accounts, form, "data.latest_charge");
  const found = METADATA_QUERY.exec(requiredText(form, "query"));
  if (!found)
    throw invalidRequest("The sandbox only searches for metadata['key']:'value'.", { param: "query" });
  const [, , key, , value] = found as unknown as [string, string, string, string, string];
  const matches = (intent: PaymentIntent) =>
    Object.hasOwn(intent.metadata, key) && intent.metadata[key] === value;
  const { data, hasMore } = accounts.intents.page({ limit: readLimit(form), matches });
  return {
    object: "search_result",
    data: data.map(show),
    has_more: hasMore,
    next_page: null,
    url: "/v1/payment_intents/search",
  };
}

/** Reads `expand`, which may name the one path that leads to an intent's charge, and answers how intents are shown. */
function readShow(accounts: Accounts, form: Form, chargePath: string): (intent: PaymentIntent) => object {
  const paths = Object.values(typeof form.expand === "object" ? form.expand : {});
  if (paths.length > MAX_EXPANDED) throw invalidRequest("Too many expansions.", { param: "expand" });
  for (const path of paths) {
    if (path === chargePath) continue;
    throw invalidRequest(`This property cannot be expanded (${String(path)}).`, { param: "expand" });
  }
  if (paths.length === 0) return toWire;
  return (intent) =>
    intent.latest_charge === null
      ? toWire(intent)
      : { ...toWire(intent), latest_charge: chargeToWire(intent, refundedOf(accounts, intent.id)) };
}

function readPageQuery<T extends Listed>(form: Form, collection: Collection<T>): PageQuery<T> {
  return {
    limit: readLimit(form),
    ...readCreated(form),
    startingAfter: readCursor(form, "starting_after", collection),
    endingBefore: readCursor(form, "ending_before", collection),
  };
}

function readLimit(form: Form): number {
  return optionalInteger(form, "limit", { min: 1, max: MAX_LIMIT }) ?? DEFAULT_LIMIT;
}

function readCursor<T extends Listed>(form: Form, name: string, collection: Collection<T>): T | undefined {
  const id = optionalText(form, name);
  if (id === undefined) return undefined;
  const record = collection.get(id);
  if (!record) throw noSuch("object", id, name);
  return record;
}

function readCreated(form: Form): { createdFrom?: number; createdTo?: number } {
  const { created } = form;
  if (created === undefined) return {};
  if (typeof created === "string") {
    const second = readSecond(form, "created") ?? 0;
    return { createdFrom: second, createdTo: second };
  }
  const above = readSecond(created, "gt");
  const below = readSecond(created, "lt");
  const from = readSecond(created, "gte") ?? (above === undefined ? undefined : above + 1);
  const to = readSecond(created, "lte") ?? (below === undefined ? undefined : below - 1);
  return {
    ...(from === undefined ? {} : { createdFrom: from }),
    ...(to === undefined ? {} : { createdTo: to }),
  };
}

function readSecond(form: Form, name: string): number | undefined {
  return optionalInteger(form, name, { min: 0, max: MAX_SECONDS });
}
