import { defineConfig } from "vitest/config";

// Tests beside the code touch nothing outside their process; those in a `tests` folder have real servers; journeys start
// the whole shop. Names tell them apart, so that `npm run test:unit` stays a matter of seconds.
const integration = ["{kit,services,edge,tools,sandboxes,chaos,deploy}/**/tests/**/*.test.ts"];
const exclude = ["**/node_modules/**", "**/.souk/**"];

export default defineConfig({
  test: {
    // Integration tests mostly wait for processes and stores; the default, one fewer than the cores, would leave two cores idle.
    maxWorkers: 3,
    projects: [
      {
        test: {
          name: "unit",
          include: ["{kit,services,edge,tools,sandboxes,docs,bench,chaos,deploy}/**/*.test.ts"],
          exclude: [...exclude, ...integration, "chaos/matrix/**"],
          // What they import is loaded once per worker, not once per file: that was two thirds of their time.
          isolate: false,
          // A busy machine may take its time; a test that waits for a condition says so when it never comes.
          testTimeout: 30_000,
          expect: { poll: { timeout: 10_000 } },
        },
      },
      {
        test: {
          name: "integration",
          include: integration,
          exclude,
          globalSetup: "./tools/test-environment.ts",
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "journeys",
          include: ["journeys/**/*.test.ts"],
          exclude,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
    coverage: {
      provider: "v8",
      include: ["kit/**/*.ts", "services/**/*.ts", "edge/**/*.ts"],
      exclude: ["**/*.test.ts", "**/tests/**", "kit/testing/**"],
      reporter: ["text-summary", "json-summary"],
    },
  },
});
