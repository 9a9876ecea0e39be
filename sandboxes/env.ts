/** Environment variables as the process got them. */
export type Environment = Record<string, string | undefined>;

/** Reads a whole number that is not negative; throws with the variable's name when it is anything else. */
export function readWholeNumber(env: Environment, name: string, fallback: number): number {
  const text = env[name];
  if (text === undefined || text === "") return fallback;
  if (!/^\d{1,15}$/.test(text)) throw new Error(`${name} must be a whole number, it is "${text}"`);
  return Number(text);
}

/** Reads a text; an empty one counts as unset. */
export function readText(env: Environment, name: string, fallback: string): string {
  return env[name] || fallback;
}
