import net, { type Socket } from "node:net";
import tls, { type ConnectionOptions } from "node:tls";
import type { PeerAddress } from "./peer-address.ts";

const readBytes = 64 * 1024;

/** What a socket tells of itself; `onClosed` comes last. */
export interface SocketListener {
  /** It is there, over TLS with HTTP/2 agreed on. */
  onConnected(): void;
  /** The next bytes, lent for the time of this call. */
  onBytes(bytes: Buffer): void;
  /** All has been written. */
  onDrain(): void;
  onClosed(): void;
}

/** Connects to a backend: plainly by `http:`, where HTTP/2 is known beforehand, over TLS by `https:`, where ALPN has to agree on it. */
export function openSocket(backend: PeerAddress, listener: SocketListener): Socket {
  const url = new URL(backend.address);
  const isSecure = url.protocol === "https:";
  const options = {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(url.port || (isSecure ? 443 : 80)),
    // One buffer for all reads: what is to be kept is copied once, to where it belongs.
    onread: {
      buffer: Buffer.allocUnsafeSlow(readBytes),
      callback: (length: number, bytes: Uint8Array) => {
        listener.onBytes((bytes as Buffer).subarray(0, length));
        return true;
      },
    },
  };
  const socket = isSecure ? tls.connect(secured(options, backend)) : net.connect(options);
  socket.setNoDelay(true);
  socket.once(isSecure ? "secureConnect" : "connect", () => {
    if (socket instanceof tls.TLSSocket && socket.alpnProtocol !== "h2") socket.destroy();
    else listener.onConnected();
  });
  socket.on("drain", () => listener.onDrain());
  // What went wrong is the calls' to tell; `close` follows.
  socket.on("error", () => undefined);
  socket.once("close", () => listener.onClosed());
  return socket;
}

function secured<T extends { host: string }>(options: T, { tls: own }: PeerAddress): T & ConnectionOptions {
  return {
    ...options,
    ALPNProtocols: ["h2"],
    ...(net.isIP(options.host) === 0 && { servername: options.host }),
    ...(own?.ca !== undefined && { ca: own.ca }),
    ...(own?.cert !== undefined && { cert: own.cert }),
    ...(own?.key !== undefined && { key: own.key }),
    ...(own?.serverName !== undefined && { servername: own.serverName }),
  };
}
