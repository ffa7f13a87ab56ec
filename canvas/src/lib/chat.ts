/** One workspace's conversation: history, sending, streaming. Views subscribe and read a snapshot. */

import { Reply, answerOf, attachment, failed, messageBody, wantsStream, type Outcome } from './a2a';
import type { ActivityRow } from './api';
import { historyItems, item, mergeLocal, survivors, type Item } from './conversation';
import type { Envelope } from './events';
import { ApiError, explain, type Http } from './http';
import { list, parseJson, str } from './json';
import { readEvents } from './sse';
import { uuid } from './text';

/** Rows read at once. */
const PAGE = 50;
/** Milliseconds within which several reasons to re-read the history become one reading. */
const RELOAD_DELAY_MS = 700;
/** Milliseconds between two redraws of a reply that is being streamed. */
const STREAM_REDRAW_MS = 80;

export interface Kept {
  draft?: string;
  local?: Item[];
}

export interface ChatDeps {
  http: Pick<Http, 'raw' | 'json'>;
  /** The row as it is now. */
  workspace: () => { agent_card?: unknown; delivery_mode?: string | null } | undefined;
  announce: (text: string) => void;
  /** What must survive a reload of the page. */
  store: { load: () => Kept | null; save: (kept: Kept | null) => void };
  now?: () => number;
}

export interface Pending {
  /** Epoch milliseconds. */
  since: number;
  messageId: string;
  /** What the agent says it is doing. */
  progress: string;
}

export interface Snapshot {
  /** Oldest first. */
  items: readonly Item[];
  pending: Pending | null;
  draft: string;
  loading: boolean;
  loaded: boolean;
  /** Why the history could not be read; "" when it could. */
  loadError: string;
  hasMore: boolean;
}

export class Chat {
  readonly id: string;
  readonly #deps: Required<ChatDeps>;
  readonly #listeners = new Set<() => void>();
  #rows: ActivityRow[] = [];
  #history: Item[] = [];
  #local: Item[] = [];
  #pending: Pending | null = null;
  #abort: AbortController | null = null;
  #reloadTimer: ReturnType<typeof setTimeout> | null = null;
  #redrawTimer: ReturnType<typeof setTimeout> | null = null;
  #loads = 0;
  #heard = false;
  #closed = false;
  #snapshot: Snapshot;

  constructor(id: string, deps: ChatDeps) {
    this.id = id;
    this.#deps = { now: Date.now, ...deps };
    const kept = this.#deps.store.load() ?? {};
    this.#local = survivors(kept.local ?? []);
    this.#snapshot = {
      items: this.#local,
      pending: null,
      draft: kept.draft ?? '',
      loading: false,
      loaded: false,
      loadError: '',
      hasMore: false,
    };
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** The same object until something changes. */
  readonly snapshot = (): Snapshot => this.#snapshot;

  set draft(text: string) {
    this.#change({ draft: text });
    this.#save();
  }

  /** Reads the newest rows again; older pages that were read stay. */
  async reload(): Promise<void> {
    if (this.#closed) return;
    this.#loads += 1;
    const mine = this.#loads;
    this.#change({ loading: !this.#snapshot.loaded });
    try {
      const rows = await this.#page('');
      if (mine !== this.#loads) return;
      const oldest = rows.at(-1)?.created_at;
      const older = rows.length === PAGE && oldest ? this.#rows.filter((row) => row.created_at < oldest) : [];
      const hasMore = !this.#snapshot.loaded || older.length === 0 ? rows.length === PAGE : this.#snapshot.hasMore;
      this.#keep([...rows, ...older]);
      this.#local = mergeLocal(this.#history, this.#local).local;
      this.#change({ loaded: true, loading: false, loadError: '', hasMore });
      this.#save();
    } catch (error) {
      if (mine === this.#loads) this.#change({ loading: false, loadError: explain(error) });
    }
  }

  /** Re-reads soon: something happened that the feed tells of. */
  reloadSoon(): void {
    if (this.#closed || this.#reloadTimer !== null) return;
    this.#reloadTimer = setTimeout(() => {
      this.#reloadTimer = null;
      void this.reload();
    }, RELOAD_DELAY_MS);
  }

  /** Reads the page before the oldest row. */
  async loadOlder(): Promise<void> {
    const oldest = this.#rows.at(-1)?.created_at;
    if (!oldest) return;
    try {
      const rows = await this.#page(`&before_ts=${encodeURIComponent(oldest)}`);
      this.#keep([...this.#rows, ...rows]);
      this.#change({ hasMore: rows.length === PAGE, loadError: '' });
    } catch (error) {
      this.#change({ loadError: explain(error) });
    }
  }

  /** Sends what was written. A second message while one is under way is impossible (UI-90). */
  send(text: string): boolean {
    if (this.#closed || this.#pending || !text.trim()) return false;
    const messageId = uuid();
    const asked = item({ key: `u:${messageId}`, role: 'user', text, messageId, at: this.#stamp() });
    this.#local = [...this.#local, asked];
    this.#change({ draft: '' });
    void this.#deliver(asked);
    return true;
  }

  /** Sends a failed message again under its own id: the agent answers a message once (D14). */
  retry(key: string): void {
    const found = this.#local.find((each) => each.key === key);
    if (found && !this.#pending) void this.#deliver(found);
  }

  /** Takes a failed message back into the box. */
  edit(key: string): void {
    const found = this.#local.find((each) => each.key === key);
    if (!found || found.state === 'sending') return;
    this.#local = this.#local.filter((each) => each !== found);
    const { draft } = this.#snapshot;
    this.draft = draft.trim() ? `${draft}\n${found.text}` : found.text;
  }

  /** Stops waiting for the reply. The agent goes on (D15), and its reply reaches the feed. */
  stop(): void {
    this.#abort?.abort();
  }

  /** Ends timers and requests for good: the person signed out, and nothing of theirs may be kept or told any more. */
  close(): void {
    this.#closed = true;
    this.#deps.store.save(null);
    if (this.#reloadTimer) clearTimeout(this.#reloadTimer);
    if (this.#redrawTimer) clearTimeout(this.#redrawTimer);
    this.#loads += 1;
    this.stop();
  }

  /** Takes in a live event of this workspace. */
  hear(event: Envelope): void {
    if (this.#closed) return;
    if (event.event === 'AGENT_MESSAGE') this.#notified(event);
    else if (event.event === 'A2A_RESPONSE') {
      this.#heard = true;
      if (!this.#pending) this.reloadSoon();
    } else if (event.event === 'ACTIVITY_LOGGED' && event.payload.source_id === null && !this.#pending)
      this.reloadSoon();
  }

  async #page(more: string): Promise<ActivityRow[]> {
    const path = `/workspaces/${this.id}/activity?source=canvas&type=a2a_receive&limit=${PAGE}${more}`;
    const rows = await this.#deps.http.json('GET', path);
    return Array.isArray(rows) ? (rows as ActivityRow[]) : [];
  }

  #keep(rows: ActivityRow[]): void {
    this.#rows = rows;
    this.#history = historyItems(rows);
  }

  #notified({ payload, timestamp }: Envelope): void {
    const files = list(payload.attachments)
      .map(attachment)
      .filter((file) => file !== null);
    const text = str(payload.message);
    if (!text && files.length === 0) return;
    const at = timestamp || this.#stamp();
    this.#local = [...this.#local, item({ key: `n:${uuid()}`, role: 'agent', text, files, at })];
    this.#change({});
    this.reloadSoon();
  }

  async #deliver(asked: Item): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    this.#pending = { since: this.#deps.now(), messageId: asked.messageId, progress: '' };
    this.#heard = false;
    this.#update(asked.key, { state: 'sending', note: '', retry: false, retryAt: null });
    try {
      let outcome = await this.#attempt(asked, wantsStream(this.#deps.workspace()), abort.signal);
      if (outcome.kind === 'failed' && outcome.reply?.cannotStream) {
        outcome = await this.#attempt(asked, false, abort.signal);
      }
      this.#settle(asked, outcome);
    } catch (error) {
      this.#settle(asked, this.#lost(error, abort.signal));
    }
    this.#pending = null;
    this.#abort = null;
    this.#save();
    this.#change({});
    this.reloadSoon();
  }

  async #attempt(asked: Item, stream: boolean, signal: AbortSignal): Promise<Outcome> {
    const before = Date.parse(asked.at);
    const history = this.#snapshot.items.filter((each) => each.key !== asked.key && Date.parse(each.at) <= before);
    const body = messageBody({ id: uuid(), messageId: asked.messageId, text: asked.text, stream, history });
    const response = await this.#deps.http.raw('POST', `/workspaces/${this.id}/a2a`, {
      body,
      headers: { Accept: stream ? 'text/event-stream, application/json' : 'application/json' },
      signal,
      // Agents may think for many minutes; “Stop waiting” is the limit.
      timeoutMs: 0,
    });
    const type = response.headers.get('content-type') ?? '';
    if (response.ok && type.includes('text/event-stream') && response.body) return this.#stream(asked, response.body);
    return answerOf(response.status, parseJson(await response.text()), response.headers);
  }

  async #stream(asked: Item, body: ReadableStream<Uint8Array>): Promise<Outcome> {
    const reply = new Reply();
    for await (const { data } of readEvents(body)) {
      const frame = parseJson(data);
      if (frame === undefined) continue;
      reply.push(frame);
      if (reply.error) return { ...failed(reply.error, true, null), reply };
      this.#redrawSoon(asked, reply);
    }
    return { kind: reply.done ? 'reply' : 'cut', reply };
  }

  /** A reply may come in thousands of frames a second; it is shown a few times a second. */
  #redrawSoon(asked: Item, reply: Reply): void {
    this.#redrawTimer ??= setTimeout(() => {
      this.#redrawTimer = null;
      if (this.#pending?.messageId === asked.messageId) this.#show(asked, reply, 'streaming');
    }, STREAM_REDRAW_MS);
  }

  #settle(asked: Item, outcome: Outcome): void {
    if (this.#redrawTimer) clearTimeout(this.#redrawTimer);
    this.#redrawTimer = null;
    if (this.#closed) return;
    if (outcome.kind === 'reply') {
      this.#update(asked.key, { state: '' });
      this.#show(asked, outcome.reply, '');
      this.#deps.announce(outcome.reply.text ? 'The agent replied' : 'The agent finished without text');
      return;
    }
    this.#local = this.#local.filter((each) => each.key !== `a:${asked.messageId}`);
    if (outcome.kind === 'cut') {
      const note = 'The connection closed before the reply was complete. Trying again joins the running answer.';
      this.#update(asked.key, { state: 'failed', retry: true, note });
      return;
    }
    if (outcome.kind === 'queued') {
      this.#update(asked.key, { state: 'queued', note: outcome.note, retry: false, retryAt: null });
    } else {
      const retryAt = outcome.retryAfter ? this.#deps.now() + outcome.retryAfter * 1_000 : null;
      this.#update(asked.key, { state: 'failed', note: outcome.note, retry: outcome.retry, retryAt });
    }
    this.#deps.announce(outcome.note);
  }

  /** No answer came by HTTP. If the reply came by the socket meanwhile, nothing is wrong (UI-91). */
  #lost(error: unknown, signal: AbortSignal): Outcome {
    if (this.#heard) {
      const note = 'The connection was lost after the agent replied; the reply is being read from the record.';
      return { kind: 'queued', note };
    }
    if (signal.aborted) {
      return {
        kind: 'queued',
        note: 'No longer waiting. The agent may still be working; its reply will appear here.',
      };
    }
    if (error instanceof ApiError && error.kind === 'http') return failed(explain(error), true, null);
    return failed(
      'The connection was lost before the answer came. Trying again is safe: the agent answers a message once.',
      true,
      null,
    );
  }

  #show(asked: Item, reply: Reply, state: 'streaming' | ''): void {
    const key = `a:${asked.messageId}`;
    const { text, files } = reply;
    if (this.#pending) this.#pending = { ...this.#pending, progress: reply.progress };
    const shown = item({
      key,
      role: text || files.length > 0 ? 'agent' : 'system',
      text: text || reply.note || 'The agent answered without text.',
      files,
      messageId: asked.messageId,
      note: text ? reply.note : '',
      state,
      at: this.#stamp(),
      durationMs: state || !this.#pending ? null : this.#deps.now() - this.#pending.since,
    });
    const others = this.#local.filter((each) => each.key !== key);
    this.#local = state && !text && files.length === 0 ? others : [...others, shown];
    this.#change({});
  }

  #update(key: string, patch: Partial<Item>): void {
    this.#local = this.#local.map((each) => (each.key === key ? { ...each, ...patch } : each));
    this.#save();
    this.#change({});
  }

  #change(patch: Partial<Snapshot>): void {
    const { items } = mergeLocal(this.#history, this.#local);
    this.#snapshot = { ...this.#snapshot, ...patch, items, pending: this.#pending };
    for (const listener of this.#listeners) listener();
  }

  #save(): void {
    if (this.#closed) return;
    const local = this.#local.filter((each) => each.role === 'user' && each.state);
    const { draft } = this.#snapshot;
    this.#deps.store.save(draft || local.length > 0 ? { draft, local } : null);
  }

  #stamp(): string {
    return new Date(this.#deps.now()).toISOString();
  }
}
