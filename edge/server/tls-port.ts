import { readFileSync, statSync } from "node:fs";
import tls, { type TLSSocket, type TlsOptions } from "node:tls";
import type { ListenerTls } from "../options.ts";

/** A rotated certificate is served within this time; secrets mounted by Kubernetes change by a link, which file watchers miss. */
const reloadIntervalMs = 2_000;

/** A TLS server whose certificate follows its files. */
export interface TlsPort {
  readonly server: tls.Server;
  /** Stops following the files. */
  stop(): void;
}

/**
 * Makes a TLS server (1.2 and up) that offers HTTP/2 and HTTP/1.1 and hands over connections whose handshake is done.
 * Files that change to something unreadable leave the last good certificate in place.
 * @throws Error naming what cannot be read at start.
 */
export function createTlsPort(
  files: ListenerTls,
  handshakeTimeoutMs: number,
  onConnection: (socket: TLSSocket) => void,
): TlsPort {
  const server = tls.createServer(
    {
      ...readFiles(files),
      ALPNProtocols: ["h2", "http/1.1"],
      minVersion: "TLSv1.2",
      handshakeTimeout: handshakeTimeoutMs,
      ...(files.clientCaFile !== undefined && { requestCert: true, rejectUnauthorized: true }),
    },
    onConnection,
  );
  // Scanners and plain-text callers end here; their connection is closed already.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  let seen = versionOf(files);
  const timer = setInterval(() => {
    const now = versionOf(files);
    if (now === seen || now === undefined) return;
    seen = reload(server, files) ? now : seen;
  }, reloadIntervalMs);
  timer.unref();
  return { server, stop: () => clearInterval(timer) };
}

function reload(server: tls.Server, files: ListenerTls): boolean {
  try {
    server.setSecureContext(readFiles(files));
    return true;
  } catch {
    // Written halfway, or certificate and key of different pairs: the next look finds them whole.
    return false;
  }
}

function readFiles({ certFile, keyFile, clientCaFile }: ListenerTls): TlsOptions {
  return {
    cert: readFileSync(certFile),
    key: readFileSync(keyFile),
    ...(clientCaFile !== undefined && { ca: readFileSync(clientCaFile) }),
  };
}

/** Changes when any of the files does; undefined while one is away. */
function versionOf({ certFile, keyFile, clientCaFile }: ListenerTls): string | undefined {
  try {
    return [certFile, keyFile, clientCaFile]
      .filter((file) => file !== undefined)
      .map((file) => {
        const { mtimeMs, size, ino } = statSync(file);
        return `${ino}:${mtimeMs}:${size}`;
      })
      .join();
  } catch {
    return undefined;
  }
}
