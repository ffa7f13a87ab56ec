/**
 * Where every card stands. Children stand inside their parent (UI-28). What a person placed stays there; the rest is put
 * into rows below it, so that no stored place is ever needed to see a whole organisation.
 */

import type { Workspace } from '../lib/api';
import type { Sizes } from './sizes';
import type { Tree } from './tree';

export const CARD_W = 240;
export const CARD_H = 120;
/** The part of a team's box that shows the team's own head. */
export const HEAD_H = 104;
const GAP = 18;
const PAD = 16;
/** Children further away from their parent's corner than this were placed by somebody who saw another chart. */
const FAR = 8_000;

export interface Box {
  id: string;
  /** Relative to the parent's corner; absolute for roots. */
  x: number;
  y: number;
  /** From the chart's origin. */
  absX: number;
  absY: number;
  w: number;
  h: number;
  /** What it needs at least, for what is in it. */
  minW: number;
  minH: number;
  /** Shown under this one; null for roots. */
  parent: string | null;
  depth: number;
  /** Its children are drawn inside. */
  open: boolean;
  /** Where it stands is stored, not computed. */
  stored: boolean;
}

type Row = Pick<Workspace, 'id' | 'x' | 'y' | 'collapsed'>;

/** Boxes of everything that is drawn, parents before children. A size that a person gave is never gone below (UI-37). */
export function layoutOf(byId: ReadonlyMap<string, Row>, tree: Tree, given: Sizes = new Map()): Map<string, Box> {
  // Loops, not recursion: a chain of thousands is a chart too. Parents come before their children.
  const boxes = new Map<string, Box>();
  const open = (id: string, parent: string | null, depth: number) => {
    const box = { id, x: 0, y: 0, absX: 0, absY: 0, w: CARD_W, h: CARD_H, minW: CARD_W, minH: CARD_H };
    boxes.set(id, { ...box, parent, depth, open: false, stored: false });
  };
  for (const id of tree.roots) open(id, null, 0);
  for (const { id, depth } of boxes.values()) {
    if (!byId.get(id)?.collapsed) for (const child of tree.children.get(id) ?? []) open(child, id, depth + 1);
  }
  const inside = (id: string) => (tree.children.get(id) ?? []).flatMap((child) => boxes.get(child) ?? []);
  for (const box of [...boxes.values()].reverse()) {
    const row = byId.get(box.id);
    const members = row?.collapsed ? [] : inside(box.id);
    box.open = members.length > 0;
    if (box.open) ({ w: box.minW, h: box.minH } = arrange(members, byId, row));
    const size = row?.collapsed ? undefined : given.get(box.id);
    [box.w, box.h] = [Math.max(box.minW, size?.w ?? 0), Math.max(box.minH, size?.h ?? 0)];
  }
  placeRoots(
    tree.roots.flatMap((id) => boxes.get(id) ?? []),
    byId,
  );
  for (const box of boxes.values()) {
    const above = box.parent === null ? undefined : boxes.get(box.parent);
    box.absX = (above?.absX ?? 0) + box.x;
    box.absY = (above?.absY ?? 0) + box.y;
  }
  return boxes;
}

const hasPlace = (row: Row | undefined): row is Row => row !== undefined && (row.x !== 0 || row.y !== 0);

/** Places children inside their parent; hands back the parent's size. */
function arrange(
  boxes: readonly Box[],
  byId: ReadonlyMap<string, Row>,
  parent: Row | undefined,
): { w: number; h: number } {
  const loose: Box[] = [];
  let [right, bottom] = [CARD_W, HEAD_H];
  for (const box of boxes) {
    const row = byId.get(box.id);
    const at = hasPlace(row) && hasPlace(parent) ? { x: row.x - parent.x, y: row.y - parent.y } : null;
    if (!at || at.x < -box.w || at.y < -box.h || at.x > FAR || at.y > FAR) {
      loose.push(box);
      continue;
    }
    box.stored = true;
    box.x = Math.max(PAD, at.x);
    box.y = Math.max(HEAD_H, at.y);
    right = Math.max(right, box.x + box.w + PAD);
    bottom = Math.max(bottom, box.y + box.h + PAD);
  }
  if (loose.length > 0) {
    const top = bottom > HEAD_H ? bottom - PAD + GAP : HEAD_H;
    const rows = shelves(loose, PAD, top, Math.max(rowWidth(loose), right - 2 * PAD));
    right = Math.max(right, rows.right + PAD);
    bottom = Math.max(bottom, rows.bottom + PAD);
  }
  return { w: Math.max(right, CARD_W + 2 * PAD), h: bottom };
}

function placeRoots(roots: readonly Box[], byId: ReadonlyMap<string, Row>): void {
  const loose: Box[] = [];
  let bottom = Number.NEGATIVE_INFINITY;
  let left = Number.POSITIVE_INFINITY;
  for (const box of roots) {
    const row = byId.get(box.id);
    if (!hasPlace(row)) {
      loose.push(box);
      continue;
    }
    box.stored = true;
    [box.x, box.y] = [row.x, row.y];
    bottom = Math.max(bottom, box.y + box.h);
    left = Math.min(left, box.x);
  }
  const empty = bottom === Number.NEGATIVE_INFINITY;
  shelves(loose, empty ? GAP : left, empty ? GAP : bottom + 2 * GAP, rowWidth(loose));
}

/** A width at which the rows come out somewhat wider than high, as screens are. */
function rowWidth(boxes: readonly Box[]): number {
  const area = boxes.reduce((sum, box) => sum + (box.w + GAP) * (box.h + GAP), 0);
  const widest = Math.max(...boxes.map((box) => box.w));
  // Up to three cards stand in one row.
  return Math.max(widest, boxes.length <= 3 ? Number.POSITIVE_INFINITY : Math.sqrt(area * 1.9));
}

/** Rows from left to right, each as high as its highest box. */
function shelves(boxes: readonly Box[], left: number, top: number, width: number): { right: number; bottom: number } {
  let [x, y, high, right] = [left, top, 0, left];
  for (const box of boxes) {
    if (x > left && x + box.w - left > width) {
      y += high + GAP;
      [x, high] = [left, 0];
    }
    [box.x, box.y] = [x, y];
    x += box.w + GAP;
    high = Math.max(high, box.h);
    right = Math.max(right, x - GAP);
  }
  return { right, bottom: y + high };
}

/** The box that a card dropped with its centre here falls into: the deepest, then the smallest one (UI-33). */
export function dropTarget(
  boxes: Iterable<Box>,
  centre: { x: number; y: number },
  excluded: ReadonlySet<string>,
): Box | null {
  let best: Box | null = null;
  for (const box of boxes) {
    if (excluded.has(box.id)) continue;
    const within =
      centre.x >= box.absX && centre.x <= box.absX + box.w && centre.y >= box.absY && centre.y <= box.absY + box.h;
    if (!within) continue;
    const better = !best || box.depth > best.depth || (box.depth === best.depth && box.w * box.h < best.w * best.h);
    if (better) best = box;
  }
  return best;
}

/** Whether a box lies more than a fifth of itself outside of its parent on either axis (UI-35). */
export function leaves(box: { x: number; y: number; w: number; h: number }, parent: { w: number; h: number }): boolean {
  const outX = Math.max(-box.x, box.x + box.w - parent.w, 0) / box.w;
  const outY = Math.max(-box.y, box.y + box.h - parent.h, 0) / box.h;
  return outX > 0.2 || outY > 0.2;
}

/** The nearest card in a direction; what lies aside counts as further away. */
export function neighbour(
  boxes: ReadonlyMap<string, Box>,
  id: string,
  [dx, dy]: readonly [number, number],
): string | undefined {
  const from = boxes.get(id);
  if (!from) return undefined;
  // Of a team its head stands for it.
  const middle = (box: Box) => ({ x: box.absX + box.w / 2, y: box.absY + Math.min(box.h, 120) / 2 });
  const start = middle(from);
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const box of boxes.values()) {
    if (box.id === id) continue;
    const to = middle(box);
    const along = (to.x - start.x) * dx + (to.y - start.y) * dy;
    const aside = Math.abs((to.x - start.x) * dy) + Math.abs((to.y - start.y) * dx);
    if (along <= 1) continue;
    const cost = along + 2.5 * aside;
    if (cost < least) [least, best] = [cost, box.id];
  }
  return best;
}
