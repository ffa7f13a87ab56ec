// The browser and the server that the flows and the bench need.

import { accessSync, constants } from 'node:fs';
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

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** Where they are, and what is missing, in words. `profile` is Cargo's: `debug` or `release`. */
export function found(profile) {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const browser =
    process.env.MOLECULE_CHROMIUM ?? NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find(runs);
  const target = process.env.CARGO_TARGET_DIR || join(here, '..', '..', 'target');
  const binary = process.env.MOLECULE_BINARY ?? join(target, profile, 'molecule');
  const build = profile === 'release' ? 'cargo build --release -p molecule' : 'cargo build -p molecule';
  const missing = [
    ...(browser ? [] : ['no Chromium (Debian: apt-get install chromium)']),
    ...(runs(binary) ? [] : [`no ${binary} (${build})`]),
  ];
  return { browser, binary, missing };
}
