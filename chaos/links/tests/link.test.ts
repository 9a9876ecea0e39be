import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { eventually } from "#kit/testing/testing.ts";
import { type Link, openLink } from "../link.ts";

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

/** A server that answers each piece with its own name and that piece; it keeps what it has heard. */
async function startEcho(name: string) {
  const heard: string[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      heard.push(`${bytes}`);
      socket.write(`${name}:${bytes}`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  opened.push({
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return { port: (server.address() as { port: number }).port, heard };
}

async function link(targets: readonly number[]): Promise<Link> {
  const made = await openLink({ name: "echo", port: 0, targets, random: Math.random });
  opened.push(made);
  return made;
}

/** A caller, what it has heard, and how its connection ended. */
function call({ port }: Link) {
  const socket = connect({ port, host: "127.0.0.1" });
  const heard = { text: "", pieces: 0, ended: "" };
  socket.on("data", (bytes) => {
    heard.text += bytes;
    heard.pieces += 1;
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    heard.ended = error.code ?? "error";
  });
  socket.on("close", () => {
    heard.ended ||= "closed";
  });
  opened.push({ close: () => socket.destroy() });
  return { say: (text: string) => socket.write(text), end: () => socket.end(), heard };
}

const deadPort = 1;

test("what is said arrives, and the end of the one is the end of the other", async () => {
  const { say, end, heard } = call(await link([(await startEcho("a")).port]));
  say("hello");
  await eventually(() => expect(heard.text).toBe("a:hello"));
  end();
  await eventually(() => expect(heard.ended).toBe("closed"));
});

test("connections take turns between replicas, and pass over one that is dead", async () => {
  const both = await link([(await startEcho("a")).port, (await startEcho("b")).port]);
  const one = await link([deadPort, (await startEcho("c")).port]);
  const callers = [call(both), call(both), call(one), call(one)];
  for (const { say } of callers) say("x");
  await eventually(() =>
    expect(callers.map(({ heard }) => heard.text)).toEqual(["a:x", "b:x", "c:x", "c:x"]),
  );
});

test("a stalled link takes connections and keeps what is said until it moves again", async () => {
  const made = await link([(await startEcho("a")).port]);
  const before = call(made);
  before.say("1");
  await eventually(() => expect(before.heard.text).toBe("a:1"));
  made.trouble({ kind: "stalled" });
  const during = call(made);
  before.say("2");
  during.say("3");
  await eventually(() => expect(made.connections).toBe(2));
  expect([before.heard, during.heard]).toMatchObject([
    { text: "a:1", ended: "" },
    { text: "", ended: "" },
  ]);
  made.trouble(undefined);
  await eventually(() => expect([before.heard.text, during.heard.text]).toEqual(["a:1a:2", "a:3"]));
});

test("an end that a stalled link holds back arrives once it moves again", async () => {
  const { promise: told, resolve } = Promise.withResolvers<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.resume().once("end", () => resolve(socket));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  opened.push(server);
  const made = await link([(server.address() as { port: number }).port]);
  const { end, heard } = call(made);
  end();
  const answerer = await told;
  made.trouble({ kind: "stalled" });
  answerer.end();
  await eventually(() => expect(answerer.closed).toBe(true));
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  made.trouble(undefined);
  await eventually(() => expect(heard.ended).toBe("closed"));
});

test("a slow link is late both ways and keeps the order", async () => {
  const made = await link([(await startEcho("")).port]);
  made.trouble({ kind: "slow", minMs: 30, maxMs: 60 });
  const startedAt = performance.now();
  const { say, heard } = call(made);
  for (let number = 0; number < 5; number += 1) {
    say(`${number}`);
    await new Promise(setImmediate);
  }
  await eventually(() => expect(heard.text.replaceAll(":", "")).toBe("01234"));
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(59);
});

test("an unanswered link passes on what is said and loses what comes back", async () => {
  const echo = await startEcho("a");
  const made = await link([echo.port]);
  const [stands, comes] = [call(made), call(made)];
  stands.say("1");
  await eventually(() => expect(stands.heard.text).toBe("a:1"));
  made.trouble({ kind: "unanswered" });
  stands.say("2");
  comes.say("3");
  await eventually(() =>
    expect([stands.heard, comes.heard]).toMatchObject([
      { text: "a:1", ended: "ECONNRESET" },
      { text: "", ended: "ECONNRESET" },
    ]),
  );
  expect(echo.heard.toSorted()).toEqual(["1", "2", "3"]);
  made.trouble(undefined);
  const later = call(made);
  later.say("4");
  await eventually(() => expect(later.heard.text).toBe("a:4"));
});

test("a reset breaks connections that stand, and later ones are taken", async () => {
  const made = await link([(await startEcho("a")).port]);
  const broken = call(made);
  broken.say("1");
  await eventually(() => expect(broken.heard.text).toBe("a:1"));
  expect(made.reset()).toBe(1);
  await eventually(() => expect(broken.heard.ended).toBe("ECONNRESET"));
  const later = call(made);
  later.say("2");
  await eventually(() => expect(later.heard.text).toBe("a:2"));
});

test("a refusing link and one to nobody reset whoever calls", async () => {
  const made = await link([(await startEcho("a")).port]);
  made.trouble({ kind: "refusing" });
  const callers = [call(made), call(await link([deadPort]))];
  await eventually(() =>
    expect(callers.map(({ heard }) => heard.ended)).toEqual(["ECONNRESET", "ECONNRESET"]),
  );
});
