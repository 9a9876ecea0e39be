import { normaliseEscapes, type Template } from "./template.ts";

interface Node<T> {
  readonly literals: Map<string, Node<T>>;
  star: Node<T> | undefined;
  rest: Node<T> | undefined;
  /** Verb (empty for none) → HTTP method → entry. */
  readonly leaves: Map<string, Map<string, T>>;
}

/** What a request target matched. */
export interface Match<T> {
  readonly entry: T;
  /** Raw path segments, the verb cut off. */
  readonly segments: readonly string[];
}

/** Routes by method and path template: literal before `*` before `**`, left to right, with backtracking (M1 to M10). */
export class Matcher<T> {
  readonly #root: Node<T> = createNode();
  readonly #methods = new Set<string>();

  /** Adds a template; returns the entry already registered for this method and shape, if any (T13). */
  add(httpMethod: string, template: Template, entry: T): T | undefined {
    let node = this.#root;
    for (const segment of template.segments) node = childFor(node, segment);
    let byMethod = node.leaves.get(template.verb);
    if (byMethod === undefined) {
      byMethod = new Map();
      node.leaves.set(template.verb, byMethod);
    }
    const present = byMethod.get(httpMethod);
    if (present === undefined) byMethod.set(httpMethod, entry);
    this.#methods.add(httpMethod);
    return present;
  }

  /** Finds the route of a raw path; HEAD is answered by GET where it has no route of its own (M12). */
  match(httpMethod: string, path: string): Match<T> | undefined {
    const segments = splitPath(path);
    if (segments === undefined) return undefined;
    const cut = cutVerb(segments);
    if (cut !== undefined) {
      const entry = find(this.#root, cut.segments, 0, cut.verb, httpMethod);
      if (entry !== undefined) return { entry, segments: cut.segments };
    }
    const entry = find(this.#root, segments, 0, "", httpMethod);
    return entry === undefined ? undefined : { entry, segments };
  }

  /** The methods some shape of this path would answer, sorted; empty when the path is unknown (M11). */
  allowed(path: string): string[] {
    const segments = splitPath(path);
    if (segments === undefined) return [];
    const methods = new Set<string>();
    const cut = cutVerb(segments);
    if (cut !== undefined) collect(this.#root, cut.segments, 0, cut.verb, methods);
    collect(this.#root, segments, 0, "", methods);
    return methods.size === 0 ? [] : withImplied(methods);
  }

  /** The methods that any path at all would answer, sorted. */
  methods(): string[] {
    return withImplied(this.#methods);
  }
}

function withImplied(methods: ReadonlySet<string>): string[] {
  const all = new Set([...methods, "OPTIONS"]);
  if (all.has("GET")) all.add("HEAD");
  // Any method is not the name of one.
  all.delete("*");
  return [...all].sort();
}

function createNode<T>(): Node<T> {
  return { literals: new Map(), star: undefined, rest: undefined, leaves: new Map() };
}

function childFor<T>(node: Node<T>, segment: string): Node<T> {
  if (segment === "*") {
    node.star ??= createNode();
    return node.star;
  }
  if (segment === "**") {
    node.rest ??= createNode();
    return node.rest;
  }
  let child = node.literals.get(segment);
  if (child === undefined) {
    child = createNode();
    node.literals.set(segment, child);
  }
  return child;
}

/** Segments of a raw path, none for the root; undefined when one is empty, since an empty segment never binds (M2). */
function splitPath(path: string): string[] | undefined {
  if (path.charCodeAt(0) !== 47) return undefined;
  if (path.length === 1) return [];
  const segments = path.slice(1).split("/");
  return segments.includes("") ? undefined : segments;
}

function cutVerb(segments: readonly string[]): { segments: string[]; verb: string } | undefined {
  const last = segments[segments.length - 1] ?? "";
  const colon = last.lastIndexOf(":");
  if (colon === -1 || colon === last.length - 1) return undefined;
  // A verb right behind the first slash leaves no segment, which `**` takes (M3); elsewhere it would leave an empty one.
  if (colon === 0 && segments.length > 1) return undefined;
  return {
    segments: colon === 0 ? [] : [...segments.slice(0, -1), last.slice(0, colon)],
    verb: normaliseEscapes(last.slice(colon + 1)),
  };
}

function find<T>(
  node: Node<T>,
  segments: readonly string[],
  at: number,
  verb: string,
  httpMethod: string,
): T | undefined {
  const segment = segments[at];
  if (segment !== undefined) {
    const literal = node.literals.get(normaliseEscapes(segment));
    const byLiteral = literal && find(literal, segments, at + 1, verb, httpMethod);
    if (byLiteral !== undefined) return byLiteral;
    const byStar = node.star && find(node.star, segments, at + 1, verb, httpMethod);
    if (byStar !== undefined) return byStar;
  } else {
    const exact = answer(node.leaves.get(verb), httpMethod);
    if (exact !== undefined) return exact;
  }
  return node.rest && answer(node.rest.leaves.get(verb), httpMethod);
}

function answer<T>(byMethod: Map<string, T> | undefined, httpMethod: string): T | undefined {
  if (byMethod === undefined) return undefined;
  return (
    byMethod.get(httpMethod) ?? (httpMethod === "HEAD" ? byMethod.get("GET") : undefined) ?? byMethod.get("*")
  );
}

function collect<T>(
  node: Node<T>,
  segments: readonly string[],
  at: number,
  verb: string,
  into: Set<string>,
): void {
  const segment = segments[at];
  if (segment === undefined) {
    for (const method of node.leaves.get(verb)?.keys() ?? []) into.add(method);
  } else {
    const literal = node.literals.get(normaliseEscapes(segment));
    if (literal !== undefined) collect(literal, segments, at + 1, verb, into);
    if (node.star !== undefined) collect(node.star, segments, at + 1, verb, into);
  }
  for (const method of node.rest?.leaves.get(verb)?.keys() ?? []) into.add(method);
}
