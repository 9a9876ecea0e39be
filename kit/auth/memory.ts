/** Remembers what was found under a text until that expires. */
export interface Memory<Value> {
  recall(text: string): Value | undefined;
  remember(text: string, value: Value): Value;
}

/**
 * A memory of at most `limit` entries. The oldest entry gives way, used or not: tokens live minutes, and keeping an
 * order of use would cost every lookup.
 */
export function createMemory<Value extends { readonly expiresAtMs: number }>(limit: number): Memory<Value> {
  const entries = new Map<string, Value>();
  return {
    recall(text) {
      const value = entries.get(text);
      if (value === undefined || Date.now() < value.expiresAtMs) return value;
      entries.delete(text);
      return undefined;
    },
    remember(text, value) {
      if (entries.size >= limit) {
        for (const oldest of entries.keys()) {
          entries.delete(oldest);
          break;
        }
      }
      entries.set(text, value);
      return value;
    },
  };
}
