// Fills the shop that CATALOG_URL, INVENTORY_URL and TOKEN_ISSUER name. Fails at the first refusal: whoever runs it tries again.

import { fetchToken } from "../client/tokens.ts";
import { SEED_SCOPES, seedShop } from "./seed.ts";

const { CATALOG_URL = "", INVENTORY_URL = "", TOKEN_ISSUER = "" } = process.env;

const token = await fetchToken(TOKEN_ISSUER, { sub: "seed", scope: SEED_SCOPES, roles: "operator" });
const added = await seedShop({ catalogUrl: CATALOG_URL, inventoryUrl: INVENTORY_URL, token });
console.log(`Added ${added.categories} categories, ${added.products} products and ${added.stocks} stocks`);
