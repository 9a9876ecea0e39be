import { findRunningShop } from "./ports-file.ts";

/** Where a shop is entered: its gateway, and the issuer of development tokens for it. */
export type ShopDoors = { gatewayUrl: string; issuerUrl: string };

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The doors named by SOUK_GATEWAY_URL and SOUK_ISSUER_URL, as of a shop in a cluster whose ports are forwarded; else those of the shop
 * that runs in a data folder. Throws where neither is to be had.
 */
export function findShopDoors(dataDir: string, env: Environment): ShopDoors {
  const { SOUK_GATEWAY_URL: gatewayUrl, SOUK_ISSUER_URL: issuerUrl } = env;
  if (gatewayUrl && issuerUrl) return { gatewayUrl, issuerUrl };
  if (gatewayUrl || issuerUrl) throw new Error("SOUK_GATEWAY_URL and SOUK_ISSUER_URL name a shop together");
  return findRunningShop(dataDir);
}
