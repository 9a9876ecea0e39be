import type { OrderStatus } from "./order.ts";

/** An order as the view holds it. */
export interface OrderView {
  readonly orderId: string;
  readonly customerId: string;
  readonly status: OrderStatus;
  /** The order's message without status and times. */
  readonly document: Uint8Array;
  readonly version: bigint;
  readonly placedAt: Date;
  readonly updatedAt: Date;
}
