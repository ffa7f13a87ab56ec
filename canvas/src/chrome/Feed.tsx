import { useState } from 'react';
import { nameOf } from '../actions';
import { describe, type Kind } from '../lib/events';
import { cut } from '../lib/text';
import { useOrg } from '../store/org';
import { Ago, Empty, useNow } from '../ui/bits';
import { openPanel } from '../ui/store';

const KINDS: readonly [Kind | 'all', string][] = [
  ['all', 'All'],
  ['message', 'Messages'],
  ['status', 'Status'],
  ['other', 'Other'],
];
const SHOWN = 120;
const DOTS = { plain: 'bg-line-strong', good: 'bg-good', warn: 'bg-warn', bad: 'bg-bad' };

/** What happens, newest first. */
export function Feed() {
  const log = useOrg((state) => state.log);
  const [kind, setKind] = useState<Kind | 'all'>('all');
  useNow(15_000);
  const lines = log
    .map((entry) => ({ entry, line: describe(entry, nameOf) }))
    .filter(({ line }) => line !== null && (kind === 'all' || line.kind === kind))
    .slice(0, SHOWN);
  return (
    <aside className="flex w-80 shrink-0 flex-col border-l border-line bg-surface max-lg:w-64" aria-label="Event feed">
      <div className="flex items-center gap-1 border-b border-line p-2" role="group" aria-label="Kind of events">
        {KINDS.map(([value, text]) => (
          <button
            key={value}
            type="button"
            className={`btn h-7 px-2 ${kind === value ? '' : 'btn-ghost'}`}
            aria-pressed={kind === value}
            onClick={() => setKind(value)}
          >
            {text}
          </button>
        ))}
      </div>
      {lines.length === 0 && <Empty>Nothing of this kind has happened yet.</Empty>}
      <ol className="min-h-0 flex-1 overflow-y-auto py-1" tabIndex={0} aria-label="Events, newest first">
        {lines.map(({ entry, line }) => (
          <li key={entry.key} className="flex gap-2.5 px-3 py-1.5 text-[12.5px]">
            <span className={`mt-1.5 size-1.5 shrink-0 rounded-full ${DOTS[line?.tone ?? 'plain']}`} aria-hidden />
            <div className="min-w-0 flex-1">
              {line?.kind !== 'message' && (
                <button
                  type="button"
                  className="mr-1 max-w-full truncate align-bottom font-medium text-ink hover:underline"
                  onClick={() => openPanel(entry.workspace_id)}
                >
                  {cut(nameOf(entry.workspace_id), 40)}
                </button>
              )}
              <span className="text text-ink-2">{line?.text}</span>
            </div>
            <Ago at={entry.timestamp} />
          </li>
        ))}
      </ol>
    </aside>
  );
}
