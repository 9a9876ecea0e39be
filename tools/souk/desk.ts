// What an operator works at: calls of the operators' contract over the public door.

import { randomUUID } from "node:crypto";
import {
  type DescMessage,
  type DescMethodUnary,
  fromJson,
  getOption,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { policy } from "#gen/souk/options/v1/options_pb.ts";
import { DEMO_OPERATOR, fetchToken, OPERATOR_SCOPES } from "../client/tokens.ts";

import { SERVICE_NAMES } from "../start/service-names.ts";
import { findShopDoors } from "../start/shop-doors.ts";
import { type Problem, Refusal } from "./refusal.ts";
import { toRestCall } from "./rest-call.ts";

/** A way to the shop's operators' calls. */
export type Desk = {
  /** Services that are asked where none is named. */
  services: readonly string[];
  /** Calls a method. Rejects with a Refusal, or with what went wrong on the way. */
  ask<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>>;
};

/** Where the shop is and who asks. */
export type DeskOptions = {
  /** `http://127.0.0.1:8080`; that of the running shop where unset. */
  gatewayUrl: string | undefined;
  /** An access token; one of the running shop's development issuer where unset. */
  token: string | undefined;
  dataDir: string;
};

/** An answer needs its way back after the method's own deadline. */
const WAY_BACK_MS = 2_000;

/** Opens a desk. Rejects, with what to type, where no shop runs that could name its address or issue a token. */
export async function openDesk({ gatewayUrl, token, dataDir }: DeskOptions): Promise<Desk> {
  const url = gatewayUrl ?? findShopDoors(dataDir, process.env).gatewayUrl;
  const bearer = token ?? (await fetchOperatorToken(dataDir));
  return {
    services: SERVICE_NAMES,
    ask: (method, request) => call({ url, bearer }, method, request),
  };
}

function fetchOperatorToken(dataDir: string): Promise<string> {
  const { issuerUrl } = findShopDoors(dataDir, process.env);
  return fetchToken(issuerUrl, { sub: DEMO_OPERATOR, scope: OPERATOR_SCOPES, roles: "operator" });
}

async function call<I extends DescMessage, O extends DescMessage>(
  { url, bearer }: { url: string; bearer: string },
  method: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
): Promise<MessageShape<O>> {
  const { verb, path, body } = toRestCall(method, request);
  const { deadlineMs } = getOption(method, policy);
  const response = await fetch(new URL(path, url), {
    method: verb,
    headers: {
      authorization: `Bearer ${bearer}`,
      ...(body && { "content-type": "application/json", "idempotency-key": randomUUID() }),
    },
    body: body ? JSON.stringify(body) : null,
    signal: AbortSignal.timeout(deadlineMs + WAY_BACK_MS),
  }).catch((error: Error) => {
    throw new Error(
      `${url} does not answer: ${error.cause instanceof Error ? error.cause.message : error.message}`,
    );
  });
  const answer = parse(await response.text());
  if (!response.ok) throw new Refusal(response.status, (answer ?? {}) as Problem);
  return fromJson(method.output, answer ?? null, { ignoreUnknownFields: true });
}

function parse(text: string) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
