import { ArrowDown, Bot, Paperclip, SendHorizontal, Square, TriangleAlert } from 'lucide-react';
import {
  lazy,
  memo,
  Suspense,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from 'react';
import { chatOf } from '../app';
import type { Workspace } from '../lib/api';
import { boundedChunk } from '../lib/bounded';
import type { Chat, Pending } from '../lib/chat';
import type { Item } from '../lib/conversation';
import { describe } from '../lib/events';
import { cut, duration, when } from '../lib/text';
import { nameOf } from '../actions';
import { useOrg } from '../store/org';
import { Loading, useNow } from '../ui/bits';

const Markdown = lazy(() => import('../ui/Markdown').then((module) => ({ default: module.Markdown })));

/** Bubbles drawn at once; earlier ones are shown on request. */
const DRAWN = 120;
/** Pixels from the end within which the view stays at the end. */
const NEAR_END = 80;

export default function ChatTab({ workspace }: { workspace: Workspace }) {
  const chat = useMemo(() => chatOf(workspace.id), [workspace.id]);
  const state = useSyncExternalStore(chat.subscribe, chat.snapshot);
  const [drawn, setDrawn] = useState(DRAWN);
  useEffect(() => {
    void chat.reload();
  }, [chat]);
  const { ref, away, toEnd, onScroll } = useReadingPlace(state.items, state.pending);
  const items = state.items.slice(-drawn);
  const earlier = state.items.length > items.length || state.hasMore;
  return (
    <div className="relative flex min-h-0 flex-1 flex-col">
      <div
        ref={ref}
        onScroll={onScroll}
        className="min-h-0 flex-1 overflow-x-hidden overflow-y-auto px-4 py-3"
        role="region"
        aria-label="Messages"
        tabIndex={0}
      >
        {earlier && (
          <p className="pb-3 text-center">
            <button
              type="button"
              className="link text-[12.5px]"
              onClick={() => {
                setDrawn((n) => n + DRAWN);
                if (state.items.length <= drawn && state.hasMore) void chat.loadOlder();
              }}
            >
              Show earlier messages
            </button>
          </p>
        )}
        {state.loading && !state.loaded && <Loading what="the conversation" />}
        {state.loadError && (
          <p className="notice notice-bad" role="alert">
            <span className="text flex-1">The conversation could not be read. {state.loadError}</span>
            <button type="button" className="link" onClick={() => void chat.reload()}>
              Try again
            </button>
          </p>
        )}
        {state.loaded && items.length === 0 && !state.loadError && <Welcome workspace={workspace} />}
        <ol className="space-y-3">
          {items.map((one) => (
            <Bubble key={one.key} item={one} chat={chat} />
          ))}
        </ol>
        {state.pending && <Waiting workspace={workspace} pending={state.pending} />}
      </div>
      {away && (
        <button
          type="button"
          className="btn anim-rise absolute bottom-28 left-1/2 -translate-x-1/2 rounded-full shadow-card"
          onClick={toEnd}
        >
          <ArrowDown size={14} aria-hidden /> Latest
        </button>
      )}
      <Composer chat={chat} draft={state.draft} pending={state.pending !== null} name={workspace.name} />
    </div>
  );
}

/** Stays at the end while somebody reads there, and where they are when they read above. */
function useReadingPlace(items: readonly Item[], pending: Pending | null) {
  const ref = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const [away, setAway] = useState(false);
  const firstKey = useRef<string | undefined>(undefined);
  const height = useRef(0);
  useLayoutEffect(() => {
    const box = ref.current;
    if (!box) return;
    const first = items[0]?.key;
    if (atEnd.current) box.scrollTop = box.scrollHeight;
    // Earlier messages were put above: what was read stays under the eye.
    else if (firstKey.current !== undefined && first !== firstKey.current)
      box.scrollTop += box.scrollHeight - height.current;
    firstKey.current = first;
    height.current = box.scrollHeight;
  }, [items, pending]);
  useEffect(() => {
    const box = ref.current;
    if (!box || typeof ResizeObserver === 'undefined') return undefined;
    const list = box.querySelector('ol');
    const observer = new ResizeObserver(() => {
      if (atEnd.current) box.scrollTop = box.scrollHeight;
    });
    if (list) observer.observe(list);
    return () => observer.disconnect();
  }, []);
  const onScroll = () => {
    const box = ref.current;
    if (!box) return;
    atEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END;
    setAway(!atEnd.current);
  };
  const toEnd = () => {
    const box = ref.current;
    if (box) box.scrollTop = box.scrollHeight;
  };
  return { ref, away, toEnd, onScroll };
}

function Welcome({ workspace }: { workspace: Workspace }) {
  return (
    <div className="grid place-items-center py-10 text-center">
      <Bot size={28} className="text-ink-3" aria-hidden />
      <p className="mt-2 font-medium">Talk to {cut(workspace.name, 60)}</p>
      <p className="mt-1 max-w-xs text-[13px] text-ink-3">
        {workspace.runtime === 'echo'
          ? 'A demo agent: it repeats what you say. Say “help” to see what else it understands.'
          : 'Ask it something, or give it a task. It can delegate to the team below it.'}
      </p>
    </div>
  );
}

const Bubble = memo(function Bubble({ item, chat }: { item: Item; chat: Chat }) {
  const mine = item.role === 'user';
  if (item.role === 'system') {
    return (
      <li className="text flex items-start gap-2 text-[12.5px] text-ink-3">
        <TriangleAlert size={13} className="mt-0.5 shrink-0" aria-hidden />
        <span>{cut(item.text, 2_000)}</span>
      </li>
    );
  }
  return (
    <li className={`flex flex-col ${mine ? 'items-end' : 'items-start'}`}>
      <span className="sr-only">{mine ? 'You' : 'Agent'}:</span>
      <div
        className={`max-w-[92%] min-w-0 rounded-2xl px-3.5 py-2 ${mine ? 'rounded-br-md bg-accent-soft' : 'rounded-bl-md bg-surface-2'}`}
      >
        {mine ? <Plain text={item.text} /> : <Rich text={item.text} streaming={item.state === 'streaming'} />}
        {item.files.length > 0 && (
          <ul className="mt-1.5 flex flex-wrap gap-1.5">
            {item.files.map((file) => (
              <li key={file.uri} className="pill max-w-full" title={file.uri}>
                <Paperclip size={11} aria-hidden /> <span className="truncate">{cut(file.name, 60)}</span>
                {file.size !== null && <span className="text-ink-3">{file.size.toLocaleString()} B</span>}
              </li>
            ))}
          </ul>
        )}
      </div>
      <Below item={item} chat={chat} />
    </li>
  );
});

function Rich({ text, streaming }: { text: string; streaming: boolean }) {
  return (
    <Suspense fallback={<Plain text={text} />}>
      <Markdown text={text} streaming={streaming} />
    </Suspense>
  );
}

function Plain({ text }: { text: string }) {
  const [pages, setPages] = useState(1);
  const { shown, rest } = boundedChunk(text, pages);
  return (
    <>
      <p className="text text-[13.5px] leading-relaxed whitespace-pre-wrap" dir="auto">
        {shown}
      </p>
      {rest > 0 && (
        <button type="button" className="link text-[12.5px]" onClick={() => setPages((n) => n + 1)}>
          Show more ({rest.toLocaleString()} characters left)
        </button>
      )}
    </>
  );
}

/** When, how long, and what became of it. Queued and waiting are states, not errors (UI-95, UI-96). */
function Below({ item, chat }: { item: Item; chat: Chat }) {
  const now = useNow(1_000, item.retryAt !== null && item.retryAt > Date.now());
  const wait = item.retryAt === null ? 0 : Math.ceil((item.retryAt - now) / 1_000);
  const failed = item.state === 'failed';
  return (
    <div className="mt-1 max-w-[92%] px-1 text-[11.5px] text-ink-3">
      {item.note && <p className={`text ${failed ? 'text-bad' : ''}`}>{item.note}</p>}
      <p className="flex gap-2">
        <time dateTime={item.at}>{when(item.at)}</time>
        {item.durationMs !== null && item.role === 'agent' && <span>took {duration(item.durationMs)}</span>}
        {item.state === 'sending' && <span>sending…</span>}
        {item.state === 'queued' && <span className="text-accent">queued</span>}
        {item.state === 'streaming' && <span className="anim-blink">writing…</span>}
        {failed && item.retry && (
          <button type="button" className="link" disabled={wait > 0} onClick={() => chat.retry(item.key)}>
            {wait > 0 ? `Try again in ${wait} s` : 'Try again'}
          </button>
        )}
        {failed && (
          <button type="button" className="link" onClick={() => chat.edit(item.key)}>
            Edit
          </button>
        )}
      </p>
    </div>
  );
}

const LINES = 20;

/** What is known of a reply that is awaited: how long, and what the agent does meanwhile (UI-94). */
function Waiting({ workspace, pending }: { workspace: Workspace; pending: Pending }) {
  const now = useNow(1_000);
  const log = useOrg((state) => state.log);
  const lines: string[] = [];
  for (const entry of log) {
    if (lines.length >= LINES || Date.parse(entry.timestamp) < pending.since - 1_000) break;
    const mine = entry.workspace_id === workspace.id || entry.payload.source_id === workspace.id;
    if (!mine || (entry.event !== 'ACTIVITY_LOGGED' && entry.event !== 'TASK_UPDATED')) continue;
    const text = describe(entry, nameOf)?.text;
    if (text && lines.at(-1) !== text && text !== 'idle') lines.push(text);
  }
  return (
    <div className="mt-3 text-[12.5px] text-ink-3">
      <p className="flex items-center gap-2" role="status">
        <span className="anim-blink size-2 rounded-full bg-accent" aria-hidden />
        <span className="text">{pending.progress ? cut(pending.progress, 300) : 'Waiting for the agent'}</span>
        <span className="tabular-nums" aria-hidden>
          {Math.max(0, Math.round((now - pending.since) / 1_000))} s
        </span>
      </p>
      {lines.length > 0 && (
        <ul className="mt-1 border-l border-line pl-3">
          {lines.reverse().map((line, index) => (
            <li key={`${index}:${line}`} className="text truncate">
              {line}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Composer({ chat, draft, pending, name }: { chat: Chat; draft: string; pending: boolean; name: string }) {
  const box = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    box.current?.focus({ preventScroll: true });
  }, [chat]);
  useLayoutEffect(() => {
    const field = box.current;
    if (!field) return;
    field.style.height = 'auto';
    field.style.height = `${Math.min(field.scrollHeight, 220)}px`;
  }, [draft]);
  const send = () => {
    if (chat.send(draft)) box.current?.focus();
  };
  return (
    <form
      className="shrink-0 border-t border-line p-3"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div className="flex items-end gap-2">
        <textarea
          ref={box}
          className="field max-h-56 min-h-10 flex-1 resize-none"
          rows={1}
          dir="auto"
          value={draft}
          placeholder="Write a message"
          aria-label={`Message to ${cut(name, 60)}`}
          aria-describedby="composer-hint"
          onChange={(event) => {
            chat.draft = event.target.value;
          }}
          onKeyDown={(event) => {
            if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
            event.preventDefault();
            send();
          }}
        />
        {pending ? (
          <button type="button" className="btn h-10" onClick={() => chat.stop()}>
            <Square size={13} aria-hidden /> Stop waiting
          </button>
        ) : (
          <button type="submit" className="btn btn-primary h-10" disabled={!draft.trim()}>
            <SendHorizontal size={15} aria-hidden /> Send
          </button>
        )}
      </div>
      <p id="composer-hint" className="hint">
        Enter sends, Shift+Enter starts a new line.
      </p>
    </form>
  );
}
