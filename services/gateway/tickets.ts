import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { getOption } from "@bufbuild/protobuf";
import { http } from "#gen/google/api/annotations_pb.ts";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { OrdersService } from "#gen/souk/orders/v1/orders_pb.ts";
import type { Secret } from "#kit/config/config.ts";
import { serviceError } from "#kit/errors/errors.ts";

/** The query parameter that carries a ticket. */
export const ticketParameter = "ticket";

/** Makes and opens tickets: a token, good for one resource and for a short while, that nobody outside can read. */
export interface Tickets {
  /** Makes a ticket for a path; it ends with its life or with the token, whichever is first. */
  issue(path: string, token: string, tokenExpiresAtMs: number): IssuedTicket;
  /** The token of a ticket for that path. Throws TICKET_INVALID for any other text. */
  open(ticket: string, path: string): string;
}

/** A ticket, and until when it is good (milliseconds since 1970). */
export interface IssuedTicket {
  readonly ticket: string;
  readonly expiresAtMs: number;
}

/** What tickets are made with. */
export interface TicketOptions {
  /** Shared by all gateways; where there is none, a ticket is good only where it was made. */
  readonly key: Secret | undefined;
  readonly lifeMs: number;
}

interface Content {
  readonly token: string;
  readonly expiresAtMs: number;
}

const algorithm = "aes-256-gcm";
const ivBytes = 12;
const tagBytes = 16;
/** A token of 8 KiB is the largest that is taken; a ticket is a little longer than its token. */
const maxTicketLength = 12_000;

/** Makes tickets. Nothing of them is stored: the ticket itself is the sealed token. */
export function createTickets({ key, lifeMs }: TicketOptions): Tickets {
  const sealing = key ? createHash("sha256").update(key.reveal()).digest() : randomBytes(32);
  return {
    issue(path, token, tokenExpiresAtMs) {
      const expiresAtMs = Math.min(Date.now() + lifeMs, tokenExpiresAtMs);
      return { ticket: seal(sealing, path, { token, expiresAtMs }), expiresAtMs };
    },
    open(ticket, path) {
      const content = ticket.length <= maxTicketLength ? unseal(sealing, path, ticket) : undefined;
      if (!content || content.expiresAtMs <= Date.now()) throw ticketInvalid();
      return content.token;
    },
  };
}

/** The path is sealed in as well, without being carried: a ticket for another one does not open. */
function seal(key: Buffer, path: string, content: Content): string {
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv(algorithm, key, iv).setAAD(Buffer.from(path));
  const sealed = [iv, cipher.update(JSON.stringify(content), "utf8"), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat(sealed).toString("base64url");
}

function unseal(key: Buffer, path: string, ticket: string): Content | undefined {
  const bytes = Buffer.from(ticket, "base64url");
  if (bytes.length <= ivBytes + tagBytes) return undefined;
  const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, ivBytes), { authTagLength: tagBytes });
  decipher.setAAD(Buffer.from(path)).setAuthTag(bytes.subarray(-tagBytes));
  try {
    const text =
      decipher.update(bytes.subarray(ivBytes, -tagBytes), undefined, "utf8") + decipher.final("utf8");
    return JSON.parse(text) as Content;
  } catch {
    return undefined;
  }
}

/** The path under which an order is watched, as its contract says. */
export function watchPathOf(orderId: string): string {
  const { pattern } = getOption(OrdersService.method.watchOrder, http);
  return String(pattern.value).replace("{order_id}", orderId);
}

const ticketInvalid = () =>
  serviceError(ErrorReasonSchema, ErrorReason.TICKET_INVALID, "The ticket is not valid here, or no longer.");
