/** Thousandths of a core: `250m` or `1`. */
export const millisOf = (cpu: string): number =>
  cpu.endsWith("m") ? Number(cpu.slice(0, -1)) : Number(cpu) * 1_000;

const MEBIS = new Map([
  ["Ki", 1 / 1_024],
  ["Mi", 1],
  ["Gi", 1_024],
]);

/** Mebibytes: `384Mi`, `4Gi`, or bytes. */
export function mebisOf(memory: string): number {
  const [, amount = "0", unit = ""] = /^(\d+)(Ki|Mi|Gi)?$/.exec(memory) ?? [];
  return Number(amount) * (MEBIS.get(unit) ?? 1 / 1_048_576);
}
