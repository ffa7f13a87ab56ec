import { RotateCw, ScrollText, X } from 'lucide-react';
import { Tabs } from 'radix-ui';
import { lazy, Suspense, useEffect, useRef } from 'react';
import { restart } from '../actions';
import type { Workspace } from '../lib/api';
import { mayResume, mayWake, resume, wake } from '../lifecycle';
import { tamed } from '../lib/bounded';
import { useOrg } from '../store/org';
import { hintFor, runtimePill, statusView } from '../store/statuses';
import { Loading } from '../ui/bits';
import { StatusMark } from '../ui/StatusMark';
import { closePanel, PANEL_MAX, PANEL_MIN, setPanelWidth, showDialog, useUi, type PanelTab } from '../ui/store';

/** The tabs in their order. A tab is a room of its own, read when it is first opened. */
const TABS: readonly { id: PanelTab; label: string; View: React.ComponentType<{ workspace: Workspace }> }[] = [
  { id: 'chat', label: 'Chat', View: lazy(() => import('./ChatTab')) },
  { id: 'comms', label: 'Comms', View: lazy(() => import('./CommsTab')) },
  { id: 'activity', label: 'Activity', View: lazy(() => import('./ActivityTab')) },
  { id: 'details', label: 'Details', View: lazy(() => import('./DetailsTab')) },
  { id: 'config', label: 'Config', View: lazy(() => import('./ConfigTab')) },
  { id: 'secrets', label: 'Secrets', View: lazy(() => import('./SecretsTab')) },
  { id: 'tokens', label: 'Tokens', View: lazy(() => import('./TokensTab')) },
  { id: 'events', label: 'Events', View: lazy(() => import('./EventsTab')) },
  { id: 'danger', label: 'Danger', View: lazy(() => import('./DangerTab')) },
];

export default function SidePanel({ id }: { id: string }) {
  const workspace = useOrg((state) => state.byId.get(id));
  const tab = useUi((state) => state.tab);
  const width = useUi((state) => state.panelWidth);
  if (!workspace) return null;
  return (
    <aside
      className="anim-slide relative flex max-w-full shrink-0 flex-col border-l border-line bg-surface max-sm:absolute max-sm:inset-0 max-sm:top-13 max-sm:z-20 max-sm:!w-full"
      style={{ width }}
      aria-label={`Workspace ${workspace.name}`}
    >
      <Resizer width={width} />
      <Head workspace={workspace} />
      <Tabs.Root
        key={id}
        value={tab}
        onValueChange={(value) => useUi.setState({ tab: value as PanelTab })}
        className="flex min-h-0 flex-1 flex-col"
      >
        <Tabs.List
          className="flex shrink-0 justify-between overflow-x-auto border-b border-line px-[11px]"
          aria-label="Views of this workspace"
        >
          {TABS.map((each) => (
            <Tabs.Trigger
              key={each.id}
              value={each.id}
              className="-mb-px border-b-2 border-transparent px-[5px] py-2 text-[12px] font-medium whitespace-nowrap -outline-offset-2 text-ink-2 hover:text-ink data-[state=active]:border-accent data-[state=active]:text-ink"
            >
              {each.label}
            </Tabs.Trigger>
          ))}
        </Tabs.List>
        {TABS.map(({ id: value, View }) => (
          <Tabs.Content key={value} value={value} className="flex min-h-0 flex-1 flex-col" tabIndex={-1}>
            <Suspense fallback={<Loading what={value} />}>
              <View workspace={workspace} />
            </Suspense>
          </Tabs.Content>
        ))}
      </Tabs.Root>
    </aside>
  );
}

function Head({ workspace }: { workspace: Workspace }) {
  const { id, status } = workspace;
  const view = statusView(status);
  const pill = runtimePill(workspace.runtime);
  const stale = useOrg((state) => state.stale.has(id));
  const external = workspace.runtime === 'external';
  return (
    <header className={`shrink-0 px-4 pt-3 pb-2 tone-${view.tone}`}>
      <div className="flex items-center gap-2">
        <StatusMark status={status} size={14} />
        <h2
          className="min-w-0 flex-1 truncate text-[16px] font-semibold tracking-tight"
          dir="auto"
          title={workspace.name}
        >
          {tamed(workspace.name)}
        </h2>
        {!external && (
          <>
            <button
              type="button"
              className="btn btn-ghost btn-icon"
              title="Logs"
              aria-label="Logs"
              onClick={() => showDialog({ kind: 'logs', id })}
            >
              <ScrollText size={15} aria-hidden />
            </button>
            <button
              type="button"
              className="btn btn-ghost btn-icon"
              title={status === 'failed' ? 'Try again' : 'Restart'}
              aria-label={status === 'failed' ? 'Try again' : 'Restart'}
              onClick={() => void restart(id)}
            >
              <RotateCw size={15} aria-hidden />
            </button>
          </>
        )}
        <button
          type="button"
          className="btn btn-ghost btn-icon -mr-2"
          aria-label="Close panel"
          title="Close (Esc)"
          onClick={closePanel}
        >
          <X size={16} aria-hidden />
        </button>
      </div>
      {workspace.role && (
        <p className="text mt-0.5 line-clamp-2 text-[13px] text-ink-2" dir="auto" title={workspace.role}>
          {tamed(workspace.role)}
        </p>
      )}
      <div className="mt-1.5 flex flex-wrap items-center gap-1.5">
        <span className="pill border-transparent bg-(--tone)/12 text-(--tone)" role="status">
          {view.label}
        </span>
        {pill && (
          <span className="pill" title={pill.title}>
            {pill.text}
          </span>
        )}
        <span className="pill">Tier {workspace.tier}</span>
        {workspace.delivery_mode === 'poll' && <span className="pill">polls for messages</span>}
      </div>
      <Notices workspace={workspace} stale={stale} />
    </header>
  );
}

/** What is the matter, and what to do about it (UI-61). */
function Notices({ workspace, stale }: { workspace: Workspace; stale: boolean }) {
  const { id, status, last_sample_error: error, current_task: task } = workspace;
  const hint = hintFor(workspace);
  const bad = status === 'failed';
  const external = workspace.runtime === 'external';
  const troubled = bad || status === 'degraded';
  return (
    <div className="mt-2 space-y-1.5 empty:hidden">
      {hint && (
        <div
          className={`notice ${bad ? 'notice-bad' : status === 'degraded' ? 'notice-warn' : ''}`}
          {...(bad ? { role: 'alert' } : {})}
        >
          <div className="min-w-0 flex-1">
            {troubled && error && (
              <p className="text mb-1 max-h-32 overflow-y-auto font-medium whitespace-pre-wrap" tabIndex={0}>
                {tamed(error)}
              </p>
            )}
            <p className="text-ink-2">{hint}</p>
          </div>
          {mayResume(workspace) && (
            <button type="button" className="link shrink-0" onClick={() => void resume(id)}>
              Resume
            </button>
          )}
          {mayWake(workspace) && (
            <button type="button" className="link shrink-0" onClick={() => void wake(id)}>
              Wake it now
            </button>
          )}
          {troubled && !external && (
            <div className="flex shrink-0 flex-col items-end gap-1">
              <button type="button" className="link" onClick={() => void restart(id)}>
                Try again
              </button>
              <button type="button" className="link" onClick={() => showDialog({ kind: 'logs', id })}>
                Logs
              </button>
            </div>
          )}
        </div>
      )}
      {stale && (
        <div className="notice notice-warn items-center">
          <p className="flex-1">Settings changed. Restart to apply them.</p>
          <button type="button" className="link" onClick={() => void restart(id)}>
            Restart
          </button>
        </div>
      )}
      {task && (
        <p className="notice" role="status">
          <span className="text line-clamp-3">
            <span className="text-ink-2">Working on:</span> {tamed(task)}
          </span>
        </p>
      )}
    </div>
  );
}

const STEP = 24;

/** The panel's edge: dragged, or moved by arrow keys (UI-84). */
function Resizer({ width }: { width: number }) {
  const stop = useRef<(() => void) | null>(null);
  useEffect(() => () => stop.current?.(), []);
  const grab = (event: React.PointerEvent) => {
    event.preventDefault();
    const from = event.clientX;
    const follow = (move: PointerEvent) => setPanelWidth(width + from - move.clientX);
    const end = () => {
      window.removeEventListener('pointermove', follow);
      window.removeEventListener('pointerup', end);
      stop.current = null;
    };
    stop.current = end;
    window.addEventListener('pointermove', follow);
    window.addEventListener('pointerup', end);
  };
  return (
    <div
      role="separator"
      aria-orientation="vertical"
      aria-label="Width of the panel"
      aria-valuenow={width}
      aria-valuemin={PANEL_MIN}
      aria-valuemax={PANEL_MAX}
      tabIndex={0}
      className="absolute inset-y-0 -left-1 z-10 w-2 cursor-col-resize after:absolute after:inset-y-0 after:left-[3px] after:w-0.5 after:transition-colors hover:after:bg-accent focus-visible:after:bg-accent max-sm:hidden"
      onPointerDown={grab}
      onKeyDown={(event) => {
        if (event.key === 'ArrowLeft') setPanelWidth(width + STEP);
        else if (event.key === 'ArrowRight') setPanelWidth(width - STEP);
      }}
    />
  );
}
