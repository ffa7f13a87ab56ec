// The last events, newest first.

import { h, place, timeNode } from './dom.js';
import { describe } from './events.js';

export class FeedView {
  #list;
  #empty;
  #filter;
  #nameOf;
  #onSelect;
  #nodes = new Map();
  #log = null;
  #queued = false;

  /**
   * @param {{list: HTMLElement, empty: HTMLElement, filter: HTMLSelectElement}} nodes
   * @param {(id: string|null) => string} nameOf
   * @param {(id: string) => void} onSelect a workspace's name was chosen
   */
  constructor({ list, empty, filter }, nameOf, onSelect) {
    this.#list = list;
    this.#empty = empty;
    this.#filter = filter;
    this.#nameOf = nameOf;
    this.#onSelect = onSelect;
    filter.addEventListener('change', () => this.draw());
  }

  /** Draws the log soon; a burst of events is one drawing. @param {{entries: any[]}} log */
  show(log) {
    this.#log = log;
    if (this.#queued) return;
    this.#queued = true;
    requestAnimationFrame(() => {
      this.#queued = false;
      this.draw();
    });
  }

  /** Forgets drawn lines: names may have changed. */
  reset() {
    this.#nodes.clear();
  }

  draw() {
    if (!this.#log) return;
    const wanted = this.#filter.value;
    const shown = this.#log.entries.filter((entry) => wanted === 'all' || describe(entry, this.#nameOf)?.kind === wanted);
    const keys = new Set(this.#log.entries.map((entry) => entry.key));
    for (const key of [...this.#nodes.keys()]) if (!keys.has(key)) this.#nodes.delete(key);
    place(this.#list, shown.map((entry) => this.#line(entry)));
    this.#empty.hidden = shown.length > 0;
  }

  #line(entry) {
    const known = this.#nodes.get(entry.key);
    if (known) return known;
    const said = describe(entry, this.#nameOf);
    const subject = said.kind === 'message' || !entry.workspace_id ? null : this.#subject(entry.workspace_id);
    const node = h(
      'li',
      { class: `event ${said.tone ? `event-${said.tone}` : ''}`, 'data-event': entry.event, title: entry.event },
      timeNode(entry.timestamp, { seconds: true }),
      h('span', { class: 'event-text' }, subject, subject ? ' ' : null, said.text),
    );
    this.#nodes.set(entry.key, node);
    return node;
  }

  #subject(id) {
    return h('button', { type: 'button', class: 'link strong', text: this.#nameOf(id), onclick: () => this.#onSelect(id) });
  }
}
