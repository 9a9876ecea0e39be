/** The services that have a database of their own, and credentials of their own. */
export const SERVICE_NAMES = ["catalog", "inventory", "orders", "payments", "shipping"] as const;

/** A service with a database. */
export type ServiceName = (typeof SERVICE_NAMES)[number];
