import { EdgeLabelRenderer, useInternalNode, type EdgeProps, type InternalNode } from '@xyflow/react';
import { memo } from 'react';
import { nameOf } from '../actions';
import { age, ago, count, cut } from '../lib/text';
import { useNow } from '../ui/bits';
import { openPanel } from '../ui/store';
import { HEAD_H } from './layout';
import type { LinkEdge as LinkEdgeType } from './nodes';
import { useDetail } from './state';

/** Milliseconds after which a hop no longer counts as recent (UI-48). */
const RECENT_MS = 5 * 60_000;

/** A shorter line would be hidden by its label, which then stands beside it. */
const LABEL_ROOM = 110;

/** Who talked to whom: the line between two cards, and a spark for each message that passes. */
export const LinkEdge = memo(function LinkEdge({ source, target, data }: EdgeProps<LinkEdgeType>) {
  const from = useInternalNode(source);
  const to = useInternalNode(target);
  const detail = useDetail((state) => state.detail);
  const now = useNow(30_000);
  if (!from || !to || !data) return null;
  const { link } = data;
  const [a, b] = [anchor(from), anchor(to)];
  const start = border(a, b);
  const end = border(b, a);
  const length = Math.hypot(end.x - start.x, end.y - start.y);
  const middle = { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 };
  // Both directions of one pair bend to different sides.
  const bend = { x: middle.x - (end.y - start.y) * 0.14, y: middle.y + (end.x - start.x) * 0.14 };
  const path = `M${start.x} ${start.y}Q${bend.x} ${bend.y} ${end.x} ${end.y}`;
  const recent = now - link.at < RECENT_MS;
  return (
    <g className={link.failed ? 'tone-red' : 'tone-blue'}>
      <path className="hop" d={path} {...(recent ? { 'data-recent': '' } : {})} />
      <path d={arrow(bend, end)} fill="var(--tone)" opacity={recent ? 0.9 : 0.55} />
      {link.pulse > 0 && <path key={link.pulse} className="hop-pulse" d={path} pathLength={1} />}
      {detail === 'full' && (
        <EdgeLabelRenderer>
          <button
            type="button"
            className="nodrag nopan pointer-events-auto absolute rounded-full border border-line bg-surface px-2 py-px text-[11px] text-ink-2 tabular-nums shadow-card hover:text-ink"
            style={{
              transform: `translate(${length < LABEL_ROOM ? '14px' : '-50%'}, -50%) translate(${(middle.x + bend.x) / 2}px, ${(middle.y + bend.y) / 2}px)`,
              zIndex: 1_300,
            }}
            aria-label={`${cut(nameOf(link.from), 40)} called ${cut(nameOf(link.to), 40)}: ${count(link.calls, 'call')}, last ${ago(link.at, now)}${link.failed ? ', failed' : ''}. Show its messages`}
            onClick={() => openPanel(link.from, 'comms')}
          >
            {count(link.calls, 'call')} · {age(link.at, now)}
          </button>
        </EdgeLabelRenderer>
      )}
    </g>
  );
});

interface Anchor {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** A card; of an open team its head, because its members stand in the rest. */
function anchor(node: InternalNode): Anchor {
  const { x, y } = node.internals.positionAbsolute;
  const w = node.measured.width ?? 0;
  const h = Math.min(node.measured.height ?? 0, node.data.open === true ? HEAD_H : Number.POSITIVE_INFINITY);
  return { x: x + w / 2, y: y + h / 2, w, h };
}

/** Where the line from a card's middle to another's leaves the card. */
function border(from: Anchor, to: Anchor): { x: number; y: number } {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  if (dx === 0 && dy === 0) return from;
  const scale = Math.min(from.w / 2 / (Math.abs(dx) || 1e-9), from.h / 2 / (Math.abs(dy) || 1e-9));
  return { x: from.x + dx * scale, y: from.y + dy * scale };
}

function arrow(from: { x: number; y: number }, tip: { x: number; y: number }): string {
  const angle = Math.atan2(tip.y - from.y, tip.x - from.x);
  const point = (turn: number) => `${tip.x - 9 * Math.cos(angle + turn)} ${tip.y - 9 * Math.sin(angle + turn)}`;
  return `M${tip.x} ${tip.y}L${point(0.45)}L${point(-0.45)}Z`;
}
