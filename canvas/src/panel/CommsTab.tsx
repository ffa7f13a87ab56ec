import { useEffect, useMemo, useState } from 'react';
import { nameOf, restart, workspaceOf } from '../actions';
import { onEvents } from '../app';
import type { ActivityRow as Row, Workspace } from '../lib/api';
import { Reply, textOfParts } from '../lib/a2a';
import { boundedChunk } from '../lib/bounded';
import { isFailure } from '../lib/events';
import { obj, str } from '../lib/json';
import { cut, duration } from '../lib/text';
import { Ago, Empty, Failed, Loading } from '../ui/bits';
import { openPanel, toast } from '../ui/store';
import { likelyCause } from './ActivityRow';
import { useActivity } from './queries';

interface Message {
  id: string;
  peer: string;
  out: boolean;
  asked: string;
  answered: string;
  failure: string;
  at: string;
  durationMs: number | null;
}

/** A row as one exchange with a peer; null when it is none. Rows are taken one by one (UI-98). */
export function exchangeOf(row: Row, self: string): Message | null {
  const from = row.source_id ?? null;
  const to = row.target_id ?? row.workspace_id;
  if (from === null || from === to) return null;
  const out = from === self;
  const params = obj(obj(row.request_body).params);
  const asked = textOfParts(obj(params.message).parts) || str(obj(row.request_body).task) || row.summary || '';
  const reply = new Reply().push(row.response_body);
  reply.done = true;
  const failure = isFailure(row.status)
    ? (row.error_detail || reply.error || row.summary || 'failed').replace(/^\[A2A_ERROR\]\s*/, '')
    : '';
  return {
    id: row.id,
    peer: out ? to : from,
    out,
    asked,
    answered: failure ? '' : reply.text,
    failure,
    at: row.created_at,
    durationMs: row.duration_ms ?? null,
  };
}

/** The exchanges of a feed, newest first. That one was begun is left out once it is known how it ended. */
export function exchangesOf(rows: readonly Row[], self: string): Message[] {
  const ended = new Set<string>();
  const found: Message[] = [];
  for (const row of rows) {
    const message = exchangeOf(row, self);
    if (!message) continue;
    const same = `${message.peer}\n${message.out}\n${message.asked}`;
    const begun = row.activity_type === 'a2a_send' && message.durationMs === null && !message.failure;
    if (begun && ended.delete(same)) continue;
    if (!begun) ended.add(same);
    found.push(message);
  }
  return found;
}

/** What this agent and its peers say to each other, by peer. */
export default function CommsTab({ workspace }: { workspace: Workspace }) {
  const { id } = workspace;
  const rows = useActivity(id, 'source=agent&limit=100', 15_000);
  const { refetch } = rows;
  useEffect(
    () =>
      onEvents((events) => {
        const mine = events.some(
          (one) =>
            one.payload.source_id &&
            (one.workspace_id === id || one.payload.source_id === id || one.payload.target_id === id),
        );
        if (mine) void refetch();
      }),
    [id, refetch],
  );
  const [peer, setPeer] = useState('');
  const messages = useMemo(() => exchangesOf(rows.data ?? [], id), [rows.data, id]);
  const counts = useMemo(() => {
    const found = new Map<string, number>();
    for (const message of messages) found.set(message.peer, (found.get(message.peer) ?? 0) + 1);
    return [...found].sort((a, b) => b[1] - a[1]);
  }, [messages]);
  const shown = messages.filter((message) => !peer || message.peer === peer);
  return (
    <>
      {counts.length > 0 && (
        <div
          className="flex shrink-0 gap-1 overflow-x-auto border-b border-line px-4 py-2"
          role="group"
          aria-label="Peers"
        >
          {[['', messages.length] as const, ...counts].map(([each, n]) => (
            <button
              key={each}
              type="button"
              className={`btn h-7 max-w-48 px-2 ${peer === each ? '' : 'btn-ghost'}`}
              aria-pressed={peer === each}
              onClick={() => setPeer(each)}
            >
              <span className="truncate">{each ? cut(nameOf(each), 40) : 'All'}</span>
              <span className="text-ink-3 tabular-nums">{n}</span>
            </button>
          ))}
        </div>
      )}
      <div className="min-h-0 flex-1 overflow-y-auto">
        {rows.isPending && <Loading what="the messages" />}
        {rows.isError && (
          <Failed what="The messages between agents" error={rows.error} retry={() => void rows.refetch()} />
        )}
        {rows.isSuccess && messages.length === 0 && (
          <Empty>No messages between this agent and another one yet. Delegations appear here as they happen.</Empty>
        )}
        <ul className="space-y-3 p-4">
          {shown.map((message) => (
            <Exchange key={message.id} message={message} self={workspace.name} />
          ))}
        </ul>
      </div>
    </>
  );
}

const gone = (peer: string): boolean => {
  if (workspaceOf(peer)) return false;
  toast('error', `${cut(nameOf(peer), 40)} is not part of the organisation any more.`);
  return true;
};

function Exchange({ message, self }: { message: Message; self: string }) {
  const { peer, out, asked, answered, failure, at, durationMs } = message;
  const cause = likelyCause(failure);
  return (
    <li className="rounded-xl border border-line bg-surface-2 p-3">
      <p className="flex items-baseline gap-1.5 text-[12.5px]">
        <span className="truncate font-medium">{out ? cut(self, 30) : cut(nameOf(peer), 30)}</span>
        <span aria-label="to">→</span>
        <span className="truncate font-medium">{out ? cut(nameOf(peer), 30) : cut(self, 30)}</span>
        {durationMs !== null && <span className="text-[11.5px] text-ink-3 tabular-nums">{duration(durationMs)}</span>}
        <span className="ml-auto">
          <Ago at={at} />
        </span>
      </p>
      <Text text={asked} />
      {answered && (
        <div className="mt-2 border-l-2 border-good pl-2.5">
          <Text text={answered} />
        </div>
      )}
      {failure && (
        <div className="notice notice-bad mt-2">
          <div className="min-w-0">
            <p className="text">{cut(failure, 600)}</p>
            {cause && <p className="mt-1 text-ink-2">{cause}</p>}
            <p className="mt-1.5 flex gap-3">
              <button type="button" className="link" onClick={() => !gone(peer) && void restart(peer)}>
                Restart {cut(nameOf(peer), 24)}
              </button>
              <button type="button" className="link" onClick={() => !gone(peer) && openPanel(peer)}>
                Open {cut(nameOf(peer), 24)}
              </button>
            </p>
          </div>
        </div>
      )}
    </li>
  );
}

function Text({ text }: { text: string }) {
  const [open, setOpen] = useState(false);
  if (!text) return null;
  const short = text.length <= 400;
  const shown = open ? boundedChunk(text, 2).shown : cut(text, 400);
  return (
    <p className="text mt-1 text-[13px] whitespace-pre-wrap text-ink-2" dir="auto">
      {shown}{' '}
      {!short && (
        <button type="button" className="link text-[12px]" onClick={() => setOpen(!open)}>
          {open ? 'less' : 'more'}
        </button>
      )}
    </p>
  );
}
