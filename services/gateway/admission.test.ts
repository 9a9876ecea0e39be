import type { DescMethod } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import type { EdgeCall, EdgeRequest } from "#edge/edge.ts";
import { CatalogService } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import type { Principal } from "#kit/auth/auth.ts";
import { serviceError } from "#kit/errors/errors.ts";
import { admit } from "./admission.ts";
import type { RateRule, Standing } from "./rate-limit.ts";

const { placeOrder, getOrder, watchOrder } = OrdersService.method;
const { listProducts, searchProducts } = CatalogService.method;
const { receiveProcessorWebhook } = PaymentsService.method;

interface Noted {
  readonly metadata: Record<string, string>;
  readonly headers: Record<string, string>;
}

/** A request as the edge hands it over, which writes down what is set on it. */
function aRequest(
  sent: Readonly<Record<string, string>> = {},
  method: DescMethod = placeOrder,
  { target = "/v1/orders", address = "192.0.2.7" } = {},
) {
  const noted: Noted = { metadata: {}, headers: {} };
  const request = {
    protocol: "rest",
    httpMethod: "POST",
    target,
    remoteAddress: "198.51.100.1",
    method,
    context: { correlationId: "c", traceparent: "", span: undefined, address, subject: undefined },
    header: (name: string) => sent[name],
    setMetadata: (name: string, value: string) => {
      noted.metadata[name] = value;
    },
    setHeader: (name: string, value: string) => {
      noted.headers[name] = value;
    },
  };
  return { request: request as EdgeRequest & EdgeCall, noted };
}

const aPrincipal = (...scopes: string[]): Principal => ({
  subject: "user_1",
  clientId: "web",
  scopes: new Set(scopes),
  roles: new Set(["customer"]),
  expiresAtMs: Date.now() + 60_000,
});

const withKey = { "idempotency-key": "key 1~" };
const withToken = { authorization: "Bearer good", ...withKey };
const ticketInvalid = serviceError(ErrorReasonSchema, ErrorReason.TICKET_INVALID, "It is not valid.");
const tokenInvalid = serviceError(
  ErrorReasonSchema,
  ErrorReason.TOKEN_INVALID,
  "The bearer token is not valid.",
);
const well: Standing = { remaining: 7, resetMs: 1_200, retryAfterMs: undefined };
const spent: Standing = { remaining: 0, resetMs: 9_000, retryAfterMs: 700 };
const rate = { perSecond: 5, burst: 10 };
const rates = { ordinary: rate, costly: rate, provider: rate, address: rate };

interface Ways {
  readonly principal?: Principal | Promise<Principal>;
  readonly permit?: (rule: RateRule) => Standing | Promise<Standing>;
}

/** An admission that knows one token and one ticket, and writes down who was counted as what. */
function anAdmission({ principal = aPrincipal("orders:create"), permit = () => well }: Ways = {}) {
  const counted: string[] = [];
  const verify = (token: string) => {
    if (token !== "good") throw tokenInvalid;
    return principal;
  };
  const take = (rule: RateRule, caller: string) => {
    counted.push(`${rule} ${caller}`);
    return permit(rule);
  };
  const open = (ticket: string, path: string) => {
    if (ticket !== "seat" || path !== "/v1/orders/1:watch") throw ticketInvalid;
    return "good";
  };
  const rateLimit = { take, close: () => undefined };
  return { counted, admission: { verifier: { verify }, rateLimit, rates, tickets: { open } } };
}

const addressCounted = "address 192.0.2.7";

/** What a refused call is told; fails where it is admitted. */
async function refusalOf(
  ways: Ways,
  sent: Readonly<Record<string, string>> = withToken,
  { request, noted } = aRequest(sent),
) {
  const { admission, counted } = anAdmission(ways);
  const settled = await Promise.allSettled([
    (async () => {
      await admit(admission, request);
    })(),
  ]);
  const [outcome] = settled;
  if (outcome?.status !== "rejected") throw new Error("the call was admitted");
  return { error: outcome.reason, counted, noted };
}

describe("a call", () => {
  test("with a known token and permits at hand is admitted without a promise", () => {
    const { admission, counted } = anAdmission();
    const { request } = aRequest(withToken);
    expect(admit(admission, request)).toBeUndefined();
    expect(counted).toEqual([addressCounted, "ordinary sub:user_1"]);
    expect(request.context).toMatchObject({ subject: "user_1" });
  });

  test.each([
    ["a new token", { principal: Promise.resolve(aPrincipal("orders:create")) }],
    ["permits to be fetched", { permit: () => Promise.resolve(well) }],
    [
      "both",
      { principal: Promise.resolve(aPrincipal("orders:create")), permit: () => Promise.resolve(well) },
    ],
  ])("with %s is admitted once all is there", async (_what, ways) => {
    const { admission, counted } = anAdmission(ways);
    const pending = admit(admission, aRequest(withToken).request);
    expect(pending).toBeInstanceOf(Promise);
    await pending;
    expect(counted).toEqual([addressCounted, "ordinary sub:user_1"]);
  });

  test("that needs no token is counted by its address, whatever token it carries", () => {
    const { admission, counted } = anAdmission();
    expect(admit(admission, aRequest({}, listProducts).request)).toBeUndefined();
    expect(admit(admission, aRequest({ authorization: "Bearer bad" }, listProducts).request)).toBeUndefined();
    const once = [addressCounted, "ordinary ip:192.0.2.7"];
    expect(counted).toEqual([...once, ...once]);
  });

  test("is counted by the class that its contract names", async () => {
    const { admission, counted } = anAdmission();
    await admit(admission, aRequest({}, searchProducts).request);
    await admit(admission, aRequest({}, receiveProcessorWebhook).request);
    expect(counted.filter((entry) => entry !== addressCounted)).toEqual([
      "costly ip:192.0.2.7",
      "provider ip:192.0.2.7",
    ]);
  });

  test("from an IPv6 address is counted with its whole network", async () => {
    const { admission, counted } = anAdmission();
    await admit(admission, aRequest({}, listProducts, { address: "2001:db8:0:1:aaaa::1" }).request);
    expect(counted).toEqual(["address 2001:db8:0:1", "ordinary ip:2001:db8:0:1"]);
  });

  test("may spell the scheme as it likes", () => {
    const { admission } = anAdmission();
    const sent = { ...withKey, authorization: "bEARER good" };
    expect(admit(admission, aRequest(sent).request)).toBeUndefined();
  });

  test("is told how it stands, in both forms of the draft", async () => {
    const { admission } = anAdmission();
    const { request, noted } = aRequest(withToken);
    await admit(admission, request);
    expect(noted.headers).toMatchObject({
      "ratelimit-policy": '"ordinary";q=10;w=2',
      ratelimit: '"ordinary";r=7;t=2',
      "ratelimit-limit": "10",
      "ratelimit-remaining": "7",
      "ratelimit-reset": "2",
    });
  });

  test("under a token gets an answer that no cache keeps, and one without is free to be kept", async () => {
    const { admission } = anAdmission();
    const [own, anybodys] = [aRequest(withToken), aRequest({}, listProducts)];
    await admit(admission, own.request);
    await admit(admission, anybodys.request);
    expect(own.noted.headers["cache-control"]).toBe("no-store");
    expect(anybodys.noted.headers).not.toHaveProperty("cache-control");
  });
});

describe("a ticket", () => {
  const reader = { principal: aPrincipal("orders:read") };
  const watch = (target: string, sent = {}, method: DescMethod = watchOrder) =>
    aRequest(sent, method, { target });

  test("stands for the token it holds, which goes on to the service", () => {
    const { admission, counted } = anAdmission(reader);
    const { request, noted } = watch("/v1/orders/1:watch?ticket=seat");
    expect(admit(admission, request)).toBeUndefined();
    expect(noted.metadata.authorization).toBe("Bearer good");
    expect(counted).toEqual([addressCounted, "ordinary sub:user_1"]);
  });

  test.each([
    ["of another path", watch("/v1/orders/2:watch?ticket=seat"), "TICKET_INVALID"],
    ["made up", watch("/v1/orders/1:watch?ticket=guess"), "TICKET_INVALID"],
    ["empty", watch("/v1/orders/1:watch?ticket="), "TOKEN_MISSING"],
    ["for what takes none", watch("/v1/orders/1:watch?ticket=seat", {}, getOrder), "TOKEN_MISSING"],
    [
      "beside a bad token",
      watch("/v1/orders/1:watch?ticket=seat", { authorization: "Bearer bad" }),
      "TOKEN_INVALID",
    ],
  ])("%s is refused with 401", async (_what, request, reason) => {
    const { error } = await refusalOf(reader, {}, request);
    expect(error).toMatchObject({ code: 16, reason });
  });
});

describe("a call is refused", () => {
  const asksForToken = { headers: { "www-authenticate": "Bearer" } };
  const findsFault = { headers: { "www-authenticate": 'Bearer error="invalid_token"' } };

  test("with 401 where it carries no token at all, and told the scheme", async () => {
    const { error, counted } = await refusalOf({}, withKey);
    expect(error).toMatchObject({ code: 16, reason: "TOKEN_MISSING", ...asksForToken });
    expect(counted).toEqual([addressCounted]);
  });

  test.each([{ authorization: "" }, { authorization: "Bearer" }, { authorization: "Basic good" }])(
    "with 401 where it carries no bearer token: %o",
    async (sent) => {
      const { error } = await refusalOf({}, sent);
      expect(error).toMatchObject({ code: 16, reason: "TOKEN_MISSING", ...findsFault });
    },
  );

  test("with 401 where its token is not valid, at once or later", async () => {
    const { error } = await refusalOf({}, { authorization: "Bearer bad" });
    expect(error).toMatchObject({ code: 16, reason: "TOKEN_INVALID", ...findsFault });
    const later = await refusalOf({ principal: Promise.reject(tokenInvalid) });
    expect(later.error).toMatchObject({ code: 16, reason: "TOKEN_INVALID", ...findsFault });
    expect(later.counted).toEqual([addressCounted]);
  });

  test("with 403 and the scope's name where its token lacks one, at once or later", async () => {
    const poor = aPrincipal("orders:read");
    for (const principal of [poor, Promise.resolve(poor)]) {
      const { error, counted } = await refusalOf({ principal });
      const metadata = { scope: "orders:create" };
      expect(error).toMatchObject({ code: 7, reason: "SCOPE_MISSING", metadata, headers: undefined });
      expect(counted).toEqual([addressCounted]);
    }
  });

  test.each([
    [undefined, "IDEMPOTENCY_KEY_MISSING"],
    ["", "IDEMPOTENCY_KEY_INVALID"],
    ["schlüssel", "IDEMPOTENCY_KEY_INVALID"],
    ["k".repeat(256), "IDEMPOTENCY_KEY_INVALID"],
  ])("with 400 where the contract asks for an Idempotency-Key and it is %o", async (key, reason) => {
    const { authorization } = withToken;
    const sent = key === undefined ? { authorization } : { authorization, "idempotency-key": key };
    const { error, counted } = await refusalOf({}, sent);
    expect(error).toMatchObject({ code: 3, reason });
    expect(counted).toEqual([addressCounted]);
  });

  test("with 429 and a time where the caller has asked too often, at once or later", async () => {
    const over = (rule: RateRule) => (rule === "ordinary" ? spent : well);
    for (const permit of [over, (rule: RateRule) => Promise.resolve(over(rule))]) {
      const { error, noted } = await refusalOf({ permit });
      expect(error).toMatchObject({ code: 8, reason: "RATE_LIMITED", retryAfterMs: 700 });
      expect(noted.headers).toMatchObject({ ratelimit: '"ordinary";r=0;t=9', "ratelimit-remaining": "0" });
    }
  });

  test("with 429 before its token is looked at, where its address has asked too often", async () => {
    const permit = (rule: RateRule) => (rule === "address" ? spent : well);
    const { error, counted } = await refusalOf({ permit }, { authorization: "Bearer bad" });
    expect(error).toMatchObject({ code: 8, reason: "RATE_LIMITED", retryAfterMs: 700 });
    expect(counted).toEqual([addressCounted]);
  });

  test("without a word of why where admission itself is at fault", async () => {
    const { error } = await refusalOf({ permit: () => Promise.reject(new Error("secret")) });
    expect(error).toMatchObject({ code: 13, reason: "INTERNAL" });
    expect(error.message).not.toContain("secret");
  });
});
