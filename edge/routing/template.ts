/** One segment of a template with its variables erased: a literal, `*` or `**`. */
export type Segment = string;

/** A variable and the segments it binds. */
export interface Variable {
  /** Steps of the field path, in proto spelling. */
  readonly fieldPath: readonly string[];
  /** Index of its first segment. */
  readonly start: number;
  /** Index after its last segment; undefined when it ends in `**` and takes the rest. */
  readonly end: number | undefined;
  /** Whether it binds more than one segment, or `**`: its `%2F` stay as sent (D2, D3). */
  readonly multi: boolean;
}

/** A parsed path template. */
export interface Template {
  readonly segments: readonly Segment[];
  readonly variables: readonly Variable[];
  /** Text after the colon, without it; empty for none. */
  readonly verb: string;
}

const literal = /^(?:[-_.~0-9A-Za-z]|%[0-9A-Fa-f]{2})+$/;
const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/;

interface Draft {
  readonly segments: Segment[];
  readonly variables: Variable[];
}

/** Parses a path template by the grammar of http.proto (rules T1 to T8); throws an Error that says what is wrong. */
export function parseTemplate(text: string): Template {
  if (!text.startsWith("/")) throw new Error("the template must begin with '/'");
  const verbAt = verbIndex(text);
  const verb = verbAt === -1 ? "" : text.slice(verbAt + 1);
  if (verbAt !== -1) checkLiteral(verb, "verb");
  const draft: Draft = { segments: [], variables: [] };
  for (const part of splitOutside(verbAt === -1 ? text.slice(1) : text.slice(1, verbAt)))
    readPart(part, draft);
  const rest = draft.segments.indexOf("**");
  if (rest !== -1 && rest !== draft.segments.length - 1) throw new Error("'**' must be the last segment");
  checkDistinct(draft.variables);
  return { segments: draft.segments, variables: draft.variables, verb: normaliseEscapes(verb) };
}

/** The form in which literals are compared: escapes in upper-case hex (T2). */
export function normaliseEscapes(text: string): string {
  return text.includes("%") ? text.replace(/%[0-9a-fA-F]{2}/g, (hex) => hex.toUpperCase()) : text;
}

/** The verb's colon is the first one outside braces; T2's alphabet has no colon, so a second is refused. */
function verbIndex(text: string): number {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "{") depth++;
    else if (char === "}") depth--;
    else if (char === ":" && depth === 0) return i;
  }
  return -1;
}

function splitOutside(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "{") depth++;
    if (char === "}") depth--;
    if (depth < 0) throw new Error("'}' without '{'");
    if (char === "/" && depth === 0) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  if (depth > 0) throw new Error("'{' without '}'");
  parts.push(text.slice(start));
  return parts;
}

function readPart(part: string, draft: Draft): void {
  if (!part.startsWith("{")) {
    draft.segments.push(readSegment(part));
    return;
  }
  if (!part.endsWith("}")) throw new Error(`a variable must be a whole segment: '${part}'`);
  const inner = part.slice(1, -1);
  if (/[{}]/.test(inner)) throw new Error(`a variable must not contain another: '${part}'`);
  const equals = inner.indexOf("=");
  const fieldPath = (equals === -1 ? inner : inner.slice(0, equals)).split(".");
  for (const step of fieldPath) {
    if (!identifier.test(step)) throw new Error(`'${fieldPath.join(".")}' is not a field path`);
  }
  const bound = (equals === -1 ? "*" : inner.slice(equals + 1)).split("/").map(readSegment);
  const start = draft.segments.length;
  draft.segments.push(...bound);
  const toEnd = bound.at(-1) === "**";
  draft.variables.push({
    fieldPath,
    start,
    end: toEnd ? undefined : start + bound.length,
    multi: toEnd || bound.length > 1,
  });
}

function readSegment(text: string): Segment {
  if (text === "*" || text === "**") return text;
  checkLiteral(text, "segment");
  return normaliseEscapes(text);
}

function checkLiteral(text: string, what: string): void {
  if (text === "") throw new Error(`a ${what} must not be empty`);
  if (!literal.test(text)) throw new Error(`'${text}' is not a literal of the template grammar`);
}

function checkDistinct(variables: readonly Variable[]): void {
  const seen = new Set<string>();
  for (const { fieldPath } of variables) {
    const name = fieldPath.join(".");
    if (seen.has(name)) throw new Error(`the variable '${name}' appears twice`);
    seen.add(name);
  }
}
