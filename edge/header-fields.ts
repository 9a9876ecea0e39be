/**
 * Header fields, names in lower case and values in turn, one of each name. There are few of them, and all are written out in the end:
 * a list costs less than an object or a map.
 */
export type HeaderFields = string[];

/** Where a field's value stands; -1 where there is none of the name. */
export function valueAt(fields: readonly string[], name: string): number {
  for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) return at + 1;
  return -1;
}

/** Adds a field, or replaces the one of its name. */
export function setField(fields: HeaderFields, name: string, value: string): void {
  const at = valueAt(fields, name);
  if (at === -1) fields.push(name, value);
  else fields[at] = value;
}

/** The same fields by name. */
export function toRecord(fields: readonly string[]): Record<string, string> {
  const record: Record<string, string> = {};
  for (let at = 0; at < fields.length; at += 2) record[fields[at] as string] = fields[at + 1] as string;
  return record;
}
