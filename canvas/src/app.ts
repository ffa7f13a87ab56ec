/** What runs behind the page: session, HTTP, socket, conversations. One of each. */

import { socketUrl } from './lib/base';
import { Chat, type Kept } from './lib/chat';
import type { Envelope } from './lib/events';
import { ApiError, Http, loginError } from './lib/http';
import { list, num, obj, parseJson, str } from './lib/json';
import { Live } from './lib/live';
import { codeFromHash, loginFailure, Session } from './lib/session';
import type { ActivityRow, EventRow } from './lib/api';
import { afterRefusal, passGate, tenant } from './hosted/session';
import { useDrag } from './graph/state';
import { hopsOf } from './replay/history';
import { loadFailed, loadLog, loadWorkspaces, resetOrg, seedLinks, setLive, takeEvents, useOrg } from './store/org';
import { announce, toast, useUi } from './ui/store';
import { create } from 'zustand';
import { QueryClient } from '@tanstack/react-query';

/** Milliseconds between two re-reads of the list while the socket is down (UI-14). */
const POLL_DOWN_MS = 10_000;
/**
 * Milliseconds between two re-reads while it is up. No event tells of a card that was moved, renamed or nested by somebody
 * else. A list that takes long to read is read less often: reading takes a fiftieth of the time at most.
 */
const POLL_LIVE_MS = 5_000;
const POLL_SHARE = 50;
const POLL_TICK_MS = 1_000;
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
  token: () => session.token ?? (import.meta.env.NEXT_PUBLIC_ADMIN_TOKEN || null),
  headers: (): Record<string, string> => (tenant === null ? {} : { 'X-Molecule-Org-Slug': tenant }),
  credentials: tenant === null ? 'omit' : 'include',
  onUnauthorized: (used) => {
    if (tenant !== null) {
      void afterRefusal();
      return;
    }
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
  if (tenant !== null && !(await passGate())) return;
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
  // Whatever the server says, this browser forgets the session.
  const ended = http.json('POST', '/auth/logout', { body: {} }).catch(() => undefined);
  // Before the answer, so that other tabs hear of it from the storage and not from a refusal.
  session.forget();
  await ended;
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
    const read = () => Promise.all([http.json('GET', '/workspaces'), readViewport()]);
    loadWorkspaces((await session.reading(read))[0]);
  } catch (error) {
    // The refusal has led to the door already. A hosted session may be sound all the same, and somebody waits (UI-8).
    if (tenant === null && error instanceof ApiError && error.status === 401) return;
    loadFailed(error);
  }
  enter({ kind: 'in' });
  live.start();
  window.clearInterval(poll);
  poll = window.setInterval(pollIfNeeded, POLL_TICK_MS);
}

/** What the canvas looked at last (ACT-218); null where nobody has looked anywhere yet, or nobody can tell. */
export interface Viewport {
  x: number;
  y: number;
  zoom: number;
}

let firstView: Viewport | null = null;

/** Where the chart begins. */
export const storedViewport = (): Viewport | null => firstView;

/** A view that cannot be read in this time is no reason to wait (UI-12). */
const VIEWPORT_TIMEOUT_MS = 3_000;

async function readViewport(): Promise<void> {
  firstView = null;
  try {
    const answer = obj(await http.json('GET', '/canvas/viewport', { timeoutMs: VIEWPORT_TIMEOUT_MS }));
    const [x, y, zoom] = [num(answer.x), num(answer.y), num(answer.zoom)];
    const first = x === 0 && y === 0 && zoom === 1;
    if (x !== null && y !== null && zoom !== null && zoom > 0 && !first) firstView = { x, y, zoom };
  } catch {
    // The whole chart is shown then.
  }
}

/** Keeps the view for whoever opens the canvas next. Not being able to is nothing to be told of. */
export async function saveViewport(viewport: Viewport): Promise<void> {
  await http.json('PUT', '/canvas/viewport', { body: viewport }).catch(() => null);
}

// ---- the organisation -------------------------------------------------------------------------------------------------

let poll = 0;
let reading: Promise<void> | null = null;
let again = false;
let reloadTimer: number | undefined;
let lastRead = Date.now();
/** How long the last reading took, milliseconds. */
let tookMs = 0;

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
  const asked = Date.now();
  try {
    const rows = await http.json('GET', '/workspaces');
    // The server stamps nothing: what changed here while it answered counts as newer.
    loadWorkspaces(rows, Date.now(), asked);
  } catch (error) {
    loadFailed(error);
  }
  lastRead = Date.now();
  tookMs = lastRead - asked;
}

export function reloadSoon(): void {
  reloadTimer ??= window.setTimeout(() => {
    reloadTimer = undefined;
    void reload();
  }, RELOAD_MS);
}

function pollIfNeeded(): void {
  // A card that is being dragged stays under the pointer.
  if (document.visibilityState === 'hidden' || useDrag.getState().dragging) return;
  const every = useOrg.getState().live === 'live' ? Math.max(POLL_LIVE_MS, POLL_SHARE * tookMs) : POLL_DOWN_MS;
  if (Date.now() - lastRead >= every) void reload();
}

/** Other tabs of this browser. */
const tabs = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel('molecule');
tabs?.addEventListener('message', () => {
  if (useEntry.getState().entry.kind === 'in') reloadSoon();
});

/** Tells them that this one changed something that no event speaks of. */
export const tellTabs = (): void => tabs?.postMessage('changed');

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

/** The messages of the last hour, so that the chart is not silent when a page opens, and misses none that passed while the socket was down. One failing feed is left out. */
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
    if (!session.token && tenant === null) return null;
    return str(obj(await http.json('POST', '/auth/tickets', { body: {} })).ticket) || null;
  },
  connect: (path) => new WebSocket(socketUrl(path)),
  onEvent: (event) => {
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
    void reload().then(readLinks);
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
  if (document.visibilityState !== 'visible') return;
  live.hurry();
  if (useEntry.getState().entry.kind === 'in') reloadSoon();
});
window.addEventListener('storage', (event) => {
  if (!Session.concerns(event)) return;
  const { entry } = useEntry.getState();
  if (entry.kind === 'login' && session.token) void goIn();
  else if (entry.kind === 'in' && !session.token && event.oldValue) leave('You signed out in another tab.');
});
