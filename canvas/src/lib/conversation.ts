/** The feed's rows as bubbles, oldest first, and what this page knows that the feed does not say yet. */

import { Reply, filesOfParts, textOfParts, type FileRef } from './a2a';
import type { ActivityRow } from './api';
import { list, obj, str } from './json';
import { sentence } from './text';

/** One bubble. */
export interface Item {
  /** Stable across the way from this page to the feed. */
  key: string;
  role: 'user' | 'agent' | 'system';
  text: string;
  files: FileRef[];
  /** RFC 3339. */
  at: string;
  /** Small print below the text. */
  note: string;
  state: 'sending' | 'streaming' | 'queued' | 'failed' | '';
  messageId: string;
  durationMs: number | null;
  /** Sending it again makes sense. */
  retry: boolean;
  /** Epoch milliseconds before which it makes none. */
  retryAt: number | null;
}

/** An item of these members, plain in all others. */
export const item = (some: Pick<Item, 'key' | 'role' | 'text' | 'at'> & Partial<Item>): Item => ({
  files: [],
  note: '',
  state: '',
  messageId: '',
  durationMs: null,
  retry: false,
  retryAt: null,
  ...some,
});

/**
 * Bubbles of `GET /workspaces/:id/activity?source=canvas` (UI-93), oldest first; the rows are newest first, as the API
 * sends them. Rows are taken one by one: a malformed one is left out, the others stay.
 */
export function historyItems(rows: readonly ActivityRow[]): Item[] {
  const items: Item[] = [];
  const outcomes = new Map<string, Item | null>();
  for (const row of [...rows].reverse()) {
    if (obj(row).activity_type !== 'a2a_receive') continue;
    const message = obj(obj(obj(row.request_body).params).message);
    const messageId = row.method === 'notify' ? '' : str(message.messageId);
    const earlier = messageId ? outcomes.get(messageId) : undefined;
    if (earlier === undefined) {
      const asked = row.method === 'notify' ? null : questionOf(row, message, messageId);
      if (asked) items.push(asked);
    } else if (earlier) {
      // The same message delivered again (from the queue, or by “Try again”): only the last outcome counts.
      const at = items.indexOf(earlier);
      if (at !== -1) items.splice(at, 1);
    }
    const outcome = outcomeOf(row, messageId);
    if (outcome) items.push(outcome);
    if (messageId) outcomes.set(messageId, outcome);
  }
  return items;
}

function questionOf(row: ActivityRow, message: Record<string, unknown>, messageId: string): Item | null {
  const content = typeof message.content === 'string' ? [{ text: message.content }] : message.content;
  const parts = list(message.parts ?? content);
  const [text, files] = [textOfParts(parts), filesOfParts(parts)];
  if (!text && files.length === 0) return null;
  return item({
    key: `u:${messageId || row.id}`,
    role: 'user',
    text,
    files,
    at: row.created_at,
    messageId,
    note: messageId.startsWith('cron-') ? 'Sent by a schedule' : '',
  });
}

function outcomeOf(row: ActivityRow, messageId: string): Item | null {
  const base = { key: `a:${messageId || row.id}`, at: row.created_at, durationMs: row.duration_ms ?? null, messageId };
  const reply = new Reply().push(row.response_body);
  reply.done = true;
  const answer = obj(row.response_body);
  if (row.status === 'error' || row.status === 'timeout' || reply.error) {
    const why = row.error_detail || reply.error || str(answer.error) || row.summary || 'The message was not answered.';
    return item({ ...base, role: 'system', text: sentence(why) });
  }
  const { text, files } = reply;
  const queued = answer.queued === true;
  if ((text || files.length > 0) && !queued) return item({ ...base, role: 'agent', text, files, note: reply.note });
  if (row.method === 'notify') return null;
  if (base.durationMs === null || queued) {
    return item({ ...base, role: 'system', text: 'Accepted; no reply is recorded yet.' });
  }
  return item({ ...base, role: 'system', text: reply.note || 'The agent answered without text.' });
}

/**
 * The feed together with what this page knows by itself: messages under way, replies and notifications that came first.
 * Hands back what to show, and the local items that are still needed.
 */
export function mergeLocal(history: readonly Item[], local: readonly Item[]): { items: Item[]; local: Item[] } {
  const answered = new Set(history.filter((each) => each.role === 'agent').map((each) => each.key));
  const recorded = new Set(history.map((each) => each.key));
  const kept = local.filter((each) => {
    if (each.role === 'agent') {
      return each.state === 'streaming' || !(answered.has(each.key) || sameText(history, each));
    }
    // A message is settled once the feed holds it and, if it failed or waits in a queue, its reply too.
    if (each.state === 'sending') return true;
    return each.state ? !answered.has(`a:${each.messageId}`) : !recorded.has(each.key);
  });
  const own = new Set(kept.map((each) => each.key));
  const retold = new Set(
    kept.filter((each) => each.role === 'user' && each.state).map((each) => `a:${each.messageId}`),
  );
  const rest = history.filter((each) => !own.has(each.key) && !(each.role === 'system' && retold.has(each.key)));
  const all = [...rest, ...kept];
  const asked = new Map(all.filter((each) => each.role === 'user').map((each) => [each.messageId, each.at]));
  // A reply stands where its question stands: this page's clock and the server's need not agree.
  const anchor = (each: Item) =>
    Date.parse((each.role !== 'user' && each.messageId && asked.get(each.messageId)) || each.at) || 0;
  const ranked = all.map((each, index) => ({ each, index, at: anchor(each), rank: each.role === 'user' ? 0 : 1 }));
  ranked.sort(
    (a, b) => a.at - b.at || (a.each.messageId === b.each.messageId ? a.rank - b.rank : 0) || a.index - b.index,
  );
  return { items: ranked.map(({ each }) => each), local: kept };
}

/** Notifications carry no id: the same text within a minute is the same message. */
function sameText(history: readonly Item[], one: Item): boolean {
  const at = Date.parse(one.at);
  return history.some(
    (other) => other.role === 'agent' && other.text === one.text && Math.abs(Date.parse(other.at) - at) < 60_000,
  );
}

/** What survives a reload of the page: messages whose fate is open. One that was under way may have arrived. */
export function survivors(local: readonly Item[]): Item[] {
  return local
    .filter((each) => each.role === 'user' && each.state)
    .map((each) =>
      each.state === 'sending'
        ? {
            ...each,
            state: 'failed',
            retry: true,
            retryAt: null,
            note: 'The page was reloaded before the answer came. Trying again is safe: the agent answers a message once.',
          }
        : each,
    );
}
