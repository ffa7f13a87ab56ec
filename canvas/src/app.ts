/** What runs behind the page: session, HTTP, socket, conversations. One of each. */

import { socketUrl } from './lib/base';
import { Chat, type Kept } from './lib/chat';
import type { Envelope } from './lib/events';
import { ApiError, Http, loginError } from './lib/http';
import { obj, parseJson, str, list } from './lib/json';
import { Live } from './lib/live';
import { codeFromHash, loginFailure, Session } from './lib/session';
import type { ActivityRow, EventRow } from './lib/api';
import { hopsOf } from './replay/history';
import { loadFailed, loadLog, loadWorkspaces, resetOrg, seedLinks, setLive, takeEvents, useOrg } from './store/org';
import { announce, toast, useUi } from './ui/store';
import { create } from 'zustand';
import { QueryClient } from '@tanstack/react-query';

/** Milliseconds between two re-reads of the list while the socket is down (UI-14). */
const POLL_DOWN_MS = 10_000;
/** Milliseconds without an event after which the list is read again all the same. */
const POLL_QUIET_MS = 30_000;
/** Milliseconds within which several reasons to re-read the list become one. */
const RELOAD_MS = 1_500;
/** Events taken in at once at most; the rest follows in the next frame. */
const EVENTS_PER_FRAME = 2_000;

export type Entry =
  | { kind: 'starting' }
  /** Signing in is needed; why, if there is something to say. */
  | { kind: 'login'; reason: string; busy: boolean }
  | { kind: 'in' };

export const useEntry = create<{ entry: Entry }>(() => ({ entry: { kind: 'starting' } }));

const enter = (entry: Entry) => useEntry.setState({ entry });

export const session = new Session(window.localStorage);

export const http = new Http({
  fetch: (url, init) => fetch(url, init),
  token: () => session.token,
  onUnauthorized: (used) => {
    // One refused call must not sign anybody out while a newer session of another tab is there (UI-8).
    if (session.forget(used)) leave(used ? 'Your session has ended. Sign in again with a fresh link.' : '');
  },
});

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // Answers of the server are final; only a lost connection is worth another try.
      retry: (failures, error) => failures < 1 && error instanceof ApiError && error.kind === 'network',
      refetchOnWindowFocus: false,
    },
    mutations: { retry: false },
  },
});

// ---- sign-in ----------------------------------------------------------------------------------------------------------

/** Signs in with what the address carries, or goes in with the session that is there. */
export async function start(): Promise<void> {
  const code = codeFromHash(window.location.hash);
  if (code) {
    // The code must survive neither in the address nor in the history.
    window.history.replaceState(null, '', window.location.pathname + window.location.search);
    await signIn(code);
  } else {
    await goIn();
  }
}

export async function signIn(code: string): Promise<void> {
  enter({ kind: 'login', reason: '', busy: true });
  try {
    const answer = obj(await http.json('POST', '/auth/login', { body: { code }, auth: false }));
    session.keep(str(answer.session_token));
    await goIn();
  } catch (error) {
    // An old link opened in a browser that is signed in already: the code is spent, the session is not.
    if (session.token && error instanceof ApiError && error.status === 401) {
      await goIn();
      return;
    }
    enter({ kind: 'login', reason: loginFailure(loginError(error)), busy: false });
  }
}

export async function signOut(): Promise<void> {
  try {
    await http.json('POST', '/auth/logout', { body: {} });
  } catch {
    // Whatever the server says, this browser forgets the session.
  }
  session.forget();
  leave('You are signed out.');
}

function leave(reason: string): void {
  live.stop();
  window.clearInterval(poll);
  for (const chat of chats.values()) chat.close();
  chats.clear();
  queries.clear();
  resetOrg();
  useUi.setState({ open: null, selected: new Set(), dialog: null, asking: null, toasts: [] });
  enter({ kind: 'login', reason, busy: false });
}

async function goIn(): Promise<void> {
  try {
    loadWorkspaces(await http.json('GET', '/workspaces'));
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return;
    loadFailed(error);
  }
  enter({ kind: 'in' });
  live.start();
  window.clearInterval(poll);
  poll = window.setInterval(pollIfNeeded, POLL_DOWN_MS);
}

// ---- the organisation -------------------------------------------------------------------------------------------------

let poll = 0;
let reading: Promise<void> | null = null;
let again = false;
let reloadTimer: number | undefined;
let lastHeard = Date.now();

/** Reads the list again; calls during a reading become one further reading. */
export function reload(): Promise<void> {
  if (reading) {
    again = true;
    return reading;
  }
  reading = readWorkspaces().finally(() => {
    reading = null;
    if (again) {
      again = false;
      reloadSoon();
    }
  });
  return reading;
}

async function readWorkspaces(): Promise<void> {
  try {
    loadWorkspaces(await http.json('GET', '/workspaces'));
  } catch (error) {
    loadFailed(error);
  }
}

export function reloadSoon(): void {
  reloadTimer ??= window.setTimeout(() => {
    reloadTimer = undefined;
    void reload();
  }, RELOAD_MS);
}

function pollIfNeeded(): void {
  if (document.visibilityState === 'hidden') return;
  const down = useOrg.getState().live !== 'live';
  if (down || Date.now() - lastHeard > POLL_QUIET_MS) {
    lastHeard = Date.now();
    reloadSoon();
  }
}

async function readLog(): Promise<void> {
  try {
    const rows = await http.json('GET', '/events');
    loadLog(Array.isArray(rows) ? (rows as EventRow[]) : []);
  } catch {
    // The log fills from the socket; the replay says by itself when it cannot read.
  }
}

/** Workspaces whose last messages are read, and readings at once. */
const SEEDED = 60;
const PARALLEL = 6;

/** The messages of the last hour, so that the chart is not silent when a page opens. One failing feed is left out. */
async function readLinks(): Promise<void> {
  const ids = [...useOrg.getState().byId.keys()].slice(0, SEEDED);
  const worker = async () => {
    for (let id = ids.shift(); id !== undefined; id = ids.shift()) {
      const query = 'type=a2a_receive&source=agent&since_secs=3600&limit=100';
      const rows = await http.json('GET', `/workspaces/${id}/activity?${query}`).catch(() => null);
      const hops = hopsOf(Array.isArray(rows) ? (rows as ActivityRow[]) : []);
      if (hops.length > 0) seedLinks(hops);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

// ---- the socket -------------------------------------------------------------------------------------------------------

const waiting: Envelope[] = [];
let frame: number | undefined;

/** Events of one frame are one change of the store (UI-136). */
function flush(): void {
  frame = undefined;
  const batch = waiting.splice(0, EVENTS_PER_FRAME);
  if (waiting.length > 0) frame = requestFrame();
  for (const event of batch) chats.get(event.workspace_id)?.hear(event);
  if (takeEvents(batch)) reloadSoon();
  for (const listener of eventListeners) listener(batch);
}

// A hidden tab gets no animation frames, and must not fall behind.
const requestFrame = () =>
  document.visibilityState === 'hidden' ? window.setTimeout(flush, 250) : window.requestAnimationFrame(flush);

const eventListeners = new Set<(events: readonly Envelope[]) => void>();

/** Hears live events in batches, after the store has taken them in. */
export function onEvents(listener: (events: readonly Envelope[]) => void): () => void {
  eventListeners.add(listener);
  return () => eventListeners.delete(listener);
}

const live = new Live({
  ticket: async () => {
    if (!session.token) return null;
    return str(obj(await http.json('POST', '/auth/tickets', { body: {} })).ticket) || null;
  },
  connect: (path) => new WebSocket(socketUrl(path)),
  onEvent: (event) => {
    lastHeard = Date.now();
    waiting.push(event);
    frame ??= requestFrame();
  },
  onState: setLive,
  onOpen: (first) => {
    if (!first) {
      toast('success', 'Live updates restored');
      void queries.invalidateQueries();
    }
    // Nothing is replayed by the socket: what happened meanwhile is read.
    void reload().then(() => (first ? readLinks() : undefined));
    void readLog();
    for (const chat of chats.values()) chat.reloadSoon();
  },
});

// ---- conversations ----------------------------------------------------------------------------------------------------

const chats = new Map<string, Chat>();

export function chatOf(id: string): Chat {
  const known = chats.get(id);
  if (known) return known;
  const key = `molecule.chat.${id}`;
  const chat = new Chat(id, {
    http,
    workspace: () => useOrg.getState().byId.get(id),
    announce,
    store: {
      load: () => {
        try {
          return keptOf(parseJson(sessionStorage.getItem(key) ?? 'null'));
        } catch {
          return null;
        }
      },
      save: (kept) => {
        try {
          if (kept) sessionStorage.setItem(key, JSON.stringify(kept));
          else sessionStorage.removeItem(key);
        } catch {
          // Full or refused storage: the draft then lasts as long as the page.
        }
      },
    },
  });
  chats.set(id, chat);
  return chat;
}

function keptOf(value: unknown): Kept | null {
  const kept = obj(value);
  const local = list(kept.local).filter((each) => str(obj(each).key) && str(obj(each).text)) as Kept['local'];
  return { draft: str(kept.draft), ...(local ? { local } : {}) };
}

// ---- the world outside ------------------------------------------------------------------------------------------------

window.addEventListener('online', () => live.hurry());
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') live.hurry();
});
window.addEventListener('storage', (event) => {
  if (!Session.concerns(event)) return;
  const { entry } = useEntry.getState();
  if (entry.kind === 'login' && session.token) void goIn();
  else if (entry.kind === 'in' && !session.token && event.oldValue) leave('You signed out in another tab.');
});
