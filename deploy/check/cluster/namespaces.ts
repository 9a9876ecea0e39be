/** Where the shop runs. */
export const SHOP = "souk";

/** Where its stores run. */
export const STORES = "souk-data";

/** What answers in the mesh, each a Deployment with a disruption budget. */
export const SERVICES = ["gateway", "catalog", "inventory", "orders", "payments", "shipping"] as const;
