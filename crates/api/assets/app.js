// The page behind `/`: sign-in, then the organisation, live.

import { createApi, explain, errorOf } from './api.js';
import { Chat } from './chat.js';
import { announcer, byId, h, place, setText, statusChip } from './dom.js';
import { EventLog } from './events.js';
import { Live } from './live.js';
import { Session, codeFromHash, codeFromInput, loginFailure } from './session.js';
import { applyEvent, fromList, statusCounts, statusView } from './tree.js';
import { ChatView } from './view-chat.js';
import { FeedView } from './view-feed.js';
import { ImportView } from './view-import.js';
import { TreeView } from './view-tree.js';
import { WorkspaceView } from './view-workspace.js';

/** Milliseconds between two reads of `/workspaces` while the socket is down, and while it is up (some changes have no event). */
const POLL_MS = { down: 10_000, up: 60_000 };
/** Reads wanted within this many milliseconds become one (UI-14). */
const REFRESH_GAP_MS = 1_500;

const session = new Session(window.localStorage);
const api = createApi({
  fetch: (...args) => window.fetch(...args),
  token: () => session.token,
  onUnauthorized: (used) => {
    if (session.forget(used)) showLogin(used ? 'Your session has ended. Sign in again to go on.' : '');
  },
});
/** Everything that exists only while somebody is signed in. */
let main = null;
const announcements = announcer(byId('announcements'));
const announce = (text) => main && announcements(text);

class Main {
  map = new Map();
  names = new Map();
  selected = null;
  chats = new Map();
  log = new EventLog();
  #refreshing = false;
  #wanted = null;
  #missed = [];
  #poll = null;
  #state = 'connecting';
  #readOnce = false;

  constructor() {
    this.nameOf = (id) => (id === null ? 'User' : (this.map.get(id)?.name ?? this.names.get(id) ?? (id ? id.slice(0, 8) : 'somebody')));
    this.live = new Live({
      ticket: async () => (session.token ? (await api.post('/auth/tickets', {})).ticket : null),
      connect: (path) => new WebSocket(new URL(path, window.location.href.replace(/^http/, 'ws'))),
      onEvent: (event) => this.#hear(event),
      onState: (state, wait) => this.#connection(state, wait),
      onOpen: (first) => {
        if (!first) announce('Live updates restored');
        this.refresh();
        this.#loadEvents();
        if (!first) for (const chat of this.chats.values()) chat.reloadSoon();
      },
    });
  }

  start() {
    this.refresh();
    this.live.start();
  }

  stop() {
    this.live.stop();
    clearTimeout(this.#poll);
    clearTimeout(this.#wanted);
    for (const chat of this.chats.values()) chat.close();
  }

  /** Re-reads `/workspaces` soon; reads wanted at the same time are one. */
  refreshSoon() {
    if (this.#wanted !== null) return;
    this.#wanted = setTimeout(() => {
      this.#wanted = null;
      this.refresh();
    }, REFRESH_GAP_MS);
  }

  async refresh() {
    if (this.#refreshing) return;
    this.#refreshing = true;
    this.#missed = [];
    try {
      const list = await api.get('/workspaces');
      if (main !== this) return;
      this.map = fromList(list);
      // What was heard while the list was under way may be newer than the list.
      for (const event of this.#missed) applyEvent(this.map, event);
      this.#learnNames();
      if (!this.#readOnce) this.#begin();
      this.#problem('');
      this.#drawAll();
    } catch (error) {
      if (main === this) this.#problem(explain(error));
    } finally {
      this.#refreshing = false;
      if (main === this) this.#schedule();
    }
  }

  /** Names outlive their workspaces, so that old events stay readable. */
  #learnNames() {
    for (const { id, name } of this.map.values()) {
      if (this.names.get(id) === name) continue;
      this.names.set(id, name);
      views.feed.reset();
    }
  }

  #schedule() {
    clearTimeout(this.#poll);
    this.#poll = setTimeout(() => this.refresh(), this.#state === 'live' ? POLL_MS.up : POLL_MS.down);
  }

  #begin() {
    this.#readOnce = true;
    const wanted = new URLSearchParams(window.location.search).get('workspace');
    if (wanted && this.map.has(wanted)) this.select(wanted, { pane: false });
  }

  async #loadEvents() {
    try {
      this.log.load(await api.get('/events'));
      views.feed.reset();
      views.feed.show(this.log);
      setText(byId('feed-error'), '');
    } catch (error) {
      setText(byId('feed-error'), `Earlier events could not be read. ${explain(error)}`);
    }
  }

  #hear(event) {
    if (this.#refreshing) this.#missed.push(event);
    const before = this.map.get(event.workspace_id)?.status;
    const effect = applyEvent(this.map, event);
    if (effect.structure) this.#learnNames();
    if (effect.structure) this.#drawAll();
    else if (effect.changed) this.#drawOne(effect.changed);
    if (effect.refresh) this.refreshSoon();
    this.chats.get(event.workspace_id)?.hear(event);
    const workspace = this.map.get(event.workspace_id);
    if (workspace && before && before !== workspace.status) announce(`${workspace.name}: ${statusView(workspace.status).label}`);
    if (this.log.add(event)) views.feed.show(this.log);
  }

  #drawOne(id) {
    views.tree.update(id);
    this.#drawCounts();
    if (id === this.selected) {
      views.workspace.update(this.map.get(id));
      views.chat.draw();
    }
  }

  #drawAll() {
    const empty = this.map.size === 0;
    byId('empty').hidden = !empty;
    byId('columns').hidden = empty;
    byId('loading').hidden = true;
    views.tree.sync(this.map);
    this.#drawCounts();
    if (this.selected && !this.map.has(this.selected)) this.#gone();
    else if (this.selected) views.workspace.update(this.map.get(this.selected));
    views.feed.show(this.log);
  }

  #drawCounts() {
    const counts = statusCounts(this.map.values());
    const list = byId('counts');
    const told = JSON.stringify(counts);
    if (list.dataset.told !== told) {
      list.dataset.told = told;
      const chip = ([status, count]) => statusChip({ tone: statusView(status).tone, label: `${count} ${statusView(status).label.toLowerCase()}` });
      place(list, counts.map((count) => h('li', {}, chip(count))));
    }
    setText(byId('tree-count'), this.map.size === 1 ? '1 workspace' : `${this.map.size} workspaces`);
  }

  /** Shows a workspace; `pane` also turns to it on narrow screens. */
  select(id, { pane = true } = {}) {
    const workspace = this.map.get(id);
    if (!workspace) {
      announce('This workspace does not exist any more');
      return;
    }
    if (pane) showPane('workspace');
    if (this.selected === id) return;
    this.selected = id;
    byId('nothing-selected').hidden = true;
    byId('workspace').hidden = false;
    views.tree.select(id);
    views.workspace.open(workspace);
    const chat = this.#chat(id);
    views.chat.open(chat, () => this.map.get(id));
    chat.reload();
    window.history.replaceState(null, '', `?workspace=${encodeURIComponent(id)}`);
  }

  #gone() {
    announce(`${this.nameOf(this.selected)} was removed`);
    this.selected = null;
    views.chat.open(null, () => null);
    byId('workspace').hidden = true;
    byId('nothing-selected').hidden = false;
    window.history.replaceState(null, '', window.location.pathname);
  }

  #chat(id) {
    let chat = this.chats.get(id);
    if (!chat) {
      chat = new Chat(id, {
        api,
        workspace: () => this.map.get(id),
        onChange: () => views.chat.changed(chat),
        announce: (text) => announce(`${this.nameOf(id)}: ${text}`),
        store: chatStore(id),
      });
      this.chats.set(id, chat);
    }
    return chat;
  }

  #connection(state, waitMs) {
    this.#state = state;
    const view = {
      connecting: { tone: 'blue', label: 'Connecting' },
      live: { tone: 'green', label: 'Live' },
      waiting: { tone: 'amber', label: `Reconnecting in ${Math.round(waitMs / 1000)} s` },
    }[state];
    place(byId('connection'), [statusChip(view)]);
    // What was counted may have changed since.
    byId('counts').classList.toggle('is-stale', state !== 'live');
    if (state !== 'connecting') this.#schedule();
  }

  #problem(text) {
    byId('problem').hidden = !text;
    setText(byId('problem-text'), text ? `The workspaces could not be read. ${text}` : '');
    if (text && !this.#readOnce) byId('loading').hidden = true;
  }
}

/** Drafts and unanswered messages of a tab outlive a reload of it. */
function chatStore(id) {
  const key = `molecule.chat.${id}`;
  return {
    load: () => {
      try {
        return JSON.parse(window.sessionStorage.getItem(key));
      } catch {
        return null;
      }
    },
    save: (kept) => {
      try {
        if (kept === null) window.sessionStorage.removeItem(key);
        else window.sessionStorage.setItem(key, JSON.stringify(kept));
      } catch {
        // Storage is full or refused: the text is still on the page.
      }
    },
  };
}

const views = {
  tree: new TreeView(byId('tree'), (id) => main?.select(id)),
  workspace: new WorkspaceView(api, announce),
  chat: new ChatView(api),
  feed: new FeedView(
    { list: byId('feed'), empty: byId('feed-empty'), filter: byId('feed-filter') },
    (id) => main?.nameOf(id) ?? '',
    (id) => main?.select(id),
  ),
  import: new ImportView(api, () => main?.refresh()),
};

function showPane(name) {
  document.body.dataset.pane = name;
  for (const button of document.querySelectorAll('#panes button')) {
    if (button.dataset.pane === name) button.setAttribute('aria-current', 'true');
    else button.removeAttribute('aria-current');
  }
}

function showMain() {
  if (main) return;
  byId('login').hidden = true;
  byId('main').hidden = false;
  byId('loading').hidden = false;
  byId('columns').hidden = true;
  byId('empty').hidden = true;
  byId('sign-out').hidden = session.token === null;
  byId('workspace').hidden = true;
  byId('nothing-selected').hidden = false;
  main = new Main();
  main.start();
}

/** The login view, with the reason for it if there is one. */
function showLogin(reason) {
  if (main) {
    main.stop();
    main = null;
    forget();
  }
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  byId('main').hidden = true;
  byId('starting').hidden = true;
  byId('login').hidden = false;
  setText(byId('login-reason'), reason);
  byId('login-reason').hidden = !reason;
  byId('login-code').focus();
}

/** Nothing of the organisation stays in the page or in the tab's storage. */
function forget() {
  views.tree.sync(new Map());
  views.tree.select(null);
  views.workspace.clear();
  views.chat.open(null, () => null);
  views.feed.reset();
  views.feed.show(new EventLog());
  views.import.clear();
  place(byId('counts'), []);
  delete byId('counts').dataset.told;
  for (const id of ['tree-count', 'feed-error', 'problem-text']) setText(byId(id), '');
  announcements.clear();
  for (const key of Object.keys(window.sessionStorage)) if (key.startsWith('molecule.')) window.sessionStorage.removeItem(key);
}

/** Trades the code for a session token. Returns what went wrong, "" when nothing did. */
async function login(code) {
  let token;
  try {
    ({ session_token: token } = await api.post('/auth/login', { code }, { auth: false }));
  } catch (error) {
    return loginFailure(error);
  }
  if (typeof token !== 'string' || !token) return 'The server answered without a session token.';
  session.keep(token);
  return '';
}

/** Takes the code out of the address bar at once: it must not stay in the history. */
function takeCode() {
  const code = codeFromHash(window.location.hash);
  if (code) window.history.replaceState(null, '', window.location.pathname + window.location.search);
  return code;
}

async function boot() {
  const code = takeCode();
  const failure = code ? await login(code) : '';
  if (session.token) {
    byId('starting').hidden = true;
    showMain();
    return;
  }
  if (failure) {
    showLogin(failure);
    return;
  }
  await withoutToken();
}

/** In open mode (D2) loopback needs no token; the first answer tells. */
async function withoutToken() {
  try {
    const response = await api.raw('GET', '/workspaces', { auth: false });
    byId('starting').hidden = true;
    if (response.ok) showMain();
    else showLogin(response.status === 401 ? '' : explain(await errorOf(response)));
  } catch (error) {
    showLogin(explain(error));
  }
}

byId('login-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const field = byId('login-code');
  const code = codeFromInput(field.value);
  const reason = byId('login-reason');
  reason.hidden = false;
  if (!code) {
    setText(reason, 'That is neither a login link nor a code. Paste what “molecule login” printed.');
    return;
  }
  const button = byId('login-submit');
  button.disabled = true;
  setText(reason, 'Signing in…');
  const failure = await login(code);
  button.disabled = false;
  setText(reason, failure);
  reason.hidden = !failure;
  if (failure) field.select();
  else {
    field.value = '';
    showMain();
  }
});

byId('sign-out').addEventListener('click', async () => {
  // The session ends here whatever the server says; a token it could not end expires by itself.
  await api.post('/auth/logout', {}).catch(() => null);
  session.forget();
  showLogin('You signed out.');
});

byId('problem-retry').addEventListener('click', () => main?.refresh());
byId('panes').addEventListener('click', (event) => {
  const { pane } = event.target.dataset;
  if (pane) showPane(pane);
});

// A login link opened in a tab that shows this page already changes the fragment only.
window.addEventListener('hashchange', async () => {
  const code = takeCode();
  if (!code) return;
  const failure = await login(code);
  if (!failure) showMain();
  else if (!main) showLogin(failure);
});
// Another tab signed in or out.
window.addEventListener('storage', (event) => {
  if (!Session.concerns(event)) return;
  if (session.token) showMain();
  else if (main) showLogin('You signed out in another tab.');
});
window.addEventListener('online', () => main?.live.hurry());
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') main?.live.hurry();
});
window.addEventListener('pagehide', () => main?.live.stop());
window.addEventListener('pageshow', (event) => {
  // Back from the browser's page cache: the socket was closed on leaving.
  if (event.persisted) main?.start();
});

showPane('tree');
boot();
