import { defineConfig } from "vitest/config";

// Apart from `npm test`: minutes of one shop in which everything fails, one after another.
export default defineConfig({
  test: {
    include: ["chaos/matrix/matrix.test.ts"],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    fileParallelism: false,
  },
});
