import { cells, isRegret } from "./cells.ts";
import { tryCells } from "./try-cells.ts";

tryCells(
  "checkout",
  cells.filter(({ way }) => !isRegret(way)),
);
