// A method of the contract as its REST request: verb, path, query and body come from `google.api.http`, so that no path
// is written down here.

import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodUnary,
  getOption,
  type JsonObject,
  type JsonValue,
  type MessageInitShape,
  toJson,
} from "@bufbuild/protobuf";
import { http } from "#gen/google/api/annotations_pb.ts";

/** A request at the public door. */
export type RestCall = { verb: "GET" | "POST"; path: string; body: JsonObject | undefined };

/** Spells a request as REST. Throws for methods whose route is neither a GET nor a POST of everything. */
export function toRestCall<I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
): RestCall {
  const members = toJson(method.input, create(method.input, request)) as JsonObject;
  const { verb, template } = routeOf(method);
  const path = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => takeSegment(method, members, name));
  if (verb === "POST") return { verb, path, body: members };
  const query = new URLSearchParams(Object.entries(members).map(([name, value]) => [name, String(value)]));
  return { verb, path: query.size > 0 ? `${path}?${query}` : path, body: undefined };
}

function routeOf(method: DescMethod): { verb: RestCall["verb"]; template: string } {
  const { pattern } = getOption(method, http);
  if (pattern.case === "get") return { verb: "GET", template: pattern.value };
  if (pattern.case === "post") return { verb: "POST", template: pattern.value };
  throw new Error(`${method.name} has no route`);
}

function takeSegment({ input }: DescMethod, members: Record<string, JsonValue>, name: string): string {
  const jsonName = input.fields.find((field) => field.name === name)?.jsonName ?? name;
  const value = members[jsonName];
  delete members[jsonName];
  return encodeURIComponent(String(value ?? ""));
}
