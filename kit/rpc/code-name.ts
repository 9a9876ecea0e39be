import { Code } from "#gen/google/rpc/code_pb.ts";

const names: ReadonlyMap<number, string> = new Map(Object.entries(Code).map(([name, code]) => [code, name]));

/** The name of a gRPC code in logs and metrics: `NOT_FOUND`; a number no specification knows is UNKNOWN. */
export function codeName(code: number): string {
  return names.get(code) ?? "UNKNOWN";
}
