// Takes the figures of the canvas and prints one JSON object for each, like `molecule-bench`.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { found } from '../e2e/tools.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const { browser, binary, missing } = found(process.env.MOLECULE_PROFILE ?? 'release');
if (missing.length > 0) {
  console.error(`bench: the canvas is not measured: ${missing.join('; ')}`);
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), 'molecule-figures-'));
const figures = join(folder, 'figures');
writeFileSync(figures, '');
const vitest = join(here, '..', 'node_modules', 'vitest', 'vitest.mjs');
const result = spawnSync(
  process.execPath,
  [vitest, 'run', '--config', 'vitest.bench.config.ts', ...process.argv.slice(2)],
  {
    cwd: join(here, '..'),
    // Standard output is for figures.
    stdio: ['ignore', 2, 2],
    env: { ...process.env, MOLECULE_CHROMIUM: browser, MOLECULE_BINARY: binary, MOLECULE_FIGURES: figures },
  },
);
process.stdout.write(readFileSync(figures, 'utf8'));
rmSync(folder, { recursive: true });
process.exit(result.status ?? 1);
