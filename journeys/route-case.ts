// A request to a route and how it has to be answered, and what the requests are about.

import type { Goods, Person, Shop } from "./shop.ts";

/** A case's request; the verb is the route's. */
export interface CaseRequest {
  readonly path: string;
  readonly token?: string;
  readonly key?: string;
  readonly body?: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request, and how it has to be answered. */
export interface RouteCase {
  readonly ask: (scene: Scene) => CaseRequest | Promise<CaseRequest>;
  readonly status: number;
  /** Of a refusal's problem document. */
  readonly reason?: string;
}

/** Cases by route: `GET /v1/orders/{order_id}`. */
export type RouteCases = Readonly<Record<string, { success?: RouteCase; refusal?: RouteCase }>>;

/** What the cases are about. */
export interface Scene {
  readonly shop: Shop;
  readonly buyer: Person;
  readonly staff: Person;
  readonly goods: Goods;
  readonly orderId: string;
  readonly paymentId: string;
  readonly shipmentId: string;
  /** Of inventory. */
  readonly deadLetterId: string;
  /** Leaves a parked saga with orders, about an order that never was. */
  park(): Promise<string>;
}

/** The part of an id behind its kind, of something that never was. */
export const unknownId = "01hzy3v8q0e9wb0c1a2d3f4g5h";
/** A fresh Idempotency-Key. */
export const key = () => crypto.randomUUID();
/** A request that changes something, by somebody who may. */
export const asStaff = ({ staff }: Scene, path: string, body: object) => ({
  path,
  body,
  token: staff.token,
  key: key(),
});
/** A request by the customer who bought. */
export const asBuyer = ({ buyer }: Scene, path: string) => ({ path, token: buyer.token });
/** A request that succeeds. */
export const ok = (ask: RouteCase["ask"], status = 200): RouteCase => ({ ask, status });
/** A request that is refused. */
export const refused = (status: number, reason: string, ask: RouteCase["ask"]): RouteCase => ({
  ask,
  status,
  reason,
});
