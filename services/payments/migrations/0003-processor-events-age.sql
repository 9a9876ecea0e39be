-- Finds the webhooks that are old enough to be forgotten.
create index processor_events_received_at on processor_events (received_at);
