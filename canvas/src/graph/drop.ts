/** What becomes of a card that is dragged: where it lands, and what is asked before it changes teams (UI-32…36). */

import type { OnNodeDrag } from '@xyflow/react';
import { useCallback } from 'react';
import { move, nameOf } from '../actions';
import { cut } from '../lib/text';
import { confirm, useUi } from '../ui/store';
import { dropTarget, leaves, type Box } from './layout';
import type { WsNode } from './nodes';
import { useDrag } from './state';
import { isWithin, selectedRoots, subtree, type Tree } from './tree';

type Boxes = ReadonlyMap<string, Box>;

export interface DragHandlers {
  onNodeDragStart: OnNodeDrag<WsNode>;
  onNodeDrag: OnNodeDrag<WsNode>;
  onNodeDragStop: OnNodeDrag<WsNode>;
}

/** `reset` puts every card back to where the layout has it. */
export function useDragging(tree: Tree, boxes: Boxes, reset: () => void): DragHandlers {
  const onNodeDragStart: OnNodeDrag<WsNode> = useCallback(() => useDrag.setState({ dragging: true }), []);
  const onNodeDrag: OnNodeDrag<WsNode> = useCallback(
    (event, node) => {
      const box = boxes.get(node.id);
      if (!box) return;
      const excluded = new Set([...useUi.getState().selected, node.id].flatMap((id) => [...subtree(tree, id)]));
      const drop = landing(node, box, boxes, excluded, held(event));
      useDrag.setState({ target: drop.changes && drop.parent ? drop.parent : null });
    },
    [boxes, tree],
  );
  const onNodeDragStop: OnNodeDrag<WsNode> = useCallback(
    (event, node, dragged) => {
      useDrag.setState({ target: null, dragging: false });
      const box = boxes.get(node.id);
      if (!box) return;
      const ids = selectedRoots(
        tree,
        dragged.map((each) => each.id),
      );
      const excluded = new Set(ids.flatMap((id) => [...subtree(tree, id)]));
      const drops = dragged
        .filter((each) => ids.includes(each.id))
        .map((each) => ({ id: each.id, ...absolute(each, boxes) }));
      const still = drops.every(({ id, x, y }) => {
        const at = boxes.get(id);
        return at && Math.abs(at.absX - x) < 1 && Math.abs(at.absY - y) < 1;
      });
      if (still) return;
      const drop = landing(node, box, boxes, excluded, held(event));
      if (!drop.changes) {
        void move(drops, undefined, boxes);
        // What stuck out of its team is back inside, also where nothing had to be stored.
        reset();
        return;
      }
      askMove(node.id, drops, drop.parent, { tree, boxes, from: box.parent, reset });
    },
    [boxes, tree, reset],
  );
  return { onNodeDragStart, onNodeDrag, onNodeDragStop };
}

function askMove(
  id: string,
  drops: readonly { id: string; x: number; y: number }[],
  into: string | null,
  { tree, boxes, from, reset }: { tree: Tree; boxes: Boxes; from: string | null; reset: () => void },
): void {
  const what = drops.length === 1 ? `“${cut(nameOf(id), 40)}”` : `${drops.length} workspaces`;
  const out = into === null || (from !== null && isWithin(tree, from, into));
  confirm({
    title: out ? `Extract ${what}?` : `Nest ${what}?`,
    text: into
      ? `${what} will report to “${cut(nameOf(into), 40)}” and talk to that team.`
      : `${what} will stand at the top of the chart, under no one.`,
    action: out ? 'Extract' : 'Nest',
    run: () => move(drops, into, boxes),
    cancel: reset,
  });
}

const held = (event: MouseEvent | TouchEvent | React.MouseEvent): boolean =>
  'metaKey' in event && (event.metaKey || event.ctrlKey);

function absolute(node: WsNode, boxes: Boxes): { x: number; y: number } {
  const parent = node.parentId === undefined ? undefined : boxes.get(node.parentId);
  return { x: (parent?.absX ?? 0) + node.position.x, y: (parent?.absY ?? 0) + node.position.y };
}

/** Whether a card dropped here changes teams, and to which (UI-33…35). */
function landing(
  node: WsNode,
  box: Box,
  boxes: Boxes,
  excluded: ReadonlySet<string>,
  extract: boolean,
): { changes: boolean; parent: string | null } {
  const at = absolute(node, boxes);
  const centre = { x: at.x + box.w / 2, y: at.y + Math.min(box.h, 120) / 2 };
  const parent = box.parent === null ? undefined : boxes.get(box.parent);
  if (extract && parent) return { changes: true, parent: null };
  const target = dropTarget(boxes.values(), centre, excluded);
  if (!parent) return { changes: target !== null, parent: target?.id ?? null };
  const inside = target?.id === parent.id;
  if (target && !inside && target.depth > parent.depth) return { changes: true, parent: target.id };
  const relative = { x: at.x - parent.absX, y: at.y - parent.absY, w: box.w, h: box.h };
  if (!leaves(relative, parent)) return { changes: false, parent: parent.id };
  const beyond = inside ? dropTarget(boxes.values(), centre, new Set([...excluded, parent.id])) : target;
  return { changes: true, parent: beyond?.id ?? null };
}
