/** Finds what a name in JSON text stands for, by its bytes, without making a string. */
export interface NameIndex<T> {
  readonly entries: readonly NameEntry<T>[];
  /** Entry numbers by hash; several names of one hash follow each other round. */
  readonly slots: Int16Array;
}

/** A name and what it stands for. */
export interface NameEntry<T> {
  readonly name: Uint8Array;
  readonly value: T;
}

/** Indexes names that JSON writes without escapes; undefined where one needs them, or there are too many. */
export function indexNames<T>(named: ReadonlyMap<string, T>): NameIndex<T> | undefined {
  if (named.size > 8_000) return undefined;
  const entries: NameEntry<T>[] = [];
  let size = 8;
  while (size < named.size * 4) size *= 2;
  const slots = new Int16Array(size).fill(-1);
  for (const [text, value] of named) {
    const name = Buffer.from(text);
    if (JSON.stringify(text).length !== text.length + 2) return undefined;
    let slot = hashOf(name) & (size - 1);
    while (slots[slot] !== -1) slot = (slot + 1) & (size - 1);
    slots[slot] = entries.length;
    entries.push({ name, value });
  }
  return { entries, slots };
}

/** The hash of bytes, as a reader computes it along its way: start with 0, then `stepHash` for each byte. */
export function stepHash(hash: number, byte: number): number {
  return (Math.imul(hash, 31) + byte) | 0;
}

function hashOf(bytes: Uint8Array): number {
  let hash = 0;
  for (const byte of bytes) hash = stepHash(hash, byte);
  return hash;
}

/** The entry for a name that lies in `bytes`; undefined for a name that is none. */
export function findName<T>(
  { entries, slots }: NameIndex<T>,
  hash: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): NameEntry<T> | undefined {
  const mask = slots.length - 1;
  for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
    const at = slots[slot] as number;
    if (at === -1) return undefined;
    const entry = entries[at] as NameEntry<T>;
    if (isAt(entry.name, bytes, start, end)) return entry;
  }
}

function isAt(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[start + i]) return false;
  return true;
}
