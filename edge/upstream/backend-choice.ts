import { type DescMethod, fromBinary, ScalarType } from "@bufbuild/protobuf";
import { badRequest, EdgeError } from "../edge-error.ts";
import { Code } from "../grpc/grpc-code.ts";
import type { Backend, BackendAddress, BackendChoice, LocalAnswers } from "../options.ts";
import type { Fields } from "../routing/field-path.ts";
import type { Callee } from "./call.ts";
import { LocalBackend } from "./local-backend.ts";
import type { Upstream } from "./upstream.ts";

/** Where a method's calls go: one backend, one that its request names, or none beyond this process. */
export type Destination = Upstream | Destinations | LocalBackend;

/** Several backends, among which a request chooses. */
export interface Destinations {
  /** The backend that an encoded request names; throws {@link EdgeError}s (400, 404). */
  choose(message: Uint8Array): Upstream;
}

/** The backend of a request whose message is known. */
export function destinationOf(destination: Destination, message: Uint8Array): Callee {
  return "choose" in destination ? destination.choose(message) : destination;
}

/**
 * Resolves what a gateway says of a method's backend; throws an Error when the choosing field is not a plain string, or a
 * local method has no function or is a stream.
 */
export function resolveBackend(
  method: DescMethod,
  backend: Backend,
  upstreamAt: (backend: BackendAddress) => Upstream,
): Destination {
  if ("address" in backend) return upstreamAt(backend);
  if ("local" in backend) return answerLocally(method, backend);
  return chooseByField(method, backend, upstreamAt);
}

function answerLocally(method: DescMethod, { local }: LocalAnswers): LocalBackend {
  const handler = local[method.localName];
  const name = `${method.parent.typeName}.${method.name}`;
  if (handler === undefined) throw new Error(`${name}: no local function answers it`);
  if (method.methodKind !== "unary") throw new Error(`${name}: a local function cannot answer a stream`);
  return new LocalBackend(method, handler);
}

function chooseByField(
  method: DescMethod,
  { byField, addresses, unknown }: BackendChoice,
  upstreamAt: (backend: BackendAddress) => Upstream,
): Destinations {
  const field = method.input.fields.find(({ name }) => name === byField);
  if (field?.fieldKind !== "scalar" || field.scalar !== ScalarType.STRING || field.oneof !== undefined)
    throw new Error(`${method.parent.typeName}.${method.name}: '${byField}' is not a string of its request`);
  const upstreams = new Map(
    Object.entries(addresses).map(([value, at]) => [value, upstreamAt({ address: at })]),
  );
  return {
    choose(message) {
      const value = String(decode(method, message)[field.localName]);
      const upstream = upstreams.get(value);
      if (upstream === undefined) throw unknown?.(value) ?? unknownBackend(field.jsonName);
      return upstream;
    },
  };
}

function decode(method: DescMethod, message: Uint8Array): Fields {
  try {
    return fromBinary(method.input, message) as unknown as Fields;
  } catch {
    throw badRequest("REQUEST_MALFORMED", "the request message could not be read");
  }
}

function unknownBackend(field: string): EdgeError {
  return new EdgeError({
    code: Code.NOT_FOUND,
    reason: "BACKEND_UNKNOWN",
    message: `no backend is called what '${field}' says`,
  });
}
