import { type BulkStatement, statement } from "#kit/postgres/postgres.ts";
import { reservationLifetimeMs, type StockLine } from "./reservation.ts";

// In all of these, `for update` in SKU order comes before the update: an update by itself locks in whatever order the plan
// has, and two orders over the same SKUs would wait for each other. After a wait it also sees the newest row, so the
// decision and the change are about the same pieces. The update itself meets the row as it was when the statement began, and
// checks its constraint on that, before it turns to the newest: `least` and `greatest` keep an outdated row from failing the check.
// They never bite on the newest, about which was decided.

/**
 * $1 order, $2 reservation, $3 SKUs in order, $4 quantities, $5 lifetime in ms. All lines or, naming the SKU, none; no row at all
 * where the order has a reservation, or its release came first.
 */
export const insertReservation = statement(
  "inventory-insert-reservation",
  `with clock as materialized (select souk_now() as time),
   wanted as (select * from unnest($3::text[], $4::integer[]) as line (sku, quantity)),
   locked as materialized (
     select stock.sku, wanted.quantity, stock.on_hand - stock.reserved >= wanted.quantity as enough
     from wanted join stock using (sku) order by stock.sku for update of stock
   ),
   short as materialized (
     select wanted.sku from wanted left join locked using (sku)
     where locked.enough is not true order by wanted.sku limit 1
   ),
   made as (
     insert into reservations (order_id, reservation_id, status, skus, quantities, expires_at, created_at, updated_at)
     select $1, $2, 'held', $3, $4, clock.time + $5 * interval '1 millisecond', clock.time, clock.time
     from clock where not exists (select from short)
     on conflict (order_id) do nothing
     returning expires_at
   ),
   taken as (
     update stock set reserved = least(stock.reserved + locked.quantity, stock.on_hand), version = version + 1,
       updated_at = clock.time
     from locked, clock, made where stock.sku = locked.sku
     returning stock.sku, stock.on_hand - stock.reserved as available, -locked.quantity as delta,
       stock.low_threshold, stock.version
   )
   select null as short_sku, made.expires_at, taken.* from taken, made
   union all select sku, null, null, null, null, null, null from short`,
);

/** What an order wants set aside; merged lines in their order. */
export interface WantedReservation {
  readonly orderId: string;
  readonly reservationId: string;
  readonly lines: readonly StockLine[];
}

/**
 * The orders that are at hand, where there are enough pieces for all of them together; else none, without a row, and each is to be
 * decided by itself. An order that has a reservation, or whose release came first, has no row either. What a SKU went through is
 * told once, beside one of its orders.
 */
export const reserveTogether: BulkStatement<WantedReservation> = {
  name: "inventory-reserve-together",
  text: `with clock as materialized (select souk_now() as time),
   asked as (
     select item.order_id, item.reservation_id, string_to_array(item.skus, ' ') as skus,
       string_to_array(item.quantities, ' ')::integer[] as quantities
     from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as item (order_id, reservation_id, skus, quantities)
   ),
   wanted as (
     select line.sku, sum(line.quantity) as quantity
     from asked cross join unnest(asked.skus, asked.quantities) as line (sku, quantity) group by line.sku
   ),
   locked as materialized (
     select stock.sku, stock.on_hand - stock.reserved >= wanted.quantity as enough
     from wanted join stock using (sku) order by stock.sku for update of stock
   ),
   short as materialized (
     select from wanted left join locked using (sku) where locked.enough is not true limit 1
   ),
   made as (
     insert into reservations (order_id, reservation_id, status, skus, quantities, expires_at, created_at, updated_at)
     select asked.order_id, asked.reservation_id, 'held', asked.skus, asked.quantities,
       clock.time + interval '${reservationLifetimeMs} milliseconds', clock.time, clock.time
     from asked, clock where not exists (select from short)
     on conflict (order_id) do nothing
     returning order_id, skus, quantities, expires_at
   ),
   held as (
     select line.sku, sum(line.quantity)::integer as quantity, min(made.order_id) as order_id
     from made cross join unnest(made.skus, made.quantities) as line (sku, quantity) group by line.sku
   ),
   taken as (
     update stock set reserved = least(stock.reserved + held.quantity, stock.on_hand), version = version + 1,
       updated_at = clock.time
     from held, clock where stock.sku = held.sku
     returning held.order_id, stock.sku, stock.on_hand - stock.reserved as available, -held.quantity as delta,
       stock.low_threshold, stock.version
   )
   select made.order_id as key, made.expires_at, taken.sku, taken.available, taken.delta, taken.low_threshold, taken.version
   from made left join taken using (order_id)`,
  keyOf: ({ orderId }) => orderId,
  columns: [
    ({ orderId }) => orderId,
    ({ reservationId }) => reservationId,
    ({ lines }) => lines.map(({ sku }) => sku).join(" "),
    ({ lines }) => lines.map(({ quantity }) => quantity).join(" "),
  ],
};

/** The planted bug `cached-stock`: decides by what stock says without locking it, and sets nothing aside. */
export const insertUnheldReservation = statement(
  "inventory-insert-unheld-reservation",
  `with wanted as (select * from unnest($3::text[], $4::integer[]) as line (sku, quantity)),
   short as materialized (
     select wanted.sku from wanted left join stock using (sku)
     where stock.on_hand >= wanted.quantity is not true order by wanted.sku limit 1
   ),
   made as (
     insert into reservations (order_id, reservation_id, status, skus, quantities, expires_at, created_at, updated_at)
     select $1, $2, 'expired', $3, $4, souk_now() + $5 * interval '1 millisecond', souk_now(), souk_now()
     where not exists (select from short)
     on conflict (order_id) do nothing
     returning expires_at
   )
   select null as short_sku, made.expires_at, stock.sku, stock.on_hand - stock.reserved as available, 0 as delta,
     stock.low_threshold, stock.version from made, wanted join stock using (sku)
   union all select sku, null, null, null, null, null, null from short`,
);

/**
 * $1 order, $2 reservation. A reservation without lines, ended before it began: sharing the key with real ones is what orders the
 * two where they arrive at the same moment, for one of them waits for the other's commit and then meets its row.
 */
export const insertReleaseAhead = statement(
  "inventory-insert-release-ahead",
  `insert into reservations (order_id, reservation_id, status, skus, quantities, expires_at, created_at, updated_at)
   select $1, $2, 'released', '{}', '{}', time, time, time from souk_now() as clock (time)
   on conflict (order_id) do nothing`,
);

/** $1 orders, with what came back of each. A release that came first is no reservation. */
export const selectReservations = statement(
  "inventory-select-reservations",
  `select order_id, reservation_id, reservations.skus, reservations.quantities, expires_at,
     version as reservation_version, status,
     coalesce(back.skus, '{}') as returned_skus, coalesce(back.quantities, '{}') as returned_quantities
   from reservations
   cross join lateral (
     select array_agg(sku order by sku) as skus, array_agg(quantity order by sku) as quantities
     from (
       select line.sku, sum(line.quantity)::integer as quantity from returns
       cross join unnest(returns.skus, returns.quantities) as line (sku, quantity)
       where returns.order_id = reservations.order_id group by line.sku
     ) as by_sku
   ) as back
   where order_id = any($1) and reservations.skus <> '{}' order by order_id`,
);

/** $1 order, $2 lifetime in ms. Only what is held; an earlier end never comes instead of a later one. */
export const extendReservation = statement(
  "inventory-extend-reservation",
  `with clock as materialized (select souk_now() as time)
   update reservations set expires_at = greatest(expires_at, clock.time + $2 * interval '1 millisecond'), updated_at = clock.time
   from clock where order_id = $1 and status = 'held'
   returning order_id, reservation_id, skus, quantities, expires_at, version as reservation_version`,
);

/** $1 order. What the reservation is now, whether this call released it, and the stock that came back. */
export const releaseReservation = statement(
  "inventory-release-reservation",
  `with clock as materialized (select souk_now() as time),
   found as materialized (select * from reservations where order_id = $1 and skus <> '{}' for update),
   ended as (
     update reservations set status = 'released', version = found.version + 1, updated_at = clock.time
     from found, clock where reservations.order_id = found.order_id and found.status = 'held'
     returning reservations.version
   ),
   locked as materialized (
     select stock.sku, line.quantity
     from found cross join unnest(found.skus, found.quantities) as line (sku, quantity) join stock using (sku)
     where found.status = 'held' order by stock.sku for update of stock
   ),
   returned as (
     update stock set reserved = stock.reserved - locked.quantity, version = version + 1, updated_at = clock.time
     from locked, clock where stock.sku = locked.sku
     returning stock.sku, stock.on_hand - stock.reserved as available, locked.quantity as delta,
       stock.low_threshold, stock.version
   )
   select found.order_id, found.reservation_id, found.skus, found.quantities, found.expires_at,
     found.status as status_before, coalesce(ended.version, found.version) as reservation_version, returned.*
   from found left join ended on true left join returned on true`,
);

/**
 * $1 orders, $2 their reservations. Turns reservations into sales, all together: the confirmed orders that a consumer has
 * at hand are one statement and one ascending walk over the stock rows, however many they are. Held pieces are simply
 * sold; those of a reservation that had ended are taken again from what is available, all of an order's lines or none.
 * Orders are served in order of id; the sum runs over refused ones too, so only a shortage of the first is certain.
 * First the orders as they were, then the stock whose available pieces changed.
 */
export const commitReservations = statement(
  "inventory-commit-reservations",
  `with clock as materialized (select souk_now() as time),
   found as materialized (
     select reservations.* from unnest($1::text[], $2::text[]) as confirmed (order_id, reservation_id)
     join reservations using (order_id, reservation_id) order by reservations.order_id for update of reservations
   ),
   line as materialized (
     select found.order_id, found.status = 'held' as held, line.sku, line.quantity
     from found cross join unnest(found.skus, found.quantities) as line (sku, quantity)
     where found.status <> 'committed'
   ),
   locked as materialized (
     select sku, on_hand - reserved as available from stock where sku in (select sku from line)
     order by sku for update
   ),
   judged as materialized (
     select line.*, held or available >= sum(quantity) filter (where not held) over orders_before as enough
     from line join locked using (sku) window orders_before as (partition by sku order by order_id)
   ),
   short as materialized (
     select order_id, array_agg(sku order by sku) as skus from judged where not enough group by order_id
   ),
   sale as materialized (
     select * from judged where not exists (select from short where short.order_id = judged.order_id)
   ),
   total as (
     select sku, sum(quantity)::integer as quantity,
       coalesce(sum(quantity) filter (where held), 0)::integer as held from sale group by sku
   ),
   sold as (
     update stock set on_hand = greatest(stock.on_hand - total.quantity, stock.reserved - total.held),
       reserved = stock.reserved - total.held,
       version = version + 1, updated_at = clock.time
     from total, clock where stock.sku = total.sku
     returning stock.sku, stock.on_hand - stock.reserved as available, total.held - total.quantity as delta,
       stock.low_threshold, stock.version
   ),
   ended as (
     update reservations set status = 'committed', version = found.version + 1, updated_at = clock.time
     from found, clock where reservations.order_id = found.order_id and found.status <> 'committed'
       and not exists (select from short where short.order_id = found.order_id)
   ),
   moved as (
     insert into movements (sku, quantity, reason, order_id, occurred_at)
     select sku, -quantity, 'sold', order_id, clock.time from sale, clock
   )
   select found.order_id, reservation_id, found.skus, quantities, expires_at, status as status_before,
     version + case when status = 'committed' or short.order_id is not null then 0 else 1 end as reservation_version,
     coalesce(short.skus, '{}') as short_skus,
     null as sku, null as available, null as delta, null as low_threshold, null as version
   from found left join short using (order_id)
   union all
   select null, null, null, null, null, null, null, null, sku, available, delta, low_threshold, version
   from sold where delta <> 0`,
);

/** $1 reservations at most. Rows another replica is just expiring are skipped, not waited for. */
export const expireReservations = statement(
  "inventory-expire-reservations",
  `with clock as materialized (select souk_now() as time),
   due as materialized (
     select reservations.* from reservations, clock where status = 'held' and expires_at <= clock.time
     order by expires_at limit $1 for update of reservations skip locked
   ),
   ended as (
     update reservations set status = 'expired', version = due.version + 1, updated_at = clock.time
     from due, clock where reservations.order_id = due.order_id
   ),
   line as (
     select line.sku, sum(line.quantity)::integer as quantity
     from due cross join unnest(due.skus, due.quantities) as line (sku, quantity) group by line.sku
   ),
   locked as materialized (
     select stock.sku, line.quantity from line join stock using (sku) order by stock.sku for update of stock
   ),
   returned as (
     update stock set reserved = stock.reserved - locked.quantity, version = version + 1, updated_at = clock.time
     from locked, clock where stock.sku = locked.sku
     returning stock.sku, stock.on_hand - stock.reserved as available, locked.quantity as delta,
       stock.low_threshold, stock.version
   )
   select order_id, reservation_id, skus, quantities, expires_at, version + 1 as reservation_version,
     null as sku, null as available, null as delta, null as low_threshold, null as version from due
   union all
   select null, null, null, null, null, null, sku, available, delta, low_threshold, version from returned`,
);
