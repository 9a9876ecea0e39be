import {
  type DescMessage,
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
} from "@bufbuild/protobuf";
import {
  Audience,
  type MethodPolicy,
  policy as policyOption,
  Retry,
} from "#gen/souk/options/v1/options_pb.ts";

/** The largest request where a method's policy names no other, in bytes. */
export const defaultMaxRequestBytes = 256 * 1024;

/** A method with what its contract says about it, read once when a process starts. */
export interface RpcMethod {
  readonly descriptor: DescMethod;
  readonly input: DescMessage;
  readonly output: DescMessage;
  /** `/souk.orders.v1.OrdersService/PlaceOrder`. */
  readonly path: string;
  /** The path without its first slash: the name in logs, metrics and spans. */
  readonly name: string;
  readonly streams: boolean;
  readonly deadlineMs: number;
  readonly maxRequestBytes: number;
  readonly policy: MethodPolicy;
}

/**
 * Reads every method of a service. Throws when a method has no policy, a contradictory one, or a kind that the kit does
 * not carry (requests that stream): such a service must not start.
 */
export function readMethods(service: DescService): RpcMethod[] {
  return service.methods.map(readMethod);
}

function readMethod(descriptor: DescMethod): RpcMethod {
  const name = `${descriptor.parent.typeName}/${descriptor.name}`;
  if (descriptor.methodKind !== "unary" && descriptor.methodKind !== "server_streaming")
    throw new Error(`${name} streams requests, which kit/rpc does not carry`);
  if (!hasOption(descriptor, policyOption)) throw new Error(`${name} has no souk.options.v1.policy`);
  const policy = getOption(descriptor, policyOption);
  const fault = policyFault(policy);
  if (fault !== undefined) throw new Error(`The policy of ${name} ${fault}`);
  return {
    descriptor,
    input: descriptor.input,
    output: descriptor.output,
    path: `/${name}`,
    name,
    streams: descriptor.methodKind === "server_streaming",
    deadlineMs: policy.deadlineMs,
    maxRequestBytes: policy.maxRequestBytes || defaultMaxRequestBytes,
    policy,
  };
}

function policyFault(policy: MethodPolicy): string | undefined {
  if (policy.audience === Audience.UNSPECIFIED) return "names no audience";
  if (policy.retry === Retry.UNSPECIFIED) return "names no retry class";
  if (policy.deadlineMs <= 0) return "names no deadline";
  if (policy.anonymous && policy.scopes.length > 0) return "is anonymous and asks for scopes";
  if (!policy.anonymous && policy.scopes.length === 0) return "asks for no scope and is not anonymous";
  return undefined;
}
