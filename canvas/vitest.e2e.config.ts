import { defineConfig } from 'vitest/config';

/** The flows in a browser against the real server; see e2e/run.mjs. */
export default defineConfig({
  test: {
    include: ['e2e/**/*.e2e.ts'],
    // Whatever a flow waits for has a bound of its own (PATIENCE in the harness); these end one that hangs elsewhere.
    testTimeout: 600_000,
    hookTimeout: 300_000,
    fileParallelism: false,
    sequence: { concurrent: false },
  },
});
