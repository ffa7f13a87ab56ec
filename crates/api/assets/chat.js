// One workspace's conversation: history, sending, streaming. Knows no DOM; views listen through `onChange`.

import { ApiError, bodyOf, explain, uuid } from './api.js';
import { historyItems, mergeLocal, survivors } from './conversation.js';
import { Reply, answerOf, attachment, messageBody, wantsStream } from './messages.js';
import { readEvents } from './sse.js';

/** Rows read at once. */
const PAGE = 50;
/** Milliseconds within which several reasons to re-read the history become one reading. */
const RELOAD_DELAY_MS = 700;

export class Chat {
  #deps;
  #rows = [];
  /** Bubbles of the rows, the same objects until the rows change: a view tells by that what it has drawn. */
  #history = [];
  #local = [];
  #pending = null;
  #reloadTimer = null;
  #loads = 0;
  #heard = false;
  #closed = false;
  loading = false;
  loaded = false;
  /** Why the history could not be read; "" when it could. */
  loadError = '';
  hasMore = false;
  #draft = '';

  /**
   * @param {string} id the workspace
   * @param {object} deps
   * @param {ReturnType<import('./api.js').createApi>} deps.api
   * @param {() => any} deps.workspace the row as it is now
   * @param {() => void} deps.onChange something to redraw
   * @param {(text: string) => void} deps.announce
   * @param {{load: () => any, save: (kept: any) => void}} deps.store what must survive a reload of the page
   * @param {() => number} [deps.now]
   */
  constructor(id, deps) {
    this.id = id;
    this.#deps = { now: Date.now, ...deps };
    const kept = this.#deps.store.load() ?? {};
    this.#draft = typeof kept.draft === 'string' ? kept.draft : '';
    this.#local = Array.isArray(kept.local) ? survivors(kept.local) : [];
  }

  /** What is being written. */
  get draft() {
    return this.#draft;
  }

  set draft(text) {
    this.#draft = text;
    this.#save();
  }

  /** Bubbles, oldest first. */
  get items() {
    return mergeLocal(this.#history, this.#local).items;
  }

  /** The message under way: `{since}` in epoch milliseconds, or null. */
  get pending() {
    return this.#pending;
  }

  /** Reads the newest rows again; older pages that were read stay. */
  async reload() {
    if (this.#closed) return;
    this.#loads += 1;
    const mine = this.#loads;
    this.loading = !this.loaded;
    this.#deps.onChange();
    try {
      const rows = await this.#page('');
      if (mine !== this.#loads) return;
      const oldest = rows.at(-1)?.created_at;
      const older = rows.length === PAGE && oldest ? this.#rows.filter((row) => row.created_at < oldest) : [];
      if (!this.loaded || older.length === 0) this.hasMore = rows.length === PAGE;
      this.#keep([...rows, ...older]);
      this.loaded = true;
      this.loadError = '';
      this.#local = mergeLocal(this.#history, this.#local).local;
      this.#save();
    } catch (error) {
      if (mine === this.#loads) this.loadError = explain(error);
    }
    if (mine === this.#loads) {
      this.loading = false;
      this.#deps.onChange();
    }
  }

  /** Re-reads soon: something happened that the feed tells of. */
  reloadSoon() {
    if (this.#closed || this.#reloadTimer !== null) return;
    this.#reloadTimer = setTimeout(() => {
      this.#reloadTimer = null;
      this.reload();
    }, RELOAD_DELAY_MS);
  }

  /** Reads the page before the oldest row. */
  async loadOlder() {
    const oldest = this.#rows.at(-1)?.created_at;
    if (!oldest) return;
    try {
      const rows = await this.#page(`&before_ts=${encodeURIComponent(oldest)}`);
      this.hasMore = rows.length === PAGE;
      this.#keep([...this.#rows, ...rows]);
      this.loadError = '';
    } catch (error) {
      this.loadError = explain(error);
    }
    this.#deps.onChange();
  }

  #keep(rows) {
    this.#rows = rows;
    this.#history = historyItems(rows);
  }

  async #page(more) {
    const rows = await this.#deps.api.get(`/workspaces/${this.id}/activity?source=canvas&type=a2a_receive&limit=${PAGE}${more}`);
    return Array.isArray(rows) ? rows : [];
  }

  /** Sends what was written. A second message while one is under way is impossible (UI-90). */
  send(text) {
    if (this.#closed || this.#pending || !text.trim()) return false;
    const messageId = uuid();
    const item = { key: `u:${messageId}`, role: 'user', text, files: [], messageId, at: this.#stamp() };
    this.#local = [...this.#local, item];
    this.#draft = '';
    this.#deliver(item);
    return true;
  }

  /** Sends a failed message again under its own id: the agent answers a message once (D14). */
  retry(key) {
    const item = this.#local.find((each) => each.key === key);
    if (item && !this.#pending) this.#deliver(item);
  }

  /** Takes a failed message back into the box. */
  edit(key) {
    const item = this.#local.find((each) => each.key === key);
    if (!item || item.state === 'sending') return;
    this.#local = this.#local.filter((each) => each !== item);
    this.draft = this.#draft.trim() ? `${this.#draft}\n${item.text}` : item.text;
    this.#deps.onChange();
  }

  /** Stops waiting for the reply. The agent goes on (D15), and its reply reaches the feed. */
  stop() {
    this.#pending?.controller.abort();
  }

  /** Ends timers and requests for good: the person signed out, and nothing of theirs may be kept or told any more. */
  close() {
    this.#closed = true;
    this.#deps.store.save(null);
    clearTimeout(this.#reloadTimer);
    this.#loads += 1;
    this.stop();
  }

  /** Takes in a live event of this workspace. */
  hear(event) {
    if (this.#closed) return;
    const { payload } = event;
    if (event.event === 'AGENT_MESSAGE') this.#notified(event);
    else if (event.event === 'A2A_RESPONSE') {
      this.#heard = true;
      if (!this.#pending) this.reloadSoon();
    } else if (event.event === 'ACTIVITY_LOGGED' && payload.source_id === null && !this.#pending) this.reloadSoon();
  }

  #notified({ payload, timestamp }) {
    const files = (Array.isArray(payload.attachments) ? payload.attachments : []).map(attachment).filter(Boolean);
    const text = typeof payload.message === 'string' ? payload.message : '';
    if (!text && files.length === 0) return;
    this.#local = [...this.#local, { key: `n:${uuid()}`, role: 'agent', text, files, at: timestamp ?? this.#stamp(), state: '' }];
    this.#deps.onChange();
    this.reloadSoon();
  }

  async #deliver(item) {
    const controller = new AbortController();
    this.#pending = { since: this.#deps.now(), controller, messageId: item.messageId };
    this.#heard = false;
    this.#update(item.key, { state: 'sending', note: '', retry: false, retryAt: null });
    try {
      let outcome = await this.#attempt(item, wantsStream(this.#deps.workspace()), controller.signal);
      if (outcome.reply?.cannotStream) outcome = await this.#attempt(item, false, controller.signal);
      this.#settle(item, outcome);
    } catch (error) {
      this.#settle(item, this.#lost(error));
    }
    this.#pending = null;
    this.#save();
    this.#deps.onChange();
    this.reloadSoon();
  }

  async #attempt(item, stream, signal) {
    const history = this.items.filter((each) => each.key !== item.key && Date.parse(each.at) <= Date.parse(item.at));
    const body = messageBody({ id: uuid(), messageId: item.messageId, text: item.text, stream, history });
    const response = await this.#deps.api.raw('POST', `/workspaces/${this.id}/a2a`, {
      body,
      headers: { Accept: stream ? 'text/event-stream, application/json' : 'application/json' },
      signal,
      // Agents may think for many minutes; “Stop waiting” is the limit.
      timeoutMs: 0,
    });
    const type = response.headers.get('content-type') ?? '';
    if (response.ok && type.includes('text/event-stream') && response.body) return this.#stream(item, response.body);
    return answerOf(response.status, await bodyOf(response), response.headers);
  }

  async #stream(item, body) {
    const reply = new Reply();
    for await (const { data } of readEvents(body)) {
      let frame;
      try {
        frame = JSON.parse(data);
      } catch {
        continue;
      }
      reply.push(frame);
      if (reply.error) break;
      this.#show(item, reply, 'streaming');
    }
    if (reply.error) return { kind: 'failed', note: reply.error, retry: true, retryAfter: null, reply };
    return { kind: reply.done ? 'reply' : 'cut', reply };
  }

  #settle(item, outcome) {
    if (this.#closed) return;
    const { kind, reply } = outcome;
    if (kind === 'reply') {
      this.#update(item.key, { state: '' });
      this.#show(item, reply, '');
      this.#deps.announce(reply.text ? 'The agent replied' : 'The agent finished without text');
    } else if (kind === 'cut') {
      reply.done = true;
      this.#drop(`a:${item.messageId}`);
      this.#update(item.key, {
        state: 'failed',
        retry: true,
        note: 'The connection closed before the reply was complete. Trying again joins the running answer.',
      });
    } else {
      this.#drop(`a:${item.messageId}`);
      const failed = kind === 'failed';
      const retryAt = outcome.retryAfter ? this.#deps.now() + outcome.retryAfter * 1000 : null;
      this.#update(item.key, { state: failed ? 'failed' : 'queued', note: outcome.note, retry: failed && outcome.retry, retryAt });
      this.#deps.announce(outcome.note);
    }
  }

  /** No answer came by HTTP. If the reply came by the socket meanwhile, nothing is wrong (UI-91). */
  #lost(error) {
    if (this.#heard) {
      return { kind: 'queued', note: 'The connection was lost after the agent replied; the reply is being read from the record.' };
    }
    if (error instanceof ApiError && error.kind === 'http') return { kind: 'failed', note: explain(error), retry: true };
    if (this.#pending?.controller.signal.aborted) {
      return { kind: 'queued', note: 'No longer waiting. The agent may still be working; its reply will appear here.' };
    }
    return {
      kind: 'failed',
      note: 'The connection was lost before the answer came. Trying again is safe: the agent answers a message once.',
      retry: true,
    };
  }

  #show(item, reply, state) {
    const key = `a:${item.messageId}`;
    const { text, files } = reply;
    const shown = {
      key,
      role: text || files.length > 0 || state ? 'agent' : 'system',
      text: text || (state ? '' : reply.note || 'The agent answered without text.'),
      files,
      messageId: item.messageId,
      note: text ? reply.note : '',
      progress: reply.progress,
      state,
      at: this.#stamp(),
      durationMs: state ? null : this.#deps.now() - this.#pending.since,
    };
    if (state && !text && files.length === 0) {
      this.#drop(key);
      this.#pending.progress = reply.progress;
    } else if (this.#local.some((each) => each.key === key)) {
      this.#local = this.#local.map((each) => (each.key === key ? shown : each));
    } else {
      this.#local = [...this.#local, shown];
    }
    this.#deps.onChange();
  }

  #drop(key) {
    this.#local = this.#local.filter((each) => each.key !== key);
  }

  #update(key, patch) {
    this.#local = this.#local.map((each) => (each.key === key ? { ...each, ...patch } : each));
    this.#save();
    this.#deps.onChange();
  }

  #save() {
    if (this.#closed) return;
    const local = this.#local.filter((item) => item.role === 'user' && item.state);
    this.#deps.store.save(this.#draft || local.length > 0 ? { draft: this.#draft, local } : null);
  }

  #stamp() {
    return new Date(this.#deps.now()).toISOString();
  }
}
