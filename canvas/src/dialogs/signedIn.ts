/** Sessions as the server lists them, and browsers by the names that they go by. */

import { isObj, list, obj, str } from '../lib/json';
import { cut } from '../lib/text';

export interface Session {
  id: string;
  /** The one that asks. */
  current: boolean;
  created_at: string;
  last_used_at: string;
  user_agent: string;
  address: string;
}

/** Sessions of an answer, the one that asks first. */
export function sessionsOf(answer: unknown): Session[] {
  const rows = Array.isArray(answer) ? answer : list(obj(answer).sessions);
  return rows
    .filter(isObj)
    .map((row) => ({
      id: str(row.id),
      current: row.current === true,
      created_at: str(row.created_at),
      last_used_at: str(row.last_used_at),
      user_agent: str(row.user_agent),
      address: str(row.address),
    }))
    .filter((session) => session.id)
    .sort((a, b) => Number(b.current) - Number(a.current));
}

// Most call themselves by the names of others too: the special ones come first.
const BROWSERS = [
  [/Edg/, 'Edge'],
  [/OPR/, 'Opera'],
  [/Firefox/, 'Firefox'],
  [/Chrome|Chromium/, 'Chrome'],
  [/Safari/, 'Safari'],
] as const;
const SYSTEMS = [
  [/Windows/, 'Windows'],
  [/Android/, 'Android'],
  [/iPhone|iPad/, 'iOS'],
  [/Mac OS/, 'macOS'],
  [/Linux/, 'Linux'],
] as const;

/** What a browser calls itself, in two words. */
export function browserOf(agent: string): string {
  const named = (names: readonly (readonly [RegExp, string])[]) => names.find(([pattern]) => pattern.test(agent))?.[1];
  return [named(BROWSERS), named(SYSTEMS)].filter(Boolean).join(' on ') || cut(agent, 40) || 'Unknown browser';
}
