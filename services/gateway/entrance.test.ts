import { describe, expect, test } from "vitest";
import type { EdgeRequest } from "#edge/edge.ts";
import { createAddressSet } from "./addresses.ts";
import { createEntrance, type EntranceOptions, factsOf } from "./entrance.ts";

interface Asked {
  readonly headers?: Readonly<Record<string, string>>;
  readonly authority?: string;
  readonly peer?: string;
}

/** Lets a request in, and tells what was set on it; throws what it is refused with. */
function letIn({ headers = {}, authority = "shop.example", peer = "192.0.2.7" }: Asked, over: object = {}) {
  const noted: { metadata: Record<string, string>; headers: Record<string, string> } = {
    metadata: {},
    headers: {},
  };
  const request = {
    protocol: "rest",
    httpMethod: "GET",
    target: "/v1/orders",
    authority,
    remoteAddress: peer,
    context: undefined as unknown,
    header: (name: string) => headers[name],
    setMetadata: (name: string, value: string) => {
      noted.metadata[name] = value;
    },
    setHeader: (name: string, value: string) => {
      noted.headers[name] = value;
    },
  } as EdgeRequest;
  createEntrance({ ...open, ...over })(request);
  return { ...noted, facts: factsOf(request) };
}

const none = createAddressSet([]);
const open: EntranceOptions = {
  allowedHosts: [],
  websocketOrigins: [],
  trustedProxies: none,
  allowedAddresses: none,
  deniedAddresses: none,
  hstsSeconds: 0,
};

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

describe("the correlation id of a request", () => {
  const named = (given?: string) => {
    const { metadata, headers, facts } = letIn({
      headers: given === undefined ? {} : { "x-correlation-id": given },
    });
    expect(metadata["x-correlation-id"]).toBe(facts.correlationId);
    expect(headers["x-correlation-id"]).toBe(facts.correlationId);
    return facts.correlationId;
  };

  test.each(["checkout-42", "a", "A.b_c:d-9", "x".repeat(128)])(
    "%o is kept, in the answer and inside",
    (given) => {
      expect(named(given)).toBe(given);
    },
  );

  test.each(["", "x".repeat(129), "two words", "a\r\nset-cookie: b", "ünï", '"}{', "a,b"])(
    "%o is replaced by one of ours",
    (given) => {
      expect(named(given)).toMatch(uuid);
    },
  );

  test("is made where the caller sent none, another for each request", () => {
    expect(named()).toMatch(uuid);
    expect(named()).not.toBe(named());
  });
});

describe("the trace of a request", () => {
  const given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

  test("is the caller's where that is one, which goes on by itself", () => {
    const { facts, metadata } = letIn({ headers: { traceparent: given } });
    expect(facts.traceparent).toBe(given);
    expect(metadata).not.toHaveProperty("traceparent");
  });

  test("begins here where the caller sent none, or none that can be read", () => {
    for (const headers of [{}, { traceparent: "00-zz" }] as Record<string, string>[]) {
      const { facts, metadata } = letIn({ headers });
      expect(facts.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
      expect(metadata.traceparent).toBe(facts.traceparent);
    }
  });
});

test("every answer is told to browsers as data, and to come by TLS where that is configured", () => {
  expect(letIn({}).headers).toMatchObject({
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
  });
  expect(letIn({}).headers).not.toHaveProperty("strict-transport-security");
  expect(letIn({}, { hstsSeconds: 60 }).headers["strict-transport-security"]).toBe("max-age=60");
});

describe("a request's address", () => {
  const trustedProxies = createAddressSet(["10.0.0.0/8"]);
  const forwarded = { "x-forwarded-for": "203.0.113.9, 10.0.0.2" };

  test("is the peer's, whatever it says, unless it is a proxy of ours", () => {
    const { facts, metadata } = letIn({ headers: forwarded }, { trustedProxies });
    expect(facts.address).toBe("192.0.2.7");
    expect(metadata).not.toHaveProperty("x-forwarded-for");
  });

  test("is the one a proxy of ours tells, and services are told it too", () => {
    const { facts, metadata } = letIn({ headers: forwarded, peer: "10.0.0.1" }, { trustedProxies });
    expect(facts.address).toBe("203.0.113.9");
    expect(metadata["x-forwarded-for"]).toBe("203.0.113.9");
  });

  test("decides who is let in: those allowed, without those denied", () => {
    const lists = {
      allowedAddresses: createAddressSet(["192.0.2.0/24", "2001:db8::/32"]),
      deniedAddresses: createAddressSet(["192.0.2.9"]),
    };
    for (const peer of ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1"]) letIn({ peer }, lists);
    for (const peer of ["192.0.2.9", "::ffff:192.0.2.9", "203.0.113.1", "2001:db9::1"])
      expect(() => letIn({ peer }, lists)).toThrow(
        expect.objectContaining({ code: 7, reason: "ADDRESS_REFUSED" }),
      );
  });

  test("behind a proxy decides like one before it", () => {
    const deniedAddresses = createAddressSet(["203.0.113.0/24"]);
    const asked = { headers: forwarded, peer: "10.0.0.1" };
    expect(() => letIn(asked, { trustedProxies, deniedAddresses })).toThrow(
      expect.objectContaining({ reason: "ADDRESS_REFUSED" }),
    );
  });
});

test("a request for a host that is not served is refused", () => {
  const allowedHosts = ["shop.example"];
  letIn({ authority: "SHOP.example:8443" }, { allowedHosts });
  expect(() => letIn({ authority: "evil.example" }, { allowedHosts })).toThrow(
    expect.objectContaining({ code: 3, reason: "HOST_NOT_SERVED" }),
  );
});

describe("a WebSocket", () => {
  const ask = (origin: string | undefined, how: Record<string, string> = { upgrade: "WebSocket" }) =>
    letIn({ headers: { ...how, ...(origin && { origin }) } }, { websocketOrigins: ["https://shop.page"] });

  test("is opened for pages allowed, for our own, and for whoever is no page", () => {
    for (const origin of ["https://shop.page", "https://shop.example", undefined]) ask(origin);
  });

  test("is refused to any other page, also over HTTP/2", () => {
    for (const origin of ["https://evil.example", "http://shop.page", "null", "https://shop.example:81"])
      for (const how of [{ upgrade: "websocket" }, { ":protocol": "websocket" }] as Record<string, string>[])
        expect(() => ask(origin, how)).toThrow(
          expect.objectContaining({ code: 7, reason: "ORIGIN_REFUSED" }),
        );
  });

  test("is all that origins decide: other requests of other pages are CORS' to judge", () => {
    ask("https://evil.example", {});
  });
});
