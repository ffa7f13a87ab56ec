// Runs the flows in a browser, or says by name why they cannot run.

import { spawnSync } from 'node:child_process';
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

function runs(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const names = ['chromium', 'chromium-browser', 'google-chrome'];
const folders = (process.env.PATH ?? '').split(delimiter);
const browser =
  process.env.MOLECULE_CHROMIUM ?? names.flatMap((name) => folders.map((folder) => join(folder, name))).find(runs);
const target = process.env.CARGO_TARGET_DIR ?? join(here, '..', '..', 'target');
const binary = process.env.MOLECULE_BINARY ?? join(target, 'debug', 'molecule');

const missing = [
  ...(browser ? [] : ['no Chromium (Debian: apt-get install chromium)']),
  ...(runs(binary) ? [] : [`no ${binary} (cargo build -p molecule)`]),
];
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
