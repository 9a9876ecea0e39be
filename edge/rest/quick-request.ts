import { ScalarType } from "@bufbuild/protobuf";
import { type BoundText, compileRequest } from "../codec/request-bytes.ts";
import { captureText } from "../routing/path-value.ts";
import type { PathBinding, RequestShape } from "./request-message.ts";

const jsonTypes: readonly (string | undefined)[] = [
  undefined,
  "application/json",
  "application/json; charset=utf-8",
  "application/json;charset=UTF-8",
];

/**
 * Compiles a route whose parts a single pass can join: a JSON body or none, and strings from the path. It gives undefined for requests that
 * take the way over message objects.
 */
export function createQuickRequest(shape: Omit<RequestShape, "quick">): RequestShape["quick"] {
  const { input, body, pathBindings } = shape;
  if (shape.rawBody || shape.derivesMask || !pathBindings.every(isPlainText)) return undefined;
  const encode = compileRequest(input, body);
  if (encode === undefined) return undefined;
  return (parts, maxDepth) => {
    if (parts.query !== "" || !jsonTypes.includes(parts.contentType)) return undefined;
    const json = body === undefined || parts.body.length === 0 ? undefined : parts.body;
    const bound = boundTexts(pathBindings, parts.segments);
    return bound && encode(json, bound, maxDepth);
  };
}

/** A string at the top of the request, outside oneofs: set last, it wins over the body without further ado. */
function isPlainText({ path: { leaf, parents } }: PathBinding): boolean {
  return (
    parents.length === 0 &&
    leaf.fieldKind === "scalar" &&
    leaf.scalar === ScalarType.STRING &&
    leaf.oneof === undefined
  );
}

/** Undefined where an escape is broken: what else is wrong with the request is said first. */
function boundTexts(bindings: readonly PathBinding[], segments: readonly string[]): BoundText[] | undefined {
  try {
    return bindings.map(({ variable, path }) => ({
      number: path.leaf.number,
      text: captureText(variable, segments, path.jsonPath),
    }));
  } catch {
    return undefined;
  }
}
