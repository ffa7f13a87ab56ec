import { NodeResizeControl, ResizeControlVariant, type NodeProps } from '@xyflow/react';
import { ChevronDown, ChevronRight, RotateCw } from 'lucide-react';
import { memo } from 'react';
import { useShallow } from 'zustand/react/shallow';
import { askCancel, fold, restart } from '../actions';
import type { Workspace } from '../lib/api';
import { list, obj, str } from '../lib/json';
import { cut } from '../lib/text';
import { tamed } from '../lib/bounded';
import { useReplay } from '../replay/state';
import { useOrg } from '../store/org';
import { runtimePill, statusView } from '../store/statuses';
import { StatusMark } from '../ui/StatusMark';
import { useUi } from '../ui/store';
import { CARD_W, HEAD_H } from './layout';
import { setSize } from './sizes';
import { useDetail, useDrag } from './state';
import type { WsData, WsNode } from './nodes';

/** Skills named on a card (UI-29). */
const SKILLS = 4;

/** What a card shows of its workspace. */
type Shown = Pick<
  Workspace,
  | 'id'
  | 'name'
  | 'role'
  | 'status'
  | 'runtime'
  | 'agent_card'
  | 'active_tasks'
  | 'current_task'
  | 'last_sample_error'
  | 'tier'
>;

function shownOf(row: Workspace | undefined): Shown | null {
  if (!row) return null;
  const { id, name, role, status, runtime, agent_card, active_tasks, current_task, last_sample_error, tier } = row;
  return { id, name, role, status, runtime, agent_card, active_tasks, current_task, last_sample_error, tier };
}

/**
 * One workspace. Its own row alone redraws it, and of that only what is shown (UI-135). Nothing here listens to the
 * chart's own store: that changes with every frame of a movement, for hundreds of cards.
 */
export const WorkspaceNode = memo(function WorkspaceNode({ id, data }: NodeProps<WsNode>) {
  const now = useOrg(useShallow((state) => shownOf(state.byId.get(id))));
  const past = useReplay((state) => (state.statuses ? (state.statuses.get(id) ?? '') : null));
  const deleting = useOrg((state) => state.deleting.has(id));
  const stale = useOrg((state) => state.stale.has(id));
  const target = useDrag((state) => state.target === id);
  const detail = useDetail((state) => state.detail);
  const alone = useUi((state) => state.open === id);
  if (!now) return null;
  // In a replay the card shows the state of then, and nothing that is only known of now.
  const workspace = past
    ? { ...now, status: past as Workspace['status'], current_task: '', last_sample_error: '', active_tasks: 0 }
    : now;
  const absent = past === 'absent';
  const view = statusView(workspace.status);
  const starting = workspace.status === 'provisioning';
  return (
    <div
      className={`card tone-${view.tone} ${starting ? 'card-busy' : ''}`}
      data-status={workspace.status}
      data-detail={detail}
      {...(data.open ? { 'data-team': '' } : {})}
      {...(target ? { 'data-target': '' } : {})}
      {...(deleting || data.locked ? { 'data-dim': '' } : {})}
      {...(absent ? { 'data-absent': '' } : {})}
    >
      <span className="card-bar" aria-hidden />
      {detail === 'full' && <Full workspace={workspace} data={data} stale={stale} />}
      {detail === 'name' && <NameOnly workspace={workspace} below={data.below} open={data.open} />}
      {target && (
        <>
          <p className="absolute -top-7 left-2 text-[12px] font-medium text-accent">
            Drop into: {cut(workspace.name, 30)}
          </p>
          <span className="card-slot" aria-hidden />
        </>
      )}
      {alone && detail === 'full' && <Resizers id={id} data={data} />}
    </div>
  );
});

/** Edges by which the card that is open is made larger (UI-37). */
function Resizers({ id, data }: { id: string; data: WsData }) {
  const common = {
    minWidth: data.minW,
    minHeight: data.minH,
    onResizeStart: () => useDrag.setState({ dragging: true }),
    onResizeEnd: (_: unknown, { width, height }: { width: number; height: number }) => {
      useDrag.setState({ dragging: false });
      setSize(id, { w: Math.round(width), h: Math.round(height) });
    },
  };
  return (
    <>
      <NodeResizeControl {...common} position="right" variant={ResizeControlVariant.Line} className="resize-x" />
      <NodeResizeControl {...common} position="bottom" variant={ResizeControlVariant.Line} className="resize-y" />
      <NodeResizeControl {...common} position="bottom-right" className="resize-both" />
    </>
  );
}

function NameOnly({ workspace, below, open }: { workspace: Shown; below: number; open: boolean }) {
  return (
    <div className={`flex min-h-0 items-center gap-3 px-5 ${open ? 'h-[104px]' : 'flex-1'}`}>
      <StatusMark status={workspace.status} size={26} />
      <span className="line-clamp-2 text-[26px] leading-tight font-semibold tracking-tight break-words" dir="auto">
        {cut(tamed(workspace.name), 36)}
      </span>
      {below > 0 && !open && <span className="ml-auto text-[24px] text-ink-3">+{below}</span>}
    </div>
  );
}

function Full({ workspace, data, stale }: { workspace: Shown; data: WsData; stale: boolean }) {
  const { open, below, starting } = data;
  const { id, status, active_tasks: tasks, current_task: task } = workspace;
  const view = statusView(status);
  const pill = runtimePill(workspace.runtime || str(obj(workspace.agent_card).runtime));
  const failure = status === 'failed' || status === 'degraded' ? workspace.last_sample_error : '';
  const skills = skillsOf(workspace);
  return (
    <div
      className="flex min-h-0 flex-col px-4 pt-3 pb-2.5"
      style={open ? { height: HEAD_H } : { flex: 1, maxWidth: CARD_W }}
    >
      <div className="flex items-center gap-2">
        <StatusMark status={status} />
        <span
          className="min-w-0 flex-1 truncate text-[14.5px] font-semibold tracking-tight"
          dir="auto"
          title={workspace.name}
        >
          {tamed(workspace.name)}
        </span>
        {starting > 0 && (
          <button
            type="button"
            className="nodrag pill border-transparent bg-bad/12 text-bad hover:bg-bad/20"
            title="Stop the start of this team and delete it"
            onClick={(event) => {
              event.stopPropagation();
              askCancel(id);
            }}
          >
            Cancel ({starting})
          </button>
        )}
        {below > 0 && (
          <button
            type="button"
            className="nodrag pill -mr-1 hover:border-line-strong hover:text-ink"
            aria-expanded={open}
            aria-label={`${open ? 'Fold' : 'Open'} the team of ${cut(workspace.name, 40)}, ${below} below`}
            onClick={(event) => {
              event.stopPropagation();
              void fold(id, open);
            }}
          >
            {open ? <ChevronDown size={12} aria-hidden /> : <ChevronRight size={12} aria-hidden />}
            {below} sub
          </button>
        )}
      </div>
      <p
        className={`mt-0.5 text-[12.5px] leading-snug break-words text-ink-2 ${open ? 'line-clamp-1' : 'line-clamp-2'}`}
        dir="auto"
      >
        {workspace.role ? cut(tamed(workspace.role), 160) : <span className="text-ink-3">No role described</span>}
      </p>
      <div className="mt-auto flex min-w-0 items-center gap-1.5 pt-1 text-[11.5px]">
        {status !== 'online' && (
          <span className="pill shrink-0 border-transparent bg-(--tone)/12 text-(--tone)">{view.label}</span>
        )}
        {pill && (
          <span className={`pill min-w-0 shrink ${pill.special ? 'border-dashed' : ''}`} title={pill.title}>
            <span className="truncate">{pill.text}</span>
          </span>
        )}
        {tasks > 0 && <span className="pill shrink-0 text-accent">{tasks === 1 ? '1 task' : `${tasks} tasks`}</span>}
        {stale && tasks === 0 ? (
          <button
            type="button"
            className="nodrag pill border-warn text-warn hover:bg-warn/10"
            title="Restart to apply changes"
            onClick={(event) => {
              event.stopPropagation();
              void restart(id);
            }}
          >
            <RotateCw size={11} aria-hidden /> Restart to apply
          </button>
        ) : (
          <span
            className={`min-w-0 flex-[1_2_0] truncate ${failure ? 'text-bad' : 'text-ink-3'}`}
            title={failure || task || skills.join(', ')}
            dir="auto"
          >
            {cut(tamed(failure || task || skillLine(skills)), 120)}
          </span>
        )}
        <span className="ml-auto shrink-0 text-ink-3" title={`Tier ${workspace.tier}`}>
          T{workspace.tier}
        </span>
      </div>
    </div>
  );
}

function skillsOf(workspace: Shown): string[] {
  return list(obj(workspace.agent_card).skills)
    .map((skill) => str(obj(skill).name) || str(obj(skill).id))
    .filter(Boolean);
}

function skillLine(skills: readonly string[]): string {
  const more = skills.length > SKILLS ? ` +${skills.length - SKILLS}` : '';
  return skills.slice(0, SKILLS).join(' · ') + more;
}
