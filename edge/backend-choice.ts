import { type DescMethod, fromBinary, ScalarType } from "@bufbuild/protobuf";
import { badRequest, EdgeError } from "./edge-error.ts";
import type { Fields } from "./field-path.ts";
import { Code } from "./grpc-code.ts";
import type { Backend, BackendChoice } from "./options.ts";
import { Upstream } from "./upstream.ts";

/** Where a method's calls go: one backend, or one that its request names. */
export type Destination = Upstream | Destinations;

/** Several backends, among which a request chooses. */
export interface Destinations {
  /** The backend that an encoded request names; throws {@link EdgeError}s (400, 404). */
  choose(message: Uint8Array): Upstream;
}

/** The backend of a request whose message is known. */
export function destinationOf(destination: Destination, message: Uint8Array): Upstream {
  return destination instanceof Upstream ? destination : destination.choose(message);
}

/** Resolves what a gateway says of a method's backend; throws an Error when the choosing field is not a plain string. */
export function resolveBackend(
  method: DescMethod,
  backend: Backend,
  upstreamAt: (address: string) => Upstream,
): Destination {
  return "address" in backend ? upstreamAt(backend.address) : chooseByField(method, backend, upstreamAt);
}

function chooseByField(
  method: DescMethod,
  { byField, addresses, unknown }: BackendChoice,
  upstreamAt: (address: string) => Upstream,
): Destinations {
  const field = method.input.fields.find(({ name }) => name === byField);
  if (field?.fieldKind !== "scalar" || field.scalar !== ScalarType.STRING || field.oneof !== undefined)
    throw new Error(`${method.parent.typeName}.${method.name}: '${byField}' is not a string of its request`);
  const upstreams = new Map(Object.entries(addresses).map(([value, at]) => [value, upstreamAt(at)]));
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
