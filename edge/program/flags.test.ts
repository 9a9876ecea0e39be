import { describe, expect, test } from "vitest";
import { helpText, readFlags } from "./flags.ts";

const backend = ["--backend", "127.0.0.1:9090"];

describe("the command line", () => {
  test("needs a backend only, and has a default for the rest", () => {
    expect(readFlags(backend)).toMatchObject({
      descriptors: [],
      backends: [{ prefix: "", address: "http://127.0.0.1:9090" }],
      listen: { host: "127.0.0.1", port: 8080 },
      unknownMembers: "drop",
      limits: {},
    });
  });

  test.each([
    ["shop.v1=localhost:1", "shop.v1", "http://localhost:1"],
    ["https://api.test", "", "https://api.test"],
    ["a.B=https://[::1]:8443/", "a.B", "https://[::1]:8443"],
    ["h2c://10.0.0.1:50051", "", "http://10.0.0.1:50051"],
    ["grpcs://api.test:8443", "", "https://api.test:8443"],
  ])("takes the backend %s", (text, prefix, address) => {
    expect(readFlags(["--backend", text]).backends).toEqual([{ prefix, address }]);
  });

  test.each([
    ["127.0.0.1:0", { host: "127.0.0.1", port: 0 }],
    ["[::1]:80", { host: "::1", port: 80 }],
    [":8080", { host: "0.0.0.0", port: 8080 }],
    ["8080", { host: "0.0.0.0", port: 8080 }],
  ])("listens on %s", (text, listen) => {
    expect(readFlags([...backend, "--listen", text]).listen).toEqual(listen);
  });

  test("sets each limit by its name", () => {
    const { limits } = readFlags([...backend, "--max-request-bytes", "100", "--drain-timeout-ms=5"]);
    expect(limits).toEqual({ maxRequestBytes: 100, drainTimeoutMs: 5 });
  });

  test.each([
    [[], "--backend HOST:PORT is missing"],
    [["--speed", "9"], "Unknown option '--speed'"],
    [[...backend, "more"], "Unexpected argument 'more'"],
    [[...backend, "--descriptors"], "argument missing"],
    [[...backend, ...backend], "a backend for everything is given twice"],
    [["--backend", "a=b:1", "--backend", "a=b:2"], "'a' is given twice"],
    [["--backend", "shop"], "--backend shop: the port is missing"],
    [["--backend", "a-b=shop:1"], "'a-b' is not a package"],
    [["--backend", "http://user@shop:1"], "expected [PREFIX=]"],
    [["--backend", "http://shop:1/path"], "expected [PREFIX=]"],
    [["--backend", "shop:99999"], "expected [PREFIX=]"],
    [[...backend, "--listen", "here"], "--listen is HOST:PORT"],
    [[...backend, "--listen", "a:70000"], "--listen is HOST:PORT"],
    [[...backend, "--max-request-bytes", "1k"], "--max-request-bytes is a whole number"],
    [[...backend, "--max-request-bytes", "0"], "--max-request-bytes is a whole number"],
    [[...backend, "--unknown-members", "keep"], "--unknown-members is"],
    [[...backend, "--tls-cert", "c.pem"], "--tls-cert and --tls-key go together"],
    [[...backend, "--tls-client-ca", "c.pem"], "--tls-client-ca needs"],
    [[...backend, "--backend-key", "k.pem"], "--backend-cert and --backend-key go together"],
  ])("%j is refused", (args, text) => {
    expect(() => readFlags(args)).toThrow(text);
  });
});

test("--help names every flag and limit", () => {
  const text = helpText();
  for (const flag of ["--descriptors", "--backend", "--listen", "--tls-cert", "--max-request-bytes"])
    expect(text).toContain(flag);
});
