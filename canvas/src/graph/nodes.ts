/** The layout as nodes and edges of React Flow. What did not change keeps its identity, and is not drawn again. */

import { Position, type Edge, type Node } from '@xyflow/react';
import { cut } from '../lib/text';
import type { Link, Links } from '../store/links';
import { statusView } from '../store/statuses';
import type { Workspaces } from '../store/events';
import type { Deploys } from './deploys';
import type { Box } from './layout';
import type { Tree } from './tree';

/** React Flow asks for records of its own. */

export type WsData = {
  /** Its children are drawn inside. */
  open: boolean;
  /** Workspaces below it, at any depth. */
  below: number;
  /** Members of its tree that start for the first time, of a root that is being deployed (UI-44). */
  starting: number;
  /** Waits, with all of its team, until that is deployed. */
  locked: boolean;
  /** The least size that holds what is in it. */
  minW: number;
  minH: number;
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
  deploys: Deploys;
}

export function nodesOf(input: NodeInput, before: readonly WsNode[]): WsNode[] {
  const old = new Map(before.map((node) => [node.id, node]));
  // Parents come before their children.
  const roots = new Map<string, string>();
  for (const { id, parent } of input.boxes.values()) roots.set(id, parent === null ? id : (roots.get(parent) ?? id));
  const nodes = [...input.boxes.values()].map((box) => nodeOf(box, input, old.get(box.id), roots));
  return nodes.length === before.length && nodes.every((node, index) => node === before[index])
    ? (before as WsNode[])
    : nodes;
}

function nodeOf(box: Box, input: NodeInput, old: WsNode | undefined, roots: ReadonlyMap<string, string>): WsNode {
  const { tree, byId, selected, active, deleting, deploys } = input;
  const row = byId.get(box.id);
  const data = dataOf(box, tree, deploys, roots.get(box.id), old?.data);
  const ariaLabel = `${cut(row?.name ?? '', 80)} workspace — ${statusView(row?.status ?? '').label}`;
  const isSelected = selected.has(box.id);
  const tabIndex = active === box.id ? 0 : -1;
  const draggable = !deleting.has(box.id) && !data.locked;
  const parent = box.parent ?? undefined;
  if (
    old &&
    old.position.x === box.x &&
    old.position.y === box.y &&
    old.width === box.w &&
    old.height === box.h &&
    old.parentId === parent &&
    old.ariaLabel === ariaLabel &&
    old.data === data &&
    Boolean(old.selected) === isSelected &&
    old.draggable === draggable &&
    old.domAttributes?.tabIndex === tabIndex
  ) {
    return old;
  }
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

function dataOf(box: Box, tree: Tree, deploys: Deploys, root: string | undefined, old: WsData | undefined): WsData {
  const data: WsData = {
    open: box.open,
    below: tree.below.get(box.id) ?? 0,
    starting: deploys.get(box.id) ?? 0,
    locked: root !== undefined && root !== box.id && deploys.has(root),
    minW: box.minW,
    minH: box.minH,
  };
  const keys = Object.keys(data) as (keyof WsData)[];
  return old && keys.every((key) => old[key] === data[key]) ? old : data;
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
