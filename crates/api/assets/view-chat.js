// The conversation on the page: bubbles, composer, what is under way.

import { explain } from './api.js';
import { byId, clock, h, place, prose, setText, timeNode } from './dom.js';
import { duration } from './events.js';

/** Pixels from the end of the list within which new bubbles pull the view along. */
const STICKY_PX = 80;

export class ChatView {
  #api;
  #chat = null;
  #workspace = () => null;
  #nodes = new Map();
  #list = byId('chat-list');
  #scroll = byId('chat-scroll');
  #state = byId('chat-state');
  #more = byId('chat-more');
  #form = byId('composer');
  #box = byId('composer-text');
  #sendButton = byId('composer-send');
  #stopButton = byId('composer-stop');
  #waiting = byId('chat-waiting');
  #ticker = null;
  #queued = false;

  /** @param {ReturnType<import('./api.js').createApi>} api */
  constructor(api) {
    this.#api = api;
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#box.addEventListener('keydown', (event) => {
      // Enter that ends an input method's composition belongs to the input method.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
    this.#box.addEventListener('input', () => {
      if (this.#chat) this.#chat.draft = this.#box.value;
      this.#grow();
    });
    this.#stopButton.addEventListener('click', () => this.#chat?.stop());
    this.#more.addEventListener('click', () => this.#older());
  }

  /**
   * Shows another conversation.
   * @param {import('./chat.js').Chat|null} chat
   * @param {() => any} workspace the row as it is now
   */
  open(chat, workspace) {
    this.#chat = chat;
    this.#workspace = workspace;
    this.#nodes.clear();
    place(this.#list, []);
    this.#box.value = chat?.draft ?? '';
    if (!chat) {
      this.#clear();
      return;
    }
    this.#grow();
    this.draw();
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }

  #clear() {
    clearInterval(this.#ticker);
    this.#ticker = null;
    this.#more.hidden = true;
    this.#waiting.hidden = true;
    setText(this.#waiting, '');
    place(this.#state, []);
  }

  /** Draws what changed soon, if this is the conversation shown; the frames of a stream that come at once are one drawing. */
  changed(chat) {
    if (chat !== this.#chat || this.#queued) return;
    this.#queued = true;
    requestAnimationFrame(() => {
      this.#queued = false;
      this.draw();
    });
  }

  draw() {
    const chat = this.#chat;
    if (!chat) return;
    const stick = this.#scroll.scrollHeight - this.#scroll.scrollTop - this.#scroll.clientHeight < STICKY_PX;
    const { items } = chat;
    place(this.#list, items.map((item) => this.#bubble(item)));
    const keys = new Set(items.map((item) => item.key));
    for (const key of [...this.#nodes.keys()]) if (!keys.has(key)) this.#nodes.delete(key);
    this.#more.hidden = !chat.hasMore;
    this.#drawState(items.length === 0);
    this.#drawWaiting();
    if (this.#box.value !== chat.draft) {
      this.#box.value = chat.draft;
      this.#grow();
    }
    if (stick) this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }

  #drawState(empty) {
    const chat = this.#chat;
    const parts = [];
    if (chat.loading) parts.push(h('p', { class: 'muted', text: 'Loading messages…' }));
    else if (chat.loadError) {
      parts.push(
        h('p', { class: 'notice notice-bad', role: 'alert' }, `The messages could not be read. ${chat.loadError} `, again(() => chat.reload())),
      );
    } else if (empty && chat.loaded) {
      parts.push(h('p', { class: 'muted', text: 'No messages yet. Write the first one below.' }));
    }
    // Drawn anew only when it says something new: it may hold the focus.
    const told = parts.map((part) => part.textContent).join();
    if (this.#state.textContent !== told) place(this.#state, parts);
  }

  #drawWaiting() {
    const { pending } = this.#chat;
    this.#sendButton.disabled = pending !== null;
    this.#stopButton.hidden = pending === null;
    this.#waiting.hidden = pending === null;
    if (pending === null) {
      clearInterval(this.#ticker);
      this.#ticker = null;
      return;
    }
    const seconds = Math.max(0, Math.round((Date.now() - pending.since) / 1000));
    const doing = pending.progress || this.#workspace()?.current_task || '';
    setText(this.#waiting, `Waiting for the reply, ${seconds} s${doing ? ` · ${doing}` : ''}`);
    this.#ticker ??= setInterval(() => this.#tick(), 1000);
  }

  #tick() {
    if (this.#chat) this.#drawWaiting();
  }

  #bubble(item) {
    const known = this.#nodes.get(item.key);
    if (known?.item === item) return known.node;
    // Read again it is another object, which mostly says the same.
    const signature = JSON.stringify(item);
    if (known?.signature === signature) {
      known.item = item;
      return known.node;
    }
    const node = this.#draw(item);
    if (known?.node.isConnected) known.node.replaceWith(node);
    this.#nodes.set(item.key, { node, item, signature });
    return node;
  }

  #draw(item) {
    const who = { user: 'You', agent: this.#workspace()?.name ?? 'Agent', system: 'Platform' }[item.role];
    const took = item.role === 'agent' && Number.isFinite(item.durationMs) ? duration(item.durationMs) : '';
    const classes = ['bubble', `bubble-${item.role}`, item.state === 'failed' && 'is-failed', item.state === 'streaming' && 'is-streaming'];
    return h(
      'li',
      { class: classes.filter(Boolean).join(' '), 'aria-busy': item.state === 'streaming' ? 'true' : null },
      h('div', { class: 'bubble-head' }, h('span', { class: 'who', text: who }), timeNode(item.at), took ? h('span', { text: took }) : null),
      item.role === 'agent' ? prose(item.text) : h('p', { class: 'plain', text: item.text }),
      item.files.length > 0 ? h('ul', { class: 'files', 'aria-label': 'Files' }, ...item.files.map((file) => h('li', {}, this.#file(file)))) : null,
      this.#note(item),
    );
  }

  #note(item) {
    const text = item.state === 'sending' ? 'Sending…' : item.note || item.progress;
    if (!text && item.state !== 'failed') return null;
    const actions = [];
    if (item.state === 'failed') {
      if (item.retry) actions.push(h('button', { type: 'button', class: 'link', text: 'Try again', onclick: () => this.#chat?.retry(item.key) }));
      actions.push(h('button', { type: 'button', class: 'link', text: 'Edit', onclick: () => this.#edit(item.key) }));
    }
    const wait = item.state === 'failed' && item.retryAt > Date.now() ? ` Best after ${clock(item.retryAt, { seconds: true })}.` : '';
    return h('p', { class: 'note' }, h('span', { text: `${text ?? ''}${wait}` }), ...actions.flatMap((action) => [' ', action]));
  }

  #file(file) {
    const label = file.size ? `${file.name} (${bytes(file.size)})` : file.name;
    if (/^https?:\/\//.test(file.uri)) return h('a', { class: 'chip', href: file.uri, target: '_blank', rel: 'noopener noreferrer', text: label });
    const path = file.uri.replace(/^(workspace:|file:\/\/)/, '');
    if (!path.startsWith('/')) return h('span', { class: 'chip', text: label });
    const button = h('button', { type: 'button', class: 'chip', text: label, title: 'Download' });
    button.addEventListener('click', () => this.#download(button, file.name, label, path));
    return button;
  }

  /** Downloads need the bearer, which a plain link does not send. */
  async #download(button, name, label, path) {
    const { id } = this.#chat;
    button.disabled = true;
    button.textContent = `${label} …`;
    try {
      const response = await this.#api.raw('GET', `/workspaces/${id}/chat/download?path=${encodeURIComponent(path)}`, {
        headers: { Accept: '*/*' },
        timeoutMs: 60_000,
      });
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      const url = URL.createObjectURL(await response.blob());
      h('a', { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
      button.textContent = label;
    } catch (error) {
      const why = error.name === 'ApiError' ? explain(error) : error.message;
      button.textContent = `${label} – could not be downloaded: ${why}`;
    } finally {
      button.disabled = false;
    }
  }

  async #older() {
    this.#more.disabled = true;
    const before = this.#scroll.scrollHeight;
    await this.#chat?.loadOlder();
    this.draw();
    this.#scroll.scrollTop += this.#scroll.scrollHeight - before;
    this.#more.disabled = false;
  }

  #send() {
    const chat = this.#chat;
    if (!chat || !chat.send(this.#box.value)) return;
    this.draw();
    this.#box.focus();
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }

  #edit(key) {
    this.#chat?.edit(key);
    this.draw();
    this.#box.focus();
  }

  /** As many rows as the text has lines, within bounds (sizes by attribute: inline styles are not allowed here). */
  #grow() {
    const lines = this.#box.value.split('\n').length;
    this.#box.rows = Math.min(Math.max(lines, 2), 8);
  }
}

function again(run) {
  return h('button', { type: 'button', class: 'link', text: 'Try again', onclick: run });
}

function bytes(size) {
  if (size < 1_024) return `${size} B`;
  if (size < 1_048_576) return `${(size / 1_024).toFixed(0)} KiB`;
  return `${(size / 1_048_576).toFixed(1)} MiB`;
}
