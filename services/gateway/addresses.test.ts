import { describe, expect, test } from "vitest";
import { addressFault, addressKey, callerAddress, createAddressSet } from "./addresses.ts";

describe("an entry of a list of addresses", () => {
  test.each(["192.0.2.1", "10.0.0.0/8", "0.0.0.0/0", "2001:db8::1", "2001:db8::/32", "::/0", "1.2.3.4/32"])(
    "may be %s",
    (entry) => {
      expect(addressFault(entry)).toBeUndefined();
    },
  );

  test.each([
    ["shop.example", "is no IP address or CIDR range"],
    ["10.0.0", "is no IP address or CIDR range"],
    ["10.0.0.0/8/8", "is no IP address or CIDR range"],
    ["10.0.0.0/33", "has no prefix length from 0 to 32"],
    ["10.0.0.0/", "has no prefix length from 0 to 32"],
    ["10.0.0.0/-1", "has no prefix length from 0 to 32"],
    ["2001:db8::/129", "has no prefix length from 0 to 128"],
  ])("must not be %s", (entry, fault) => {
    expect(addressFault(entry)).toBe(fault);
  });
});

test("a set holds addresses and ranges of both families, and nothing that is no address", () => {
  const set = createAddressSet(["192.0.2.1", "10.0.0.0/8", "2001:db8::/32"]);
  for (const inside of ["192.0.2.1", "10.255.0.1", "2001:db8:1::1", "2001:DB8:1::1"])
    expect([inside, set.has(inside)]).toEqual([inside, true]);
  for (const outside of ["192.0.2.2", "11.0.0.1", "2001:db9::1", "", "10.0.0", "unknown"])
    expect([outside, set.has(outside)]).toEqual([outside, false]);
  expect(set.has("10.255.0.1")).toBe(true);
  expect([set.isEmpty, createAddressSet([]).isEmpty]).toEqual([false, true]);
});

describe("the address of a caller", () => {
  const trusted = createAddressSet(["10.0.0.0/8", "2001:db8::/32"]);
  const of = (peer: string, forwardedFor?: string) => callerAddress(peer, forwardedFor, trusted);

  test("is the peer's where nothing was forwarded", () => {
    expect(of("203.0.113.5")).toBe("203.0.113.5");
    expect(of("::ffff:203.0.113.5")).toBe("203.0.113.5");
    expect(of("10.0.0.1")).toBe("10.0.0.1");
  });

  test("is not what a stranger says it is", () => {
    expect(of("203.0.113.5", "198.51.100.1")).toBe("203.0.113.5");
    expect(callerAddress("10.0.0.1", "198.51.100.1", createAddressSet([]))).toBe("10.0.0.1");
  });

  test.each([
    ["10.0.0.1", "198.51.100.1", "198.51.100.1"],
    ["::ffff:10.0.0.1", "198.51.100.1, 10.1.1.1", "198.51.100.1"],
    ["10.0.0.1", "spoofed, 8.8.8.8, 198.51.100.1", "198.51.100.1"],
    ["10.0.0.1", "198.51.100.1:4711", "198.51.100.1"],
    ["2001:db8::2", "[2400::5]:4711, 2001:db8::1", "2400::5"],
    ["10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
    ["10.0.0.1", "unknown", "10.0.0.1"],
    ["10.0.0.1", "198.51.100.1, , 10.0.0.2", "10.0.0.2"],
    ["10.0.0.1", "", "10.0.0.1"],
  ])("behind proxies: of %s, forwarded for %o, is %s", (peer, forwardedFor, address) => {
    expect(of(peer, forwardedFor)).toBe(address);
  });
});

describe("what a limit counts as one", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:DB8:0001:0002:ffff::1", "2001:db8:1:2"],
    ["2001:db8::1", "2001:db8:0:0"],
    ["::1", "0:0:0:0"],
  ])("of %s is %s", (address, key) => {
    expect(addressKey(address)).toBe(key);
  });
});
