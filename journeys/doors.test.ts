import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  type DescMethod,
  fromBinary,
  fromJson,
  getExtension,
  getOption,
  type JsonValue,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { http as httpOption } from "#gen/google/api/annotations_pb.ts";
import { Health } from "#gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "#gen/grpc/reflection/v1/reflection_pb.ts";
import { ServiceLevel } from "#gen/souk/commerce/v1/commerce_pb.ts";
import { GatewayService, GetOrderDetailsResponseSchema, OrderPart } from "#gen/souk/gateway/v1/gateway_pb.ts";
import { Audience, policy as policyOption } from "#gen/souk/options/v1/options_pb.ts";
import { OrderStatus, OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import { publicServices } from "../services/gateway/policy.ts";
import { callGrpc, reflect, refusedGrpc } from "./grpc.ts";
import { logPathOf } from "./processes.ts";
import { buy, openShop, type Person, placeOrder, purchaseBody } from "./shop.ts";

const shop = openShop();

/** The body of a purchase as the message's own names have it. */
function purchaseMessage(goods: Parameters<typeof purchaseBody>[0]["goods"]) {
  const { lines, shippingAddress, paymentMethod } = purchaseBody({ goods });
  return { lines, shippingAddress, paymentMethod, serviceLevel: ServiceLevel.STANDARD };
}

const headersOf = ({ token }: Person, key: string = crypto.randomUUID()) => ({
  authorization: `Bearer ${token}`,
  "idempotency-key": key,
});

const transports: readonly (readonly [string, (baseUrl: string) => Transport])[] = [
  ["Connect with JSON", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
  [
    "Connect with protobuf",
    (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: true }),
  ],
  ["gRPC-Web", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
];

test.each(transports)("an order placed by %s is followed by it to CONFIRMED", async (_, transportTo) => {
  const buyer = await shop().person();
  const orders = createClient(OrdersService, transportTo(shop().gatewayUrl));
  const headers = headersOf(buyer);
  const { order } = await orders.placeOrder(purchaseMessage(await shop().sell(1)), { headers });
  const states = await Array.fromAsync(orders.watchOrder({ orderId: order?.orderId ?? "" }, { headers }));
  expect(states.at(-1)?.status).toBe(OrderStatus.CONFIRMED);
  const read = await orders.getOrder({ orderId: order?.orderId ?? "" }, { headers });
  expect(read.order).toMatchObject({ status: OrderStatus.CONFIRMED, customerId: buyer.sub });
});

test("an order's details are the same through each door, and nobody else's", async () => {
  const buyer = await shop().person();
  const goods = await shop().sell(2);
  const { orderId } = await buy(shop(), buyer, { goods });
  const path = `/v1/orders/${orderId}/details`;
  const { body } = await shop().rest("GET", path, { token: buyer.token });
  const byRest = fromJson(GetOrderDetailsResponseSchema, body as JsonValue);
  expect(byRest).toMatchObject({
    order: { orderId, status: OrderStatus.CONFIRMED },
    buyer: { customerId: buyer.sub, name: purchaseBody({ goods }).shippingAddress.name },
    products: [{ productId: goods.productId }],
    payment: { orderId, paymentId: byRest.order?.paymentId },
    shipment: { orderId, shipmentId: byRest.order?.shipmentId },
    missingParts: [],
  });
  const headers = headersOf(buyer);
  for (const [, transportTo] of transports) {
    const gateway = createClient(GatewayService, transportTo(shop().gatewayUrl));
    expect(await gateway.getOrderDetails({ orderId }, { headers })).toEqual(byRest);
  }
  const target = { port: shop().processes.ports.gateway, headers };
  expect(await callGrpc(target, GatewayService.method.getOrderDetails, { orderId })).toEqual(byRest);
  const stranger = { ...target, headers: headersOf(await shop().person()) };
  const refusal = callGrpc(stranger, GatewayService.method.getOrderDetails, { orderId });
  await expect(refusal).rejects.toMatchObject({ code: status.NOT_FOUND });
});

test("a part of an order's details whose service does not answer is named, and the rest is answered in time", async () => {
  const buyer = await shop().person();
  const { orderId } = await buy(shop(), buyer, { goods: await shop().sell(2) });
  const payments = shop().processes.byName.get("payments")?.pid ?? 0;
  process.kill(payments, "SIGSTOP");
  const asking = shop().rest("GET", `/v1/orders/${orderId}/details`, { token: buyer.token });
  const { status: answered, body } = await asking.finally(() => process.kill(payments, "SIGCONT"));
  expect(answered).toBe(200);
  const { payment, missingParts, ...rest } = fromJson(GetOrderDetailsResponseSchema, body as JsonValue);
  expect(payment).toBeUndefined();
  expect(missingParts).toMatchObject([
    { part: OrderPart.PAYMENT, id: rest.order?.paymentId, reason: "DEADLINE_EXCEEDED" },
  ]);
  expect([rest.products.length, rest.shipment?.orderId]).toEqual([1, orderId]);
});

test("who cannot send a token follows an order by a ticket, which is good for that order only", async () => {
  const buyer = await shop().person();
  const goods = await shop().sell(2);
  const [first, other] = [
    await placeOrder(shop(), buyer, { goods }),
    await placeOrder(shop(), buyer, { goods }),
  ];
  const path = `/v1/orders/${first.orderId}:watchTicket`;
  type Reply = { ticket: string; expiresAt: string };
  const made = await shop().rest<Reply>("POST", path, { token: buyer.token, body: {} });
  expect(made.status).toBe(200);
  const { ticket, expiresAt } = made.body;
  expect(Date.parse(expiresAt) - Date.now()).toBeGreaterThan(30_000);
  const watch = (orderId: string) =>
    shop().rest("GET", `/v1/orders/${orderId}:watch?ticket=${ticket}`, {
      headers: { accept: "text/event-stream" },
    });
  const events = await watch(first.orderId);
  expect([events.status, events.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
  expect(events.text).toMatch(/^data: \{.*"status":"ORDER_STATUS_CONFIRMED".*\}$/m);
  const refused = await watch(other.orderId);
  expect([refused.status, refused.body]).toMatchObject([401, { reason: "TICKET_INVALID" }]);
  const log = readFileSync(logPathOf(shop().processes.folder, "gateway"), "utf8");
  expect(log).not.toContain(ticket);
});

test("one key is one order, whichever door it comes through", async () => {
  const buyer = await shop().person();
  const goods = await shop().sell(9);
  const headers = headersOf(buyer);
  type Reply = { order: { orderId: string } };
  const byRest = await shop().rest<Reply>("POST", "/v1/orders", { headers, body: purchaseBody({ goods }) });
  const { orderId } = byRest.body.order;
  for (const [, transportTo] of transports) {
    const orders = createClient(OrdersService, transportTo(shop().gatewayUrl));
    const { order } = await orders.placeOrder(purchaseMessage(goods), { headers });
    expect(order?.orderId).toBe(orderId);
  }
  const target = { port: shop().processes.ports.gateway, headers };
  const request = purchaseMessage(goods);
  const { order } = await callGrpc(target, OrdersService.method.placeOrder, request);
  expect(order?.orderId).toBe(orderId);
});

test("a refusal has the same code and reason in each protocol", async () => {
  const buyer = await shop().person();
  const orderId = "order_01hzy3v8q0e9wb0c1a2d3f4g5h";
  for (const [, transportTo] of transports) {
    const orders = createClient(OrdersService, transportTo(shop().gatewayUrl));
    const refusal = orders.getOrder({ orderId }, { headers: headersOf(buyer) });
    await expect(refusal).rejects.toMatchObject({ code: status.NOT_FOUND });
  }
  const { body } = await shop().rest("GET", `/v1/orders/${orderId}`, { token: buyer.token });
  expect(body).toMatchObject({ code: "NOT_FOUND", reason: "ORDER_NOT_FOUND", domain: "orders.souk" });
});

const services = [...publicServices].map(([descriptor, name]) => [name, descriptor] as const);

test.each(services)("%s shows its contract by reflection, annotations included", async (name, descriptor) => {
  const port = shop().processes.ports[name];
  const listed = await reflect(port, { case: "listServices", value: "" });
  const names = listed?.case === "listServicesResponse" ? listed.value.service.map((one) => one.name) : [];
  expect(names).toContain(descriptor.typeName);
  const found = await reflect(port, { case: "fileContainingSymbol", value: descriptor.typeName });
  if (found?.case !== "fileDescriptorResponse") throw new Error("there is no file");
  const files = found.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
  const methods = files.flatMap((file) => file.service).flatMap(({ method }) => method);
  const routes = methods.flatMap(({ options }) =>
    options ? [getExtension(options, httpOption).pattern.value] : [],
  );
  const declared = descriptor.methods.map((method) => getOption(method, httpOption).pattern.value);
  expect(routes).toEqual(declared);
  expect(declared.filter(Boolean).length).toBeGreaterThan(0);
});

test.each(services)("buf curl learns %s by reflection alone, and calls it", async (name, descriptor) => {
  const buf = join(import.meta.dirname, "../node_modules/.bin/buf");
  const url = `http://127.0.0.1:${shop().processes.ports[name]}`;
  const curl = (...args: string[]) =>
    promisify(execFile)(buf, ["curl", "--protocol", "grpc", "--http2-prior-knowledge", ...args], {
      timeout: 20_000,
    });
  const { stdout } = await curl("--list-methods", url);
  const methods = descriptor.methods.map((method) => `${descriptor.typeName}/${method.name}`);
  expect(stdout.split("\n")).toEqual(expect.arrayContaining(methods));
  const health = await curl("-d", "{}", `${url}/grpc.health.v1.Health/Check`);
  expect(JSON.parse(health.stdout)).toEqual({ status: "SERVING" });
});

test.each(["connect", "grpc", "grpcweb"])(
  "buf curl reads the shop's contract from proto, and calls the gateway by %s",
  async (protocol) => {
    const root = join(import.meta.dirname, "..");
    const args = ["curl", "--schema", "proto", "--protocol", protocol, "--http2-prior-knowledge"];
    const url = `${shop().gatewayUrl}/souk.catalog.v1.CatalogService/ListProducts`;
    const { stdout } = await promisify(execFile)(
      join(root, "node_modules/.bin/buf"),
      [...args, "-d", '{"pageSize":1}', url],
      { cwd: root, timeout: 20_000 },
    );
    expect(JSON.parse(stdout).products).toHaveLength(1);
  },
);

test("the gateway's public port has no reflection", async () => {
  const asked = reflect(shop().processes.ports.gateway, { case: "listServices", value: "" });
  await expect(asked).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
});

const hidden: DescMethod[] = [
  ...services.flatMap(([, { methods }]) =>
    methods.filter((method) => getOption(method, policyOption).audience !== Audience.EDGE),
  ),
  ...Health.methods,
  ...ServerReflection.methods,
];

/** A token with every right that services have among themselves. */
async function serviceToken(): Promise<string> {
  const { issuerUrl, processes } = shop();
  const client_secret = processes.secrets.clientSecrets.orders;
  const form = new URLSearchParams({ grant_type: "client_credentials", client_id: "orders", client_secret });
  const response = await fetch(`${issuerUrl}/token`, { method: "POST", body: form });
  return ((await response.json()) as { access_token: string }).access_token;
}

test("the gateway has no door to what services do among themselves, whoever asks", async () => {
  expect(hidden.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["ReserveStock", "CapturePayment", "VoidPayment", "BookShipment", "Check"]),
  );
  const headers = headersOf({ sub: "orders", token: await serviceToken() });
  const { gatewayUrl, processes } = shop();
  for (const method of hidden) {
    const path = `/${method.parent.typeName}/${method.name}`;
    const answers = await Promise.all([
      shop().rest("POST", path, { headers, body: {} }),
      shop().rest("GET", `${path}?encoding=json&message=%7B%7D&connect=v1`, { headers }),
      shop().rest("POST", path, { headers: { ...headers, "content-type": "application/proto" }, body: "" }),
    ]);
    expect([path, ...answers.map((answer) => answer.status)]).toEqual([path, 404, 404, 404]);
    expect(await refusedGrpc({ port: processes.ports.gateway, headers }, method)).toBe(status.UNIMPLEMENTED);
    const web = await fetch(`${gatewayUrl}${path}`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/grpc-web+proto" },
      body: new Uint8Array(5),
    });
    // The protocol's own mapping: a gRPC-Web client reads an HTTP 404 as UNIMPLEMENTED.
    const code =
      web.headers.get("grpc-status") ?? (web.status === 404 ? String(status.UNIMPLEMENTED) : "none");
    expect([path, code]).toEqual([path, String(status.UNIMPLEMENTED)]);
  }
});
