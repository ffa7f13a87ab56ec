import { defineConfig } from 'vitest/config';

/** What the canvas costs the browser; see bench/run.mjs. */
export default defineConfig({
  test: {
    include: ['bench/**/*.bench.ts'],
    testTimeout: 400_000,
    hookTimeout: 180_000,
    fileParallelism: false,
    sequence: { concurrent: false },
  },
});
