// A bad release of catalog, for `npm run cluster:check`: every fifth answer is INTERNAL.

import { run } from "#kit/service/service.ts";
import { catalog } from "../../../services/catalog/main.ts";
import { beforeAnswers } from "./before-answers.ts";

const FAILS_EVERY = 5;
let calls = 0;

/** The bad release. */
export const catalogFails = beforeAnswers(catalog, () => {
  calls += 1;
  if (calls % FAILS_EVERY === 0) throw new Error("a bad release");
});

if (import.meta.main) await run(catalogFails);
