import {
  CircleHelp,
  History,
  LayoutTemplate,
  LogOut,
  Menu as MenuIcon,
  Moon,
  Plus,
  RotateCw,
  Rss,
  Search,
  Settings,
  Spline,
  Sun,
} from 'lucide-react';
import { DropdownMenu } from 'radix-ui';
import { useMemo } from 'react';
import { askRestartAll } from '../actions';
import { signOut } from '../app';
import { apiUrl } from '../lib/base';
import { count } from '../lib/text';
import { useOrg } from '../store/org';
import { statusCounts, statusView } from '../store/statuses';
import { Logo } from '../ui/Logo';
import { StatusMark } from '../ui/StatusMark';
import { useNow } from '../ui/bits';
import { command } from '../ui/keys';
import { darkNow, select, setFeedOpen, setShowLinks, setTheme, showDialog, useUi } from '../ui/store';

export function Toolbar() {
  return (
    <header className="flex h-13 shrink-0 items-center gap-3 border-b border-line bg-surface px-3">
      <h1 className="flex items-center gap-2 text-[15px] font-semibold tracking-tight">
        <Logo /> <span className="max-sm:sr-only">Molecule</span>
      </h1>
      <LiveState />
      <Counts />
      <div className="ml-auto flex items-center gap-1.5">
        <Stale />
        <button type="button" className="btn" onClick={() => showDialog({ kind: 'palette' })}>
          <Search size={14} aria-hidden />
          <span className="max-lg:sr-only">Search</span>
          <span className="kbd max-lg:hidden" aria-hidden>
            {command('K')}
          </span>
        </button>
        <button type="button" className="btn" onClick={() => showDialog({ kind: 'templates' })}>
          <LayoutTemplate size={14} aria-hidden />
          <span className="max-lg:sr-only">Templates</span>
        </button>
        <button type="button" className="btn btn-primary" onClick={() => showDialog({ kind: 'create' })}>
          <Plus size={15} aria-hidden />
          <span className="max-sm:sr-only">New workspace</span>
        </button>
        <Views />
      </div>
    </header>
  );
}

const LIVE = {
  live: { text: 'Live', tone: 'tone-green' },
  connecting: { text: 'Connecting', tone: 'tone-amber' },
  waiting: { text: 'Reconnecting', tone: 'tone-red' },
} as const;

function LiveState() {
  const live = useOrg((state) => state.live);
  const waitMs = useOrg((state) => state.waitMs);
  const view = LIVE[live];
  const title =
    live === 'live'
      ? 'Changes appear as they happen'
      : live === 'waiting'
        ? `No connection to the server; the next attempt is within ${Math.round(waitMs / 1_000)} s. The list is read every 10 s meanwhile.`
        : 'Connecting to the server';
  return (
    <p className={`pill ${view.tone}`} role="status" title={title}>
      <span className={`size-1.5 rounded-full bg-(--tone) ${live === 'live' ? '' : 'anim-blink'}`} aria-hidden />
      {view.text}
    </p>
  );
}

function Counts() {
  const byId = useOrg((state) => state.byId);
  const { counts, roots } = useMemo(() => {
    const rows = [...byId.values()];
    return {
      counts: statusCounts(rows),
      roots: rows.filter((row) => !row.parent_id || !byId.has(row.parent_id)).length,
    };
  }, [byId]);
  if (byId.size === 0) return null;
  const text = `${count(roots, 'root workspace')}, ${byId.size - roots} below`;
  return (
    <ul
      className="flex min-w-0 items-center gap-1 overflow-hidden max-md:hidden"
      aria-label="Workspaces by status"
      title={text}
    >
      {counts.map(([status, n]) => (
        <li key={status}>
          <button
            type="button"
            className="btn btn-ghost h-7 gap-1.5 px-1.5 tabular-nums"
            title={`Select the ${n.toLocaleString()} ${statusView(status).label.toLowerCase()}`}
            onClick={() => select([...byId.values()].filter((row) => row.status === status).map((row) => row.id))}
          >
            <StatusMark status={status} label={false} /> {n.toLocaleString()}{' '}
            <span className="text-[12px] text-ink-3 max-xl:sr-only">{statusView(status).label}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

/** Those whose settings changed since they were started (UI-54). */
function Stale() {
  const stale = useOrg((state) => state.stale);
  const byId = useOrg((state) => state.byId);
  const ids = [...stale].filter((id) => byId.get(id) && byId.get(id)?.runtime !== 'external');
  if (ids.length === 0) return null;
  return (
    <button
      type="button"
      className="btn border-warn text-warn"
      onClick={() => askRestartAll(ids, 'Restart to apply changed settings?')}
    >
      <RotateCw size={14} aria-hidden /> Restart pending ({ids.length})
    </button>
  );
}

function Views() {
  const showLinks = useUi((state) => state.showLinks);
  const feedOpen = useUi((state) => state.feedOpen);
  const replay = useUi((state) => state.replay);
  const theme = useUi((state) => state.theme);
  const busy = useOrg(({ byId }) => {
    const ids: string[] = [];
    for (const row of byId.values()) if (row.active_tasks > 0 && row.runtime !== 'external') ids.push(row.id);
    return ids.join(' ');
  });
  useNow(60_000);
  const dark = theme === 'system' ? darkNow() : theme === 'dark';
  const working = busy.split(' ').filter(Boolean);
  return (
    <>
      <button
        type="button"
        className="btn btn-ghost btn-icon"
        aria-pressed={feedOpen}
        title="What happens, line by line"
        aria-label="Event feed"
        onClick={() => setFeedOpen(!feedOpen)}
      >
        <Rss size={16} aria-hidden />
      </button>
      <DropdownMenu.Root modal={false}>
        <DropdownMenu.Trigger className="btn btn-ghost btn-icon" aria-label="Menu">
          <MenuIcon size={16} aria-hidden />
        </DropdownMenu.Trigger>
        <DropdownMenu.Portal>
          <DropdownMenu.Content className="menu anim-rise" align="end" sideOffset={6} loop>
            <DropdownMenu.CheckboxItem className="menu-item" checked={showLinks} onCheckedChange={setShowLinks}>
              <span className="flex items-center gap-2">
                <Spline size={14} aria-hidden /> Messages between workspaces
              </span>
              <DropdownMenu.ItemIndicator>✓</DropdownMenu.ItemIndicator>
            </DropdownMenu.CheckboxItem>
            <DropdownMenu.CheckboxItem
              className="menu-item"
              checked={replay}
              onCheckedChange={(on) => useUi.setState({ replay: on })}
            >
              <span className="flex items-center gap-2">
                <History size={14} aria-hidden /> Replay the past
              </span>
              <DropdownMenu.ItemIndicator>✓</DropdownMenu.ItemIndicator>
            </DropdownMenu.CheckboxItem>
            <DropdownMenu.Item className="menu-item" onSelect={() => setTheme(dark ? 'light' : 'dark')}>
              <span className="flex items-center gap-2">
                {dark ? <Sun size={14} aria-hidden /> : <Moon size={14} aria-hidden />} {dark ? 'Light' : 'Dark'} theme
              </span>
            </DropdownMenu.Item>
            <DropdownMenu.Separator className="my-1 h-px bg-line" />
            <DropdownMenu.Item
              className="menu-item"
              disabled={working.length === 0}
              onSelect={() => askRestartAll(working, 'Stop everything that is being worked on?')}
            >
              <span className="flex items-center gap-2">
                <RotateCw size={14} aria-hidden /> Stop all tasks ({working.length})…
              </span>
            </DropdownMenu.Item>
            <DropdownMenu.Separator className="my-1 h-px bg-line" />
            <DropdownMenu.Item className="menu-item" onSelect={() => showDialog({ kind: 'settings' })}>
              <span className="flex items-center gap-2">
                <Settings size={14} aria-hidden /> Settings…
              </span>
              <span className="text-[11px] text-ink-3">{command(',')}</span>
            </DropdownMenu.Item>
            <DropdownMenu.Item className="menu-item" onSelect={() => showDialog({ kind: 'help' })}>
              <span className="flex items-center gap-2">
                <CircleHelp size={14} aria-hidden /> Help and legend
              </span>
              <span className="text-[11px] text-ink-3">?</span>
            </DropdownMenu.Item>
            <DropdownMenu.Item className="menu-item" asChild>
              <a href={apiUrl('/docs')}>API reference</a>
            </DropdownMenu.Item>
            <DropdownMenu.Item className="menu-item" onSelect={() => void signOut()}>
              <span className="flex items-center gap-2">
                <LogOut size={14} aria-hidden /> Sign out
              </span>
            </DropdownMenu.Item>
          </DropdownMenu.Content>
        </DropdownMenu.Portal>
      </DropdownMenu.Root>
    </>
  );
}
