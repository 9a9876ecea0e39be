import { defineConfig } from "vitest/config";

// Apart from `npm test`: minutes of two shops in which everything fails, one thing after another. Most of that time is waiting.
export default defineConfig({
  test: {
    include: ["chaos/matrix/*.test.ts"],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    maxWorkers: 2,
  },
});
