import { cells, isRegret } from "./cells.ts";
import { tryCells } from "./try-cells.ts";

tryCells(
  "cancels, returns and refunds",
  cells.filter(({ way }) => isRegret(way)),
);
