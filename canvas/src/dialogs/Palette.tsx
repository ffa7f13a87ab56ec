import { useMemo, useRef, useState } from 'react';
import { Dialog } from 'radix-ui';
import { arrange, askDelete, restart, undo, boxesNow } from '../actions';
import { signOut } from '../app';
import { tamed } from '../lib/bounded';
import { cut } from '../lib/text';
import { useOrg } from '../store/org';
import { statusView } from '../store/statuses';
import { StatusMark } from '../ui/StatusMark';
import { focusOn, openPanel, setTheme, showDialog, useUi } from '../ui/store';

const SHOWN = 50;

interface Row {
  key: string;
  text: string;
  more: string;
  status?: string;
  run: () => void;
}

/** Everything by name: workspaces and commands (UI-52). */
export function Palette({ onClose }: { onClose: () => void }) {
  const byId = useOrg((state) => state.byId);
  const open = useUi((state) => state.open);
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const rows = useMemo(() => {
    const typed = text.toLowerCase().trim();
    const wanted = typed.split(/\s+/).filter(Boolean);
    const hit = (hay: string) => wanted.every((word) => hay.includes(word));
    const ranked: { rank: number; row: Row }[] = [];
    for (const row of byId.values()) {
      const label = statusView(row.status).label;
      if (!hit(`${row.name} ${row.role ?? ''} ${label} ${row.runtime}`.toLowerCase())) continue;
      const name = row.name.toLowerCase();
      const at = name.indexOf(wanted[0] ?? '');
      ranked.push({
        // The very name comes first, then names that begin with what was typed, with its first word, that hold it, and last
        // what says it otherwise.
        rank: name === typed ? 0 : name.startsWith(typed) ? 1 : at === 0 ? 2 : at > 0 ? 3 : 4,
        row: {
          key: row.id,
          text: row.name,
          more: row.role ?? '',
          status: row.status,
          run: () => {
            openPanel(row.id);
            focusOn([row.id]);
          },
        },
      });
    }
    ranked.sort((a, b) => a.rank - b.rank);
    const found = ranked.slice(0, SHOWN).map(({ row }) => row);
    const commands = commandsFor(open).filter((command) => hit(`${command.text} ${command.more}`.toLowerCase()));
    return wanted.length > 0 ? [...found, ...commands] : [...commands.slice(0, 5), ...found];
  }, [byId, text, open]);
  const current = Math.min(at, Math.max(0, rows.length - 1));
  const move = (to: number) => {
    const next = (to + rows.length) % Math.max(1, rows.length);
    setAt(next);
    list.current?.children[next]?.scrollIntoView({ block: 'nearest' });
  };
  const choose = (row: Row | undefined) => {
    if (!row) return;
    onClose();
    row.run();
  };
  return (
    <Dialog.Root open onOpenChange={(now) => !now && onClose()}>
      <Dialog.Portal>
        <div className="fixed inset-0 z-40 bg-scrim" aria-hidden />
        <Dialog.Content
          aria-describedby={undefined}
          className="anim-rise fixed top-[12vh] left-1/2 z-50 flex max-h-[70vh] w-[92vw] max-w-xl -translate-x-1/2 flex-col overflow-hidden rounded-2xl border border-line bg-surface shadow-high"
        >
          <Dialog.Title className="sr-only">Search</Dialog.Title>
          <input
            className="h-13 shrink-0 border-b border-line bg-transparent px-4 text-[15px] outline-none placeholder:text-ink-3"
            placeholder="Find a workspace or a command"
            role="combobox"
            aria-expanded
            aria-controls="palette-list"
            aria-activedescendant={rows.length > 0 ? `palette-${current}` : undefined}
            aria-label="Find a workspace or a command"
            autoFocus
            value={text}
            onChange={(event) => {
              setText(event.target.value);
              setAt(0);
            }}
            onKeyDown={(event) => {
              if (event.key === 'ArrowDown') move(current + 1);
              else if (event.key === 'ArrowUp') move(current - 1);
              else if (event.key === 'Enter') choose(rows[current]);
              else return;
              event.preventDefault();
            }}
          />
          <p className="sr-only" role="status">
            {rows.length} found
          </p>
          <ul ref={list} id="palette-list" role="listbox" aria-label="Found" className="min-h-0 overflow-y-auto p-1.5">
            {rows.map((row, index) => (
              <li
                key={row.key}
                id={`palette-${index}`}
                role="option"
                aria-selected={index === current}
                className={`flex cursor-pointer items-center gap-2.5 rounded-lg px-2.5 py-2 ${index === current ? 'bg-surface-3' : ''}`}
                onPointerMove={() => setAt(index)}
                onClick={() => choose(row)}
              >
                {row.status ? (
                  <StatusMark status={row.status} />
                ) : (
                  <span className="w-3 text-center text-ink-3">›</span>
                )}
                <span className="min-w-0 max-w-[60%] truncate text-[13.5px] font-medium">
                  {tamed(cut(row.text, 80))}
                </span>
                <span className="min-w-0 flex-1 truncate text-[12.5px] text-ink-3">{tamed(cut(row.more, 120))}</span>
              </li>
            ))}
          </ul>
          {rows.length === 0 && <p className="p-6 text-center text-[13px] text-ink-3">Nothing of that name.</p>}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function commandsFor(open: string | null): Row[] {
  const row = open === null ? undefined : useOrg.getState().byId.get(open);
  const mine: Row[] = row
    ? [
        {
          key: 'c-below',
          text: `New workspace below ${cut(row.name, 30)}`,
          more: '',
          run: () => showDialog({ kind: 'create', parent: row.id }),
        },
        // What runs elsewhere is not started here, and logs there.
        ...(row.runtime === 'external'
          ? []
          : [
              { key: 'c-restart', text: `Restart ${cut(row.name, 30)}`, more: '', run: () => void restart(row.id) },
              {
                key: 'c-logs',
                text: `Logs of ${cut(row.name, 30)}`,
                more: '',
                run: () => showDialog({ kind: 'logs', id: row.id }),
              },
            ]),
        { key: 'c-delete', text: `Delete ${cut(row.name, 30)}`, more: '', run: () => askDelete([row.id]) },
      ]
    : [];
  return [
    { key: 'c-new', text: 'New workspace', more: 'N', run: () => showDialog({ kind: 'create' }) },
    {
      key: 'c-templates',
      text: 'Import an organisation',
      more: 'templates',
      run: () => showDialog({ kind: 'templates' }),
    },
    ...mine,
    { key: 'c-fit', text: 'Show everything', more: 'fit the view', run: () => focusOn([...boxesNow().keys()]) },
    { key: 'c-arrange', text: 'Arrange everything', more: 'auto-layout', run: () => void arrange(null) },
    { key: 'c-undo', text: 'Undo', more: 'the last move or deletion', run: () => void undo() },
    { key: 'c-replay', text: 'Replay the past', more: 'time slider', run: () => useUi.setState({ replay: true }) },
    {
      key: 'c-settings',
      text: 'Settings',
      more: 'secrets, tokens, theme',
      run: () => showDialog({ kind: 'settings' }),
    },
    { key: 'c-dark', text: 'Dark theme', more: 'appearance', run: () => setTheme('dark') },
    { key: 'c-light', text: 'Light theme', more: 'appearance', run: () => setTheme('light') },
    { key: 'c-help', text: 'Help and legend', more: 'keys', run: () => showDialog({ kind: 'help' }) },
    { key: 'c-out', text: 'Sign out', more: '', run: () => void signOut() },
  ];
}
