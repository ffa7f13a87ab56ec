/** The past of an organisation: who was in which state when, and who talked to whom. Pure. */

import type { ActivityRow } from '../lib/api';
import { isFailure, type Envelope } from '../lib/events';
import { linkKey, type Link, type Links } from '../store/links';

/** Milliseconds for which a message stays visible on the chart while time passes. */
const TRAIL_SHARE = 0.04;

export interface Change {
  /** Epoch milliseconds. */
  at: number;
  id: string;
  /** A status, or `absent` from here on. */
  status: string;
}

export interface Hop {
  at: number;
  from: string;
  to: string;
  failed: boolean;
}

export interface History {
  from: number;
  to: number;
  /** Oldest first. */
  changes: readonly Change[];
  /** Oldest first. */
  hops: readonly Hop[];
}

const STATUS_OF: Readonly<Record<string, string>> = {
  WORKSPACE_PROVISIONING: 'provisioning',
  WORKSPACE_ONLINE: 'online',
  WORKSPACE_OFFLINE: 'offline',
  WORKSPACE_DEGRADED: 'degraded',
  WORKSPACE_PROVISION_FAILED: 'failed',
  WORKSPACE_AWAITING_AGENT: 'awaiting_agent',
  WORKSPACE_PAUSED: 'paused',
  WORKSPACE_HIBERNATED: 'hibernated',
  WORKSPACE_REMOVED: 'absent',
};

/** The first states of a workspace: one that is first heard of in another one was there before. */
const BIRTHS = new Set(['provisioning', 'awaiting_agent']);

export function changesOf(events: readonly Envelope[]): Change[] {
  return events
    .map((event) => ({ at: Date.parse(event.timestamp), id: event.workspace_id, status: STATUS_OF[event.event] ?? '' }))
    .filter((change) => change.status !== '' && change.id !== '' && Number.isFinite(change.at));
}

/** Messages between two workspaces, from the receivers' feeds. */
export function hopsOf(rows: readonly ActivityRow[]): Hop[] {
  const hops: Hop[] = [];
  for (const row of rows) {
    const at = Date.parse(row.created_at);
    const to = row.target_id ?? row.workspace_id;
    if (!row.source_id || row.source_id === to || row.workspace_id !== to || !Number.isFinite(at)) continue;
    hops.push({ at, from: row.source_id, to, failed: isFailure(row.status) });
  }
  return hops;
}

/** Null when nothing is known of the past. */
export function historyOf(changes: readonly Change[], hops: readonly Hop[], now: number): History | null {
  const byTime = <T extends { at: number }>(list: readonly T[]) => [...list].sort((a, b) => a.at - b.at);
  const [sorted, passed] = [byTime(changes), byTime(hops)];
  const from = Math.min(sorted[0]?.at ?? Number.POSITIVE_INFINITY, passed[0]?.at ?? Number.POSITIVE_INFINITY);
  return Number.isFinite(from) ? { from, to: Math.max(now, from + 1), changes: sorted, hops: passed } : null;
}

/**
 * The states at a moment. Who is first heard of later was not there yet; of whom nothing is recorded is not in the map:
 * they were there before the record begins.
 */
export function statusesAt(history: History, at: number): Map<string, string> {
  const statuses = new Map<string, string>();
  for (const change of history.changes) {
    if (change.at <= at) statuses.set(change.id, change.status);
    // A record that begins in the middle says nothing of the time before.
    else if (!statuses.has(change.id)) statuses.set(change.id, BIRTHS.has(change.status) ? 'absent' : '');
  }
  for (const [id, status] of statuses) if (status === '') statuses.delete(id);
  return statuses;
}

/** The messages that passed just before a moment. */
export function linksAt(history: History, at: number): Links {
  const trail = Math.max(2_000, (history.to - history.from) * TRAIL_SHARE);
  const links = new Map<string, Link>();
  for (const hop of history.hops) {
    if (hop.at > at) break;
    if (hop.at < at - trail) continue;
    const key = linkKey(hop.from, hop.to);
    const calls = (links.get(key)?.calls ?? 0) + 1;
    links.set(key, { key, from: hop.from, to: hop.to, calls, at: hop.at, failed: hop.failed, pulse: hop.at });
  }
  return links;
}

/** The next moment at which something happened, in either direction. */
export function stepFrom(history: History, at: number, direction: 1 | -1): number {
  const moments = [...history.changes, ...history.hops].map((one) => one.at);
  const beyond = moments.filter((one) => (direction === 1 ? one > at : one < at));
  if (beyond.length === 0) return direction === 1 ? history.to : history.from;
  return direction === 1 ? Math.min(...beyond) : Math.max(...beyond);
}
