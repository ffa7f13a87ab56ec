// Runs the flows in a browser, or says by name why they cannot run.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { found } from './tools.mjs';

const here = dirname(fileURLToPath(import.meta.url));

const { browser, binary, missing } = found('debug');
if (missing.length > 0) {
  const flows = readdirSync(here)
    .filter((name) => name.endsWith('.e2e.ts'))
    .flatMap((name) =>
      [...readFileSync(join(here, name), 'utf8').matchAll(/^\s*test\('([^']+)'/gm)].map(([, title]) => title),
    );
  for (const flow of flows) console.log(`ui: skipped in a browser: ${flow}: ${missing.join('; ')}`);
  console.log(`# skipped ${flows.length}`);
  process.exit(0);
}

const vitest = join(here, '..', 'node_modules', 'vitest', 'vitest.mjs');
const result = spawnSync(
  process.execPath,
  [vitest, 'run', '--config', 'vitest.e2e.config.ts', ...process.argv.slice(2)],
  {
    cwd: join(here, '..'),
    stdio: 'inherit',
    env: { ...process.env, MOLECULE_CHROMIUM: browser, MOLECULE_BINARY: binary },
  },
);
process.exit(result.status ?? 1);
