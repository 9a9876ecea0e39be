import { expect, test } from "vitest";
import { wholeBody } from "./scrape.ts";

const answer = (head: string, body: string) => Buffer.from(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n${body}`);

test("an answer is whole once its length is there, or its last chunk; until then there is none", () => {
  const plain = answer("Content-Length: 5", "calls");
  const chunked = answer("transfer-encoding: chunked", "5\r\ncalls\r\n3\r\n 2\n\r\n0\r\n\r\n");
  expect([wholeBody(plain), wholeBody(chunked)]).toEqual(["calls", "calls 2\n"]);
  for (const whole of [plain, chunked])
    for (let end = 0; end < whole.length - 5; end += 1)
      expect(wholeBody(whole.subarray(0, end))).toBeUndefined();
  expect(wholeBody(answer("connection: close", "calls"))).toBeUndefined();
  expect(wholeBody(answer("transfer-encoding: chunked", "zz\r\ncalls\r\n"))).toBeUndefined();
});
