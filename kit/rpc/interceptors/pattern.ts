import { RE2JS } from "@bufbuild/re2";

interface Pattern {
  test(text: string): boolean;
}

/** Contracts have a few dozen; only rules that build their patterns of input could bring more. */
const maxCompiled = 1_024;
const compiled = new Map<string, Pattern>();

/**
 * Whether a text matches a contract's pattern, which is RE2's kind. Node's own engine is twenty times as fast and gets those
 * patterns that cannot run long in it, whatever the text; all others go to RE2.
 * @throws Error where the pattern is none.
 */
export function matchesPattern(pattern: string, text: string): boolean {
  if (compiled.size >= maxCompiled) compiled.clear();
  return compiled.getOrInsertComputed(pattern, compile).test(text);
}

const compile = (pattern: string): Pattern =>
  runsStraight(pattern) ? new RegExp(pattern, "u") : RE2JS.compile(pattern);

const byEscape = String.raw`\\x[0-9a-f]{2}`;
/** One character: itself, or a class without classes in it. */
const character = String.raw`(?:[\w ,:;=@/-]|${byEscape}|\[\^?(?:[^\\[\]]|${byEscape})+\])`;
const exactly = String.raw`(?:${character}(?:\{\d{1,3}\})?)*`;
const varying = String.raw`(?:${character}(?:[*+?]|\{\d{1,3},\d{0,3}\}))?`;
const straight = new RegExp(`^\\^${exactly}${varying}${exactly}\\$$`, "u");

/**
 * Whether a pattern is the same in both engines and has nothing to go back to: from end to end a row of characters, of which one
 * at most varies in number.
 */
export const runsStraight = (pattern: string): boolean => straight.test(pattern);
