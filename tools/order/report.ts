import type { Money, Progress } from "./buy.ts";
import type { AskedEnd } from "./flags.ts";

/** One order's story, as `--json` prints it. */
export type OrderReport = {
  orderId: string;
  product: string;
  quantity: number;
  total: Money | undefined;
  status: string;
  cancelReason: string;
  /** Whether it ended as asked for. */
  asAsked: boolean;
  /** From submission to the last state. */
  durationMs: number;
  /** Each state in order, with its time since submission. */
  steps: { step: string; atMs: number }[];
  /** What went wrong on the way, if it did not end. */
  error?: string;
};

/** Whether an order ended as asked for. */
export function isAsAsked(
  end: AskedEnd,
  { status, cancelReason }: Pick<Progress, "status" | "cancelReason">,
): boolean {
  if (status !== end.status) return false;
  return end.status === "CONFIRMED" || cancelReason === end.cancelReason;
}

/** The words for a state: `stock reserved`, `CONFIRMED`, `CANCELLED (CARD_DECLINED)`. */
export function wordsFor({ status, step, cancelReason }: Omit<Progress, "orderId">): string {
  if (status === "PENDING") return step.toLowerCase().replaceAll("_", " ");
  return cancelReason === "" ? status : `${status} (${cancelReason})`;
}

/** `12.90 EUR` for 1290 minor units. */
export function formatMoney({ amountMinor, currencyCode }: Money): string {
  const digits = new Intl.NumberFormat("en", { style: "currency", currency: currencyCode }).resolvedOptions();
  const scale = digits.maximumFractionDigits ?? 2;
  return `${(Number(amountMinor) / 10 ** scale).toFixed(scale)} ${currencyCode}`;
}

/** What is said about all orders at the end. */
export function summarize(reports: readonly OrderReport[], end: AskedEnd): string {
  const asAsked = reports.filter((report) => report.asAsked).length;
  const sorted = reports.map(({ durationMs }) => durationMs).sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const asked = end.status === "CONFIRMED" ? end.status : `${end.status} (${end.cancelReason})`;
  return `${asAsked} of ${reports.length} ended as asked for, ${asked}; median ${(median / 1000).toFixed(2)} s`;
}
