-- The rows of one confirmed order, over all five services: the fewest transactions that keep none open across a call.
-- Sizes are those of a real order. Ids rise, as the shop's do: `turn` counts each client's orders.
\set turn :turn + 1
\set id :turn * 1000 + :client_id
\set sku random(1, 100)
-- orders: PlaceOrder
begin;
insert into order_keys (customer_id, key, order_id)
  values ('customer_' || :client_id::text, :id::text, 'order_' || :id::text);
insert into order_events (order_id, version, type, payload, occurred_at)
  values ('order_' || :id::text, 1, 'OrderPlaced', convert_to(repeat('p', 330), 'UTF8'), souk_now());
insert into order_views (order_id, customer_id, status, version, document, placed_at, updated_at)
  values ('order_' || :id::text, 'customer_' || :client_id::text, 'pending', 1, convert_to(repeat('d', 350), 'UTF8'),
    souk_now(), souk_now());
insert into kit.sagas (saga_id, definition, definition_version, subject_id, correlation_id, status, input,
  step_started_at, next_wakeup_at, lease_owner, lease_expires_at, created_at, updated_at)
  values ('saga_' || :id::text, 'checkout', 1, 'order_' || :id::text, :id::text, 'running',
    jsonb_build_object('order', repeat('i', 500)), souk_now(), souk_now() + interval '10s', 'floor', souk_now() +
    interval '10s', souk_now(), souk_now());
insert into kit.outbox (event_id, subject, headers, payload)
  values (uuidv7(), 'souk.orders.v1.OrderPlaced', jsonb_build_object('headers', repeat('h', 470)),
    convert_to(repeat('p', 330), 'UTF8'));
insert into kit.idempotency (principal, method, key, fingerprint, outcome, response)
  values ('customer_' || :client_id::text, 'souk.orders.v1.OrdersService/PlaceOrder', :id::text,
    '\x0123456789abcdef0123456789abcdef', 'answered', convert_to(repeat('r', 300), 'UTF8'));
end;
-- inventory: ReserveStock
begin;
update stock set reserved = reserved + 1, version = version + 1, updated_at = souk_now()
  where sku = 'sku_' || :sku::text;
insert into reservations (order_id, reservation_id, status, skus, quantities, expires_at, created_at, updated_at)
  values ('order_' || :id::text, 'resv_' || :id::text, 'held', array['sku_' || :sku::text], array[1], souk_now() +
    interval '15min', souk_now(), souk_now());
insert into kit.outbox (event_id, subject, headers, payload)
  values (uuidv7(), 'souk.inventory.v1.StockReserved', jsonb_build_object('headers', repeat('h', 470)),
    convert_to(repeat('p', 110), 'UTF8'));
insert into kit.idempotency (principal, method, key, fingerprint, outcome, response)
  values ('svc_orders', 'souk.inventory.v1.InventoryService/ReserveStock', 'saga_' || :id::text || '-reserve',
    '\x0123456789abcdef0123456789abcdef', 'answered', convert_to(repeat('r', 130), 'UTF8'));
end;
-- orders: reserved
update kit.sagas set step = 1, results = results || jsonb_build_object('reserve', repeat('r', 60)), step_started_at =
  souk_now(), next_wakeup_at = souk_now() + interval '10s', lease_expires_at = souk_now() + interval '10s', version =
  version + 1, updated_at = souk_now()
  where saga_id = 'saga_' || :id::text and fencing_token = 1 and version = 1;
-- payments: AuthorizePayment, the intent and its outcome
insert into payments (payment_id, order_id, authorize_key, customer_id, amount_minor, currency_code, status,
  payment_method, created_at, updated_at)
  values ('pay_' || :id::text, 'order_' || :id::text, 'saga_' || :id::text || '-authorize', 'customer_' ||
    :client_id::text, 4200, 'EUR', 'PENDING', 'pm_card_visa', souk_now(), souk_now());
begin;
update payments set status = 'AUTHORIZED', processor_reference = 'pi_' || :id::text, payment_method = null, version =
  version + 1, updated_at = souk_now()
  where payment_id = 'pay_' || :id::text and status = 'PENDING';
insert into kit.outbox (event_id, subject, headers, payload)
  values (uuidv7(), 'souk.payments.v1.PaymentAuthorized', jsonb_build_object('headers', repeat('h', 470)),
    convert_to(repeat('p', 120), 'UTF8'));
insert into kit.idempotency (principal, method, key, fingerprint, outcome, response)
  values ('svc_orders', 'souk.payments.v1.PaymentsService/AuthorizePayment', 'saga_' || :id::text || '-authorize',
    '\x0123456789abcdef0123456789abcdef', 'answered', convert_to(repeat('r', 130), 'UTF8'));
end;
-- orders: authorized
update kit.sagas set step = 2, results = results || jsonb_build_object('authorize', repeat('r', 60)), step_started_at
  = souk_now(), next_wakeup_at = souk_now() + interval '10s', lease_expires_at = souk_now() + interval '10s', version
  = version + 1, updated_at = souk_now()
  where saga_id = 'saga_' || :id::text and fencing_token = 1 and version = 2;
-- shipping: BookShipment, the intent and its outcome
insert into shipments (shipment_id, order_id, book_key, customer_id, service_level, pieces, destination, status,
  created_at, updated_at)
  values ('ship_' || :id::text, 'order_' || :id::text, 'saga_' || :id::text || '-book', 'customer_' ||
    :client_id::text, 'STANDARD', 1, jsonb_build_object('address', repeat('a', 150)), 'PENDING', souk_now(),
    souk_now());
begin;
update shipments set status = 'BOOKED', carrier_reference = 'car_' || :id::text, tracking_number = :id::text,
  destination = null, version = version + 1, updated_at = souk_now()
  where shipment_id = 'ship_' || :id::text and status = 'PENDING';
insert into kit.outbox (event_id, subject, headers, payload)
  values (uuidv7(), 'souk.shipping.v1.ShipmentBooked', jsonb_build_object('headers', repeat('h', 470)),
    convert_to(repeat('p', 120), 'UTF8'));
insert into kit.idempotency (principal, method, key, fingerprint, outcome, response)
  values ('svc_orders', 'souk.shipping.v1.ShippingService/BookShipment', 'saga_' || :id::text || '-book',
    '\x0123456789abcdef0123456789abcdef', 'answered', convert_to(repeat('r', 130), 'UTF8'));
end;
-- orders: booked
update kit.sagas set step = 3, results = results || jsonb_build_object('book', repeat('r', 60)), step_started_at =
  souk_now(), next_wakeup_at = souk_now() + interval '10s', lease_expires_at = souk_now() + interval '10s', version =
  version + 1, updated_at = souk_now()
  where saga_id = 'saga_' || :id::text and fencing_token = 1 and version = 3;
-- payments: CapturePayment
begin;
update payments set status = 'CAPTURED', version = version + 1, updated_at = souk_now()
  where payment_id = 'pay_' || :id::text and status = 'AUTHORIZED';
insert into ledger_transfers (payment_id, booking_id, kind, debit_account, credit_account, amount_minor,
  currency_code, booked_at)
  values ('pay_' || :id::text, 'capture', 'capture', 'CUSTOMER', 'REVENUE', 4200, 'EUR', souk_now());
insert into ledger_transfers (payment_id, booking_id, kind, debit_account, credit_account, amount_minor,
  currency_code, booked_at)
  values ('pay_' || :id::text, 'capture', 'capture', 'PROCESSOR', 'CUSTOMER', 4200, 'EUR', souk_now());
insert into kit.outbox (event_id, subject, headers, payload)
  values (uuidv7(), 'souk.payments.v1.PaymentCaptured', jsonb_build_object('headers', repeat('h', 470)),
    convert_to(repeat('p', 120), 'UTF8'));
insert into kit.idempotency (principal, method, key, fingerprint, outcome, response)
  values ('svc_orders', 'souk.payments.v1.PaymentsService/CapturePayment', 'saga_' || :id::text || '-capture',
    '\x0123456789abcdef0123456789abcdef', 'answered', convert_to(repeat('r', 130), 'UTF8'));
end;
-- orders: captured, and with it confirmed
begin;
update kit.sagas set status = 'completed', step = 4, results = results || jsonb_build_object('capture', repeat('r',
  60)), lease_owner = null, lease_expires_at = null, version = version + 1, updated_at = souk_now()
  where saga_id = 'saga_' || :id::text and fencing_token = 1 and version = 4;
insert into order_events (order_id, version, type, payload, occurred_at)
  values ('order_' || :id::text, 2, 'OrderConfirmed', convert_to(repeat('p', 120), 'UTF8'), souk_now());
update order_views set status = 'confirmed', version = 2, document = convert_to(repeat('d', 450), 'UTF8'), updated_at
  = souk_now()
  where order_id = 'order_' || :id::text and version = 1;
insert into kit.outbox (event_id, subject, headers, payload)
  values (uuidv7(), 'souk.orders.v1.OrderConfirmed', jsonb_build_object('headers', repeat('h', 470)),
    convert_to(repeat('p', 120), 'UTF8'));
end;
-- inventory: on OrderConfirmed
begin;
insert into kit.inbox (consumer, event_id)
  values ('inventory-order-confirmed', uuidv7());
update reservations set status = 'committed', version = version + 1, updated_at = souk_now()
  where order_id = 'order_' || :id::text and status = 'held';
update stock set on_hand = on_hand - 1, reserved = reserved - 1, version = version + 1, updated_at = souk_now()
  where sku = 'sku_' || :sku::text;
insert into movements (sku, quantity, reason, order_id, occurred_at)
  values ('sku_' || :sku::text, -1, 'sold', 'order_' || :id::text, souk_now());
insert into kit.outbox (event_id, subject, headers, payload)
  values (uuidv7(), 'souk.inventory.v1.StockCommitted', jsonb_build_object('headers', repeat('h', 470)),
    convert_to(repeat('p', 110), 'UTF8'));
end;
