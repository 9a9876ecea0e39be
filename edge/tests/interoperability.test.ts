import { execFile, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
// biome-ignore lint/correctness/noUnresolvedImports: Biome does not follow how this package re-exports.
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestEdge, type TestEdge } from "./test-edge.ts";

// Callers that are not ours. What is not installed is skipped, and its test's name says what is missing.

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
const procedure = "edge.testing.v1.LibraryService/GetBook";
const callTimeoutMs = 60_000;

const curl = spawnSync("curl", ["--version"], { encoding: "utf8" });
const hasCurl = curl.status === 0;
const chromiumPath = findChromium();

let shop: TestEdge;
let pages: http.Server;
let origin: string;
let base: string;

beforeAll(async () => {
  pages = http.createServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/html" }).end("<title>a page</title>");
  });
  await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
  shop = await startTestEdge({ cors: { origins: [origin] } });
  base = `http://127.0.0.1:${shop.port}`;
});

afterAll(async () => {
  await shop.stop();
  pages.close();
});

/** CHROMIUM, or what the path has. */
function findChromium(): string | undefined {
  const named = process.env.CHROMIUM;
  if (named !== undefined && existsSync(named)) return named;
  for (const name of ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]) {
    const found = spawnSync("which", [name], { encoding: "utf8" });
    if (found.status === 0) return found.stdout.trim();
  }
  return undefined;
}

describe.skipIf(!hasCurl)(`curl${hasCurl ? "" : " (not installed)"}`, () => {
  const versions = ["--http1.1", ...(/\bHTTP2\b/.test(curl.stdout ?? "") ? ["--http2-prior-knowledge"] : [])];

  test.each(versions)("%s speaks REST and Connect", async (version) => {
    const ask = async (...args: string[]) => {
      const { stdout } = await run("curl", ["-sS", "--max-time", "30", version, ...args], {
        timeout: callTimeoutMs,
      });
      return JSON.parse(stdout) as object;
    };
    expect(await ask(`${base}/v1/books/a%2Fb?revision=2`)).toMatchObject({ id: "a/b", pageCount: 2 });
    const json = ["-H", "content-type: application/json", "-d", '{"id":"a"}'];
    expect(await ask(...json, `${base}/v1/books`)).toMatchObject({ id: "a" });
    expect(await ask(...json, `${base}/${procedure}`)).toEqual({ id: "a" });
  });
});

describe("buf curl", () => {
  test.each(["connect", "grpc", "grpcweb"])(
    "speaks %s",
    async (protocol) => {
      const args = [
        "curl",
        "--schema",
        ".",
        "--protocol",
        protocol,
        "-d",
        '{"id":"a"}',
        "--http2-prior-knowledge",
      ];
      const { stdout } = await run("buf", [...args, `${base}/${procedure}`], {
        cwd: root,
        timeout: callTimeoutMs,
      });
      expect(JSON.parse(stdout)).toEqual({ id: "a" });
    },
    90_000,
  );
});

test("EventSource, node's own, reads a stream of events", async () => {
  const script = `
    const source = new EventSource(process.argv[1]);
    const ids = [];
    source.onmessage = ({ data }) => {
      ids.push(JSON.parse(data).id);
      if (ids.length === 3) { source.close(); console.log(ids.join()); }
    };`;
  const args = ["--experimental-eventsource", "--no-warnings", "--input-type=module", "-e", script];
  const { stdout } = await run(process.execPath, [...args, `${base}/v1/books:watch?count=3&stayOpen=true`], {
    timeout: callTimeoutMs,
  });
  expect(stdout.trim()).toBe("0,1,2");
}, 90_000);

describe.skipIf(chromiumPath === undefined)(
  `a browser${chromiumPath ? "" : " (no Chromium: CHROMIUM names one)"}`,
  () => {
    let browser: Browser;
    let page: Page;

    beforeAll(async () => {
      browser = await chromium.launch({
        executablePath: chromiumPath as string,
        args: ["--no-sandbox"],
        timeout: callTimeoutMs,
      });
      page = await browser.newPage();
      await page.goto(origin);
    }, 120_000);

    afterAll(() => browser?.close());

    test("fetches over REST and Connect from another origin", async () => {
      const answers = await page.evaluate(
        async ([rest, connect]) => {
          const json = {
            method: "POST",
            headers: { "content-type": "application/json", "connect-protocol-version": "1" },
            body: '{"id":"a"}',
          };
          return [await (await fetch(rest)).json(), await (await fetch(connect, json)).json()];
        },
        [`${base}/v1/books/a`, `${base}/${procedure}`] as const,
      );
      expect(answers).toMatchObject([{ id: "a" }, { id: "a" }]);
    });

    test("fetches over gRPC-Web, message and trailers", async () => {
      const bytes = await page.evaluate(async (url) => {
        // GetBookRequest{id: "a"} in its envelope.
        const body = new Uint8Array([0, 0, 0, 0, 3, 10, 1, 97]);
        const headers = { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" };
        const answer = await fetch(url, { method: "POST", headers, body });
        return [...new Uint8Array(await answer.arrayBuffer())];
      }, `${base}/${procedure}`);
      expect(bytes.slice(0, 8)).toEqual([0, 0, 0, 0, 3, 10, 1, 97]);
      expect(Buffer.from(bytes.slice(13)).toString()).toBe("grpc-status: 0\r\n");
    });

    test("reads a Connect stream and an event stream as they come", async () => {
      const seen = await page.evaluate(
        async ([connect, events]) => {
          const message = new TextEncoder().encode('{"count":2}');
          const body = new Uint8Array([0, 0, 0, 0, message.length, ...message]);
          const answer = await fetch(connect, {
            method: "POST",
            headers: { "content-type": "application/connect+json" },
            body,
          });
          const text = new TextDecoder().decode(await answer.arrayBuffer());
          const ids = await new Promise<string[]>((resolve, reject) => {
            const source = new EventSource(events);
            const read: string[] = [];
            source.onerror = () => reject(new Error("the event stream broke"));
            source.onmessage = ({ data }) => {
              read.push((JSON.parse(data) as { id: string }).id);
              if (read.length === 2) {
                source.close();
                resolve(read);
              }
            };
          });
          return { text, ids };
        },
        [
          `${base}/edge.testing.v1.LibraryService/WatchBooks`,
          `${base}/v1/books:watch?count=2&stayOpen=true`,
        ] as const,
      );
      expect(seen.text).toContain('{"id":"1"}');
      expect(seen.ids).toEqual(["0", "1"]);
    });

    test("is refused by its own rules where its origin is not named", async () => {
      const stranger = await browser.newPage();
      await stranger.goto(origin.replace("127.0.0.1", "localhost"));
      const outcome = await stranger.evaluate(
        (url) =>
          fetch(url).then(
            () => "read",
            () => "refused",
          ),
        `${base}/v1/books/a`,
      );
      expect(outcome).toBe("refused");
    });
  },
);
