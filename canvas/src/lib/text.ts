/** Words and numbers as people read them. */

/** Text of at most `limit` characters, whole ones. Looks at no more of the text than it needs. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const head = [...text.slice(0, limit * 2)];
  return head.length > limit || head.join('').length < text.length ? `${head.slice(0, limit - 1).join('')}…` : text;
}

/** Capital letter first, full stop last. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  const first = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return !first || /[.!?…:]$/.test(first) ? first : `${first}.`;
}

/** `PROVISION_FAILED` as `provision failed`. */
export const words = (name: string): string => name.toLowerCase().replaceAll('_', ' ');

/** 120 ms, 3.4 s, 2 min 5 s. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
}

/** How long ago, coarsely: now, 12 s, 5 min, 3 h, 2 d. */
export function age(at: string | number, now = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - new Date(at).getTime()) / 1_000));
  if (!Number.isFinite(seconds)) return '';
  if (seconds < 5) return 'now';
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** The same within a sentence: just now, 12 s ago. */
export function ago(at: string | number, now = Date.now()): string {
  const past = age(at, now);
  return past === 'now' ? 'just now' : past && `${past} ago`;
}

/** Date and time in the reader's own habit; the time alone for today. */
export function when(at: string, now = new Date()): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return '';
  const today = date.toDateString() === now.toDateString();
  return date.toLocaleString(undefined, today ? { timeStyle: 'medium' } : { dateStyle: 'medium', timeStyle: 'short' });
}

/** USD cents as dollars. */
export const dollars = (cents: number): string =>
  (cents / 100).toLocaleString(undefined, { style: 'currency', currency: 'USD' });

/** An amount of dollars that somebody typed, as USD cents; null for nothing typed, `undefined` for what is no amount. */
export function centsOf(text: string): number | null | undefined {
  const typed = text
    .trim()
    .replace(/^\$\s*/, '')
    .replace(',', '.');
  if (!typed) return null;
  return /^\d+(\.\d{0,2})?$/.test(typed) ? Math.round(Number(typed) * 100) : undefined;
}

/** `1 workspace`, `3 workspaces`. */
export const count = (n: number, one: string, many = `${one}s`): string =>
  `${n.toLocaleString()} ${n === 1 ? one : many}`;

/** Random UUIDv4. `crypto.randomUUID` exists in secure contexts only, and the server may be opened by LAN address. */
export function uuid(source: Crypto = globalThis.crypto): string {
  if (typeof source.randomUUID === 'function') return source.randomUUID();
  const bytes = source.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
