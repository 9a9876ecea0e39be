// `npm run token`: prints a token for a person, good for 15 minutes.

import { parseArgs } from "node:util";
import { CUSTOMER_SCOPES, DEMO_CUSTOMER, fetchToken, OPERATOR_SCOPES } from "./client/tokens.ts";
import { readDataDir } from "./start/flags.ts";
import { findShopDoors } from "./start/shop-doors.ts";

const HELP = `Prints an access token of the running shop's development issuer; only the token goes to standard output.

  npm run --silent token                                      for the demo customer
  npm run --silent token -- --sub user_01j2mdhkv3fh3r8q5w9x7y4zac
  npm run --silent token -- --scope "catalog:write inventory:write" --roles operator
  npm run --silent token -- --scope "${OPERATOR_SCOPES}" --roles operator
  npm run --silent token -- --data-dir path                   of the shop of another folder (or SOUK_DATA_DIR)

Without flags: --sub ${DEMO_CUSTOMER} --roles customer
  --scope "${CUSTOMER_SCOPES}"`;

const WRONG_FLAGS = 2;

const flags = readFlags();
if (flags?.help) console.log(HELP);
else if (flags) await printToken(flags);

function readFlags() {
  try {
    const { values } = parseArgs({
      options: {
        sub: { type: "string", default: DEMO_CUSTOMER },
        scope: { type: "string", default: CUSTOMER_SCOPES },
        roles: { type: "string", default: "customer" },
        help: { type: "boolean", short: "h", default: false },
        "data-dir": { type: "string" },
      },
    });
    return values;
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = WRONG_FLAGS;
    return undefined;
  }
}

async function printToken(values: NonNullable<ReturnType<typeof readFlags>>): Promise<void> {
  try {
    const { issuerUrl } = findShopDoors(readDataDir(values["data-dir"], process.env), process.env);
    console.log(await fetchToken(issuerUrl, values));
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
