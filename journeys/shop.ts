// A shop for one test file, and what people do in it. Everything here goes through doors that are open to people: REST, the
// issuer's tokens, the ledgers of the outside world.

import { afterAll, beforeAll, beforeEach, onTestFailed } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import { orderBody } from "../tools/client/order-body.ts";
import { CUSTOMER_SCOPES, fetchToken, OPERATOR_SCOPES } from "../tools/client/tokens.ts";
import { followOrder, type Progress } from "../tools/order/buy.ts";
import { urlOf } from "../tools/start/processes.ts";
import { followLogs } from "./logs.ts";
import { type ExtraEnv, type Processes, startProcesses } from "./processes.ts";
import { type Answer, type RestRequest, send } from "./rest.ts";

/** Somebody with a token. */
export interface Person {
  readonly sub: string;
  readonly token: string;
}

/** Something to buy. */
export interface Goods {
  readonly productId: string;
  readonly sku: string;
  readonly priceMinor: number;
}

/** What an order asks for; one piece, a card that works and an address in Berlin where unset. */
export interface Purchase {
  readonly goods: Goods;
  readonly quantity?: number;
  readonly card?: string;
  readonly postalCode?: string;
}

/** A line of a sandbox' ledger. */
export interface LedgerLine {
  readonly kind: string;
  readonly amount?: number;
  /** Of the card processor's lines: what payments told it. */
  readonly metadata?: { readonly order_id?: string };
}

/** How many pieces there are. */
export interface StockCount {
  readonly onHand: number;
  readonly reserved: number;
}

/** A running shop, and the doors to it. */
export interface Shop {
  readonly processes: Processes;
  readonly gatewayUrl: string;
  readonly issuerUrl: string;
  /** May change products and stock, read payments' ledgers, and what operators may. */
  readonly staff: Person;
  /** A person nobody has seen before; a customer where no scopes are named. */
  person(scope?: string): Promise<Person>;
  /** Any request at the public door. */
  rest<Body = unknown>(method: string, path: string, request?: RestRequest): Promise<Answer<Body>>;
  /** Puts a new product on sale, with so many pieces of it. */
  sell(pieces: number): Promise<Goods>;
  /** What lies in the warehouse. */
  stock(goods: Goods): Promise<StockCount>;
  /** What the card processor did for an order, oldest first. */
  processorLedger(orderId: string): Promise<LedgerLine[]>;
  /** Every capture of the card processor's, by any order. */
  captures(): Promise<LedgerLine[]>;
  /** Has the carrier collect an order's parcel. */
  dispatch(orderId: string): Promise<void>;
  /** What the carrier did for an order, oldest first. */
  carrierLedger(orderId: string): Promise<LedgerLine[]>;
  stop(): Promise<void>;
}

/** An order as the shop shows it. */
export interface ShownOrder {
  readonly orderId: string;
  readonly status: string;
  readonly step: string;
  readonly cancelReason: string;
  readonly paymentId: string;
  readonly shipmentId: string;
  readonly total: { readonly amountMinor: string };
  readonly refunded: { readonly amountMinor: string };
  readonly cancelRefuseReason: string;
}

const customerCare = "orders:read orders:cancel orders:return payments:refund payments:read";
const staffScopes = `catalog:write inventory:read inventory:write ${customerCare} ${OPERATOR_SCOPES}`;
const generous = { RATE_LIMIT_PER_SECOND: "100000", RATE_LIMIT_BURST: "100000" };

/** Has a shop started before the tests of this file and stopped after them; a failed test shows what the shop logged. */
export function openShop(extraEnv: ExtraEnv = {}): () => Shop {
  let shop: Shop | undefined;
  const opened = () => {
    if (!shop) throw new Error("the shop is not open yet");
    return shop;
  };
  beforeAll(async () => {
    shop = await startShop(extraEnv);
  });
  beforeEach(() => {
    const { folder, byName } = opened().processes;
    const complaints = followLogs(folder, [...byName.keys()]);
    onTestFailed(() => void process.stderr.write(complaints()));
  });
  afterAll(() => shop?.stop());
  return opened;
}

/** Starts a shop. A dead orders service's sagas are taken over after 1.5 s. */
export async function startShop(extraEnv: ExtraEnv = {}): Promise<Shop> {
  const processes = await startProcesses({
    ...extraEnv,
    gateway: { ...generous, ...extraEnv.gateway },
    orders: { SAGA_LEASE_MS: "1500", ...extraEnv.orders },
  });
  const { ports, secrets } = processes;
  const [gatewayUrl, issuerUrl] = [urlOf(ports.gateway), urlOf(ports.issuer)];
  const staff = await fetchPerson(issuerUrl, staffScopes, "operator");
  const rest: Shop["rest"] = (method, path, request) => send(`${gatewayUrl}${path}`, method, request);
  const categoryId = await createCategory(rest, staff);
  const ledger = (url: string, key: string, query: string) =>
    readLedger(`${url}/sandbox/ledger?${query}`, key);
  return {
    processes,
    gatewayUrl,
    issuerUrl,
    staff,
    rest,
    person: (scope = CUSTOMER_SCOPES) => fetchPerson(issuerUrl, scope, "customer"),
    sell: (pieces) => sell(rest, staff, categoryId, pieces),
    stock: (goods) => readStock(rest, staff, goods),
    processorLedger: (orderId) =>
      ledger(urlOf(ports["card-processor"]), secrets.cardProcessorKey, `metadata[order_id]=${orderId}`),
    captures: () => ledger(urlOf(ports["card-processor"]), secrets.cardProcessorKey, "kind=captured"),
    dispatch: (orderId) => dispatch(urlOf(ports.carrier), secrets.carrierKey, orderId),
    carrierLedger: (orderId) => ledger(urlOf(ports.carrier), secrets.carrierKey, `reference=${orderId}`),
    stop: () => processes.stop(),
  };
}

async function fetchPerson(issuerUrl: string, scope: string, roles: string): Promise<Person> {
  const sub = `user_${crypto.randomUUID()}`;
  return { sub, token: await fetchToken(issuerUrl, { sub, scope, roles }) };
}

type Rest = Shop["rest"];

/** A change of staff's; it has to be taken. */
async function change<Body>(rest: Rest, { token }: Person, path: string, body: object): Promise<Body> {
  const answer = await rest<Body>("POST", path, { token, body, key: crypto.randomUUID() });
  if (answer.status !== 200) throw new Error(`POST ${path} answered ${answer.status}: ${answer.text}`);
  return answer.body;
}

async function createCategory(rest: Rest, staff: Person): Promise<string> {
  const slug = `lamps-${uniqueWord()}`;
  type Reply = { category: { categoryId: string } };
  return (await change<Reply>(rest, staff, "/v1/categories", { name: "Lamps", slug })).category.categoryId;
}

async function sell(rest: Rest, staff: Person, categoryId: string, pieces: number): Promise<Goods> {
  const [sku, priceMinor] = [`LAMP-${uniqueWord().toUpperCase()}`, 1_250];
  const price = { currencyCode: "EUR", amountMinor: String(priceMinor) };
  type Reply = { product: { productId: string } };
  const product = { sku, name: "Brass lamp", description: "Gives light.", categoryId, price };
  const [{ product: created }] = await Promise.all([
    change<Reply>(rest, staff, "/v1/products", product),
    pieces > 0 &&
      change(rest, staff, `/v1/stock/${sku}:adjust`, {
        quantity: pieces,
        reason: "MOVEMENT_REASON_RECEIVED",
      }),
  ]);
  return { productId: created.productId, sku, priceMinor };
}

const uniqueWord = () => crypto.randomUUID().slice(0, 13);

async function readStock(rest: Rest, { token }: Person, { sku }: Goods): Promise<StockCount> {
  const { body } = await rest<{ stock: StockCount }>("GET", `/v1/stock/${sku}`, { token });
  const { onHand, reserved } = body.stock;
  return { onHand, reserved };
}

async function dispatch(url: string, key: string, orderId: string) {
  const headers = { authorization: `Bearer ${key}` };
  const signal = AbortSignal.timeout(10_000);
  const listed = await fetch(`${url}/v1/shipments?reference=${orderId}`, { headers, signal });
  const { shipments } = (await listed.json()) as { shipments: { id: string }[] };
  const path = `/sandbox/shipments/${shipments[0]?.id}/advance`;
  const { ok, status } = await fetch(url + path, { method: "POST", headers, signal });
  if (!ok) throw new Error(`the carrier answered ${status}`);
}

async function readLedger(url: string, key: string): Promise<LedgerLine[]> {
  const response = await fetch(url, {
    headers: { authorization: `Bearer ${key}` },
    signal: AbortSignal.timeout(10_000),
  });
  const lines = (await response.text()).split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as LedgerLine);
}

/** The body of `POST /v1/orders`. */
export function purchaseBody({ goods, quantity = 1, card = "pm_card_visa", postalCode = "10999" }: Purchase) {
  const body = orderBody({ productId: goods.productId, quantity, paymentMethod: card });
  return { ...body, shippingAddress: { ...body.shippingAddress, postalCode } };
}

const placingWithinMs = 20_000;

/** Places an order as a careful client does: an answer that was lost is asked for again under the same key. */
export async function placeOrder(shop: Shop, { token }: Person, purchase: Purchase): Promise<ShownOrder> {
  const request = { token, key: crypto.randomUUID(), body: purchaseBody(purchase) };
  return await eventually(async () => {
    const answer = await shop.rest<{ order: ShownOrder }>("POST", "/v1/orders", request);
    if (answer.status !== 202) throw new Error(`placing answered ${answer.status}: ${answer.text}`);
    return answer.body.order;
  }, placingWithinMs);
}

/** Follows an order over server-sent events to its end; `onProgress` hears of each new state. */
export function followToEnd(
  { gatewayUrl }: Shop,
  { token }: Person,
  orderId: string,
  onProgress: (progress: Progress) => void = () => undefined,
): Promise<Progress> {
  return followOrder({ gatewayUrl, token }, orderId, onProgress);
}

/** Buys, and waits for the order's end. */
export async function buy(shop: Shop, buyer: Person, purchase: Purchase): Promise<Progress> {
  const { orderId } = await placeOrder(shop, buyer, purchase);
  return await followToEnd(shop, buyer, orderId);
}

/** An order as its customer reads it. */
export async function readOrder(shop: Shop, { token }: Person, orderId: string): Promise<ShownOrder> {
  const { status, body, text } = await shop.rest<{ order: ShownOrder }>("GET", `/v1/orders/${orderId}`, {
    token,
  });
  if (status !== 200) throw new Error(`reading answered ${status}: ${text}`);
  return body.order;
}
