/** What the server says of itself and of the loops that keep the organisation going. */

import { isObj, num, obj, str } from '../lib/json';

export interface Loop {
  name: string;
  description: string;
  /** When it last began, as the server wrote it; "" if it never did. */
  at: string;
  /** What is the matter with it; "" if nothing is. */
  trouble: string;
}

/** A loop that has not begun for so many of its periods is late. */
const LATE = 3;
/** Milliseconds that any loop may be late: a machine that slept, or is at its limits. */
const GRACE_MS = 60_000;

/** Loops of `GET /admin/liveness`, those in trouble first, then by name. */
export function loopsOf(answer: unknown, now: number): Loop[] {
  return Object.entries(obj(obj(answer).subsystems))
    .filter(([, loop]) => isObj(loop))
    .map(([name, value]) => {
      const loop = obj(value);
      const at = str(loop.last_tick_at);
      return { name, description: str(loop.description), at, trouble: troubleOf(loop, Date.parse(at), now) };
    })
    .sort((a, b) => Number(b.trouble !== '') - Number(a.trouble !== '') || a.name.localeCompare(b.name));
}

function troubleOf(loop: Record<string, unknown>, at: number, now: number): string {
  const [ended, error] = [Date.parse(str(loop.last_success_at)), str(loop.last_error)];
  // An error that a later success has made good is history.
  if (error && !(ended >= at)) return error;
  const period = num(loop.period_ms);
  return period !== null && now - at > LATE * period + GRACE_MS ? 'It has not run for too long.' : '';
}
