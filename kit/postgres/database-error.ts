import pg from "pg";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { ServiceError, serviceError } from "#kit/errors/errors.ts";

// SQLSTATE codes: https://www.postgresql.org/docs/18/errcodes-appendix.html
const serializationFailure = "40001";
const deadlockDetected = "40P01";
const uniqueViolation = "23505";
const lockNotAvailable = "55P03";
const queryCanceled = "57014";
const cannotConnectNow = ["57P01", "57P02", "57P03", "53300"];

/** Whether repeating the whole transaction can succeed. */
export const isTransient = (error: unknown) =>
  error instanceof pg.DatabaseError &&
  (error.code === serializationFailure || error.code === deadlockDetected);

/** Whether the error is a violation of the named unique constraint or primary key. */
export const isUniqueViolation = (error: unknown, constraint: string) =>
  error instanceof pg.DatabaseError && error.code === uniqueViolation && error.constraint === constraint;

/** Whether a lock was not had within `lock_timeout`. */
export const isLockTimeout = (error: unknown) =>
  error instanceof pg.DatabaseError && error.code === lockNotAvailable;

/**
 * Translates what callers must tell apart: a server that is away, and a statement that took too long. Faults of SQL
 * stay DatabaseErrors, for the code that knows the constraint.
 */
export function toServiceErrorFromDatabase(error: unknown): unknown {
  if (error instanceof ServiceError) return error;
  if (error instanceof pg.DatabaseError) return fromServer(error);
  return isConnectionFault(error) ? unavailable(error) : error;
}

function fromServer(error: pg.DatabaseError) {
  const code = error.code ?? "";
  if (code === queryCanceled) {
    return serviceError(ErrorReasonSchema, ErrorReason.DEADLINE_EXCEEDED, "The database took too long.", {
      cause: error,
    });
  }
  return code.startsWith("08") || cannotConnectNow.includes(code) ? unavailable(error) : error;
}

/** pg reports a broken or refused connection as a plain Error, with a system code or one of a few fixed texts. */
function isConnectionFault(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  const { code } = error as NodeJS.ErrnoException;
  return (code !== undefined && connectionCodes.has(code)) || connectionTexts.test(error.message);
}

const connectionCodes = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ENOENT", "EAI_AGAIN"]);
const connectionTexts =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable|Client was closed/;

const unavailable = (cause: unknown) =>
  serviceError(ErrorReasonSchema, ErrorReason.DEPENDENCY_UNAVAILABLE, "The database is away.", { cause });
