import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { Secret } from "#kit/config/config.ts";
import { deadlineIn } from "#kit/time/time.ts";
import type { Carrier } from "../carrier.ts";
import { createParcelCarrier } from "../parcel-carrier.ts";

const servers: Server[] = [];
const carriers: Carrier[] = [];

afterEach(() => {
  for (const carrier of carriers.splice(0)) carrier.close();
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

/** A carrier that answers everything in one way; it never answers without a status. */
async function aCarrier(status: number | undefined, body = "{}"): Promise<Carrier> {
  const server = createServer((request, response) => {
    request.resume();
    if (status !== undefined) request.on("end", () => response.writeHead(status).end(body));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const carrier = createParcelCarrier({
    url: `http://127.0.0.1:${port}`,
    key: new Secret("key"),
    timeoutMs: 5_000,
  });
  carriers.push(carrier);
  return carrier;
}

const refusal = (code: string) => JSON.stringify({ error: { code, message: "no" } });

const book = (carrier: Carrier, timeoutMs = 5_000) =>
  carrier.book(
    {
      key: "saga_1:book",
      orderId: "order_1",
      destination: { name: "Ada", line1: "A 1", line2: "", city: "B", postalCode: "1", countryCode: "DE" },
      serviceLevel: "STANDARD",
      parcelGrams: [500],
    },
    deadlineIn(timeoutMs),
  );

describe("an unknown outcome is a retryable error", () => {
  test.each([
    ["the carrier has a fault of its own", 500, "{}"],
    ["there are too many requests", 429, refusal("too_many_requests")],
    ["the API key is refused", 401, refusal("unauthorized")],
    ["the answer is no JSON", 201, "<html>"],
    ["the answer is no shipment", 201, "{}"],
    ["the refusal is one nobody knows", 418, refusal("teapot")],
  ])("when %s", async (_what, status, body) => {
    await expect(book(await aCarrier(status, body))).rejects.toMatchObject({
      reason: "DEPENDENCY_UNAVAILABLE",
    });
  });

  test("when no answer comes in the call's time", async () => {
    await expect(book(await aCarrier(undefined), 50)).rejects.toMatchObject({
      reason: "DEPENDENCY_UNAVAILABLE",
    });
  });

  test("when a cancellation or a history is answered with nonsense", async () => {
    const carrier = await aCarrier(404, refusal("not_found"));
    const unknown = expect.objectContaining({ reason: "DEPENDENCY_UNAVAILABLE" });
    await expect(carrier.cancel({ key: "k", reference: "shp_1" }, deadlineIn(5_000))).rejects.toEqual(
      unknown,
    );
    await expect(carrier.track("SK1", deadlineIn(5_000))).rejects.toEqual(unknown);
  });
});

test.each([
  ["address_refused", 422],
  ["invalid_field", 400],
])("an address the carrier answers %s to is refused", async (code, status) => {
  expect(await book(await aCarrier(status, refusal(code)))).toEqual({ standing: "refused" });
});

test("a key of another booking is told apart from a refused address", async () => {
  await expect(book(await aCarrier(422, refusal("idempotency_key_reused")))).rejects.toMatchObject({
    reason: "IDEMPOTENCY_KEY_REUSED",
  });
});
