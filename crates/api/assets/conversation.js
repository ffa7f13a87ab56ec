// The feed's rows as bubbles, oldest first, and what this page knows that the feed does not say yet. Knows no DOM.

import { sentence } from './api.js';
import { Reply, filesOfParts, textOfParts } from './messages.js';

/**
 * One bubble.
 * @typedef {object} Item
 * @property {string} key stable across the way from this page to the feed
 * @property {'user'|'agent'|'system'} role
 * @property {string} text
 * @property {{uri: string, name: string, size: number|null}[]} files
 * @property {string} at RFC 3339
 * @property {string} [note] small print below the text
 * @property {'sending'|'streaming'|'queued'|'failed'|''} [state]
 * @property {string} [messageId]
 * @property {number|null} [durationMs]
 * @property {boolean} [retry] sending it again makes sense
 * @property {number|null} [retryAt] epoch milliseconds before which it makes none
 */

/**
 * Bubbles of `GET /workspaces/:id/activity?source=canvas` (UI-93). Rows are taken one by one: a malformed one is left out,
 * the others stay.
 * @param {any[]} rows newest first, as the API sends them
 * @returns {Item[]} oldest first
 */
export function historyItems(rows) {
  const items = [];
  const outcomes = new Map();
  for (const row of [...(Array.isArray(rows) ? rows : [])].reverse()) {
    if (!row || row.activity_type !== 'a2a_receive') continue;
    const messageId = row.method === 'notify' ? '' : row.request_body?.params?.message?.messageId || '';
    const earlier = messageId ? outcomes.get(messageId) : undefined;
    if (earlier === undefined) {
      const asked = questionOf(row, messageId);
      if (asked) items.push(asked);
    } else {
      // The same message delivered again (from the queue, or by “Try again”): only the last outcome counts.
      const at = items.indexOf(earlier);
      if (earlier && at !== -1) items.splice(at, 1);
    }
    const outcome = outcomeOf(row, messageId);
    if (outcome) items.push(outcome);
    if (messageId) outcomes.set(messageId, outcome);
  }
  return items;
}

function questionOf(row, messageId) {
  const message = row.request_body?.params?.message;
  if (row.method === 'notify' || !message) return null;
  const parts = message.parts ?? (typeof message.content === 'string' ? [{ text: message.content }] : message.content);
  const text = textOfParts(parts);
  const files = filesOfParts(parts);
  if (!text && files.length === 0) return null;
  return {
    key: messageId ? `u:${messageId}` : `u:${row.id}`,
    role: 'user',
    text,
    files,
    at: row.created_at,
    messageId,
    note: messageId.startsWith('cron-') ? 'Sent by a schedule' : '',
    state: '',
  };
}

function outcomeOf(row, messageId) {
  const base = {
    key: messageId ? `a:${messageId}` : `a:${row.id}`,
    at: row.created_at,
    durationMs: row.duration_ms ?? null,
    files: [],
    note: '',
    state: '',
    messageId,
  };
  const reply = new Reply();
  if (row.response_body !== undefined && row.response_body !== null) reply.push(row.response_body);
  reply.done = true;
  const queued = row.response_body?.queued === true;
  if (row.status === 'error' || row.status === 'timeout' || reply.error) {
    const why = row.error_detail || reply.error || textOfError(row.response_body) || row.summary || 'The message was not answered.';
    return { ...base, role: 'system', text: sentence(why) };
  }
  const { text, files } = reply;
  if ((text || files.length > 0) && !queued) return { ...base, role: 'agent', text, files, note: reply.note };
  if (row.method === 'notify') return null;
  if (row.duration_ms === null || row.duration_ms === undefined || queued) {
    return { ...base, role: 'system', text: 'Accepted; no reply is recorded yet.' };
  }
  return { ...base, role: 'system', text: reply.note || 'The agent answered without text.' };
}

function textOfError(body) {
  return typeof body?.error === 'string' ? body.error : '';
}

/**
 * The feed together with what this page knows by itself: messages under way, replies and notifications that came first.
 * @param {Item[]} history
 * @param {Item[]} local
 * @returns {{items: Item[], local: Item[]}} what to show, and the local items that are still needed
 */
export function mergeLocal(history, local) {
  const answered = new Set(history.filter((item) => item.role === 'agent').map((item) => item.key));
  const recorded = new Set(history.map((item) => item.key));
  const kept = local.filter((item) => {
    if (item.role === 'agent') return item.state === 'streaming' || !(answered.has(item.key) || sameText(history, item));
    // A message is settled once the feed holds it and, if it failed or waits in a queue, its reply too.
    if (item.state === 'sending') return true;
    return item.state ? !answered.has(`a:${item.messageId}`) : !recorded.has(item.key);
  });
  const own = new Set(kept.map((item) => item.key));
  const retold = new Set(kept.filter((item) => item.role === 'user' && item.state).map((item) => `a:${item.messageId}`));
  const rest = history.filter((item) => !own.has(item.key) && !(item.role === 'system' && retold.has(item.key)));
  const all = [...rest, ...kept];
  const asked = new Map(all.filter((item) => item.role === 'user').map((item) => [item.messageId, item.at]));
  // A reply stands where its question stands: this page's clock and the server's need not agree.
  const anchor = (item) => Date.parse((item.role !== 'user' && item.messageId && asked.get(item.messageId)) || item.at) || 0;
  const rank = (item) => (item.role === 'user' ? 0 : 1);
  const items = all.map((item, index) => ({ item, index, at: anchor(item), rank: rank(item) }));
  items.sort((a, b) => a.at - b.at || (a.item.messageId === b.item.messageId ? a.rank - b.rank : 0) || a.index - b.index);
  return { items: items.map(({ item }) => item), local: kept };
}

/** Notifications carry no id: the same text within a minute is the same message. */
function sameText(history, item) {
  const at = Date.parse(item.at);
  return history.some(
    (other) => other.role === 'agent' && other.text === item.text && Math.abs(Date.parse(other.at) - at) < 60_000,
  );
}

/** What survives a reload of the page: messages whose fate is open. One that was under way may have arrived. */
export function survivors(local) {
  return local
    .filter((item) => item.role === 'user' && item.state)
    .map((item) =>
      item.state === 'sending'
        ? {
            ...item,
            state: 'failed',
            retry: true,
            retryAt: null,
            note: 'The page was reloaded before the answer came. Trying again is safe: the agent answers a message once.',
          }
        : item,
    );
}
