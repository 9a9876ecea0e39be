import { writeFileSync } from "node:fs";
import { join } from "node:path";
import tls from "node:tls";
import { describe, expect, test } from "vitest";
import { makeCertificate } from "../certificate.ts";
import { startProgram } from "../program-process.ts";
import { sendRaw } from "../raw-http.ts";
import { converse } from "../raw-http2.ts";
import { http1, patienceMs, type Target } from "./target.ts";

const heads: readonly (readonly [string, string, number])[] = [
  ["12: 100 KB of headers", `GET / HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(100_000)}\r\n\r\n`, 431],
  [
    "13: a target of 20 KB",
    `GET /v1/books/${"y".repeat(20_000)} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`,
    414,
  ],
  [
    "14: two kinds of length",
    "POST /v1/books HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    400,
  ],
  [
    "14: two lengths",
    "POST /v1/books HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcde",
    400,
  ],
  ["14: a length that is none", "POST /v1/books HTTP/1.1\r\nhost: a\r\ncontent-length: +4\r\n\r\nabcd", 400],
  [
    "14: a space before the colon",
    "POST /v1/books HTTP/1.1\r\nhost: a\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
    400,
  ],
  ["15: NUL in a header", "GET /v1/books/a HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n", 400],
  [
    "15, 72: a terminal's escape in a header",
    "GET /v1/books/a HTTP/1.1\r\nhost: a\r\nx: \x1b[31m\r\n\r\n",
    400,
  ],
  ["15: a bare line feed in a header", "GET /v1/books/a HTTP/1.1\r\nhost: a\r\nx: a\ny: b\r\n\r\n", 400],
  ["17: no host", "GET /v1/books/a HTTP/1.1\r\nconnection: close\r\n\r\n", 400],
  [
    "18: a wish for h2c",
    "GET /v1/books/a HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n",
    200,
  ],
];

/** Rows 12 to 18: heads of requests. */
export function attackByHeads(target: Target): void {
  describe("a request's head", () => {
    test.each(heads)("%s", async (_what, bytes, status) => {
      const answer = await http1(target, bytes);
      expect(answer.status).toBe(status);
      expect(answer.headers).not.toHaveProperty("upgrade");
    });

    test("16: forged facts about the caller do not reach the backend", async () => {
      const forged = {
        "x-forwarded-for": "6.6.6.6",
        "x-forwarded-host": "evil.test",
        forwarded: "for=6.6.6.6",
        "grpc-timeout": "5S",
        "grpc-internal": "1",
        "connect-x": "1",
        connection: "close, x-hop",
        "x-hop": "1",
      };
      const seen = (await sendRaw(target.port, { target: "/v1/call", headers: forged })).json()
        .metadata as Record<string, string>;
      expect(seen["x-forwarded-for"]).toBe("127.0.0.1");
      expect(seen["x-forwarded-host"]).not.toBe("evil.test");
      for (const name of ["forwarded", "grpc-internal", "connect-x", "x-hop"])
        expect(seen).not.toHaveProperty(name);
    });
  });
}

/** Row 19. */
export function attackByTls(target: Target): void {
  describe("a connection over TLS", () => {
    test("19: TLS before 1.2, and plain text where TLS is spoken, get nothing", async () => {
      const { cert, key } = makeCertificate("hostile");
      const files = { cert: join(target.folder, "cert.pem"), key: join(target.folder, "key.pem") };
      writeFileSync(files.cert, cert);
      writeFileSync(files.key, key);
      const secure = await startProgram([
        ...[
          "--listen",
          "127.0.0.1:0",
          "--backend",
          `127.0.0.1:${target.backend.port}`,
          "--descriptors",
          target.descriptors,
        ],
        ...["--tls-cert", files.cert, "--tls-key", files.key],
      ]);
      const shake = (maxVersion: "TLSv1" | "TLSv1.2") =>
        new Promise<string>((resolve) => {
          const options = {
            port: secure.port,
            host: "127.0.0.1",
            ca: cert,
            minVersion: "TLSv1",
            maxVersion,
            ciphers: "DEFAULT@SECLEVEL=0",
          } as const;
          const socket = tls.connect(options, () => {
            resolve(String(socket.getProtocol()));
            socket.destroy();
          });
          socket.on("error", () => resolve("refused"));
        });
      expect([await shake("TLSv1"), await shake("TLSv1.2")]).toEqual(["refused", "TLSv1.2"]);
      const { closedByPeer, frames } = await converse(
        secure.port,
        (socket) => socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        patienceMs,
      );
      expect([closedByPeer, frames]).toEqual([true, []]);
      await secure.stop();
    });
  });
}
