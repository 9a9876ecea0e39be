import type { Check } from "../check.ts";
import { callFrom } from "../cluster/caller.ts";
import { SERVICES } from "../cluster/namespaces.ts";
import { anybody, grpcTarget, readCalls } from "../cluster/requests.ts";

/** `ServerReflectionRequest {list_services: ""}`, with which grpcurl begins. */
const LIST_SERVICES = Buffer.from([0x3a, 0x00]).toString("base64");

/** A person in the debug pod reaches every service, as with grpcurl: reflection, then a call. */
export const toolsInTheMesh: Check = {
  name: "tools-in-the-mesh",
  async run(_, report) {
    for (const service of SERVICES.filter((name) => name !== "gateway")) {
      const reflection = {
        kind: "grpc",
        target: grpcTarget(service),
        path: "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        message: LIST_SERVICES,
      } as const;
      const [list, call] = await callFrom("deploy/debug", [reflection, readCalls[service]], anybody);
      report.expect(
        list?.status === 0 && call?.status === 0,
        `${service} answers a person in the mesh`,
        `reflection ${list?.status}, ${readCalls[service].path} ${call?.status} ${call?.status === 0 ? "" : call?.text}`.trim(),
      );
    }
  },
};
