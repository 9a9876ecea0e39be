-- One row per authorization a saga asked for. The unique key is the natural one: it still stops a second charge when the
-- remembered answer has been forgotten.
-- A row without an amount is a void that came before its authorization. Sharing the unique key with real payments is what
-- orders the two when they arrive at the same moment: one of them waits for the other's commit and then meets its row.
create table payments (
  payment_id text primary key,
  order_id text not null,
  authorize_key text not null,
  customer_id text,
  amount_minor bigint,
  currency_code text,
  status text not null
    check (status in ('PENDING', 'AUTHORIZED', 'CAPTURED', 'DECLINED', 'VOIDED', 'REFUNDED')),
  -- Kept only while the outcome is unknown: asking again needs it.
  payment_method text check (payment_method is null or status = 'PENDING'),
  processor_reference text,
  decline_reason text not null default '',
  refunded_minor bigint not null default 0 check (refunded_minor >= 0),
  -- What refunds under way hold, so that refunds asked for at once never exceed the capture together.
  refunding_minor bigint not null default 0 check (refunding_minor >= 0),
  version bigint not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint payments_authorize_key unique (authorize_key),
  constraint payments_refunds_within_capture check (refunded_minor + refunding_minor <= amount_minor),
  constraint payments_asked_for_or_voided check (
    num_nonnulls(customer_id, amount_minor, currency_code) = 3
    or (num_nonnulls(customer_id, amount_minor, currency_code) = 0 and status = 'VOIDED')
  )
) with (fillfactor = 70);

create table refunds (
  refund_id text primary key,
  payment_id text not null references payments,
  requested_by text not null,
  request_key text not null,
  amount_minor bigint not null check (amount_minor > 0),
  note text not null,
  status text not null check (status in ('PENDING', 'SUCCEEDED', 'REFUSED')),
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint refunds_request unique (requested_by, request_key)
);
create index refunds_pending on refunds (updated_at) where status = 'PENDING';

-- Double entry, one row per transfer: what one account gains another loses by the row's shape, so no booking can be lopsided.
create table ledger_transfers (
  payment_id text not null references payments,
  booking_id text not null,
  kind text not null check (kind in ('capture', 'refund')),
  debit_account text not null check (debit_account in ('CUSTOMER', 'PROCESSOR', 'REVENUE')),
  credit_account text not null check (credit_account in ('CUSTOMER', 'PROCESSOR', 'REVENUE')),
  amount_minor bigint not null check (amount_minor > 0),
  currency_code text not null,
  booked_at timestamptz not null,
  primary key (payment_id, booking_id, debit_account),
  check (debit_account <> credit_account)
);

create function refuse_ledger_change() returns trigger language plpgsql
as $$ begin raise exception 'the ledger is append-only: book the reverse instead'; end $$;
create trigger ledger_is_append_only before update or delete or truncate on ledger_transfers
for each statement execute function refuse_ledger_change();

-- The two sides of each transfer; their amounts add up to zero.
create view ledger_entries as
select payment_id, booking_id, kind, debit_account as account, amount_minor, currency_code, booked_at
from ledger_transfers
union all
select payment_id, booking_id, kind, credit_account, -amount_minor, currency_code, booked_at
from ledger_transfers;

-- Webhooks that changed something, so that a replay changes nothing again.
create table processor_events (
  event_id text primary key,
  authorize_key text not null,
  kind text not null,
  received_at timestamptz not null
);
