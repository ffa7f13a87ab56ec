/** Records of the audit as people read them. */

import { isObj, str } from '../lib/json';
import { cut } from '../lib/text';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** Values that are told of one change. */
const TOLD = 4;

/** The head of an id is enough to tell it from others. */
const short = (text: string): string => (UUID.test(text) ? text.slice(0, 8) : cut(text, 60));

type NameOf = (id: string) => string;

/** Who it was: `session:<id>`, `org-token:<prefix>`, `workspace:<id>`, or a word of its own. */
export function actorOf(actor: string, nameOf: NameOf): string {
  const at = actor.indexOf(':');
  const [kind, id] = at === -1 ? [actor, ''] : [actor.slice(0, at), actor.slice(at + 1)];
  switch (kind) {
    case 'admin':
      return 'the operator';
    case 'anonymous':
      return 'not signed in';
    case 'local':
      return 'this machine, in open mode';
    case 'session':
      return `browser session ${short(id)}`;
    case 'member':
      return `member ${short(id)}`;
    case 'org-token':
      return `org token ${cut(id, 20)}…`;
    case 'workspace':
      return `workspace ${cut(nameOf(id), 40)}`;
    default:
      return cut(actor, 60);
  }
}

/** What it was done to, by name where that is known. */
export function subjectOf(record: Record<string, unknown>, nameOf: NameOf): string {
  const workspace = str(record.workspace_id);
  const target = str(record.target);
  const made = isObj(record.after) ? str(record.after.name) : '';
  const named = workspace ? nameOf(workspace) : UUID.test(target) && made ? made : '';
  const rest = workspace && target === workspace ? '' : named && UUID.test(target) ? '' : short(target);
  return [cut(named, 40), rest].filter(Boolean).join(' ');
}

const shown = (value: unknown): string =>
  value === undefined || value === null || value === ''
    ? 'nothing'
    : cut(typeof value === 'string' ? short(value) : JSON.stringify(value), 40);

/** `name: Lead → Research lead`, as far as it changed. */
export function changesOf(record: Record<string, unknown>): string[] {
  const before = isObj(record.before) ? record.before : {};
  const after = isObj(record.after) ? record.after : {};
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const changed = keys.filter((key) => shown(before[key]) !== shown(after[key]));
  const told = changed.slice(0, TOLD).map((key) => `${cut(key, 40)}: ${shown(before[key])} → ${shown(after[key])}`);
  return changed.length > TOLD ? [...told, `${changed.length - TOLD} more`] : told;
}
