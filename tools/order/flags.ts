import { parseArgs } from "node:util";
import { readDataDir } from "../start/flags.ts";

/** How an order is asked to end. */
export type AskedEnd = { status: "CONFIRMED" } | { status: "CANCELLED"; cancelReason: string };

/** Cards of the sandbox, by the word of `--card`, and how an order paid with them has to end. */
export const CARDS = {
  accepted: { paymentMethod: "pm_card_visa", end: { status: "CONFIRMED" } },
  declined: {
    paymentMethod: "pm_card_chargeDeclined",
    end: { status: "CANCELLED", cancelReason: "CARD_DECLINED" },
  },
  insufficient: {
    paymentMethod: "pm_card_chargeDeclinedInsufficientFunds",
    end: { status: "CANCELLED", cancelReason: "INSUFFICIENT_FUNDS" },
  },
  slow: { paymentMethod: "pm_card_slow", end: { status: "CONFIRMED" } },
} as const satisfies Record<string, { paymentMethod: string; end: AskedEnd }>;

/** A word of `--card`. */
export type CardWord = keyof typeof CARDS;

/** What `npm run order` was asked for. */
export type OrderFlags = {
  count: number;
  card: CardWord;
  /** Whether each order is cancelled once it is confirmed. */
  cancel: boolean;
  json: boolean;
  help: boolean;
  dataDir: string;
};

const MAX_COUNT = 10_000;

/** The text of `npm run order -- --help`. */
export const ORDER_HELP = `Buys from the running shop over REST and shows each order's steps until its end.

  npm run order                     buys one product
  npm run order -- --count 20       buys several, up to ${MAX_COUNT}
  npm run order -- --card declined  pays with another card: ${Object.keys(CARDS).join(", ")}
  npm run order -- --cancel         buys, then cancels: parcel, money and pieces come back
  npm run --silent order -- --json  prints one JSON object per order, for scripts
  npm run order -- --data-dir path  buys from the shop of another folder (or SOUK_DATA_DIR)

SOUK_GATEWAY_URL and SOUK_ISSUER_URL name a shop elsewhere, such as one in a cluster whose ports are forwarded.

Exit code 0: every order ended as asked for (with --card declined: cancelled because the card was declined; with --cancel: confirmed, and
then cancelled by the customer).
1: one did not, or no shop runs. 2: wrong flags.`;

/** How an order has to end that is bought like this. */
export const endOf = ({ card, cancel }: Pick<OrderFlags, "card" | "cancel">): AskedEnd =>
  cancel ? { status: "CANCELLED", cancelReason: "CUSTOMER_CANCELLED" } : CARDS[card].end;

/** Reads flags and environment; throws with a sentence for the person who typed them. */
export function readOrderFlags(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): OrderFlags {
  const { values } = parseArgs({
    args: [...args],
    options: {
      count: { type: "string", default: "1" },
      card: { type: "string", default: "accepted" },
      cancel: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
      "data-dir": { type: "string" },
    },
  });
  const { cancel } = values;
  const card = readCard(values.card);
  if (cancel && CARDS[card].end.status !== "CONFIRMED")
    throw new Error(`--cancel needs an order that is confirmed first, and --card ${card} does not pay`);
  return {
    count: readCount(values.count),
    card,
    cancel,
    json: values.json,
    help: values.help,
    dataDir: readDataDir(values["data-dir"], env),
  };
}

function readCount(text: string): number {
  const count = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= MAX_COUNT) return count;
  throw new Error(`--count is a whole number from 1 to ${MAX_COUNT}, not "${text}"`);
}

function readCard(text: string): CardWord {
  if (Object.hasOwn(CARDS, text)) return text as CardWord;
  throw new Error(`--card is one of ${Object.keys(CARDS).join(", ")}, not "${text}"`);
}
