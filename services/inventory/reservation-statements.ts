import { statement } from "#kit/postgres/postgres.ts";

// In all of these, `for update` in SKU order comes before the update: an update by itself locks in whatever order the plan
// has, and two orders over the same SKUs would wait for each other. After a wait it also sees the newest row, so the
// decision and the change are about the same pieces.

/** $1 order, $2 reservation, $3 SKUs in order, $4 quantities, $5 lifetime in ms. All lines or, naming the SKU, none. */
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
   taken as (
     update stock set reserved = stock.reserved + locked.quantity, version = version + 1, updated_at = clock.time
     from locked, clock where stock.sku = locked.sku and not exists (select from short)
     returning stock.sku, stock.on_hand - stock.reserved as available, -locked.quantity as delta,
       stock.low_threshold, stock.version
   ),
   made as (
     insert into reservations (order_id, reservation_id, status, skus, quantities, expires_at, created_at, updated_at)
     select $1, $2, 'held', $3, $4, clock.time + $5 * interval '1 millisecond', clock.time, clock.time
     from clock where not exists (select from short)
     returning expires_at
   )
   select null as short_sku, made.expires_at, taken.* from taken, made
   union all select sku, null, null, null, null, null, null from short`,
);

/** $1 order. What the reservation is now, whether this call released it, and the stock that came back. */
export const releaseReservation = statement(
  "inventory-release-reservation",
  `with clock as materialized (select souk_now() as time),
   found as materialized (select * from reservations where order_id = $1 for update),
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
 * $1 orders, $2 their reservations. Turns the held ones into sales, all together: the orders that a consumer has at hand
 * are one statement and one ascending walk over the stock rows, however many they are. Others come back unchanged.
 */
export const commitHeldReservations = statement(
  "inventory-commit-held-reservations",
  `with clock as materialized (select souk_now() as time),
   found as materialized (
     select reservations.* from unnest($1::text[], $2::text[]) as confirmed (order_id, reservation_id)
     join reservations using (order_id, reservation_id) order by reservations.order_id for update of reservations
   ),
   line as materialized (
     select found.order_id, line.sku, line.quantity
     from found cross join unnest(found.skus, found.quantities) as line (sku, quantity) where found.status = 'held'
   ),
   total as (select sku, sum(quantity)::integer as quantity from line group by sku),
   locked as materialized (
     select stock.sku, total.quantity from total join stock using (sku) order by stock.sku for update of stock
   ),
   ended as (
     update reservations set status = 'committed', version = found.version + 1, updated_at = clock.time
     from found, clock where reservations.order_id = found.order_id and found.status = 'held'
   ),
   sold as (
     update stock set on_hand = stock.on_hand - locked.quantity, reserved = stock.reserved - locked.quantity,
       version = version + 1, updated_at = clock.time
     from locked, clock where stock.sku = locked.sku
   ),
   moved as (
     insert into movements (sku, quantity, reason, order_id, occurred_at)
     select line.sku, -line.quantity, 'sold', line.order_id, clock.time from line, clock
   )
   select order_id, reservation_id, skus, quantities, expires_at, status as status_before,
     version + case when status = 'held' then 1 else 0 end as reservation_version
   from found`,
);

/**
 * $1 order. Takes the pieces of a reservation that ended before its order was confirmed from what is available. Where that
 * is not enough, nothing changes and `short_skus` names what is missing.
 */
export const retakeReservation = statement(
  "inventory-retake-reservation",
  `with clock as materialized (select souk_now() as time),
   found as materialized (
     select * from reservations where order_id = $1 and status in ('expired', 'released') for update
   ),
   locked as materialized (
     select stock.sku, line.quantity, stock.on_hand - stock.reserved >= line.quantity as enough
     from found cross join unnest(found.skus, found.quantities) as line (sku, quantity) join stock using (sku)
     order by stock.sku for update of stock
   ),
   short as materialized (select coalesce(array_agg(sku order by sku), '{}') as skus from locked where not enough),
   ended as (
     update reservations set status = 'committed', version = found.version + 1, updated_at = clock.time
     from found, clock, short where reservations.order_id = found.order_id and short.skus = '{}'
     returning reservations.version
   ),
   sold as (
     update stock set on_hand = stock.on_hand - locked.quantity, version = version + 1, updated_at = clock.time
     from locked, clock, short where stock.sku = locked.sku and short.skus = '{}'
     returning stock.sku, stock.on_hand - stock.reserved as available, -locked.quantity as delta,
       stock.low_threshold, stock.version
   ),
   moved as (
     insert into movements (sku, quantity, reason, order_id, occurred_at)
     select locked.sku, -locked.quantity, 'sold', $1, clock.time from locked, clock, short where short.skus = '{}'
   )
   select found.order_id, found.reservation_id, found.skus, found.quantities, found.expires_at,
     found.status as status_before, coalesce(ended.version, found.version) as reservation_version,
     short.skus as short_skus, sold.*
   from found cross join short left join ended on true left join sold on true`,
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
