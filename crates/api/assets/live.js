// The live socket: ticket, connect, reconnect with back-off (ACT-80, D2). Knows no DOM.

import { backoff, parseFrame } from './events.js';

/** Milliseconds without any frame after which a socket that claims to be open is taken for dead. */
const SILENCE_MS = 120_000;

export class Live {
  #deps;
  #socket = null;
  #timer = null;
  #silence = null;
  #attempt = 0;
  #generation = 0;
  #running = false;
  #opened = false;

  /**
   * @param {object} deps
   * @param {() => Promise<string|null>} deps.ticket single-use ticket; null where none is needed (open mode)
   * @param {(url: string) => WebSocket} deps.connect
   * @param {(event: object) => void} deps.onEvent one envelope
   * @param {(state: 'connecting'|'live'|'waiting', waitMs: number) => void} deps.onState
   * @param {(first: boolean) => void} deps.onOpen connected; nothing is replayed, so re-read what matters
   * @param {typeof setTimeout} [deps.setTimeout]
   * @param {typeof clearTimeout} [deps.clearTimeout]
   */
  constructor(deps) {
    this.#deps = {
      setTimeout: (run, ms) => setTimeout(run, ms),
      clearTimeout: (timer) => clearTimeout(timer),
      ...deps,
    };
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    this.#attempt = 0;
    this.#opened = false;
    this.#open();
  }

  /** Ends the connection; a closed page leaves no socket behind (UI-15). */
  stop() {
    this.#running = false;
    this.#generation += 1;
    this.#deps.clearTimeout(this.#timer);
    this.#deps.clearTimeout(this.#silence);
    this.#socket?.close();
    this.#socket = null;
  }

  /** Tries at once instead of waiting: the network or the page came back. */
  hurry() {
    if (!this.#running || this.#timer === null) return;
    this.#deps.clearTimeout(this.#timer);
    this.#timer = null;
    this.#open();
  }

  async #open() {
    this.#generation += 1;
    const mine = this.#generation;
    const current = () => this.#running && mine === this.#generation;
    this.#deps.onState('connecting', 0);
    let ticket;
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
    socket.onmessage = (message) => {
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

  #wait() {
    this.#deps.clearTimeout(this.#silence);
    const pause = backoff(this.#attempt);
    this.#attempt += 1;
    this.#deps.onState('waiting', pause);
    this.#timer = this.#deps.setTimeout(() => {
      this.#timer = null;
      this.#open();
    }, pause);
  }

  /** A cut connection can look open for ever, and pings are invisible here: after a long silence a new one is made. */
  #watch(socket) {
    this.#deps.clearTimeout(this.#silence);
    this.#silence = this.#deps.setTimeout(() => {
      this.#open();
      socket.close();
    }, SILENCE_MS);
  }
}
