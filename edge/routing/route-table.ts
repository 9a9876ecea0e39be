import type { DescMethod, DescService, Registry } from "@bufbuild/protobuf";
import type { ResolvedPolicy, Route } from "../options.ts";
import { createQuickRequest } from "../rest/quick-request.ts";
import type { RequestShape } from "../rest/request-message.ts";
import {
  createResponseEncoder,
  holdsHttpBody,
  isHttpBody,
  type ResponseEncoder,
} from "../rest/response-message.ts";
import type { Destination } from "../upstream/backend-choice.ts";
import { Matcher } from "./matcher.ts";
import { createQueryReader } from "./query.ts";
import { type CheckedRule, readRules } from "./rules.ts";

/** An RPC as the edge serves it. */
export interface Procedure {
  readonly method: DescMethod;
  readonly service: DescService;
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly policy: ResolvedPolicy;
  readonly destination: Destination;
}

/** A REST binding with everything computed that does not depend on the request. */
export interface RestRoute extends Route {
  readonly procedure: Procedure;
  readonly shape: RequestShape;
  readonly encode: ResponseEncoder;
  /** The answer is HttpBody: raw bytes, not JSON. */
  readonly rawResponse: boolean;
}

/** What is served, by procedure path and by REST route. */
export interface RouteTable {
  readonly procedures: ReadonlyMap<string, Procedure>;
  readonly routes: readonly RestRoute[];
  readonly matcher: Matcher<RestRoute>;
}

/** Compiles the table; throws one Error that lists every bad rule by file, RPC and reason. */
export function compileRouteTable(
  procedures: readonly Procedure[],
  registry: Registry,
  ignoredQueryParameters: readonly string[],
): RouteTable {
  const faults: string[] = [];
  const routes: RestRoute[] = [];
  const matcher = new Matcher<RestRoute>();
  for (const procedure of procedures) {
    const report = (reason: string): void => {
      faults.push(
        `${procedure.service.file.name}.proto: ${procedure.service.typeName}.${procedure.method.name}: ${reason}`,
      );
    };
    for (const rule of readRules(procedure.method, report)) {
      const route = compileRoute(procedure, rule, registry, ignoredQueryParameters);
      const other = matcher.add(route.httpMethod, rule.template, route);
      if (other !== undefined) {
        report(
          `${route.httpMethod} ${route.template} has the same shape as ${other.template} of ${other.service.typeName}.${other.method.name}`,
        );
      } else routes.push(route);
    }
  }
  if (faults.length > 0)
    throw new Error(`the edge refuses these google.api.http rules:\n${faults.join("\n")}`);
  return { procedures: new Map(procedures.map((procedure) => [procedure.path, procedure])), routes, matcher };
}

function compileRoute(
  procedure: Procedure,
  rule: CheckedRule,
  registry: Registry,
  ignored: readonly string[],
): RestRoute {
  const { method } = procedure;
  const { emitDefaults, ignoredQueryParameters } = procedure.policy;
  const bodyField = rule.body === "*" || rule.body === undefined ? "" : rule.body.name;
  const readQuery = createQueryReader({
    input: method.input,
    binds: rule.body !== "*",
    pathBound: new Set(rule.pathBindings.map((binding) => binding.path.protoPath)),
    bodyField,
    ignored: [...ignored, ...ignoredQueryParameters],
  });
  const shape = { ...rule, input: method.input, readQuery };
  return {
    service: procedure.service,
    method,
    httpMethod: rule.httpMethod,
    template: rule.text,
    body: rule.body === "*" ? "*" : bodyField,
    responseBody: rule.responseField?.name ?? "",
    procedure,
    shape: { ...shape, quick: createQuickRequest(shape) },
    encode: createResponseEncoder({
      output: method.output,
      field: rule.responseField,
      emitDefaults,
      registry,
    }),
    rawResponse: rule.responseField ? holdsHttpBody(rule.responseField) : isHttpBody(method.output),
  };
}
