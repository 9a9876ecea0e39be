import { createServer } from "node:net";

/** Finds a port of the loopback address that nobody listens on right now; another process may still take it first. */
export function findFreePort(): Promise<number> {
  return listenOnce(0);
}

/** Below the ports that the system gives to outgoing connections: what is restarted finds its own still free. */
const lowestBase = 20_000;
const highestBase = 32_000;
const attempts = 50;

/** Finds the first of so many ports in a row that nobody listens on right now. */
export async function findFreeBlock(size: number): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const base = lowestBase + Math.floor(Math.random() * (highestBase - lowestBase));
    const free = await Promise.all(Array.from({ length: size }, (_, offset) => isPortFree(base + offset)));
    if (free.every(Boolean)) return base;
  }
  throw new Error(`no ${size} ports in a row are free`);
}

/** Tells whether a port of the loopback address can be listened on. */
export async function isPortFree(port: number): Promise<boolean> {
  try {
    await listenOnce(port);
    return true;
  } catch {
    return false;
  }
}

function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : port));
    });
  });
}
