import { defineConfig } from 'vitest/config';

/** The flows in a browser against the real server; see e2e/run.mjs. */
export default defineConfig({
  test: {
    include: ['e2e/**/*.e2e.ts'],
    testTimeout: 90_000,
    hookTimeout: 90_000,
    fileParallelism: false,
    sequence: { concurrent: false },
  },
});
