// `npm run order`: buys from the running shop and shows the steps.

import { CUSTOMER_SCOPES, DEMO_CUSTOMER, fetchToken } from "./client/tokens.ts";
import { type Buyer, cancelOrder, followOrder, type Progress, placeOrder } from "./order/buy.ts";
import { CARDS, endOf, ORDER_HELP, type OrderFlags, readOrderFlags } from "./order/flags.ts";
import { pickProduct, readProducts, type ShopProduct } from "./order/products.ts";
import { formatMoney, isAsAsked, type OrderReport, summarize, wordsFor } from "./order/report.ts";
import { runSideBySide } from "./seed/side-by-side.ts";
import { findShopDoors } from "./start/shop-doors.ts";

const ORDERS_AT_ONCE = 8;
const WRONG_FLAGS = 2;

const flags = readFlags();
if (flags?.help) console.log(ORDER_HELP);
else if (flags) await buyAll(flags).catch(complain);

function readFlags(): OrderFlags | undefined {
  try {
    return readOrderFlags(process.argv.slice(2), process.env);
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = WRONG_FLAGS;
    return undefined;
  }
}

async function buyAll(flags: OrderFlags): Promise<void> {
  const { count, json, dataDir } = flags;
  const { gatewayUrl, issuerUrl } = findShopDoors(dataDir, process.env);
  const customer = { sub: DEMO_CUSTOMER, scope: CUSTOMER_SCOPES, roles: "customer" };
  const buyer = { gatewayUrl, token: await fetchToken(issuerUrl, customer) };
  const products = await readProducts(buyer);
  const reports: OrderReport[] = [];
  await runSideBySide(Array.from({ length: count }), ORDERS_AT_ONCE, async (_, index) => {
    const prefix = count === 1 ? "" : `[${String(index + 1).padStart(String(count).length)}/${count}] `;
    const show = (line: string) => json || console.log(prefix + line);
    const report = await buyOne(buyer, pickProduct(products), flags, show);
    reports.push(report);
    if (json) console.log(JSON.stringify(report));
  });
  if (!json && count > 1) console.log(summarize(reports, endOf(flags)));
  if (!reports.every(({ asAsked }) => asAsked)) process.exitCode = 1;
}

async function buyOne(
  buyer: Buyer,
  product: ShopProduct,
  asked: Pick<OrderFlags, "card" | "cancel">,
  show: (line: string) => void,
): Promise<OrderReport> {
  const { paymentMethod } = CARDS[asked.card];
  const startedAt = performance.now();
  const sinceStartMs = () => Math.round(performance.now() - startedAt);
  const report = newReport(product);
  const onProgress = (progress: Progress) => {
    const atMs = sinceStartMs();
    report.steps.push({ step: progress.status === "PENDING" ? progress.step : progress.status, atMs });
    show(`  ${(atMs / 1000).toFixed(2).padStart(6)} s  ${wordsFor(progress)}`);
  };
  try {
    const placed = await placeOrder(buyer, {
      productId: product.productId,
      quantity: report.quantity,
      paymentMethod,
    });
    Object.assign(report, { orderId: placed.orderId, total: placed.total });
    show(`${placed.orderId}  ${report.quantity} × ${product.name}  ${formatMoney(placed.total)}`);
    let end = await followOrder(buyer, placed.orderId, onProgress);
    if (asked.cancel && end.status === "CONFIRMED") {
      await cancelOrder(buyer, placed.orderId);
      end = await followOrder(buyer, placed.orderId, onProgress);
    }
    const { status, cancelReason } = end;
    Object.assign(report, { status, cancelReason, asAsked: isAsAsked(endOf(asked), end) });
  } catch (error) {
    report.error = (error as Error).message;
    show(report.error);
  }
  report.durationMs = sinceStartMs();
  return report;
}

function newReport({ name }: ShopProduct): OrderReport {
  const quantity = 1;
  const nothingYet = { orderId: "", total: undefined, status: "UNKNOWN", cancelReason: "", asAsked: false };
  return { ...nothingYet, product: name, quantity, durationMs: 0, steps: [] };
}

function complain(error: Error): void {
  console.error(error.message);
  process.exitCode = 1;
}
