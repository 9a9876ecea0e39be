// `souk mesh …`: why a call arrives, or does not. The work is deploy/doctor's, which is loaded when it is asked for.

import type { JsonObject } from "@bufbuild/protobuf";
import { type ClusterCommand, optional, WrongUse } from "./command.ts";
import { type Columns, drawFacts, drawTable } from "./words.ts";

interface Ruling {
  readonly by: string;
  readonly allows: boolean;
  readonly says: string;
}

interface Destination {
  readonly when: string;
  readonly service: string;
  readonly percent: number;
  readonly rule: string;
}

const rulings: Columns<Ruling> = {
  Asked: ({ by }) => by,
  Answer: ({ allows }) => (allows ? "yes" : "NO"),
};

const destinations: Columns<Destination> = {
  When: ({ when }) => when,
  To: ({ service }) => service,
  "Of the calls": ({ percent }) => `${percent} %`,
  DestinationRule: ({ rule }) => rule || "none",
};

const doctor: ClusterCommand = {
  name: "mesh doctor",
  operands: ["CALLER", "SERVICE", "[METHOD]"],
  flags: { namespace: { type: "string", value: "NAME", help: "where both are; souk where unset" } },
  summary:
    "Shows the way of a call in the cluster: route, weights, mutual TLS, policies; and whether it is let through.",
  prepareInCluster(input) {
    const [caller = "", callee = "", method] = input.operands;
    const asked = {
      namespace: optional(input, "namespace") ?? "souk",
      caller,
      callee,
      path: readPath(method),
    };
    return async () => {
      const { examine } = await import("../../deploy/doctor/commands.ts");
      const found = await examine(asked);
      const { verdict, refusedBy, warnings } = found;
      const facts = {
        From: found.caller,
        To: `${found.callee}:${found.port} (${found.protocol})`,
        Route: found.route,
        "Mutual TLS": found.mtls,
        Verdict: verdict === "allowed" ? "allowed" : `refused by ${refusedBy}`,
      };
      const said = found.rulings.map(({ by, says }) => `${by}: ${says}`);
      return {
        text: [
          drawFacts(facts),
          drawTable(destinations, found.destinations, ""),
          drawTable(rulings, found.rulings, ""),
          [...said, ...warnings.map((warning) => `warning: ${warning}`)].join("\n"),
        ].join("\n\n"),
        entries: [found as unknown as JsonObject],
        refusals: verdict === "allowed" ? [] : [`refused by ${refusedBy}`],
      };
    };
  },
};

/** The commands about the mesh. */
export const meshCommands: readonly ClusterCommand[] = [doctor];

function readPath(method: string | undefined): string | undefined {
  if (method === undefined) return undefined;
  if (/^\/?[\w.]+\/\w+$/.test(method)) return `/${method.replace(/^\//, "")}`;
  throw new WrongUse(`a method is written as souk.orders.v1.OrdersService/PlaceOrder, not "${method}"`);
}
