import { run } from "#kit/service/service.ts";
import { createWitness } from "./witness.ts";

/** Witness: writes down every event it is given, as the kit's inbox gives it. */
export const witness = createWitness();

if (import.meta.main) await run(witness);
