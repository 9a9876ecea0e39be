import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import { describe, expect, test } from "vitest";
import { clientPreface, converse, frame, frameType, requestHeaders } from "../raw-http2.ts";
import { http1, patienceMs, type Target } from "./target.ts";

/** Rows 1 to 4: connections that stay silent, drip, or do not read. */
export function attackByConnections(target: Target): void {
  describe("a connection", () => {
    const slow: readonly (readonly [string, string])[] = [
      ["1: that stays silent", ""],
      ["1: with half a preface", "PRI * HT"],
      ["1: with a preface and nothing after it", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
      ["1: that is introduced and asks nothing", clientPreface.toString("latin1")],
      ["2: whose headers do not end", "GET / HTTP/1.1\r\nhost: a\r\n"],
      [
        "2: whose HTTP/2 headers do not end",
        Buffer.concat([
          clientPreface,
          frame(frameType.headers, 0, 1, requestHeaders("GET", "/v1/books/a")),
        ]).toString("latin1"),
      ],
      ["5: that speaks no protocol", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hello\r\n\r\n"],
    ];
    test.concurrent.each(slow)("%s is closed in time", async (_what, bytes) => {
      const { closedByPeer } = await converse(
        target.port,
        (socket) => socket.write(Buffer.from(bytes, "latin1")),
        patienceMs,
      );
      expect(closedByPeer).toBe(true);
    });

    test("2: that sends a byte of its headers now and then is closed all the same", async () => {
      const drip = (socket: net.Socket, over: AbortSignal) => {
        socket.write("GET / HTTP/1.1\r\nhost: a\r\n");
        const timer = setInterval(() => socket.write("x"), 100);
        over.addEventListener("abort", () => clearInterval(timer));
      };
      expect((await converse(target.port, drip, patienceMs)).closedByPeer).toBe(true);
    });

    test("3: whose body does not arrive is answered 408, over HTTP/1.1 and HTTP/2", async () => {
      const text =
        "POST /v1/books HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
      expect((await http1(target, text)).status).toBe(408);
      const session = http2.connect(`http://127.0.0.1:${target.port}`);
      const stream = session.request({
        ":method": "POST",
        ":path": "/v1/books",
        "content-type": "application/json",
      });
      stream.write("{");
      const [headers] = await once(stream, "response");
      expect(headers[":status"]).toBe(408);
      session.destroy();
    });

    test("4: that asks for much and does not read is cut off, over HTTP/1.1 and HTTP/2", async () => {
      const watched = "/v1/books:watch?count=20000&paddingBytes=5000";
      const socket = net.connect(target.port, "127.0.0.1", () =>
        socket.write(`GET ${watched} HTTP/1.1\r\nhost: a\r\n\r\n`),
      );
      socket.pause();
      const session = http2.connect(`http://127.0.0.1:${target.port}`);
      session.on("error", () => undefined);
      const stream = session.request({ ":path": watched });
      stream.on("error", () => undefined).pause();
      await expect.poll(() => target.backend.facts.open, { timeout: patienceMs }).toBe(2);
      await expect.poll(() => target.backend.facts.open, { timeout: patienceMs }).toBe(0);
      socket.destroy();
      session.destroy();
    });
  });
}
