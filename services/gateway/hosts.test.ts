import { expect, test } from "vitest";
import { hostFault, hostMatcher, originFault } from "./hosts.ts";

test.each([
  ["shop.example", undefined],
  ["localhost", undefined],
  ["shop.example:8443", undefined],
  ["*.shop.example", undefined],
  ["[2001:db8::1]:80", undefined],
  ["https://shop.example", "is no host such as shop.example, shop.example:8443 or *.shop.example"],
  ["shop.*.example", "is no host such as shop.example, shop.example:8443 or *.shop.example"],
  ["shop.example/", "is no host such as shop.example, shop.example:8443 or *.shop.example"],
])("as a host, what is wrong with %s is %o", (entry, fault) => {
  expect(hostFault(entry)).toBe(fault);
});

test.each([
  ["https://shop.example", undefined],
  ["http://localhost:5173", undefined],
  ["*", "is no origin such as https://shop.example"],
  ["https://shop.example/", "is no origin such as https://shop.example"],
  ["shop.example", "is no origin such as https://shop.example"],
  ["https://shop.example:443", "is no origin such as https://shop.example"],
])("as an origin, what is wrong with %s is %o", (entry, fault) => {
  expect(originFault(entry)).toBe(fault);
});

test.each([
  [[], "anything.at.all", true],
  [["shop.example"], "shop.example", true],
  [["shop.example"], "Shop.Example:8443", true],
  [["shop.example"], "shop.example.evil.test", false],
  [["shop.example"], "evil-shop.example", false],
  [["shop.example"], "user@shop.example", false],
  [["shop.example"], "", false],
  [["shop.example:8443"], "shop.example:8443", true],
  [["shop.example:8443"], "shop.example", false],
  [["shop.example:8443"], "shop.example:80", false],
  [["*.shop.example"], "api.shop.example", true],
  [["*.shop.example"], "a.b.shop.example:80", true],
  [["*.shop.example"], "shop.example", false],
  [["*.shop.example"], "evilshop.example", false],
  [["*.shop.example"], "api.shop.example.evil.test", false],
  [["*.shop.example:8443"], "api.shop.example:8443", true],
  [["*.shop.example:8443"], "api.shop.example", false],
  [["[2001:db8::1]"], "[2001:db8::1]:8080", true],
])("where %o are served, %o is: %s", (entries, authority, served) => {
  expect(hostMatcher(entries)(authority)).toBe(served);
});
