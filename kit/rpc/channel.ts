import { ConnectionPool } from "#kit/wire/http2/connection-pool.ts";

/** Calls of one client share a connection, which takes as many at once as the callee allows; a second one is for when it is full. */
const maxConnections = 2;

/**
 * Where calls to `http://host:port` leave from. It connects with the first call, stays connected, and finds a restarted callee within
 * half a second. Repeating is left to the client, since one layer must know how often a call was tried.
 */
export type Channel = ConnectionPool;

/** Makes a channel; throws for a URL that does not start with `http://`: encryption is the mesh's. */
export function createChannel(url: string): Channel {
  const { protocol } = new URL(url);
  if (protocol !== "http:") throw new Error(`A callee's URL starts with http://, not ${protocol}//`);
  return new ConnectionPool({ address: url }, { maxConnections });
}
