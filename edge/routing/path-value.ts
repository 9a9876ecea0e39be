import { badRequest } from "../edge-error.ts";
import type { Variable } from "./template.ts";

/** The decoded text a variable captured from raw segments (rules D1 to D6). */
export function captureText(variable: Variable, segments: readonly string[], field: string): string {
  try {
    if (!variable.multi) return decode(segments[variable.start] ?? "");
    return segments.slice(variable.start, variable.end).map(decodeKeepingSlashes).join("/");
  } catch {
    throw badRequest("INVALID_PATH", "the path holds a broken escape", field);
  }
}

function decode(text: string): string {
  return text.includes("%") ? decodeURIComponent(text) : text;
}

/** An escaped slash inside a multi-segment capture stays as sent, or it could not be told from a real one. */
function decodeKeepingSlashes(text: string): string {
  if (!text.includes("%")) return text;
  return text
    .split(/(%2[fF])/)
    .map((part, at) => (at % 2 === 1 ? part : decodeURIComponent(part)))
    .join("");
}
