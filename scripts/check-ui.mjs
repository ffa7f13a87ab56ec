// Static checks of the pages that the binary embeds. Usage: node check-ui.mjs <assets folder>

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const root = process.argv[2];
const problems = [];

/** Every file below a folder. */
function files(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? files(path) : [path];
  });
}

/** Reports a reference that leads to no file. Addresses elsewhere, fragments and data are not files. */
function mustExist(from, reference) {
  if (/^([a-z]+:|\/\/|#)/.test(reference)) return;
  const path = reference.split(/[?#]/)[0];
  const base = path.startsWith('/') ? root : dirname(from);
  // A page may be served below a prefix, so that an absolute path names the file by its tail.
  const tails = path.startsWith('/') ? path.split('/').slice(1).map((_, at, all) => all.slice(at).join('/')) : [path];
  if (!tails.some((tail) => existsSync(join(base, tail)))) problems.push(`${relative(root, from)} names ${reference}, which is not there`);
}

for (const file of files(root)) {
  const text = () => readFileSync(file, 'utf8');
  if (file.endsWith('.html')) {
    const page = text().replace(/<!--[\s\S]*?-->/g, '');
    for (const [, reference] of page.matchAll(/<(?:script|img|link)\b[^>]*?\b(?:src|href)="([^"]+)"/g)) mustExist(file, reference);
    for (const [, attributes, body] of page.matchAll(/<script\b([^>]*)>([\s\S]*?)<\/script>/g)) {
      if (!/\bsrc=/.test(attributes) && body.trim()) problems.push(`${relative(root, file)} has an inline script`);
    }
    if (/<[^>]+\s(?:on[a-z]+|style)=/.test(page)) problems.push(`${relative(root, file)} has an inline handler or style`);
  } else if (file.endsWith('.js')) {
    const specifiers = /(?:^|;)\s*(?:import|export)\b[^'"]*?\bfrom\s*['"]([^'"]+)['"]|(?:^|;)\s*import\s*['"]([^'"]+)['"]/gm;
    for (const [, from, bare] of text().matchAll(specifiers)) {
      const reference = from ?? bare;
      if (/^[./]/.test(reference)) mustExist(file, reference);
      else problems.push(`${relative(root, file)} imports ${reference}, which a browser cannot resolve`);
    }
  } else if (file.endsWith('.css')) {
    for (const [, reference] of text().matchAll(/url\(\s*['"]?([^'")]+)['"]?\s*\)/g)) mustExist(file, reference);
  }
}

for (const problem of problems) console.error(`ui: ${problem}`);
process.exitCode = problems.length > 0 ? 1 : 0;
