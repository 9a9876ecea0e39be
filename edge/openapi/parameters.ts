import type { DescField, DescMessage, JsonObject } from "@bufbuild/protobuf";
import type { Route } from "../options.ts";
import { hasScalarJson, isWellKnown } from "../routing/field-path.ts";
import { parseTemplate, type Template, type Variable } from "../routing/template.ts";
import { isRequired } from "./constraints.ts";
import { type ExampleOf, fieldExample } from "./example.ts";
import type { Schemas } from "./schema.ts";

/** A route's path as OpenAPI writes it, and the names of its parameters with the fields they fill. */
export interface PathForm {
  readonly path: string;
  readonly parameters: readonly PathParameter[];
}

interface PathParameter {
  readonly name: string;
  /** The field's proto path. */
  readonly fieldPath: string;
  /** It is a part of its field's text, not the whole. */
  readonly isPart: boolean;
  /** It may hold slashes. */
  readonly takesRest: boolean;
}

/** Writes a template with each wildcard as a parameter; a variable of several is named by number: `{name_1}`. */
export function pathForm(text: string): PathForm {
  const template = parseTemplate(text);
  const names = wildcardNames(template);
  const segments = template.segments.map((segment, index) => {
    const parameter = names.get(index);
    return parameter ? `{${parameter.name}}` : segment;
  });
  const verb = template.verb === "" ? "" : `:${template.verb}`;
  return { path: `/${segments.join("/")}${verb}`, parameters: [...names.values()] };
}

function wildcardNames({ segments, variables }: Template): Map<number, PathParameter> {
  const names = new Map<number, PathParameter>();
  const isWild = (index: number) => segments[index] === "*" || segments[index] === "**";
  for (const variable of variables) {
    const wild = indexesOf(variable, segments.length).filter(isWild);
    const fieldPath = variable.fieldPath.join(".");
    const isPart = indexesOf(variable, segments.length).length > 1;
    wild.forEach((index, at) => {
      const name = wild.length === 1 ? fieldPath : `${fieldPath}_${at + 1}`;
      names.set(index, { name, fieldPath, isPart, takesRest: segments[index] === "**" });
    });
  }
  // Wildcards that no variable binds have to be something all the same.
  segments.forEach((segment, index) => {
    if (names.has(index) || !isWild(index)) return;
    const name = `segment_${index + 1}`;
    names.set(index, { name, fieldPath: "", isPart: true, takesRest: segment === "**" });
  });
  return names;
}

function indexesOf({ start, end }: Variable, length: number): number[] {
  return Array.from({ length: (end ?? length) - start }, (_, index) => start + index);
}

/** The field behind a proto path. */
function fieldAt(input: DescMessage, path: string): DescField | undefined {
  let within: DescMessage | undefined = input;
  let found: DescField | undefined;
  for (const name of path.split(".")) {
    found = within?.fields.find((field) => field.name === name);
    within = found?.message;
  }
  return found;
}

/** Proto paths of the fields that a route's path fills. */
export function boundPaths(route: Route): Set<string> {
  return new Set(parseTemplate(route.template).variables.map(({ fieldPath }) => fieldPath.join(".")));
}

/** The parameters of a route's path. */
export function pathParameters(route: Route, schemas: Schemas, exampleOf: ExampleOf): JsonObject[] {
  return pathForm(route.template).parameters.map(({ name, fieldPath, isPart, takesRest }) => {
    const field = fieldAt(route.method.input, fieldPath);
    const { description, ...schema } = field ? schemas.field(field) : {};
    const notes = [description, takesRest && "May hold slashes."].filter(Boolean).join(" ");
    return {
      name,
      in: "path",
      required: true,
      ...(notes !== "" && { description: notes }),
      schema: isPart || !field ? { type: "string" } : schema,
      ...(field && !isPart && { example: fieldExample(field, exampleOf) }),
    };
  });
}

/** The parameters of a route's query: every field that neither path nor body fills and that has a text form. */
export function queryParameters(route: Route, schemas: Schemas, exampleOf: ExampleOf): JsonObject[] {
  if (route.body === "*") return [];
  const bound = boundPaths(route);
  const parameters: JsonObject[] = [];
  const collect = (desc: DescMessage, json: string, proto: string, within: readonly DescMessage[]): void => {
    for (const field of desc.fields) {
      const protoPath = proto + field.name;
      if (bound.has(protoPath) || protoPath === route.body || field.fieldKind === "map") continue;
      if (field.message && !hasScalarJson(field.message)) {
        const steps =
          field.fieldKind === "message" && !isWellKnown(field.message) && !within.includes(field.message);
        if (steps)
          collect(field.message, `${json + field.jsonName}.`, `${protoPath}.`, [...within, field.message]);
        continue;
      }
      const { description, ...schema } = schemas.field(field);
      parameters.push({
        name: json + field.jsonName,
        in: "query",
        ...(isRequired(field) && { required: true }),
        ...(description !== undefined && { description }),
        schema,
        // Examples of what may be left out would be sent by whoever tries the page out.
        ...(isRequired(field) && { example: fieldExample(field, exampleOf) }),
      });
    }
  };
  collect(route.method.input, "", "", [route.method.input]);
  return parameters;
}
