// Pods' metrics as a Prometheus has them, for those who may ask it and may not forward ports into pods.

import { DURATION_BUCKETS, REQUEST_COUNTS } from "../../tools/top/request-metrics.ts";
import type { Scrape } from "./scrape.ts";

const TIMEOUT_MS = 5_000;
const NAMES = [...REQUEST_COUNTS, ...DURATION_BUCKETS].join("|");
/** What tells answers apart. Whatever else Prometheus knows of a pod by heart, or twice because two of its jobs ask it, is one. */
const LABELS = ["__name__", "method", "route", "code", "status", "le"].join(", ");

/** One series of an instant query's answer. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  /** When, in seconds since 1970, and what, as text. */
  readonly value: readonly [atS: number, value: string];
}

interface Answer {
  readonly status?: string;
  readonly error?: string;
  readonly data?: { readonly result: readonly Series[] };
}

/**
 * A way to pods' metrics over a Prometheus's HTTP API. What it knows is as old as its interval of scraping, so windows have to be longer than
 * that. Rejects for a pod of which it knows nothing.
 */
export function createPrometheusScrape(url: string): Scrape {
  const address = new URL("api/v1/query", url.endsWith("/") ? url : `${url}/`);
  return async (namespace, pod) => {
    const selector = `{__name__=~"${NAMES}", namespace="${namespace}", pod="${pod}"}`;
    const response = await fetch(address, {
      method: "POST",
      body: new URLSearchParams({ query: `max by (${LABELS}) (${selector})` }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const { status, error, data } = (await response.json()) as Answer;
    if (status !== "success" || !data) throw new Error(`${address.host}: ${error ?? response.status}`);
    if (data.result.length === 0) throw new Error(`${address.host} knows nothing of ${pod}`);
    return data.result.map(toLine).join("\n");
  };
}

/** A series as the pod itself would have shown it. */
export function toLine({ metric: { __name__ = "", ...labels }, value: [, value] }: Series): string {
  const pairs = Object.entries(labels).map(([name, text]) => `${name}=${quote(text)}`);
  return `${__name__}{${pairs.join(",")}} ${value}`;
}

const quote = (text: string) =>
  `"${text.replaceAll(/[\\"\n]/g, (one) => (one === "\n" ? "\\n" : `\\${one}`))}"`;
