import type { DescField } from "@bufbuild/protobuf";
import { type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { http } from "#gen/google/api/annotations_pb.ts";
import type { HttpRule } from "#gen/google/api/http_pb.ts";
import type { PathBinding } from "../rest/request-message.ts";
import { holdsHttpBody, isHttpBody } from "../rest/response-message.ts";
import { derivableMask } from "./field-mask.ts";
import { resolveFieldPath } from "./field-path.ts";
import { textParserFor } from "./scalar-text.ts";
import { parseTemplate, type Template } from "./template.ts";

/** One binding of an RPC as its rule says it, checked but not yet part of an edge. */
export interface CheckedRule {
  readonly method: DescMethod;
  readonly httpMethod: string;
  readonly text: string;
  readonly template: Template;
  readonly pathBindings: readonly PathBinding[];
  readonly body: "*" | DescField | undefined;
  readonly rawBody: boolean;
  readonly derivesMask: boolean;
  readonly responseField: DescField | undefined;
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Reads and checks the rules of an RPC (T1 to T12, T14); faults go to `report` and their bindings are left out. */
export function readRules(method: DescMethod, report: (reason: string) => void): CheckedRule[] {
  if (!hasOption(method, http)) return [];
  const rule = getOption(method, http);
  const checked: CheckedRule[] = [];
  for (const binding of [rule, ...rule.additionalBindings]) {
    try {
      if (binding !== rule && binding.additionalBindings.length > 0) {
        throw new Error("additional_bindings must not be nested");
      }
      checked.push(checkRule(method, binding));
    } catch (error) {
      report((error as Error).message);
    }
  }
  return checked;
}

function checkRule(method: DescMethod, rule: HttpRule): CheckedRule {
  const { httpMethod, text } = patternOf(rule);
  const template = parseChecked(text);
  const pathBindings = template.variables.map((variable) => bindVariable(method, variable));
  if (pathBindings.length > 0 && isClientStream(method)) {
    throw new Error("a client-streaming RPC cannot have path variables");
  }
  const body = bodyOf(method, rule, httpMethod);
  const mask = derivableMask(method.input);
  return {
    method,
    httpMethod,
    text,
    template,
    pathBindings,
    body,
    rawBody: body === "*" ? isHttpBody(method.input) : body !== undefined && holdsHttpBody(body),
    derivesMask:
      httpMethod === "PATCH" &&
      body !== "*" &&
      body?.fieldKind === "message" &&
      mask !== undefined &&
      mask !== body,
    responseField: responseFieldOf(method, rule),
  };
}

/** Whether the caller sends more than one message. */
export function isClientStream(method: DescMethod): boolean {
  return method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
}

function patternOf(rule: HttpRule): { httpMethod: string; text: string } {
  const { pattern } = rule;
  if (pattern.case === undefined) throw new Error("the rule has no pattern");
  if (pattern.case !== "custom") return { httpMethod: pattern.case.toUpperCase(), text: pattern.value };
  if (!token.test(pattern.value.kind)) throw new Error(`'${pattern.value.kind}' is not an HTTP method`);
  return { httpMethod: pattern.value.kind, text: pattern.value.path };
}

function parseChecked(text: string): Template {
  try {
    return parseTemplate(text);
  } catch (error) {
    throw new Error(`template '${text}': ${(error as Error).message}`);
  }
}

function bindVariable(method: DescMethod, variable: Template["variables"][number]): PathBinding {
  const name = variable.fieldPath.join(".");
  const path = resolveFieldPath(method.input, variable.fieldPath, false);
  if (path === "unknown") throw new Error(`variable '${name}': ${method.input.typeName} has no such field`);
  if (path === "not-steppable") {
    throw new Error(`variable '${name}': only singular messages can be stepped through`);
  }
  const parse = path.leaf.fieldKind === "list" ? undefined : textParserFor(path.leaf);
  if (parse === undefined) throw new Error(`variable '${name}': the field has no text form for a path`);
  return { variable, path, parse };
}

function bodyOf(method: DescMethod, rule: HttpRule, httpMethod: string): CheckedRule["body"] {
  if (rule.body === "") return undefined;
  if (httpMethod === "GET" || httpMethod === "HEAD") throw new Error(`${httpMethod} cannot have a body`);
  return rule.body === "*" ? "*" : topLevelField(method.input.fields, rule.body, "body");
}

function responseFieldOf(method: DescMethod, rule: HttpRule): DescField | undefined {
  if (rule.responseBody === "" || rule.responseBody === "*") return undefined;
  return topLevelField(method.output.fields, rule.responseBody, "response_body");
}

function topLevelField(fields: readonly DescField[], name: string, what: string): DescField {
  const field = fields.find((candidate) => candidate.name === name);
  if (field === undefined) throw new Error(`${what} '${name}' is not a top-level field`);
  return field;
}
