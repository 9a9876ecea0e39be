import { kubectl } from "./kubectl.ts";
import { STORES } from "./namespaces.ts";

/** What a statement selects from a service's database, as its superuser; a row per line, columns with `|` between them. */
export async function select(service: string, statement: string): Promise<string> {
  const psql = ["psql", "--username", "postgres", "--dbname", service, "--no-align", "--tuples-only"];
  const pod = ["--namespace", STORES, "exec", "statefulset/postgres", "--container", "postgres"];
  return (await kubectl([...pod, "--", ...psql, "--command", statement])).trim();
}
