// The watchdog's service account as the manifests make it, so that what it may not do is seen where it is tried.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, parseAllDocuments, stringify } from "yaml";
import { type ApiServer, connectAsPerson } from "../api-server.ts";
import type { KubernetesObject } from "../objects.ts";

const MANIFEST = join(import.meta.dirname, "../../components/canary/keeper.yaml");
const PATHS: Readonly<Record<string, string>> = {
  ServiceAccount: "/api/v1/namespaces/NS/serviceaccounts",
  Role: "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/roles",
  RoleBinding: "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/rolebindings",
};

/** Makes the account in a namespace and connects as it, with the address of the kubeconfig that is named. */
export async function connectAsKeeper(
  api: ApiServer,
  namespace: string,
  kubeconfig: string,
): Promise<ApiServer> {
  const text = readFileSync(MANIFEST, "utf8").replaceAll("namespace: souk", `namespace: ${namespace}`);
  const objects = parseAllDocuments(text).map((document) => document.toJS() as KubernetesObject);
  for (const object of objects) {
    const path = PATHS[object.kind]?.replace("NS", namespace);
    if (path) await api.ask({ verb: "POST", path, body: object });
  }
  const { status } = await api.ask({
    verb: "POST",
    path: `/api/v1/namespaces/${namespace}/serviceaccounts/canary-keeper/token`,
    body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} },
  });
  const folder = mkdtempSync(join(tmpdir(), "souk-keeper-"));
  const before = process.env.KUBECONFIG;
  try {
    const config = parse(readFileSync(kubeconfig, "utf8")) as { users: { name: string; user: object }[] };
    const users = config.users.map(({ name }) => ({ name, user: { token: status.token } }));
    process.env.KUBECONFIG = join(folder, "config");
    writeFileSync(process.env.KUBECONFIG, stringify({ ...config, users }), { mode: 0o600 });
    return await connectAsPerson();
  } finally {
    process.env.KUBECONFIG = before;
    rmSync(folder, { recursive: true });
  }
}
