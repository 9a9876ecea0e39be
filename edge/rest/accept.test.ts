import { expect, test } from "vitest";
import { preferredType } from "./accept.ts";

const offers = ["application/x-ndjson", "text/event-stream", "application/json"];

test.each([
  [undefined, "application/x-ndjson"],
  ["", "application/x-ndjson"],
  ["*/*", "application/x-ndjson"],
  ["text/html", "application/x-ndjson"],
  ["text/event-stream", "text/event-stream"],
  ["Text/Event-Stream; charset=utf-8", "text/event-stream"],
  ["text/*", "text/event-stream"],
  ["application/*", "application/x-ndjson"],
  ["application/json", "application/json"],
  ["application/json, text/plain, */*", "application/json"],
  ["*/*, application/json", "application/json"],
  ["application/json, text/event-stream", "application/json"],
  ["text/event-stream, application/json", "text/event-stream"],
  ["application/json;q=0.5, text/event-stream;q=0.9", "text/event-stream"],
  ["application/json;q=0, */*;q=0.1", "application/x-ndjson"],
  ["text/event-stream;q=0", "application/x-ndjson"],
  ["text/event-stream;q=0, application/json;q=0.0, */*", "application/x-ndjson"],
  ["*/*;q=0.9, application/x-ndjson;q=0", "text/event-stream"],
  ["application/json;q=nonsense, text/event-stream;q=0.1", "text/event-stream"],
])("Accept '%s' prefers %s", (accept, type) => {
  expect(preferredType(accept, offers)).toBe(type);
});
