import type net from "node:net";
import { describe, expect, test } from "vitest";
import {
  clientPreface,
  converse,
  endHeaders,
  endStream,
  frame,
  frameType,
  headerBlock,
  requestHeaders,
} from "../raw-http2.ts";
import { grpcHeaders, patienceMs, type Target } from "./target.ts";

const codeOf = (payload: Buffer) => payload.readUInt32BE(4);

/** Rows 5 to 8: floods of HTTP/2. */
export function attackByFloods(target: Target): void {
  describe("HTTP/2 frames", () => {
    test("5: streams opened and reset at once end their connection, and few reach the backend", async () => {
      const before = target.backend.facts.answered;
      const burst = Array.from({ length: 2_000 }, (_, at) => [
        frame(frameType.headers, endHeaders | endStream, 2 * at + 1, requestHeaders("GET", "/v1/call")),
        frame(frameType.reset, 0, 2 * at + 1, Buffer.from([0, 0, 0, 8])),
      ]).flat();
      const { frames, closedByPeer } = await converse(
        target.port,
        (socket) => socket.write(Buffer.concat([clientPreface, ...burst])),
        patienceMs,
      );
      expect(closedByPeer).toBe(true);
      expect(frames.some(({ type }) => type === frameType.goaway)).toBe(true);
      expect(target.backend.facts.answered - before).toBeLessThan(150);
    });

    test("6: headers continued without end close their connection", async () => {
      const flood = (socket: net.Socket) => {
        socket.write(clientPreface);
        socket.write(frame(frameType.headers, endStream, 1, requestHeaders("GET", "/v1/call")));
        const more = frame(frameType.continuation, 0, 1, headerBlock([["x", "y".repeat(4_000)]]));
        for (let at = 0; at < 2_000 && !socket.destroyed; at++) socket.write(more);
      };
      expect((await converse(target.port, flood, patienceMs)).closedByPeer).toBe(true);
    });

    test("7: streams that a caller makes the edge reset end their connection", async () => {
      const abuse = Array.from({ length: 2_000 }, (_, at) => [
        frame(frameType.headers, endHeaders, 2 * at + 1, grpcHeaders("GetBook")),
        frame(frameType.windowUpdate, 0, 2 * at + 1, Buffer.alloc(4)),
      ]).flat();
      const { closedByPeer } = await converse(
        target.port,
        (socket) => socket.write(Buffer.concat([clientPreface, ...abuse])),
        patienceMs,
      );
      expect(closedByPeer).toBe(true);
    });

    test.each([
      ["8: pings", frame(frameType.ping, 0, 0, Buffer.alloc(8))],
      ["8: settings", frame(frameType.settings, 0, 0, Buffer.from([0, 3, 0, 0, 0, 1]))],
    ])("%s without end, and nobody to read the answers, close their connection", async (_what, one) => {
      const many = Buffer.concat(Array.from({ length: 2_000 }, () => one));
      const flood = (socket: net.Socket, over: AbortSignal) => {
        socket.pause();
        socket.write(clientPreface);
        const push = () => {
          while (!over.aborted && socket.write(many));
          if (!over.aborted) socket.once("drain", push);
        };
        push();
      };
      expect((await converse(target.port, flood, patienceMs)).closedByPeer).toBe(true);
    });
  });
}

/** Rows 9 to 11: frames that break the rules of HTTP/2. */
export function attackByFrames(target: Target): void {
  describe("HTTP/2 frames", () => {
    test("9: a window that overflows closes its connection, a thousand times over", async () => {
      const overflow = Buffer.concat([
        clientPreface,
        frame(frameType.windowUpdate, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])),
      ]);
      for (let round = 0; round < 20; round++) {
        const all = Array.from({ length: 50 }, () =>
          converse(target.port, (socket) => socket.write(overflow), patienceMs),
        );
        for (const { closedByPeer } of await Promise.all(all)) expect(closedByPeer).toBe(true);
      }
    });

    test("10: a header block that is none, or unfolds to more than it may, ends its connection or its stream", async () => {
      const broken = frame(
        frameType.headers,
        endHeaders | endStream,
        1,
        Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
      );
      const { closedByPeer } = await converse(
        target.port,
        (socket) => socket.write(Buffer.concat([clientPreface, broken])),
        patienceMs,
      );
      expect(closedByPeer).toBe(true);
      // One entry of 4,000 bytes in the dynamic table, named by a single byte two thousand times: eight megabytes.
      const entry = Buffer.concat([
        Buffer.from([0x40, 1]),
        Buffer.from("x"),
        Buffer.from([127, 0x80 | (3_873 % 128), 3_873 >> 7]),
        Buffer.alloc(4_000, 121),
      ]);
      const bomb = Buffer.concat([requestHeaders("GET", "/v1/call"), entry, Buffer.alloc(2_000, 0x80 | 62)]);
      const { frames } = await converse(
        target.port,
        (socket) =>
          socket.write(
            Buffer.concat([clientPreface, frame(frameType.headers, endHeaders | endStream, 1, bomb)]),
          ),
        patienceMs,
      );
      const data = frames.filter(({ type }) => type === frameType.data);
      expect(data.length).toBeLessThanOrEqual(1);
      expect(Buffer.concat(data.map(({ payload }) => payload)).toString()).not.toContain('"timeoutMs"');
    });

    test("11: more streams at once than there may be are refused", async () => {
      const many = Array.from({ length: 300 }, (_, at) =>
        frame(frameType.headers, endHeaders, 2 * at + 1, grpcHeaders("GetBook")),
      );
      const { frames } = await converse(
        target.port,
        (socket) => socket.write(Buffer.concat([clientPreface, ...many])),
        2_000,
      );
      const refused = frames.filter(
        ({ type, payload }) => type === frameType.reset && payload.readUInt32BE(0) === 7,
      );
      const goaways = frames.filter(({ type }) => type === frameType.goaway);
      expect(refused.length > 150 || goaways.some(({ payload }) => codeOf(payload) !== 0)).toBe(true);
    });
  });
}
