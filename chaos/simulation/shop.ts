// One simulated shop: the real handlers, sagas and consumers of the services, on stores, processes and a network of the world.
import { InventoryService } from "#gen/souk/inventory/v1/inventory_pb.ts";
import { PaymentsService } from "#gen/souk/payments/v1/payments_pb.ts";
import { ShippingService } from "#gen/souk/shipping/v1/shipping_pb.ts";
import type { Consumer } from "#kit/inbox/inbox.ts";
import { openOutbox } from "#kit/outbox/outbox.ts";
import type { Database } from "#kit/postgres/postgres.ts";
import { rpc, type ServiceRpcs } from "#kit/service/handlers.ts";
import type { Logger } from "#kit/telemetry/telemetry.ts";
import { bindHandlers } from "../../kit/service/bind.ts";
import { inventoryConsumers } from "../../services/inventory/consumers.ts";
import { inventoryRpc } from "../../services/inventory/rpc.ts";
import { paymentsRpc } from "../../services/payments/rpc.ts";
import { shippingRpc } from "../../services/shipping/rpc.ts";
import type { Address } from "./calls.ts";
import { type ModelStore, openModelDatabase, type StatementModels } from "./model-database.ts";
import type { Mutation } from "./mutations.ts";
import { connectOrders, type OrdersReplica } from "./orders-replica.ts";
import { connectCarrier, connectProcessor, createOutsideWorld, type OutsideWorld } from "./outside-world.ts";
import type { Plan, Told } from "./plan.ts";
import { createRelay } from "./relay.ts";
import { type Replica, type SagaTable, sagaStatements, watch } from "./saga-replicas.ts";
import { type ChassisTables, chassisStatements, createChassisTables } from "./statements/chassis.ts";
import { type InventoryTables, inventoryStatements } from "./statements/inventory.ts";
import { createOrderTables, type OrderTables, orderStatements } from "./statements/orders.ts";
import { createPaymentTables, type PaymentTables, paymentStatements } from "./statements/payments.ts";
import { type ShipmentTable, shipmentStatements } from "./statements/shipping.ts";
import { createProcess, type Process, type World } from "./world.ts";

/** Everything a history leaves behind. */
export interface ShopState {
  readonly orders: OrderTables;
  readonly sagas: SagaTable;
  readonly inventory: InventoryTables;
  readonly payments: PaymentTables;
  readonly shipments: ShipmentTable;
  readonly outside: OutsideWorld;
  /** What customers were answered after they had ordered, by order. */
  readonly told: Map<string, Told[]>;
  /** The kit's tables, by service. */
  readonly chassis: Readonly<Record<ServiceName, ChassisTables>>;
}

/** A shop whose replicas of orders answer at `addresses`. */
export interface SimulatedShop {
  readonly state: ShopState;
  readonly addresses: readonly Address[];
}

type ServiceName = "orders" | "inventory" | "payments" | "shipping";

/** What one process of a service is made of. */
interface Wired {
  readonly rpcs: ServiceRpcs;
  readonly consumers?: readonly Consumer[];
}

interface ServiceSpec {
  readonly name: ServiceName;
  readonly store: ModelStore;
  readonly wire: (db: Database, process: Process) => Wired;
}

interface Room {
  readonly world: World;
  readonly plan: Plan;
  readonly mutation: Mutation;
  readonly state: ShopState;
  /** Where events are heard: every service there is. */
  readonly addresses: Address[];
}

/** A dead process is back after this long. */
const restartMs = 700;

/** Opens a shop with the plan's pieces and outages, and two replicas of orders. */
export function openSimulatedShop(world: World, plan: Plan, mutation: Mutation): SimulatedShop {
  const room: Room = { world, plan, mutation, state: createState(world, plan.pieces), addresses: [] };
  const participants = {
    inventory: startService(room, inventorySpec(room)),
    payments: startService(room, paymentsSpec(room)),
    shipping: startService(room, shippingSpec(room)),
  };
  const replicas: OrdersReplica[] = [];
  const store = createStore(
    room,
    "orders",
    ordersModels(room, () => replicas),
  );
  const addresses = [0, 1].map((index) =>
    startService(room, {
      name: "orders",
      store,
      wire: (db, process) =>
        (replicas[index] = connectOrders({ world, process, db, participants, mutation })),
    }),
  );
  return { state: room.state, addresses };
}

function createState(world: World, pieces: Readonly<Record<string, number>>): ShopState {
  const stock = Object.entries(pieces).map(
    ([sku, onHand]) => [sku, { sku, onHand, reserved: 0, version: 1n }] as const,
  );
  return {
    orders: createOrderTables(),
    sagas: new Map(),
    inventory: {
      stock: new Map(stock),
      reservations: new Map(),
      sold: new Map(),
      returns: new Map(),
      onBreach: (what) => world.violate(what),
    },
    payments: createPaymentTables(),
    shipments: new Map(),
    outside: createOutsideWorld(),
    told: new Map(),
    chassis: {
      orders: createChassisTables(),
      inventory: createChassisTables(),
      payments: createChassisTables(),
      shipping: createChassisTables(),
    },
  };
}

function ordersModels({ world, state, mutation }: Room, replicas: () => readonly Replica[]): StatementModels {
  const { sagas } = state;
  const engine = { world, sagas, faults: mutation.engine ?? {} };
  return {
    ...orderStatements(state.orders, () => new Date(world.nowMs)),
    ...sagaStatements(engine, (sagaId) => world.after(1, () => watch(world, sagas, sagaId, replicas))),
  };
}

/** A service's database, with the one relay that is active on it. */
function createStore(room: Room, name: ServiceName, models: StatementModels): ModelStore {
  const { world, mutation, state, addresses } = room;
  const { outbox } = state.chassis[name];
  const all = { ...chassisStatements(state.chassis[name]), ...models };
  return {
    models: mutation.statements?.(name, all) ?? all,
    onCommit: createRelay({ world, outbox, subscribers: addresses, faults: mutation.relay ?? {} }),
  };
}

function inventorySpec(room: Room): ServiceSpec {
  const { world, state } = room;
  const models = inventoryStatements(state.inventory, () => world.nowMs);
  return {
    name: "inventory",
    store: createStore(room, "inventory", models),
    wire: (db) => ({
      rpcs: rpc(InventoryService, inventoryRpc({ db })),
      consumers: inventoryConsumers({ log: complaining(world) }),
    }),
  };
}

/** Errors in a log are for people: a history that needs one is not a good one. */
const complaining = (world: World) =>
  ({ error: (facts: unknown, text: string) => world.violate(`${text}: ${JSON.stringify(facts)}`) }) as Logger;

/** Webhooks have no shortcut here: what they tell is read from the database. */
const noShortcut = { start: () => {}, recorded: () => {}, outcomeOf: async () => undefined };
const webhookSecret = { reveal: () => "" } as never;

function paymentsSpec(room: Room): ServiceSpec {
  const { world, state, mutation } = room;
  const models = paymentStatements(state.payments, () => new Date(world.nowMs));
  return {
    name: "payments",
    store: createStore(room, "payments", models),
    wire(db, process) {
      const processor = connectProcessor(world, process, state.outside);
      const parts = { db, underWay: noShortcut, webhookSecret };
      const mutated = mutation.processor?.(processor) ?? processor;
      return { rpcs: rpc(PaymentsService, paymentsRpc({ ...parts, processor: mutated })) };
    },
  };
}

function shippingSpec(room: Room): ServiceSpec {
  const { world, state } = room;
  const models = shipmentStatements(state.shipments, () => new Date(world.nowMs));
  return {
    name: "shipping",
    store: createStore(room, "shipping", models),
    wire: (db, process) => ({
      rpcs: rpc(ShippingService, shippingRpc({ db, carrier: connectCarrier(world, process, state.outside) })),
    }),
  };
}

const isAway = ({ world: { nowMs }, plan: { outages } }: Room, name: ServiceName) =>
  outages.some(({ service, fromMs, untilMs }) => service === name && fromMs <= nowMs && nowMs < untilMs);

/** Starts a service's process, and the next one whenever it has died. */
function startService(room: Room, { name, store, wire }: ServiceSpec): Address {
  const { world, addresses } = room;
  const address: Address = { running: undefined, isReachable: () => !isAway(room, name) };
  addresses.push(address);
  const start = () => {
    const process = createProcess(name, () => {
      address.running = undefined;
      world.after(restartMs, start);
    });
    const db = openModelDatabase(world, process, store);
    openOutbox(db, { source: name, prefix: "souk", onCommitted: () => {} });
    const { rpcs, consumers = [] } = wire(db, process);
    address.running = { process, db, rpc: bindHandlers(rpcs, db), consumers };
  };
  start();
  return address;
}
