import { ContextMenu } from 'radix-ui';
import { useState } from 'react';
import { arrange, askDelete, askRestartAll, fold, move, restart, boxesNow, undo } from '../actions';
import {
  askPause,
  CAN,
  duplicate,
  expand,
  exportBundle,
  hibernate,
  mayHibernate,
  mayPause,
  mayResume,
  mayWake,
  resume,
  wake,
} from '../lifecycle';
import { useOrg } from '../store/org';
import { command } from '../ui/keys';
import { focusOn, openPanel, select, showDialog, useUi } from '../ui/store';
import type { Tree } from './tree';

/** The menu of a card, of a selection, or of the chart, by pointer or by the menu key (UI-41). */
export function GraphMenu({ tree, children }: { tree: Tree; children: React.ReactNode }) {
  const [id, setId] = useState<string | null>(null);
  const selected = useUi((state) => state.selected);
  const aim = (event: React.MouseEvent) => {
    setId((event.target as HTMLElement).closest<HTMLElement>('.react-flow__node')?.dataset.id ?? null);
  };
  const many = id !== null && selected.has(id) && selected.size > 1;
  return (
    <ContextMenu.Root modal={false}>
      <ContextMenu.Trigger asChild onContextMenu={aim}>
        {children}
      </ContextMenu.Trigger>
      <ContextMenu.Portal>
        <ContextMenu.Content className="menu anim-rise" loop>
          {id === null && <ChartItems />}
          {id !== null && many && <SelectionItems ids={[...selected]} />}
          {id !== null && !many && <CardItems id={id} tree={tree} />}
        </ContextMenu.Content>
      </ContextMenu.Portal>
    </ContextMenu.Root>
  );
}

function Item({
  run,
  keys,
  danger = false,
  children,
}: {
  run: () => void;
  keys?: string;
  danger?: boolean;
  children: React.ReactNode;
}) {
  return (
    <ContextMenu.Item className={`menu-item ${danger ? 'text-bad' : ''}`} onSelect={run}>
      {children}
      {keys && <span className="text-[11px] text-ink-3">{keys}</span>}
    </ContextMenu.Item>
  );
}

const Line = () => <ContextMenu.Separator className="my-1 h-px bg-line" />;

function CardItems({ id, tree }: { id: string; tree: Tree }) {
  const row = useOrg((state) => state.byId.get(id));
  if (!row) return null;
  const team = (tree.children.get(id)?.length ?? 0) > 0;
  const external = row.runtime === 'external';
  const child = tree.parent.has(id);
  return (
    <>
      <Item run={() => openPanel(id, 'details')}>Details</Item>
      <Item run={() => openPanel(id, 'chat')}>Chat</Item>
      <Item run={() => openPanel(id, 'activity')}>Activity</Item>
      {!external && <Item run={() => showDialog({ kind: 'logs', id })}>Logs</Item>}
      <Line />
      <Item run={() => showDialog({ kind: 'create', parent: id })}>New workspace below…</Item>
      {team && (
        <>
          <Item run={() => void arrange(id)}>Arrange children</Item>
          <Item run={() => void fold(id, !row.collapsed)} keys={row.collapsed ? '+' : '-'}>
            {row.collapsed ? 'Open team' : 'Fold team'}
          </Item>
          <Item run={() => focusOn([id])} keys="Z">
            Zoom to team
          </Item>
        </>
      )}
      {!team && CAN.expand && <Item run={() => void expand(id)}>Expand to team</Item>}
      {child && (
        <Item
          run={() => {
            const boxes = boxesNow();
            const box = boxes.get(id);
            const right = Math.max(...[...boxes.values()].map((each) => each.absX + each.w));
            if (box) void move([{ id, x: right + 60, y: box.absY }], null, boxes);
          }}
        >
          Extract from team
        </Item>
      )}
      <Line />
      {mayPause(row) && <Item run={() => askPause([id])}>Pause…</Item>}
      {mayResume(row) && <Item run={() => void resume(id)}>Resume</Item>}
      {mayWake(row) && <Item run={() => void wake(id)}>Wake</Item>}
      {mayHibernate(row) && <Item run={() => void hibernate(id)}>Put to sleep</Item>}
      {!external && row.status !== 'awaiting_agent' && row.status !== 'paused' && (
        <Item run={() => void restart(id)}>{row.status === 'failed' ? 'Try again' : 'Restart'}</Item>
      )}
      {CAN.export && <Item run={() => void exportBundle(id)}>Export bundle</Item>}
      {CAN.export && CAN.import && <Item run={() => void duplicate(id)}>Duplicate</Item>}
      <Item run={() => askDelete([id])} keys="Del" danger>
        Delete…
      </Item>
    </>
  );
}

function SelectionItems({ ids }: { ids: readonly string[] }) {
  return (
    <>
      <Item run={() => focusOn(ids)}>Zoom to selection</Item>
      <Item run={() => askRestartAll(ids)}>Restart {ids.length}…</Item>
      {CAN.pause && <Item run={() => askPause(ids)}>Pause {ids.length}…</Item>}
      <Line />
      <Item run={() => askDelete(ids)} keys="Del" danger>
        Delete {ids.length}…
      </Item>
    </>
  );
}

function ChartItems() {
  return (
    <>
      <Item run={() => showDialog({ kind: 'create' })} keys="N">
        New workspace…
      </Item>
      <Item run={() => showDialog({ kind: 'templates' })}>Templates…</Item>
      <Line />
      <Item run={() => void arrange(null)}>Arrange everything</Item>
      <Item run={() => focusOn([...boxesNow().keys()])}>Show everything</Item>
      <Item run={() => select(useOrg.getState().byId.keys())} keys={command('A')}>
        Select all
      </Item>
      <Item run={() => void undo()} keys={command('Z')}>
        Undo
      </Item>
    </>
  );
}
