import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";

/** The data folder of a shop: every path in it has its name here. */
export type ShopFolder = ReturnType<typeof shopFolder>;

/** The paths of a data folder; nothing is made. */
export function shopFolder(root: string) {
  return {
    root,
    /** Who runs this folder's shop. */
    lockPath: join(root, "supervisor.json"),
    /** Where a shop that is ready can be reached. */
    portsPath: join(root, "ports.json"),
    secretsPath: join(root, "secrets.json"),
    databasePasswordsPath: join(root, "database-passwords.json"),
    /** A file per running process. */
    processesDir: join(root, "processes"),
    /** Node's cache of stripped and compiled modules: later starts are faster. */
    compileCacheDir: join(root, "compile-cache"),
    logPath: (name: string) => join(root, "logs", `${name}.log`),
    dataDir: (name: string) => join(root, name),
  };
}

/** What a fresh start removes, and nothing else: somebody may have named a folder that holds other things too. */
const REMOVED_WHEN_FRESH = [
  ...[
    "postgres",
    "postgres.new",
    "postgres.password",
    "nats",
    "redis",
    "issuer",
    "card-processor",
    "carrier",
  ],
  ...["logs", "ports.json", "secrets.json", "database-passwords.json"],
];

/** Makes the data folder where there is none. */
export function createShopFolder(folder: ShopFolder): void {
  mkdirSync(folder.processesDir, { recursive: true });
}

/** Removes all data of the shop. */
export function emptyShopFolder(folder: ShopFolder): void {
  for (const name of REMOVED_WHEN_FRESH) rmSync(join(folder.root, name), { recursive: true, force: true });
}
