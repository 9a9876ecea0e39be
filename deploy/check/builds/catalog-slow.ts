// A slow release of catalog, for `npm run cluster:check`: every answer takes a while longer.

import { setTimeout as delay } from "node:timers/promises";
import { run } from "#kit/service/service.ts";
import { catalog } from "../../../services/catalog/main.ts";
import { beforeAnswers } from "./before-answers.ts";

const LONGER_MS = 60;

/** The slow release. */
export const catalogSlow = beforeAnswers(catalog, async () => {
  await delay(LONGER_MS);
});

if (import.meta.main) await run(catalogSlow);
