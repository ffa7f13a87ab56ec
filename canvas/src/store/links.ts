/** Who talked to whom: the A2A edges of the graph (UI-48). */

import { hopOf, type Envelope } from '../lib/events';

/** Milliseconds for which a hop is drawn. */
export const LINK_LIFE_MS = 60 * 60_000;
/** Most edges drawn at once; the most recent ones. */
export const MAX_LINKS = 400;

export interface Link {
  key: string;
  from: string;
  to: string;
  calls: number;
  /** Epoch milliseconds of the last one. */
  at: number;
  /** The last one failed. */
  failed: boolean;
  /** Grows with every live hop, so that a view can tell that one passed just now. */
  pulse: number;
}

export type Links = ReadonlyMap<string, Link>;

export const linkKey = (from: string, to: string): string => `${from}>${to}`;

/** The links after these events; the same object when none of them is a hop between two workspaces. */
export function applyHops(before: Links, envelopes: readonly Envelope[]): Links {
  let links: Map<string, Link> | null = null;
  for (const envelope of envelopes) {
    const hop = hopOf(envelope);
    // Both ends log the hop; the receiver's row is the one that counts.
    if (!hop?.from || envelope.workspace_id !== hop.to) continue;
    links ??= new Map(before);
    const key = linkKey(hop.from, hop.to);
    const old = links.get(key);
    const at = Date.parse(envelope.timestamp) || Date.now();
    links.set(key, {
      key,
      from: hop.from,
      to: hop.to,
      calls: (old?.calls ?? 0) + 1,
      at: Math.max(at, old?.at ?? 0),
      failed: hop.failed,
      pulse: (old?.pulse ?? 0) + 1,
    });
  }
  return links ?? before;
}

/** Adds what the record tells of the time before this page was open. Live pulses stay what they are. */
export function withRecorded(
  links: Links,
  hops: readonly { at: number; from: string; to: string; failed: boolean }[],
): Links {
  const found = new Map<string, Link>();
  for (const hop of hops) {
    const key = linkKey(hop.from, hop.to);
    const old = found.get(key);
    const newer = !old || hop.at >= old.at;
    found.set(key, {
      key,
      from: hop.from,
      to: hop.to,
      calls: (old?.calls ?? 0) + 1,
      at: newer ? hop.at : old.at,
      failed: newer ? hop.failed : old.failed,
      pulse: 0,
    });
  }
  const all = new Map(links);
  for (const [key, one] of found) {
    const known = all.get(key);
    all.set(key, known ? { ...known, calls: Math.max(known.calls, one.calls) } : one);
  }
  return all;
}

/** Without what is too old or leads nowhere, and at most `MAX_LINKS`, the most recent ones. */
export function pruneLinks(links: Links, exists: (id: string) => boolean, now: number): Links {
  const fresh = [...links.values()].filter(
    (link) => now - link.at < LINK_LIFE_MS && exists(link.from) && exists(link.to),
  );
  if (fresh.length === links.size && fresh.length <= MAX_LINKS) return links;
  fresh.sort((a, b) => b.at - a.at);
  return new Map(fresh.slice(0, MAX_LINKS).map((link) => [link.key, link]));
}
