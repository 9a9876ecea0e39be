/** The status numbers of gRPC. */
export const Code = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

const names = Object.keys(Code);

const httpStatuses = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

/** The name of a status number; numbers outside the list read as UNKNOWN. */
export function codeName(code: number): string {
  return names[code] ?? "UNKNOWN";
}

/** The HTTP status of a gRPC status (rule X1). */
export function httpStatusOf(code: number): number {
  return httpStatuses[code] ?? 500;
}

/** Whether the text of such an error may tell about the inside and must not leave. */
export function isInternalCode(code: number): boolean {
  return code === Code.INTERNAL || code === Code.UNKNOWN || code === Code.DATA_LOSS || code > 16;
}
