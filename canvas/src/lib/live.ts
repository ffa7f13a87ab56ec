/** The live socket: ticket, connect, reconnect with back-off (ACT-80, D2). Knows no page. */

import { type Envelope, parseFrame } from './events';

/** Milliseconds without any frame after which a socket that claims to be open is taken for dead. */
const SILENCE_MS = 120_000;
/** Longest pause between two attempts to connect, milliseconds (UI-14). */
const MAX_BACKOFF_MS = 30_000;

/** Pause before attempt `n` (0, 1, …): 1 s, 2 s, 4 s … 30 s. */
export const backoff = (n: number): number => Math.min(1_000 * 2 ** Math.min(n, 10), MAX_BACKOFF_MS);

export type LiveState = 'connecting' | 'live' | 'waiting';

export interface LiveDeps {
  /** Single-use ticket; null where none is needed (open mode). */
  ticket: () => Promise<string | null>;
  connect: (path: string) => WebSocket;
  onEvent: (event: Envelope) => void;
  onState: (state: LiveState, waitMs: number) => void;
  /** Connected; nothing is replayed, so re-read what matters. */
  onOpen: (first: boolean) => void;
  setTimeout?: (run: () => void, ms: number) => number;
  clearTimeout?: (timer: number) => void;
}

export class Live {
  readonly #deps: Required<LiveDeps>;
  #socket: WebSocket | null = null;
  #timer: number | undefined;
  #silence: number | undefined;
  #attempt = 0;
  #generation = 0;
  #running = false;
  #opened = false;

  constructor(deps: LiveDeps) {
    this.#deps = {
      setTimeout: (run, ms) => window.setTimeout(run, ms),
      clearTimeout: (timer) => window.clearTimeout(timer),
      ...deps,
    };
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#attempt = 0;
    this.#opened = false;
    void this.#open();
  }

  /** Ends the connection; a closed page leaves no socket behind (UI-15). */
  stop(): void {
    this.#running = false;
    this.#generation += 1;
    this.#cancel();
    this.#socket?.close();
    this.#socket = null;
  }

  /** Tries at once instead of waiting: the network or the page came back. */
  hurry(): void {
    if (!this.#running || this.#timer === undefined) return;
    this.#cancel();
    void this.#open();
  }

  #cancel(): void {
    if (this.#timer !== undefined) this.#deps.clearTimeout(this.#timer);
    if (this.#silence !== undefined) this.#deps.clearTimeout(this.#silence);
    this.#timer = undefined;
    this.#silence = undefined;
  }

  async #open(): Promise<void> {
    this.#generation += 1;
    const mine = this.#generation;
    const current = () => this.#running && mine === this.#generation;
    this.#deps.onState('connecting', 0);
    let ticket: string | null;
    try {
      ticket = await this.#deps.ticket();
    } catch {
      if (current()) this.#wait();
      return;
    }
    if (!current()) return;
    const socket = this.#deps.connect(ticket ? `/ws?ticket=${encodeURIComponent(ticket)}` : '/ws');
    this.#socket = socket;
    socket.onopen = () => {
      if (!current()) return;
      this.#attempt = 0;
      this.#watch(socket);
      this.#deps.onState('live', 0);
      const first = !this.#opened;
      this.#opened = true;
      this.#deps.onOpen(first);
    };
    socket.onmessage = (message: MessageEvent<unknown>) => {
      if (!current()) return;
      this.#watch(socket);
      const event = parseFrame(message.data);
      if (event) this.#deps.onEvent(event);
    };
    socket.onclose = () => {
      if (!current()) return;
      this.#socket = null;
      this.#wait();
    };
  }

  #wait(): void {
    this.#cancel();
    const pause = backoff(this.#attempt);
    this.#attempt += 1;
    this.#deps.onState('waiting', pause);
    this.#timer = this.#deps.setTimeout(() => {
      this.#timer = undefined;
      void this.#open();
    }, pause);
  }

  /** A cut connection can look open for ever, and pings are invisible here: after a long silence a new one is made. */
  #watch(socket: WebSocket): void {
    if (this.#silence !== undefined) this.#deps.clearTimeout(this.#silence);
    this.#silence = this.#deps.setTimeout(() => {
      void this.#open();
      socket.close();
    }, SILENCE_MS);
  }
}
