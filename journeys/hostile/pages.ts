// Pages and cursors that no list has, and searches for what are no words.

import { toPageToken } from "#kit/paging/paging.ts";
import { type HostileInput, type HostileRequest, refused } from "./input.ts";
import type { Scene } from "./scene.ts";

interface List {
  readonly path: string;
  readonly who: (scene: Scene) => string | undefined;
}

const lists: List[] = [
  { path: "/v1/orders?", who: ({ buyer }) => buyer.token },
  { path: "/v1/products?", who: () => undefined },
  { path: "/v1/products:search?query=lamp&", who: () => undefined },
  { path: "/v1/stock?", who: ({ shop }) => shop.staff.token },
  { path: "/v1/stock/{sku}/movements?", who: ({ shop }) => shop.staff.token },
  { path: "/v1/ops/orders/sagas?", who: ({ shop }) => shop.staff.token },
  { path: "/v1/ops/orders/dead-letters?", who: ({ shop }) => shop.staff.token },
  { path: "/v1/ops/orders/parked-events?", who: ({ shop }) => shop.staff.token },
  { path: "/v1/ops/orders/findings?", who: ({ shop }) => shop.staff.token },
];

const listing =
  ({ path, who }: List, query: string) =>
  (scene: Scene): HostileRequest => {
    const token = who(scene);
    return {
      method: "GET",
      path: `${path.replace("{sku}", scene.goods.sku)}${query}`,
      ...(token !== undefined && { token }),
    };
  };

const pageFaults: readonly [string, string, string][] = [
  ["a page of 10^9", "page_size=1000000000", "400 VALIDATION_FAILED pageSize"],
  ["a page of minus one", "page_size=-1", "400 VALIDATION_FAILED pageSize"],
  ["a page beyond 32 bits", "page_size=2147483648", "400 INVALID_VALUE pageSize"],
  ["a cursor that is none", "page_token=made-up", "400 PAGE_TOKEN_INVALID"],
  ["a cursor of another list", `page_token=${tokenOf(["Other"], ["1"])}`, "400 PAGE_TOKEN_INVALID"],
  ["a cursor of 501 characters", `page_token=${"A".repeat(501)}`, "400 VALIDATION_FAILED pageToken"],
];

function tokenOf(scope: readonly string[], key: readonly string[]) {
  return encodeURIComponent(toPageToken(scope, key));
}

/** As the shop would make it, but for what it says. */
const forgedFor = (sub: string, key: readonly string[]) =>
  `page_token=${tokenOf(["ListOrders", sub, "0"], key)}`;

const ordersOf = (scene: Scene, query: string): HostileRequest => listing(lists[0] as List, query)(scene);
const anOrderId = "order_01hzy3v8q0e9wb0c1a2d3f4g5h";

/** What a search engine, a pattern matcher or a database could take for more than words. */
const searches: readonly [string, string][] = [
  ["nothing but wildcards", "%".repeat(200)],
  ["wildcards of another kind", "_*?.[^x]"],
  ["a pattern that never ends", `${"(a+)+".repeat(30)}$`],
  ["operators without operands", "& | ! <-> :* ()"],
  ["SQL", "lamp' or 1=1; drop table products; --"],
  ["a backslash at the end", "lamp\\"],
];

const search = (query: string): HostileRequest => ({
  method: "GET",
  path: `/v1/products:search?query=${encodeURIComponent(query)}`,
});

/** Rows 52 and 53. */
export const pageInputs: readonly HostileInput[] = [
  ...lists.flatMap((list) =>
    pageFaults.map(([name, query, answer]) =>
      refused(52, `${name} of ${list.path.split("?")[0]}`, answer, listing(list, query)),
    ),
  ),
  refused(52, "somebody else's cursor", "400 PAGE_TOKEN_INVALID", (scene) =>
    ordersOf(scene, forgedFor(scene.stranger.sub, ["1700000000000", anOrderId])),
  ),
  refused(52, "SQL in a cursor", "400 PAGE_TOKEN_INVALID", (scene) =>
    ordersOf(scene, forgedFor(scene.buyer.sub, ["1700000000000", "x'; drop table order_views; --"])),
  ),
  refused(52, "a cursor at a time that is none", "400 PAGE_TOKEN_INVALID", (scene) =>
    ordersOf(scene, forgedFor(scene.buyer.sub, ["99999999999999", anOrderId])),
  ),
  ...searches.map(([name, query]) => ({
    number: 53,
    name: `a search for ${name}`,
    attack: () => ({ requests: [search(query)] }),
    answers: { "200": 1 },
  })),
  refused(53, "a search for more than a search takes", "400 VALIDATION_FAILED query", () =>
    search("%".repeat(201)),
  ),
];
