import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { Client, escapeIdentifier, escapeLiteral } from "pg";

/** How one service reaches its database: to run, and to migrate. */
export type DatabaseAccess = {
  /** The role the service runs as; it changes rows, never tables. */
  appUrl: string;
  /** The role that owns the database and migrates it. */
  ownerUrl: string;
};

/**
 * Makes a database per name, owned by `<name>_owner` and open to `<name>_app`; what exists is left as it is, but for
 * the passwords, which are those of the file at `passwordsPath` (made where it is missing). A name that is no plain
 * word is a mistake of the caller's and fails in SQL.
 */
export async function createDatabases(
  superuserUrl: string,
  names: readonly string[],
  passwordsPath: string,
): Promise<Record<string, DatabaseAccess>> {
  const passwords = readPasswords(passwordsPath, names);
  const client = new Client({ connectionString: superuserUrl, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    for (const name of names) await createDatabase(client, name, passwords);
  } finally {
    await client.end();
  }
  return Object.fromEntries(names.map((name) => [name, accessTo(superuserUrl, name, passwords)]));
}

async function createDatabase(
  client: Client,
  name: string,
  passwords: Record<string, string>,
): Promise<void> {
  for (const role of rolesOf(name)) {
    const exists = await client.query("select from pg_roles where rolname = $1", [role]);
    const verb = exists.rowCount === 0 ? "create" : "alter";
    await client.query(
      `${verb} role ${escapeIdentifier(role)} login password ${escapeLiteral(passwords[role] ?? "")}`,
    );
  }
  const [owner, app] = rolesOf(name).map(escapeIdentifier);
  const database = escapeIdentifier(name);
  const exists = await client.query("select from pg_database where datname = $1", [name]);
  if (exists.rowCount === 0) await client.query(`create database ${database} owner ${owner}`);
  await client.query(`revoke all on database ${database} from public`);
  await client.query(`grant connect on database ${database} to ${app}`);
}

function rolesOf(name: string): [owner: string, app: string] {
  return [`${name}_owner`, `${name}_app`];
}

function accessTo(superuserUrl: string, name: string, passwords: Record<string, string>): DatabaseAccess {
  const [ownerUrl = "", appUrl = ""] = rolesOf(name).map((role) => {
    const url = new URL(superuserUrl);
    url.username = role;
    url.password = passwords[role] ?? "";
    url.pathname = `/${name}`;
    return url.href;
  });
  return { ownerUrl, appUrl };
}

function readPasswords(path: string, names: readonly string[]): Record<string, string> {
  const known: Record<string, string> = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {};
  for (const role of names.flatMap(rolesOf)) known[role] ??= randomBytes(18).toString("base64url");
  writeFileSync(path, JSON.stringify(known, undefined, 2), { mode: 0o600 });
  chmodSync(path, 0o600);
  return known;
}
