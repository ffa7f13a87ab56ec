import { ChevronRight } from 'lucide-react';
import { useState } from 'react';
import { nameOf } from '../actions';
import type { ActivityRow as Row } from '../lib/api';
import { boundedChunk, tamed } from '../lib/bounded';
import { isFailure } from '../lib/events';
import { cut, duration, words } from '../lib/text';
import { Ago } from '../ui/bits';

/** One row of a feed; opened, what was asked and what was answered. */
export function ActivityRow({ row }: { row: Row }) {
  const [open, setOpen] = useState(false);
  const bad = isFailure(row.status);
  const a2a = row.activity_type.startsWith('a2a_') || row.activity_type === 'delegation';
  const title = a2a
    ? `${cut(nameOf(row.source_id ?? null), 30)} → ${cut(nameOf(row.target_id ?? row.workspace_id), 30)}`
    : words(row.activity_type);
  return (
    <li className="border-b border-line">
      <button
        type="button"
        className="flex w-full items-start gap-2 px-4 py-2 text-left hover:bg-surface-2"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <ChevronRight
          size={13}
          className={`mt-1 shrink-0 text-ink-3 transition-transform ${open ? 'rotate-90' : ''}`}
          aria-hidden
        />
        <span className="min-w-0 flex-1">
          <span className="flex items-baseline gap-2">
            <span className="min-w-0 truncate text-[13px] font-medium">{title}</span>
            <span className={`text-[11.5px] ${bad ? 'text-bad' : 'text-ink-3'}`}>{row.status}</span>
            {typeof row.duration_ms === 'number' && (
              <span className="text-[11.5px] text-ink-3 tabular-nums">{duration(row.duration_ms)}</span>
            )}
          </span>
          {row.summary && (
            <span className="text line-clamp-2 text-[12.5px] text-ink-2">{tamed(cut(row.summary, 400))}</span>
          )}
        </span>
        <Ago at={row.created_at} />
      </button>
      {open && <Detail row={row} />}
    </li>
  );
}

/** What an error of a hop most likely means, and what helps (UI-99). */
export function likelyCause(detail: string): string {
  if (/budget/i.test(detail)) return 'Its budget is used up. Raise the limit to let messages through.';
  if (/timed? ?out|idle|deadline/i.test(detail))
    return 'The agent took too long. It may still be working; look at its activity before asking again.';
  if (/refused|unreachable|no url|connect/i.test(detail))
    return 'The agent is not running or cannot be reached. Restart it and ask again.';
  if (/access|not allowed|hierarchy/i.test(detail))
    return 'The two may not talk: agents reach their own team, their lead and their reports.';
  if (/401|403|unauthori[sz]ed|token/i.test(detail))
    return 'A token was refused. Restarting the agent gives it a fresh one.';
  if (/rate|429|quota/i.test(detail))
    return 'The model’s provider limits the rate. Wait a little, or use another model.';
  return '';
}

function Detail({ row }: { row: Row }) {
  const detail = (row.error_detail ?? '').replace(/^\[A2A_ERROR\]\s*/, '');
  const cause = likelyCause(detail);
  return (
    <div className="space-y-2 px-4 pb-3">
      {detail && (
        <div className="notice notice-bad">
          <div className="min-w-0">
            <p className="text max-h-40 overflow-y-auto whitespace-pre-wrap" tabIndex={0}>
              {tamed(cut(detail, 4_000))}
            </p>
            {cause && <p className="mt-1 text-ink-2">{cause}</p>}
          </div>
        </div>
      )}
      <Json title="Asked" value={row.request_body} />
      <Json title="Answered" value={row.response_body} />
      <Json title="Tools used" value={row.tool_trace} />
      <p className="text-[11.5px] text-ink-3">
        {row.method && `${row.method} · `}
        {row.id}
      </p>
    </div>
  );
}

export function Json({ title, value }: { title: string; value: unknown }) {
  const [pages, setPages] = useState(1);
  if (value === null || value === undefined) return null;
  const { shown, rest } = boundedChunk(JSON.stringify(value, null, 2), pages);
  return (
    <details open>
      <summary className="text-[12px] font-medium text-ink-2">{title}</summary>
      <pre
        className="text mt-1 max-h-80 overflow-auto rounded-lg border border-line bg-code p-2.5 font-mono text-[12px] whitespace-pre-wrap"
        tabIndex={0}
      >
        {shown}
      </pre>
      {rest > 0 && (
        <button type="button" className="link text-[12px]" onClick={() => setPages((n) => n + 1)}>
          Show more ({rest.toLocaleString()} characters left)
        </button>
      )}
    </details>
  );
}
