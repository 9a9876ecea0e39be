import {
  Metadata,
  type ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status as statusCode,
} from "@grpc/grpc-js";
import { ErrorReason, ErrorReasonSchema } from "#gen/souk/errors/v1/errors_pb.ts";
import { fromStatus, type ServiceError, serviceError, toStatus } from "#kit/errors/errors.ts";
import { asBuffer } from "./answer.ts";

/** The header that carries a google.rpc.Status. */
const detailsHeader = "grpc-status-details-bin";

type Status = Parameters<ServerInterceptingCallInterface["sendStatus"]>[0];

/**
 * Watches over what grpc-js decides before a handler is asked: a request must be whole within `requestTimeoutMs`, and
 * what grpc-js refuses (no message, two, one too large, a bad header) is blamed on the caller, with a reason. It changes
 * the call in place, which costs far less than an intercepting call of grpc-js around it.
 */
export function guardWire(requestTimeoutMs: number): ServerInterceptor {
  return (method, call) => {
    const send = call.sendStatus.bind(call);
    call.sendStatus = (status) => send(isExplained(status) ? status : explain(status));
    if (!method.requestStream) requireWhole(call, requestTimeoutMs);
    // The type asks for the class, of which the call under all interceptors is none; grpc-js asks for its methods only.
    return call as ServerInterceptingCall;
  };
}

function requireWhole(call: ServerInterceptingCallInterface, requestTimeoutMs: number): void {
  const start = call.start.bind(call);
  call.start = (listener) => {
    const timer = setTimeout(() => call.sendStatus(incomplete(requestTimeoutMs)), requestTimeoutMs);
    const { onReceiveHalfClose, onCancel } = listener;
    listener.onReceiveHalfClose = () => {
      clearTimeout(timer);
      onReceiveHalfClose.call(listener);
    };
    listener.onCancel = () => {
      clearTimeout(timer);
      onCancel.call(listener);
    };
    start(listener);
  };
}

function incomplete(requestTimeoutMs: number): Status {
  const details = `The request was not complete after ${requestTimeoutMs} ms`;
  return { code: statusCode.DEADLINE_EXCEEDED, details, metadata: null };
}

function isExplained({ code, metadata }: Status): boolean {
  return code === statusCode.OK || (metadata?.get(detailsHeader).length ?? 0) > 0;
}

function explain(status: Status): Status {
  const { code, message, details } = toStatus(blame(status));
  const metadata = new Metadata();
  metadata.set(detailsHeader, asBuffer(details));
  return { code, details: message, metadata };
}

// Bad headers and bad compression are INTERNAL for grpc-js, and a request that is not one message is UNIMPLEMENTED.
function blame({ code, details }: Status): ServiceError {
  const malformed =
    (code === statusCode.INTERNAL && !details.startsWith("Error serializing")) ||
    (code === statusCode.UNIMPLEMENTED && details.startsWith("Received "));
  if (!malformed) return fromStatus({ code, message: details });
  return serviceError(
    ErrorReasonSchema,
    ErrorReason.VALIDATION_FAILED,
    "The request is not one whole message with well-formed headers.",
    { cause: new Error(details) },
  );
}
