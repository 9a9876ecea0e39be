/** Loads that are under way, by key, so that everybody who asks meanwhile shares one. */
export interface Flights<Result> {
  /** The result of each key's load, in the order of the keys; `load` starts one for those that have none. */
  join(keys: readonly string[], load: (fresh: readonly string[]) => Promise<Result>): Promise<Result[]>;
  /** Whoever asks from now on gets a load that starts after this moment. */
  forget(keys: readonly string[]): void;
}

/** No loads under way; each leaves by itself when it ends. */
export function createFlights<Result>(): Flights<Result> {
  const flying = new Map<string, Promise<Result>>();
  const land = (keys: readonly string[], flight: Promise<Result>) => {
    for (const key of keys) if (flying.get(key) === flight) flying.delete(key);
  };
  return {
    join(keys, load) {
      const fresh = keys.filter((key) => !flying.has(key));
      if (fresh.length > 0) {
        const flight = load(fresh);
        for (const key of fresh) flying.set(key, flight);
        const landed = () => land(fresh, flight);
        flight.then(landed, landed);
      }
      return Promise.all(keys.flatMap((key) => flying.get(key) ?? []));
    },
    forget(keys) {
      for (const key of keys) flying.delete(key);
    },
  };
}
