/** The layout as nodes and edges of React Flow. What did not change keeps its identity, and is not drawn again. */

import { Position, type Edge, type Node } from '@xyflow/react';
import { cut } from '../lib/text';
import type { Link, Links } from '../store/links';
import { statusView } from '../store/statuses';
import type { Workspaces } from '../store/events';
import type { Box } from './layout';
import { subtree, type Tree } from './tree';

/** React Flow asks for records of its own. */

export type WsData = {
  /** Its children are drawn inside. */
  open: boolean;
  /** Workspaces below it, at any depth. */
  below: number;
};

export type WsNode = Node<WsData, 'workspace'>;

export type LinkData = { link: Link };
export type LinkEdge = Edge<LinkData, 'link'>;

export interface NodeInput {
  boxes: ReadonlyMap<string, Box>;
  tree: Tree;
  byId: Workspaces;
  selected: ReadonlySet<string>;
  /** The one that the Tab key reaches. */
  active: string | null;
  deleting: ReadonlySet<string>;
}

export function nodesOf(input: NodeInput, before: readonly WsNode[]): WsNode[] {
  const old = new Map(before.map((node) => [node.id, node]));
  return [...input.boxes.values()].map((box) => nodeOf(box, input, old.get(box.id)));
}

function nodeOf(box: Box, { tree, byId, selected, active, deleting }: NodeInput, old: WsNode | undefined): WsNode {
  const row = byId.get(box.id);
  const below = (tree.children.get(box.id)?.length ?? 0) > 0 ? subtree(tree, box.id).size - 1 : 0;
  const ariaLabel = `${cut(row?.name ?? '', 80)} workspace — ${statusView(row?.status ?? '').label}`;
  const isSelected = selected.has(box.id);
  const tabIndex = active === box.id ? 0 : -1;
  const draggable = !deleting.has(box.id);
  const parent = box.parent ?? undefined;
  if (
    old &&
    old.position.x === box.x &&
    old.position.y === box.y &&
    old.width === box.w &&
    old.height === box.h &&
    old.parentId === parent &&
    old.ariaLabel === ariaLabel &&
    old.data.below === below &&
    old.data.open === box.open &&
    Boolean(old.selected) === isSelected &&
    old.draggable === draggable &&
    old.domAttributes?.tabIndex === tabIndex
  ) {
    return old;
  }
  const data = old?.data.below === below && old.data.open === box.open ? old.data : { open: box.open, below };
  return {
    id: box.id,
    type: 'workspace',
    position: { x: box.x, y: box.y },
    width: box.w,
    height: box.h,
    // Known beforehand: nothing has to be measured to draw an edge or to leave a card out.
    measured: { width: box.w, height: box.h },
    handles: [
      { type: 'target', position: Position.Left, x: 0, y: box.h / 2, width: 1, height: 1 },
      { type: 'source', position: Position.Right, x: box.w, y: box.h / 2, width: 1, height: 1 },
    ],
    ...(parent === undefined ? {} : { parentId: parent }),
    zIndex: box.depth,
    data,
    ariaLabel,
    selected: isSelected,
    draggable,
    domAttributes: { tabIndex },
  };
}

export function edgesOf(
  links: Links,
  boxes: ReadonlyMap<string, Box>,
  tree: Tree,
  before: readonly LinkEdge[],
): LinkEdge[] {
  const old = new Map(before.map((edge) => [edge.id, edge]));
  const edges: LinkEdge[] = [];
  for (const link of links.values()) {
    const source = shown(link.from, boxes, tree);
    const target = shown(link.to, boxes, tree);
    if (!source || !target || source === target) continue;
    const known = old.get(link.key);
    if (known && known.source === source && known.target === target && known.data?.link === link) edges.push(known);
    else edges.push({ id: link.key, type: 'link', source, target, data: { link }, zIndex: 1_200, focusable: false });
  }
  return edges;
}

/** The card that stands for a workspace: its own, or that of the folded team it is in. */
function shown(id: string, boxes: ReadonlyMap<string, Box>, tree: Tree): string | null {
  for (let at: string | undefined = id; at !== undefined; at = tree.parent.get(at)) if (boxes.has(at)) return at;
  return null;
}
