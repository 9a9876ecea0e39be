import { BlockList, isIP } from "node:net";

/** Addresses and CIDR ranges, of IPv4 and IPv6. */
export interface AddressSet {
  readonly isEmpty: boolean;
  has(address: string): boolean;
}

const maxRemembered = 10_000;

/** What is wrong with an entry of a list of addresses, if anything. */
export function addressFault(entry: string): string | undefined {
  const [base = "", prefix, ...rest] = entry.split("/");
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(base)] ?? -1;
  if (bits < 0 || rest.length > 0) return "is no IP address or CIDR range";
  const isRange = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits);
  return isRange ? undefined : `has no prefix length from 0 to ${bits}`;
}

/** A set of the entries given, each of which {@link addressFault} has let pass. Answers are remembered. */
export function createAddressSet(entries: readonly string[]): AddressSet {
  const list = new BlockList();
  for (const entry of entries) {
    const [base = "", prefix] = entry.split("/");
    if (prefix === undefined) list.addAddress(base, familyOf(base));
    else list.addSubnet(base, Number(prefix), familyOf(base));
  }
  const decided = new Map<string, boolean>();
  return {
    isEmpty: entries.length === 0,
    has(address) {
      if (entries.length === 0) return false;
      const known = decided.get(address);
      if (known !== undefined) return known;
      const found = isIP(address) !== 0 && list.check(address, familyOf(address));
      if (decided.size >= maxRemembered) decided.clear();
      decided.set(address, found);
      return found;
    },
  };
}

const familyOf = (address: string) => (address.includes(":") ? "ipv6" : "ipv4");

/**
 * The address a request comes from: the peer's, or, as long as that is a proxy of ours, the one it says was its own peer. What a
 * client wrote into X-Forwarded-For itself stands left of what proxies added, so it is never reached.
 */
export function callerAddress(
  peer: string,
  forwardedFor: string | undefined,
  trusted: Pick<AddressSet, "isEmpty" | "has">,
): string {
  let address = plain(peer);
  if (forwardedFor === undefined || trusted.isEmpty) return address;
  const hops = forwardedFor.split(",");
  while (hops.length > 0 && trusted.has(address)) {
    const next = plain(hopAddress(hops.pop() ?? ""));
    if (isIP(next) === 0) return address;
    address = next;
  }
  return address;
}

/** Whom a limit by address counts as one: who has an IPv6 address has a network of 2^64 of them. */
export function addressKey(address: string): string {
  if (!address.includes(":")) return address;
  const [head = ""] = address.toLowerCase().split("::");
  const groups = head === "" ? [] : head.split(":").map((group) => group.replace(/^0+(?=.)/, ""));
  return [...groups, "0", "0", "0", "0"].slice(0, 4).join(":");
}

/** IPv4 addresses of a socket that takes both families begin so. */
const mapped = /^::ffff:(?=\d+\.)/i;
const plain = (address: string) => (address.startsWith("::f") ? address.replace(mapped, "") : address);

/** Some proxies write the port as well: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function hopAddress(hop: string): string {
  const text = hop.trim();
  return /^\[(.+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
}
