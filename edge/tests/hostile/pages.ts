import { describe, expect, test } from "vitest";
import { sendRaw } from "../raw-http.ts";
import { patienceMs, type Target } from "./target.ts";

/** Rows 65 to 73: pages, paths, logs and caches. */
export function attackByPages(target: Target): void {
  describe("a page, a path, a log", () => {
    test("65: a foreign origin is allowed nothing", async () => {
      const headers = { origin: "https://evil.test", "access-control-request-method": "POST" };
      for (const method of ["GET", "OPTIONS"]) {
        const answer = await sendRaw(target.port, { method, target: "/v1/books/a", headers });
        expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
      }
    });

    test("66: SQL is a text like any other", async () => {
      const text = "x'; drop table books; --";
      const answer = await sendRaw(target.port, { target: `/v1/books/${encodeURIComponent(text)}` });
      expect(answer.json().id).toBe(text);
    });

    test.each([
      ["/v1/../v1/books/a", 404],
      ["/v1/books/../../etc", 404],
      ["/v1//books/a", 404],
      ["/v1/books/a/", 404],
      ["//v1/books/a", 404],
      ["/v1/books/%zz", 400],
      ["/v1/books/%c3%28", 400],
      ["/v1;x/books/a", 404],
      ["/V1/books/a", 404],
      ["/v1/%62ooks/a", 404],
    ])("67: %s leads nowhere", async (asked, status) => {
      expect((await sendRaw(target.port, { target: asked })).status).toBe(status);
    });

    test("67: what is escaped twice is undone once", async () => {
      expect((await sendRaw(target.port, { target: "/v1/books/..%252f..%2Fetc" })).json().id).toBe(
        "..%2f../etc",
      );
    });

    test("72: a line of the log stays a line, and shows no query and no token", async () => {
      const asked = "/v1/nope%0a%7B%22forged%22:1%7D?token=canary";
      const headers = { authorization: "Bearer canary", "user-agent": 'a\tb"}' };
      await sendRaw(target.port, { target: asked, headers });
      const lines = () =>
        target.edge
          .output()
          .split("\n")
          .filter((line) => line.includes("forged"));
      await expect.poll(() => lines().length, { timeout: patienceMs }).toBe(1);
      expect(JSON.parse(lines()[0] ?? "")).toMatchObject({
        httpStatus: 404,
        path: "/v1/nope%0a%7B%22forged%22:1%7D",
      });
      expect(lines()[0]).not.toMatch(/canary|\t/);
    });

    test("73: an answer that depends on its caller's origin says so to caches", async () => {
      expect(
        (await sendRaw(target.port, { target: "/v1/books/a", headers: { origin: "https://shop.test" } }))
          .headers.vary,
      ).toContain("origin");
      expect((await sendRaw(target.port, { target: "/v1/books/a" })).headers.vary).toContain("origin");
    });
  });
}
