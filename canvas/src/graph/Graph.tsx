import {
  Background,
  BackgroundVariant,
  Controls,
  ReactFlow,
  ReactFlowProvider,
  applyNodeChanges,
  type NodeChange,
} from '@xyflow/react';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { fold } from '../actions';
import { useReplay } from '../replay/state';
import { useOrg, type OrgState } from '../store/org';
import { closePanel, focusOn, openPanel, select, useUi } from '../ui/store';
import { useDeploys } from './deploys';
import { useDragging } from './drop';
import { GraphMenu } from './GraphMenu';
import { onGraphKey } from './keys';
import { layoutOf } from './layout';
import { LinkEdge } from './LinkEdge';
import { edgesOf, nodesOf, type LinkEdge as LinkEdgeType, type WsNode } from './nodes';
import { Overview } from './Overview';
import { useSizes } from './sizes';
import { treeOf } from './tree';
import {
  firstView,
  fitOptions,
  MAX_ZOOM,
  minZoomOf,
  motionMs,
  onMoveStart,
  useDetailFollowsZoom,
  useFocus,
  useFollow,
  useInSight,
  useKeepView,
} from './view';
import { WorkspaceNode } from './WorkspaceNode';

const nodeTypes = { workspace: WorkspaceNode };
const edgeTypes = { link: LinkEdge };
// What React Flow is handed stays the same objects: it draws every card anew for a new one.
const MULTI = ['Shift', 'Meta', 'Control'];
/** Cards from which on an overview helps. */
const MAPPED = 8;
const controlOptions = { ...fitOptions, duration: motionMs(300) };

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

  const fresh = useOrg((state) => state.fresh);
  const sizes = useSizes((state) => state.sizes);

  // Rows change with every beat; tree and layout only when the shape does.
  const { tree, boxes } = useMemo(() => {
    void shape;
    const { byId } = useOrg.getState();
    const ordered = treeOf(byId.values());
    return { tree: ordered, boxes: layoutOf(byId, ordered, sizes) };
  }, [shape, sizes]);

  const [view] = useState(() => firstView(boxes));
  const deploys = useDeploys(fresh, tree);
  const tabStop = active && boxes.has(active) ? active : (tree.roots[0] ?? null);
  const [revision, setRevision] = useState(0);
  const input = { boxes, tree, selected, active: tabStop, deleting, deploys };
  const [nodes, setNodes] = useState<WsNode[]>(() => nodesOf({ ...input, byId: useOrg.getState().byId }, []));
  useEffect(() => {
    void revision;
    const { byId } = useOrg.getState();
    setNodes((before) => nodesOf({ boxes, tree, byId, selected, active: tabStop, deleting, deploys }, before));
  }, [boxes, tree, selected, tabStop, deleting, deploys, labels, revision]);

  const edgesBefore = useRef<LinkEdgeType[]>([]);
  const edges = useMemo(() => {
    const next = showLinks ? edgesOf(links, boxes, tree, edgesBefore.current) : [];
    edgesBefore.current = next;
    return next;
  }, [links, boxes, tree, showLinks]);

  useDetailFollowsZoom();
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
    const moves = changes.filter(
      (change) => change.type === 'position' || (change.type === 'dimensions' && change.resizing !== undefined),
    );
    if (moves.length > 0) setNodes((before) => applyNodeChanges(moves, before));
  }, []);

  const reset = useCallback(() => setRevision((n) => n + 1), []);

  const drag = useDragging(tree, boxes, reset);
  const onMoveEnd = useKeepView();
  const minZoom = useMemo(() => minZoomOf(boxes), [boxes]);

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
          {...drag}
          onNodeClick={onNodeClick}
          onNodeDoubleClick={onNodeDoubleClick}
          onPaneClick={onPaneClick}
          onMoveStart={onMoveStart}
          onMoveEnd={onMoveEnd}
          minZoom={minZoom}
          maxZoom={MAX_ZOOM}
          defaultViewport={view}
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
          <Controls
            showInteractive={false}
            fitViewOptions={controlOptions}
            position="bottom-right"
            className={`overflow-hidden ${boxes.size >= MAPPED ? '!bottom-44' : ''} rounded-lg border border-line shadow-card`}
          />
        </ReactFlow>
        {boxes.size >= MAPPED && <Overview boxes={boxes} labels={labels} />}
      </div>
    </GraphMenu>
  );
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
