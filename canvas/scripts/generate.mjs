// Types from the server's own sources: the API from its OpenAPI document, the names of events from the event catalogue.
// Nothing of it is committed, so that a change of the API shows in the type check and nowhere else.

import { mkdirSync, readFileSync, writeFileSync, existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import openapiTS, { astToString } from 'openapi-typescript';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const crates = join(root, '..', 'crates');
const out = join(root, 'src', 'generated');
mkdirSync(out, { recursive: true });

/** Leaves a file alone that says the same already, so that nothing is rebuilt for it. */
function write(name, text) {
  const path = join(out, name);
  if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text);
}

const document = JSON.parse(readFileSync(join(crates, 'api', 'openapi.json'), 'utf8'));
write('api.d.ts', astToString(await openapiTS(document, { defaultNonNullable: false })));

// Which operations there are, so that the page offers nothing that its server does not have.
const routes = Object.entries(document.paths).flatMap(([path, operations]) =>
  Object.keys(operations).map((method) => `  '${method.toUpperCase()} ${path}',`),
);
write(
  'routes.ts',
  `/** Every operation of the API, from its OpenAPI document. */\nexport const ROUTES: ReadonlySet<string> = new Set([\n${routes.join('\n')}\n]);\n`,
);

const catalogue = readFileSync(join(crates, 'core', 'src', 'event.rs'), 'utf8');
const variants = /pub enum EventType \{([^}]*)\}/.exec(catalogue)?.[1] ?? '';
const names = [...variants.matchAll(/^ {4}(\w+),$/gm)].map(([, variant]) =>
  variant.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase(),
);
if (names.length < 10) throw new Error('crates/core/src/event.rs does not spell its events as expected');
const list = names.map((name) => `  '${name}',`).join('\n');
write(
  'events.ts',
  `/** Every event the platform emits, from crates/core/src/event.rs. */\nexport const EVENT_NAMES = [\n${list}\n] as const;\n\nexport type EventName = (typeof EVENT_NAMES)[number];\n`,
);
