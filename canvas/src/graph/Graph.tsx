import {
  Background,
  BackgroundVariant,
  Controls,
  MiniMap,
  ReactFlow,
  ReactFlowProvider,
  applyNodeChanges,
  useReactFlow,
  type NodeChange,
  type OnNodeDrag,
} from '@xyflow/react';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { fold, move, nameOf } from '../actions';
import { cut } from '../lib/text';
import { useReplay } from '../replay/state';
import { useOrg, type OrgState } from '../store/org';
import { statusView } from '../store/statuses';
import { closePanel, confirm, focusOn, openPanel, select, useUi } from '../ui/store';
import { GraphMenu } from './GraphMenu';
import { onGraphKey } from './keys';
import { dropTarget, layoutOf, leaves, type Box } from './layout';
import { LinkEdge } from './LinkEdge';
import { edgesOf, nodesOf, type LinkEdge as LinkEdgeType, type WsNode } from './nodes';
import { useDrag } from './state';
import { isWithin, selectedRoots, subtree, treeOf } from './tree';
import { WorkspaceNode } from './WorkspaceNode';

const nodeTypes = { workspace: WorkspaceNode };
const edgeTypes = { link: LinkEdge };
const fitOptions = { padding: 0.14, maxZoom: 1.05 };
/** Milliseconds after the last new card before the view follows (UI-46). */
const FOLLOW_MS = 500;
/** Pixels kept free around a card that is brought into sight. */
const MARGIN = 16;

const still = () => window.matchMedia('(prefers-reduced-motion: reduce)').matches;
export const motionMs = (ms: number): number => (still() ? 0 : ms);

// What React Flow is handed stays the same objects: it draws every card anew for a new one.
const MULTI = ['Shift', 'Meta', 'Control'];
const controlOptions = { ...fitOptions, duration: motionMs(300) };

function colourOf(node: WsNode): string {
  const row = useOrg.getState().byId.get(node.id);
  const tone = statusView(row?.status ?? '').tone;
  return node.data.open ? `color-mix(in oklab, var(--${tone}) 18%, transparent)` : `var(--${tone})`;
}

function onNodeClick(event: React.MouseEvent, node: WsNode): void {
  if (event.shiftKey || event.metaKey || event.ctrlKey) return;
  if (useUi.getState().open === node.id) closePanel();
  else openPanel(node.id);
}

function onNodeDoubleClick(_: React.MouseEvent, node: WsNode): void {
  if (!node.data.below) return;
  if (!node.data.open) void fold(node.id, false);
  focusOn([node.id]);
}

function onPaneClick(): void {
  closePanel();
  select([]);
}

let userMoved = false;

function onMoveStart(event: MouseEvent | TouchEvent | null): void {
  if (event) userMoved = true;
}

export function Graph() {
  return (
    <ReactFlowProvider>
      <Flow />
    </ReactFlowProvider>
  );
}

function Flow() {
  const shape = useOrg((state) => state.shape);
  const labels = useOrg(labelsOf);
  const linksNow = useOrg((state) => state.links);
  const linksThen = useReplay((state) => state.links);
  const links = linksThen ?? linksNow;
  const deleting = useOrg((state) => state.deleting);
  const showLinks = useUi((state) => state.showLinks);
  const selected = useUi((state) => state.selected);
  const [active, setActive] = useState<string | null>(null);

  // Rows change with every beat; tree and layout only when the shape does.
  const { tree, boxes } = useMemo(() => {
    void shape;
    const { byId } = useOrg.getState();
    const ordered = treeOf(byId.values());
    return { tree: ordered, boxes: layoutOf(byId, ordered) };
  }, [shape]);

  const [nodes, setNodes] = useState<WsNode[]>([]);
  const [revision, setRevision] = useState(0);
  const tabStop = active && boxes.has(active) ? active : (tree.roots[0] ?? null);
  useEffect(() => {
    void revision;
    const { byId } = useOrg.getState();
    setNodes((before) => nodesOf({ boxes, tree, byId, selected, active: tabStop, deleting }, before));
  }, [boxes, tree, selected, tabStop, deleting, labels, revision]);

  const edgesBefore = useRef<LinkEdgeType[]>([]);
  const edges = useMemo(() => {
    const next = showLinks ? edgesOf(links, boxes, tree, edgesBefore.current) : [];
    edgesBefore.current = next;
    return next;
  }, [links, boxes, tree, showLinks]);

  useFollow(boxes);
  useFocus();
  useInSight(boxes);

  const onNodesChange = useCallback((changes: NodeChange<WsNode>[]) => {
    const chosen = changes.filter((change) => change.type === 'select');
    if (chosen.length > 0) {
      const next = new Set(useUi.getState().selected);
      for (const change of chosen) {
        if (change.selected) next.add(change.id);
        else next.delete(change.id);
      }
      select(next);
    }
    // Sizes come from the layout; what is measured tells nothing new.
    const moves = changes.filter((change) => change.type === 'position');
    if (moves.length > 0) setNodes((before) => applyNodeChanges(moves, before));
  }, []);

  const reset = useCallback(() => setRevision((n) => n + 1), []);

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
      useDrag.setState({ target: null });
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
      const what = ids.length === 1 ? `“${cut(nameOf(node.id), 40)}”` : `${ids.length} workspaces`;
      const into = drop.parent;
      const out = into === null || (box.parent !== null && isWithin(tree, box.parent, into));
      confirm({
        title: out ? `Extract ${what}?` : `Nest ${what}?`,
        text: into
          ? `${what} will report to “${cut(nameOf(into), 40)}” and talk to that team.`
          : `${what} will stand at the top of the chart, under no one.`,
        action: out ? 'Extract' : 'Nest',
        run: () => move(drops, into, boxes),
        cancel: reset,
      });
    },
    [boxes, tree, reset],
  );

  return (
    <GraphMenu tree={tree}>
      <div
        id="canvas"
        className="relative h-full min-w-0 flex-1"
        role="region"
        aria-label="Organisation chart"
        onKeyDown={(event) => onGraphKey(event, { tree, boxes, setActive })}
        onFocus={(event) => {
          const id = (event.target as HTMLElement).closest<HTMLElement>('.react-flow__node')?.dataset.id;
          if (id) setActive(id);
        }}
      >
        <ReactFlow
          nodes={nodes}
          edges={edges}
          nodeTypes={nodeTypes}
          edgeTypes={edgeTypes}
          onNodesChange={onNodesChange}
          onNodeDrag={onNodeDrag}
          onNodeDragStop={onNodeDragStop}
          onNodeClick={onNodeClick}
          onNodeDoubleClick={onNodeDoubleClick}
          onPaneClick={onPaneClick}
          onMoveStart={onMoveStart}
          minZoom={0.05}
          maxZoom={2}
          fitView
          fitViewOptions={fitOptions}
          onlyRenderVisibleElements
          nodesFocusable={false}
          edgesFocusable={false}
          disableKeyboardA11y
          nodesConnectable={false}
          elevateNodesOnSelect={false}
          multiSelectionKeyCode={MULTI}
          selectionKeyCode="Shift"
          deleteKeyCode={null}
          zoomOnDoubleClick={false}
          panOnScroll={false}
        >
          <Background variant={BackgroundVariant.Dots} gap={26} size={1.4} />
          <MiniMap<WsNode>
            pannable
            zoomable
            ariaLabel="Overview of the chart"
            nodeColor={colourOf}
            nodeBorderRadius={20}
            className="overflow-hidden rounded-xl border border-line shadow-card"
          />
          <Controls
            showInteractive={false}
            fitViewOptions={controlOptions}
            position="bottom-right"
            className="!bottom-44 overflow-hidden rounded-lg border border-line shadow-card"
          />
        </ReactFlow>
      </div>
    </GraphMenu>
  );
}

/** The card that the panel is about stays in sight when the panel takes its room. */
function useInSight(boxes: ReadonlyMap<string, Box>): void {
  const flow = useReactFlow();
  const open = useUi((state) => state.open);
  const latest = useRef(boxes);
  useEffect(() => {
    latest.current = boxes;
  }, [boxes]);
  useEffect(() => {
    const chart = document.getElementById('canvas');
    if (open === null || !chart) return undefined;
    const reveal = () => {
      const box = latest.current.get(open);
      if (!box) return;
      const { x, y, zoom } = flow.getViewport();
      const { clientWidth: width, clientHeight: height } = chart;
      const [w, h] = [Math.min(box.w * zoom, width), Math.min(box.h * zoom, height)];
      const [left, top] = [box.absX * zoom + x, box.absY * zoom + y];
      const dx = left < MARGIN ? MARGIN - left : Math.min(0, width - MARGIN - left - w);
      const dy = top < MARGIN ? MARGIN - top : Math.min(0, height - MARGIN - top - h);
      if (dx !== 0 || dy !== 0) void flow.setViewport({ x: x + dx, y: y + dy, zoom }, { duration: motionMs(220) });
    };
    // Once for the selection, and again when the panel has taken its room; later resizes are the reader's own.
    let narrowed = false;
    const width = chart.clientWidth;
    const observer = new ResizeObserver(() => {
      if (narrowed || chart.clientWidth === width) return;
      narrowed = true;
      reveal();
    });
    observer.observe(chart);
    reveal();
    return () => observer.disconnect();
  }, [open, flow]);
}

/** Brings into view what was asked for. */
function useFocus(): void {
  const flow = useReactFlow();
  const focus = useUi((state) => state.focus);
  useEffect(() => {
    if (!focus) return undefined;
    const timer = window.setTimeout(() => {
      const nodes = focus.ids.map((id) => ({ id }));
      void flow.fitView({ nodes, padding: 0.3, maxZoom: 1.1, duration: motionMs(350) });
    }, 60);
    return () => window.clearTimeout(timer);
  }, [focus, flow]);
}

/** The view follows new cards, unless a person has moved it since (UI-46). */
function useFollow(boxes: ReadonlyMap<string, Box>): void {
  const flow = useReactFlow();
  const known = useRef<ReadonlySet<string> | null>(null);
  useEffect(() => {
    const ids = new Set(boxes.keys());
    const before = known.current;
    known.current = ids;
    if (!before || before.size === 0) {
      userMoved = false;
    } else {
      const grown = [...ids].some((id) => !before.has(id));
      if (!grown || userMoved) return undefined;
    }
    const timer = window.setTimeout(
      () => {
        void flow.fitView({ ...fitOptions, duration: motionMs(300) });
      },
      before ? FOLLOW_MS : 0,
    );
    return () => window.clearTimeout(timer);
  }, [boxes, flow]);
}

/** Changes only when a card is to be called otherwise: labels hold name and status. Beats change nothing here. */
function labelsOf({ byId }: OrgState): number {
  let hash = byId.size;
  for (const { name, status } of byId.values()) {
    for (let i = 0; i < Math.min(name.length, 80); i += 1) hash = (Math.imul(hash, 31) + name.charCodeAt(i)) | 0;
    for (let i = 0; i < status.length; i += 1) hash = (Math.imul(hash, 31) + status.charCodeAt(i)) | 0;
  }
  return hash;
}

const held = (event: MouseEvent | TouchEvent | React.MouseEvent): boolean =>
  'metaKey' in event && (event.metaKey || event.ctrlKey);

function absolute(node: WsNode, boxes: ReadonlyMap<string, Box>): { x: number; y: number } {
  const parent = node.parentId === undefined ? undefined : boxes.get(node.parentId);
  return { x: (parent?.absX ?? 0) + node.position.x, y: (parent?.absY ?? 0) + node.position.y };
}

/** Whether a card dropped here changes teams, and to which (UI-33…35). */
function landing(
  node: WsNode,
  box: Box,
  boxes: ReadonlyMap<string, Box>,
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
