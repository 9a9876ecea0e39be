import { createServer } from "node:net";

/** Finds a port of the loopback address that nobody listens on right now; another process may still take it first. */
export function findFreePort(): Promise<number> {
  return listenOnce(0);
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
