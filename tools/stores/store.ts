import { findFreePort, isPortFree } from "./free-port.ts";
import { type Exit, type Launch, LaunchedProcess } from "./launched-process.ts";

/** Where a store keeps its data and how it is reached. */
export type StoreOptions = {
  /** The store's own folder; made where it does not exist. */
  dataDir: string;
  /** A port of 127.0.0.1; 0 takes a free one. */
  port: number;
  /** Where the server writes its log. */
  logPath: string;
  /** Gets a line for the person who waits, when something takes time. */
  log: (line: string) => void;
  /** Learns the process id after each start, and `undefined` after each end. */
  onPid?: (pid: number | undefined) => void;
};

/** A server that runs, can be hurt, and can be started again on the same data and port. */
export type Store = {
  name: string;
  url: string;
  port: number;
  /** The server's process id; `undefined` while it does not run. */
  readonly pid: number | undefined;
  /** Settles when the run that was started last has ended, for whatever reason. */
  readonly exited: Promise<Exit>;
  /** Ends the server and waits until it is gone; `immediate` ends it as a crash would. */
  stop(mode?: "graceful" | "immediate"): Promise<Exit>;
  /** Sends a signal that ends the server, SIGKILL first of all, and waits until it is gone. */
  kill(signal: NodeJS.Signals): Promise<Exit>;
  /** Starts the server again, after `stop` or `kill`, and waits until it serves. */
  start(signal?: AbortSignal): Promise<void>;
};

const FREE_PORT_ATTEMPTS = 5;

/** Makes the launch of a store that is to listen on a port, and whatever has to exist before it starts. */
export type PrepareLaunch = (port: number) => Promise<Launch & { url: string }>;

/** Prepares a store on a given port, without starting it. */
export async function prepareStore(options: StoreOptions, prepare: PrepareLaunch): Promise<Store> {
  const { url, ...launch } = await prepare(options.port);
  const server = new LaunchedProcess(options.onPid ? { ...launch, onPid: options.onPid } : launch);
  return toStore(server, url, options.port);
}

/**
 * Starts a store. A free port can be lost to another process before the server has it, so with port 0 a failed start is
 * tried again on another one. Throws where the port is taken.
 */
export async function startStore(
  name: string,
  options: StoreOptions,
  prepare: PrepareLaunch,
): Promise<Store> {
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port === 0 ? await findFreePort() : options.port;
    if (!(await isPortFree(port))) throw portTaken(name, port);
    const store = await prepareStore({ ...options, port }, prepare);
    try {
      await store.start();
      return store;
    } catch (error) {
      const lostPort = options.port === 0 && !(await isPortFree(port));
      if (!lostPort || attempt === FREE_PORT_ATTEMPTS) throw error;
    }
  }
}

/** The error for a port on which somebody else listens. */
export function portTaken(name: string, port: number): Error {
  return new Error(
    `Port ${port} for ${name} is taken by another process. End that one, or move Souk: npm start -- --port-base 9080`,
  );
}

function toStore(server: LaunchedProcess, url: string, port: number): Store {
  return {
    name: server.launch.name,
    url,
    port,
    get pid() {
      return server.pid;
    },
    get exited() {
      return server.exited;
    },
    stop: (mode) => server.stop(mode),
    kill: (signal) => server.kill(signal),
    start: (signal) => server.start(signal),
  };
}
