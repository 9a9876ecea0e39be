// `souk canary …`: releases that begin with a share of the calls. The work is deploy/canary's, which is loaded when it is asked for:
// images of the tools have no release to make.

import type { JsonObject } from "@bufbuild/protobuf";
import {
  type ClusterCommand,
  type Flag,
  type Input,
  optional,
  type Report,
  required,
  WrongUse,
} from "./command.ts";
import { drawFacts } from "./words.ts";

const flags: Readonly<Record<string, Flag>> = {
  namespace: { type: "string", value: "NAME", help: "where the shop is; souk where unset" },
};

const commands = () => import("../../deploy/canary/commands.ts");

const start: ClusterCommand = {
  name: "canary start",
  operands: ["SERVICE"],
  flags: {
    image: {
      type: "string",
      value: "IMAGE",
      help: "what the canary runs, by digest where the cluster asks for it",
    },
    policy: {
      type: "string",
      value: "NAME",
      help: "default, blue-green, quick (deploy/canary/policies), or a file",
    },
    prometheus: {
      type: "string",
      value: "URL",
      help: "a Prometheus to ask for the pods' metrics; the pods themselves where unset",
    },
    ...flags,
  },
  summary:
    "Begins a canary, or goes on with one that nobody drives, and stays until it is promoted or aborted.",
  prepareInCluster(input) {
    const place = readPlace(input);
    const asked = {
      image: required(input, "image"),
      policy: optional(input, "policy") ?? "default",
      prometheus: readUrl(optional(input, "prometheus")),
    };
    return async () => (await commands()).startCanary({ ...place, ...asked }).then(toReport);
  },
};

const status: ClusterCommand = {
  name: "canary status",
  operands: ["[SERVICE]"],
  flags,
  summary:
    "Shows the canaries of the cluster: who drives them, how far they are, what was seen, why they ended.",
  prepareInCluster(input) {
    const [service] = input.operands;
    const namespace = optional(input, "namespace") ?? "souk";
    if (service !== undefined) checkName(service);
    return async () => {
      const found = await (await commands()).canaryStatus({ namespace, service });
      return {
        text: found.map(({ facts }) => drawFacts(facts)).join("\n\n") || "There was no canary yet.",
        entries: found.map(({ entry }) => entry),
        refusals: [],
      };
    };
  },
};

const promote: ClusterCommand = {
  name: "canary promote",
  operands: ["SERVICE"],
  flags,
  summary: "Leaves the rest of the watching out: the stable pods become the canary's image now.",
  prepareInCluster(input) {
    const place = readPlace(input);
    return async () => (await commands()).promoteCanary(place).then(toReport);
  },
};

const abort: ClusterCommand = {
  name: "canary abort",
  operands: ["SERVICE"],
  flags: { why: { type: "string", value: "TEXT", help: "for those who look later" }, ...flags },
  summary: "Takes all calls from the canary, at once, and ends its rollout.",
  prepareInCluster(input) {
    const place = readPlace(input);
    const why = optional(input, "why") ?? "aborted by hand";
    return async () => {
      const { facts, entry } = await (await commands()).abortCanary({ ...place, why });
      // What was asked for has happened.
      return { text: drawFacts(facts), entries: [entry], refusals: [] };
    };
  },
};

const keep: ClusterCommand = {
  name: "canary keep",
  operands: [],
  flags,
  summary:
    "Watches over all canaries until it is stopped: takes calls from those that are not ready, or whose run is dead.",
  prepareInCluster(input) {
    const namespace = optional(input, "namespace") ?? "souk";
    return async () => {
      await (await commands()).keepCanaries({ namespace });
      return { text: "", entries: [], refusals: [] };
    };
  },
};

/** The commands about canaries. */
export const canaryCommands: readonly ClusterCommand[] = [start, status, promote, abort, keep];

function readPlace(input: Input): { service: string; namespace: string } {
  const [service = ""] = input.operands;
  return { service: checkName(service), namespace: optional(input, "namespace") ?? "souk" };
}

function checkName(service: string): string {
  if (/^[a-z][a-z-]{0,40}$/.test(service)) return service;
  throw new WrongUse(`a service is named in small letters, not "${service}"`);
}

function readUrl(text: string | undefined): string | undefined {
  if (text === undefined || /^https?:\/\/./.test(URL.parse(text)?.href ?? "")) return text;
  throw new WrongUse(`--prometheus is an address that begins with http, not "${text}"`);
}

interface Ended {
  readonly facts: Readonly<Record<string, string | number>>;
  readonly rollout: { readonly phase: string; readonly reason: string };
  readonly entry: JsonObject;
}

/** A rollout that was not promoted is no success, so that a pipeline stops there. */
function toReport({ facts, rollout, entry }: Ended): Report {
  const refusals = rollout.phase === "promoted" ? [] : [`${rollout.phase}: ${rollout.reason}`];
  return { text: drawFacts(facts), entries: [entry], refusals };
}
