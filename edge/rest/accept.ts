interface Range {
  readonly type: string;
  readonly quality: number;
}

/** The media type among `offers` that an Accept header prefers (RFC 9110, 12.5.1); the first where it names none of them. */
export function preferredType(accept: string | undefined, offers: readonly string[]): string {
  const ranges = (accept ?? "").split(",").map(readRange);
  let best = { type: offers[0] ?? "", quality: 0, exactness: 0, position: 0 };
  for (const type of offers) {
    const match = matchOf(type, ranges);
    if (match !== undefined && match.quality > 0 && outranks(match, best)) best = { type, ...match };
  }
  return best.type;
}

function readRange(text: string): Range {
  const [type = "", ...parameters] = text.split(";").map((part) => part.trim().toLowerCase());
  const quality = parameters.find((parameter) => parameter.startsWith("q="));
  const value = quality === undefined ? 1 : Number(quality.slice(2));
  return { type, quality: value >= 0 && value <= 1 ? value : 0 };
}

interface Rank {
  readonly quality: number;
  /** 3 for the type itself, 2 for its group, 1 for any. */
  readonly exactness: number;
  readonly position: number;
}

/** What the most specific range that covers a type says of it. */
function matchOf(type: string, ranges: readonly Range[]): Rank | undefined {
  const group = `${type.slice(0, type.indexOf("/"))}/*`;
  for (const [index, covering] of [type, group, "*/*"].entries()) {
    const position = ranges.findIndex((range) => range.type === covering);
    const range = ranges[position];
    if (range !== undefined) return { quality: range.quality, exactness: 3 - index, position };
  }
  return undefined;
}

/** What is asked for by name comes before what a wildcard lets in, and the earlier named before the later. */
function outranks(one: Rank, other: Rank): boolean {
  if (one.quality !== other.quality) return one.quality > other.quality;
  if (one.exactness !== other.exactness) return one.exactness > other.exactness;
  return one.exactness === 3 && one.position < other.position;
}
