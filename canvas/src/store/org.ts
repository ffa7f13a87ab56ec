/** The organisation as this page knows it: one store, fed by `/workspaces` and by the socket. */

import { create } from 'zustand';
import type { Workspace } from '../lib/api';
import { describe, fromRow, LIVE_ONLY, type Envelope } from '../lib/events';
import type { EventRow } from '../lib/api';
import type { LiveState } from '../lib/live';
import { applyEvents, fromList, type Workspaces } from './events';
import type { Hop } from '../replay/history';
import { applyHops, pruneLinks, withRecorded, type Links } from './links';

/** Lines kept of the event log. */
export const LOG_LIMIT = 400;
/** Milliseconds for which ids deleted here are left out of what the server lists (UI-16). */
const HIDE_DELETED_MS = 10_000;

export interface LogEntry extends Envelope {
  key: string;
}

export interface OrgState {
  phase: 'loading' | 'ready' | 'failed';
  /** Why the organisation could not be read; "" when it could. */
  error: unknown;
  byId: Workspaces;
  /** Grows when the tree or a place in it changes; what the layout depends on. */
  shape: number;
  links: Links;
  log: readonly LogEntry[];
  live: LiveState;
  /** Milliseconds until the next attempt, while `live` is `waiting`. */
  waitMs: number;
  /** Workspaces whose settings changed since they were started. */
  stale: ReadonlySet<string>;
  /** Subtrees that are being deleted (UI-43). */
  deleting: ReadonlySet<string>;
  /** Workspaces that start for the first time. */
  fresh: ReadonlySet<string>;
}

const EMPTY: OrgState = {
  phase: 'loading',
  error: null,
  byId: new Map(),
  shape: 0,
  links: new Map(),
  log: [],
  live: 'connecting',
  waitMs: 0,
  stale: new Set(),
  deleting: new Set(),
  fresh: new Set(),
};

export const useOrg = create<OrgState>(() => EMPTY);

const hidden = new Map<string, number>();
/** Changes made here that a list which was asked for before they were stored does not know of yet. */
const ahead = new Map<string, { patch: Partial<Workspace>; stored: number | null }>();
let nextKey = 0;

/** Back to nothing: the person signed out. */
export function resetOrg(): void {
  hidden.clear();
  ahead.clear();
  useOrg.setState(EMPTY, true);
}

/**
 * Takes in what `GET /workspaces` answered. `asked`: when it was asked for; what was changed here since, or is being
 * stored right now, stays as it is shown.
 */
export function loadWorkspaces(list: unknown, now = Date.now(), asked = now): void {
  for (const [id, until] of hidden) if (until < now) hidden.delete(id);
  for (const [id, one] of ahead) if (one.stored !== null && one.stored <= asked) ahead.delete(id);
  useOrg.setState((state) => {
    const byId = fromList(list, state.byId, new Set(hidden.keys()), ahead);
    const reshaped = state.phase !== 'ready' || !sameShape(state.byId, byId);
    return {
      phase: 'ready',
      error: null,
      byId,
      shape: reshaped ? state.shape + 1 : state.shape,
      links: pruneLinks(state.links, (id) => byId.has(id), now),
      fresh: freshOf(state, byId),
    };
  });
}

/** The organisation could not be read. What is known already stays. */
export function loadFailed(error: unknown): void {
  useOrg.setState((state) => (state.phase === 'ready' ? state : { phase: 'failed', error }));
}

/** Takes in live events, many at once. Says whether a re-read is needed. */
export function takeEvents(envelopes: readonly Envelope[]): boolean {
  let refresh = false;
  useOrg.setState((state) => {
    const effect = applyEvents(state.byId, envelopes);
    refresh = effect.refresh;
    const links = pruneLinks(applyHops(state.links, envelopes), (id) => effect.byId.has(id), Date.now());
    const lines = envelopes.filter((envelope) => describe(envelope, () => '') !== null).map(entry);
    const stale = restarted(state.stale, envelopes);
    return {
      byId: effect.byId,
      shape: effect.reshaped ? state.shape + 1 : state.shape,
      fresh: freshOf(state, effect.byId),
      links,
      stale,
      log: lines.length > 0 ? [...lines.reverse(), ...state.log].slice(0, LOG_LIMIT) : state.log,
    };
  });
  return refresh;
}

/** Takes in what `GET /events` recorded; of the live entries those stay that are not in it. */
export function loadLog(rows: readonly EventRow[]): void {
  useOrg.setState((state) => {
    const recorded = rows.map(fromRow).filter((event) => describe(event, () => '') !== null);
    const newest = Math.max(0, ...recorded.map((event) => Date.parse(event.timestamp) || 0));
    const kept = state.log.filter((one) => LIVE_ONLY.has(one.event) || Date.parse(one.timestamp) > newest);
    const all = [...kept, ...recorded.map(entry)];
    all.sort((a, b) => (Date.parse(b.timestamp) || 0) - (Date.parse(a.timestamp) || 0));
    return { log: all.slice(0, LOG_LIMIT) };
  });
}

/** Takes in the messages of the last hour that the record holds (UI-48). */
export function seedLinks(hops: readonly Hop[]): void {
  useOrg.setState((state) => ({
    links: pruneLinks(withRecorded(state.links, hops), (id) => state.byId.has(id), Date.now()),
  }));
}

/**
 * Changes workspaces at once, before the server has answered. Hands back what to call with those that the server refused:
 * they go back, the others are settled.
 */
export function patchLocal(
  changes: ReadonlyMap<string, Partial<Workspace>>,
): (refused: ReadonlySet<string>, now?: number) => void {
  const before = useOrg.getState().byId;
  for (const [id, patch] of changes) ahead.set(id, { patch: { ...ahead.get(id)?.patch, ...patch }, stored: null });
  useOrg.setState((state) => {
    const byId = new Map(state.byId);
    for (const [id, patch] of changes) {
      const current = byId.get(id);
      if (current) byId.set(id, { ...current, ...patch });
    }
    return { byId, shape: state.shape + 1 };
  });
  return (refused, now = Date.now()) => {
    for (const id of changes.keys()) {
      const one = ahead.get(id);
      if (refused.has(id)) ahead.delete(id);
      else if (one) one.stored = now;
    }
    if (refused.size === 0) return;
    useOrg.setState((state) => {
      const byId = new Map(state.byId);
      for (const [id, patch] of changes) {
        const [current, old] = [byId.get(id), before.get(id)];
        if (!refused.has(id) || !current || !old) continue;
        const restored = Object.fromEntries((Object.keys(patch) as (keyof Workspace)[]).map((key) => [key, old[key]]));
        byId.set(id, { ...current, ...restored });
      }
      return { byId, shape: state.shape + 1 };
    });
  };
}

/** They are there again: what the list says of them counts at once. */
export function unhide(ids: Iterable<string>): void {
  for (const id of ids) hidden.delete(id);
}

/** A subtree was deleted here: gone at once, and not brought back by a list that was under way (UI-16, UI-43). */
export function removeLocal(ids: ReadonlySet<string>, now = Date.now()): void {
  for (const id of ids) hidden.set(id, now + HIDE_DELETED_MS);
  useOrg.setState((state) => {
    const byId = new Map(state.byId);
    for (const id of ids) byId.delete(id);
    return { byId, shape: state.shape + 1, deleting: without(state.deleting, ids) };
  });
}

export function setDeleting(ids: ReadonlySet<string>, on: boolean): void {
  useOrg.setState((state) => ({
    deleting: on ? new Set([...state.deleting, ...ids]) : without(state.deleting, ids),
  }));
}

/** Their settings changed: they need a restart to apply. */
export function markStale(ids: Iterable<string>): void {
  useOrg.setState((state) => ({ stale: new Set([...state.stale, ...ids]) }));
}

export function setLive(live: LiveState, waitMs: number): void {
  useOrg.setState({ live, waitMs });
}

const entry = (event: Envelope): LogEntry => ({ ...event, key: `e${(nextKey += 1)}` });

const without = (set: ReadonlySet<string>, gone: ReadonlySet<string>): ReadonlySet<string> =>
  new Set([...set].filter((id) => !gone.has(id)));

function restarted(stale: ReadonlySet<string>, envelopes: readonly Envelope[]): ReadonlySet<string> {
  const started = envelopes.filter((one) => one.event === 'WORKSPACE_PROVISIONING' && stale.has(one.workspace_id));
  return started.length > 0 ? without(stale, new Set(started.map((one) => one.workspace_id))) : stale;
}

/** Those that appeared while they started and have not left that state yet. One that shows a card has run before. */
function freshOf(before: OrgState, byId: Workspaces): ReadonlySet<string> {
  if (byId === before.byId) return before.fresh;
  const fresh = new Set<string>();
  for (const [id, row] of byId) {
    if (row.status !== 'provisioning') continue;
    if (before.byId.has(id) ? before.fresh.has(id) : row.agent_card === null) fresh.add(id);
  }
  const same = fresh.size === before.fresh.size && [...fresh].every((id) => before.fresh.has(id));
  return same ? before.fresh : fresh;
}

/** Whether the same workspaces stand in the same places. */
function sameShape(a: Workspaces, b: Workspaces): boolean {
  if (a.size !== b.size) return false;
  for (const [id, one] of b) {
    const old = a.get(id);
    if (!old) return false;
    if (old === one) continue;
    const moved = old.x !== one.x || old.y !== one.y || old.collapsed !== one.collapsed;
    if (moved || old.parent_id !== one.parent_id || old.name !== one.name) return false;
  }
  return true;
}
