import { connect } from "node:net";

/**
 * Connects to a loopback port, sends `request` if there is one, and resolves to the first bytes of the answer as text.
 * Rejects where nobody listens, the peer closes without a word, or the signal aborts.
 */
export function readFirstBytes(
  port: number,
  request: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", signal });
    const finish = (settle: () => void) => {
      socket.destroy();
      settle();
    };
    socket.once("connect", () => request !== undefined && socket.write(request));
    socket.once("data", (data) => finish(() => resolve(data.toString("latin1"))));
    socket.once("error", (error) => finish(() => reject(error)));
    socket.once("end", () => finish(() => reject(new Error(`port ${port} closed without a word`))));
  });
}
