import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { createClient } from "#kit/rpc/client.ts";
import { fetchTestToken, serviceEnvironment } from "#kit/testing/testing.ts";
import {
  aCheckout,
  authorized,
  eventsOf,
  type Harness,
  paymentsEnvironment,
  processorDid,
  startPayments,
} from "./harness.ts";

let payments: Harness;
let gate: Gate;

beforeAll(async () => {
  payments = await startPayments();
  gate = await openGate(payments.processor.url);
});

afterAll(async () => {
  gate?.server.close();
  await payments?.stop();
});

/** Stands between a service and the processor: `onAnswer` runs when the processor has acted and the service does not know yet. */
interface Gate {
  readonly server: Server;
  readonly url: string;
  onAnswer: (path: string) => void;
}

async function openGate(target: string): Promise<Gate> {
  const server = createServer(async (request, response) => {
    const answer = await fetch(target + request.url, {
      method: request.method ?? "GET",
      headers: headersOf(request),
      body: request.method === "POST" ? await textOf(request) : null,
    });
    const text = await answer.text();
    opened.onAnswer(request.url ?? "");
    response.writeHead(answer.status, { "content-type": "application/json" }).end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const opened: Gate = { server, url, onAnswer: () => {} };
  return opened;
}

const headersOf = ({ headers }: IncomingMessage) => ({
  authorization: headers.authorization ?? "",
  "idempotency-key": String(headers["idempotency-key"]),
  "content-type": "application/x-www-form-urlencoded",
});

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk;
  return text;
}

/** Payments as a process of its own, on the same database, calling the processor through the gate. */
async function spawnPayments() {
  const { database, prefix } = payments.service;
  const child = spawn(process.execPath, [fileURLToPath(new URL("../main.ts", import.meta.url))], {
    env: {
      PATH: process.env.PATH,
      ...serviceEnvironment("payments", database, prefix),
      ...paymentsEnvironment(gate.url),
      LOG_LEVEL: "info",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const port = await portOf(child);
  const token = await fetchTestToken({ service: "orders" });
  const client = createClient(PaymentsService, { url: `http://127.0.0.1:${port}`, token: () => token });
  return { child, client };
}

async function portOf({ stdout }: ChildProcess): Promise<number> {
  if (!stdout) throw new Error("the process has no output");
  for await (const line of createInterface({ input: stdout })) {
    const { msg, port } = JSON.parse(line);
    if (msg === "ready") {
      stdout.resume();
      return port;
    }
  }
  throw new Error("payments did not start");
}

async function killedAtAnswer(
  path: RegExp,
  work: (client: Awaited<ReturnType<typeof spawnPayments>>["client"]) => Promise<unknown>,
) {
  const { child, client } = await spawnPayments();
  const exited = once(child, "exit");
  let hit = false;
  gate.onAnswer = (called) => {
    if (!path.test(called)) return;
    hit = true;
    child.kill("SIGKILL");
  };
  await expect(work(client)).rejects.toBeDefined();
  await exited;
  gate.onAnswer = () => {};
  client.close();
  expect(hit).toBe(true);
}

test("a process killed between charge and record charges once: the repeat finds it", async () => {
  const checkout = aCheckout();
  const { request, keys } = checkout;
  await killedAtAnswer(/payment_intents$/, (client) =>
    client.authorizePayment(request, { idempotencyKey: keys.authorize, retries: 0 }),
  );
  expect(await processorDid(payments, checkout)).toEqual([`authorized ${request.amount.amountMinor}`]);
  const paymentId = await authorized(payments, checkout);
  expect(await processorDid(payments, checkout)).toHaveLength(1);
  expect(await eventsOf(payments, paymentId)).toEqual(["PaymentAuthorized"]);
});

test("a process killed between capture and record captures once, and books once", async () => {
  const checkout = aCheckout();
  const paymentId = await authorized(payments, checkout);
  const capture = { idempotencyKey: checkout.keys.capture, retries: 0 };
  await killedAtAnswer(/\/capture$/, (client) => client.capturePayment({ paymentId }, capture));
  await payments.orders.capturePayment({ paymentId }, capture);
  const { amountMinor } = checkout.request.amount;
  expect(await processorDid(payments, checkout)).toEqual([
    `authorized ${amountMinor}`,
    `captured ${amountMinor}`,
  ]);
  expect((await payments.staff.listLedgerEntries({ paymentId })).entries).toHaveLength(4);
  expect(await eventsOf(payments, paymentId)).toEqual(["PaymentAuthorized", "PaymentCaptured"]);
});

test("a process killed between charge and record leaves nothing held once the payment is voided", async () => {
  const checkout = aCheckout();
  const { request, keys } = checkout;
  await killedAtAnswer(/payment_intents$/, (client) =>
    client.authorizePayment(request, { idempotencyKey: keys.authorize, retries: 0 }),
  );
  const voiding = { orderId: request.orderId, authorizeKey: keys.authorize };
  await payments.orders.voidPayment(voiding, { idempotencyKey: keys.void });
  const { amountMinor } = request.amount;
  expect(await processorDid(payments, checkout)).toEqual([
    `authorized ${amountMinor}`,
    `canceled ${amountMinor}`,
  ]);
});
