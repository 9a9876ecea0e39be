import { ServiceLevel } from "#gen/souk/commerce/v1/commerce_pb.ts";
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { ShippingService } from "#gen/souk/shipping/v1/shipping_pb.ts";
import { ServiceError } from "#kit/errors/errors.ts";
import { newId } from "#kit/ids/ids.ts";
import { createClient } from "#kit/rpc/client.ts";
import { urlOf } from "../../tools/start/processes.ts";
import { portOf, REPLICAS, replicaName } from "../shop/ports.ts";
import type { ChaosShop } from "../shop/shop.ts";

type Participant = "inventory" | "payments" | "shipping";

/** An undoing, and the command it undoes, as a saga whose first attempt was lost on the way would send them. */
interface Pair {
  undo(key: string): Promise<unknown>;
  late(key: string): Promise<unknown>;
}

const timeoutMs = 4_000;

/**
 * Has a command arrive after the one that undid it, in the name of orders: the undoing at one replica, the command at the
 * other. The order it is for does not exist, so whatever the command leaves behind breaks an invariant. Tells how many
 * such pairs reached their end; one that met another fault does not count.
 */
export async function sendLateCommand(shop: ChaosShop, service: Participant, sku: string): Promise<number> {
  const token = await ordersToken(shop);
  const orderId = newId("order");
  const [first, second] = REPLICAS.map((replica) => pairAt(shop, service, replica, { orderId, token, sku }));
  const key = `${newId("saga")}:chaos`;
  try {
    await first?.pair.undo(key);
    await second?.pair.late(key);
    return 1;
  } catch (error) {
    if (error instanceof ServiceError) return error.reason === "COMMAND_CANCELLED" ? 1 : 0;
    throw error;
  } finally {
    first?.close();
    second?.close();
  }
}

interface Late {
  readonly orderId: string;
  readonly token: string;
  /** On sale, and never short. */
  readonly sku: string;
}

function pairAt(shop: ChaosShop, service: Participant, replica: number, { orderId, token, sku }: Late) {
  const url = urlOf(portOf(shop.ports, replicaName(service, replica)));
  const descriptor = { inventory: InventoryService, payments: PaymentsService, shipping: ShippingService };
  const options = { url, token: () => token };
  const asks = (idempotencyKey: string) => ({ idempotencyKey, timeoutMs });
  if (service === "inventory") {
    const client = createClient(descriptor.inventory, options);
    const pair: Pair = {
      undo: (key) => client.releaseStock({ orderId, reserveKey: key }, asks(`${key}:undo`)),
      late: (key) => client.reserveStock({ orderId, lines: [{ sku, quantity: 1 }] }, asks(key)),
    };
    return { pair, close: () => client.close() };
  }
  if (service === "payments") {
    const client = createClient(descriptor.payments, options);
    const amount = { currencyCode: "EUR", amountMinor: 100n };
    const charge = { orderId, customerId: lateCustomer, amount, paymentMethod: "pm_card_visa" };
    const pair: Pair = {
      undo: (key) => client.voidPayment({ orderId, authorizeKey: key }, asks(`${key}:undo`)),
      late: (key) => client.authorizePayment(charge, asks(key)),
    };
    return { pair, close: () => client.close() };
  }
  const client = createClient(descriptor.shipping, options);
  const parcel = {
    orderId,
    customerId: lateCustomer,
    destination,
    serviceLevel: ServiceLevel.STANDARD,
    pieces: 1,
  };
  const pair: Pair = {
    undo: (key) => client.cancelShipment({ orderId, bookKey: key }, asks(`${key}:undo`)),
    late: (key) => client.bookShipment(parcel, asks(key)),
  };
  return { pair, close: () => client.close() };
}

const lateCustomer = "user_00000000000000000000000000";
const destination = {
  ...{ name: "Nobody", line1: "Nowhere 1", city: "Berlin", postalCode: "10999", countryCode: "DE" },
};

async function ordersToken({ ports, secrets }: ChaosShop): Promise<string> {
  const form = {
    grant_type: "client_credentials",
    client_id: "orders",
    client_secret: secrets.clientSecrets.orders,
  };
  const response = await fetch(`${urlOf(portOf(ports, "issuer"))}/token`, {
    method: "POST",
    body: new URLSearchParams(form),
    signal: AbortSignal.timeout(timeoutMs),
  });
  const { access_token: token } = (await response.json()) as { access_token?: string };
  if (token === undefined) throw new Error(`the issuer answered ${response.status}`);
  return token;
}
