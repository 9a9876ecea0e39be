import type { DescMethod } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import type { EdgeCall, EdgeRequest } from "#edge/edge.ts";
import { CatalogService } from "#gen/souk/catalog/v1/catalog_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import type { Principal } from "#kit/auth/auth.ts";
import { serviceError } from "#kit/errors/errors.ts";
import { admit, nameRequest } from "./admission.ts";

const { placeOrder } = OrdersService.method;
const { listProducts } = CatalogService.method;

interface Noted {
  readonly metadata: Record<string, string>;
  readonly headers: Record<string, string>;
}

/** A request as the edge hands it over, which writes down what is set on it. */
function aRequest(sent: Readonly<Record<string, string>> = {}, method: DescMethod = placeOrder) {
  const noted: Noted = { metadata: {}, headers: {} };
  const request = {
    protocol: "rest",
    httpMethod: "POST",
    target: "/v1/orders",
    remoteAddress: "192.0.2.7",
    method,
    context: undefined as unknown,
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

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

describe("the correlation id of a request", () => {
  const named = (given?: string) => {
    const { request, noted } = aRequest(given === undefined ? {} : { "x-correlation-id": given });
    nameRequest(request);
    const id = String(request.context);
    expect(noted).toEqual({ metadata: { "x-correlation-id": id }, headers: { "x-correlation-id": id } });
    return id;
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

const aPrincipal = (...scopes: string[]): Principal => ({
  subject: "user_1",
  clientId: "web",
  scopes: new Set(scopes),
  roles: new Set(["customer"]),
  expiresAtMs: Date.now() + 60_000,
});

const withToken = { authorization: "Bearer good" };
const tokenInvalid = serviceError(
  ErrorReasonSchema,
  ErrorReason.TOKEN_INVALID,
  "The bearer token is not valid.",
);
const limited = serviceError(ErrorReasonSchema, ErrorReason.RATE_LIMITED, "Later.", { retryAfterMs: 700 });

interface Ways {
  readonly principal?: Principal | Promise<Principal>;
  readonly permit?: () => void | Promise<void>;
}

/** An admission that knows one token, and writes down who was counted. */
function anAdmission({ principal = aPrincipal("orders:create"), permit = () => undefined }: Ways = {}) {
  const counted: string[] = [];
  const verify = (token: string) => {
    if (token !== "good") throw tokenInvalid;
    return principal;
  };
  const take = (caller: string) => {
    counted.push(caller);
    return permit();
  };
  return { counted, admission: { verifier: { verify }, rateLimit: { take, close: () => undefined } } };
}

/** What a refused call is told; fails where it is admitted. */
async function refusalOf(ways: Ways, sent: Readonly<Record<string, string>> = withToken) {
  const { admission, counted } = anAdmission(ways);
  const settled = await Promise.allSettled([
    (async () => {
      await admit(admission, aRequest(sent).request);
    })(),
  ]);
  const [outcome] = settled;
  if (outcome?.status !== "rejected") throw new Error("the call was admitted");
  return { error: outcome.reason, counted };
}

describe("a call", () => {
  test("with a known token and permits at hand is admitted without a promise", () => {
    const { admission, counted } = anAdmission();
    expect(admit(admission, aRequest(withToken).request)).toBeUndefined();
    expect(counted).toEqual(["sub:user_1"]);
  });

  test("with a new token, or without permits at hand, is admitted once both are there", async () => {
    const slowly = {
      principal: Promise.resolve(aPrincipal("orders:create")),
      permit: () => Promise.resolve(),
    };
    const { admission, counted } = anAdmission(slowly);
    const pending = admit(admission, aRequest(withToken).request);
    expect(pending).toBeInstanceOf(Promise);
    await pending;
    expect(counted).toEqual(["sub:user_1"]);
    const counting = admit(
      anAdmission({ permit: () => Promise.resolve() }).admission,
      aRequest(withToken).request,
    );
    expect(counting).toBeInstanceOf(Promise);
    await counting;
  });

  test("that needs no token is counted by its address, whatever token it carries", () => {
    const { admission, counted } = anAdmission();
    expect(admit(admission, aRequest({}, listProducts).request)).toBeUndefined();
    expect(admit(admission, aRequest({ authorization: "Bearer bad" }, listProducts).request)).toBeUndefined();
    expect(counted).toEqual(["ip:192.0.2.7", "ip:192.0.2.7"]);
  });

  test("may spell the scheme as it likes", () => {
    const { admission } = anAdmission();
    expect(admit(admission, aRequest({ authorization: "bEARER good" }).request)).toBeUndefined();
  });
});

describe("a call is refused", () => {
  const asksForToken = { headers: { "www-authenticate": "Bearer" } };

  test.each([{}, { authorization: "" }, { authorization: "Bearer" }, { authorization: "Basic good" }])(
    "with 401 where it carries no bearer token: %o",
    async (sent) => {
      const { error, counted } = await refusalOf({}, sent);
      expect(error).toMatchObject({ code: 16, reason: "TOKEN_MISSING", ...asksForToken });
      expect(counted).toEqual([]);
    },
  );

  test("with 401 where its token is not valid, at once or later", async () => {
    const { error } = await refusalOf({}, { authorization: "Bearer bad" });
    expect(error).toMatchObject({ code: 16, reason: "TOKEN_INVALID", ...asksForToken });
    const later = await refusalOf({ principal: Promise.reject(tokenInvalid) });
    expect(later.error).toMatchObject({ code: 16, reason: "TOKEN_INVALID", ...asksForToken });
    expect(later.counted).toEqual([]);
  });

  test("with 403 and the scope's name where its token lacks one, at once or later", async () => {
    const poor = aPrincipal("orders:read");
    for (const principal of [poor, Promise.resolve(poor)]) {
      const { error, counted } = await refusalOf({ principal });
      const metadata = { scope: "orders:create" };
      expect(error).toMatchObject({ code: 7, reason: "SCOPE_MISSING", metadata, headers: undefined });
      expect(counted).toEqual([]);
    }
  });

  test("with 400 where its Idempotency-Key could not go on, before it is counted", async () => {
    const { error, counted } = await refusalOf({}, { ...withToken, "idempotency-key": "schlüssel" });
    expect(error).toMatchObject({ code: 3, reason: "IDEMPOTENCY_KEY_INVALID" });
    expect(counted).toEqual([]);
    const { admission } = anAdmission();
    expect(admit(admission, aRequest({ ...withToken, "idempotency-key": "key 1~" }).request)).toBeUndefined();
  });

  test("with 429 and a time where the caller has asked too often, at once or later", async () => {
    const refuse = () => {
      throw limited;
    };
    for (const permit of [refuse, () => Promise.reject(limited)]) {
      const { error } = await refusalOf({ permit });
      expect(error).toMatchObject({ code: 8, reason: "RATE_LIMITED", retryAfterMs: 700 });
    }
  });

  test("without a word of why where admission itself is at fault", async () => {
    const { error } = await refusalOf({ permit: () => Promise.reject(new Error("secret")) });
    expect(error).toMatchObject({ code: 13, reason: "INTERNAL" });
    expect(error.message).not.toContain("secret");
  });
});
