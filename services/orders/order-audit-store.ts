import { type Queryable, statement } from "#kit/postgres/postgres.ts";
import { fromEventPayload } from "./messages.ts";
import { fold, type Order } from "./order.ts";

/** An order as its events tell it, beside what is kept of it elsewhere. */
export interface OrderAudit {
  readonly orderId: string;
  /** The fold of the events; undefined where there are none, or none that can be read. */
  readonly order: Order | undefined;
  /** Undefined where there is none. */
  readonly view:
    | { readonly status: string; readonly version: bigint; readonly document: Uint8Array }
    | undefined;
  /** Whether it has not changed for the grace of the run. */
  readonly atRest: boolean;
}

/** $1 the last order of the page before, $2 rows. An order that lost its view, or its events, is still one. */
const selectOrderIds = statement(
  "orders-select-ids",
  `(select order_id as "orderId" from order_events where order_id > $1 and version = 1 order by order_id limit $2)
   union
   (select order_id from order_views where order_id > $1 order by order_id limit $2)
   order by 1 limit $2`,
);

/** An order's payloads come in one piece, each behind its length: reading an array of them costs several times as much. */
const selectAudits = statement(
  "orders-select-audits",
  `select wanted.order_id, v.status, v.version, v.document, e.types, e.payloads,
          coalesce(greatest(v.updated_at, e.changed_at) <= souk_now() - $2 * interval '1 millisecond', true) as at_rest
     from unnest($1::text[]) as wanted (order_id)
     left join order_views v on v.order_id = wanted.order_id
     cross join lateral (
       select string_agg(type, ' ' order by version) as types,
              string_agg(int4send(octet_length(payload)) || payload, '' order by version) as payloads,
              max(occurred_at) as changed_at
         from order_events o where o.order_id = wanted.order_id) as e`,
);

/** Ids of orders behind `after`, in order. */
export async function readOrderIds(source: Queryable, after: string, limit: number): Promise<string[]> {
  const rows = await source.query<{ orderId: string }>(selectOrderIds, [after, limit]);
  return rows.map(({ orderId }) => orderId);
}

interface AuditRow {
  readonly order_id: string;
  readonly status: string | null;
  readonly version: bigint | null;
  readonly document: Buffer | null;
  readonly types: string | null;
  readonly payloads: Buffer | null;
  readonly at_rest: boolean;
}

/** Reads some orders with their events, in one snapshot. */
export async function readOrderAudits(
  source: Queryable,
  orderIds: readonly string[],
  graceMs: number,
): Promise<OrderAudit[]> {
  const rows = await source.query<AuditRow>(selectAudits, [orderIds, graceMs]);
  return rows.map((row) => ({
    orderId: row.order_id,
    order: foldRow(row),
    view:
      row.status === null || row.version === null || row.document === null
        ? undefined
        : { status: row.status, version: row.version, document: row.document },
    atRest: row.at_rest,
  }));
}

/** Events that cannot be read are what a comparison is there to find, not to fail at. */
function foldRow({ types, payloads }: AuditRow): Order | undefined {
  if (types === null || payloads === null) return undefined;
  try {
    return fold(splitPayloads(types.split(" "), payloads));
  } catch {
    return undefined;
  }
}

function splitPayloads(types: readonly string[], payloads: Buffer) {
  let at = 0;
  return types.map((type) => {
    const from = at + lengthBytes;
    at = from + payloads.readUInt32BE(at);
    return fromEventPayload(type, payloads.subarray(from, at));
  });
}

const lengthBytes = 4;
