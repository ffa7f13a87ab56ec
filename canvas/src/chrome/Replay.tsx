import { useQuery } from '@tanstack/react-query';
import { Pause, Play, SkipBack, SkipForward, X } from 'lucide-react';
import { useEffect, useMemo, useState } from 'react';
import { nameOf } from '../actions';
import { http } from '../app';
import type { ActivityRow, EventRow } from '../lib/api';
import { describe, fromRow, type Envelope } from '../lib/events';
import { list } from '../lib/json';
import { cut } from '../lib/text';
import { changesOf, historyOf, hopsOf, linksAt, statusesAt, stepFrom, type History } from '../replay/history';
import { useReplay } from '../replay/state';
import { useOrg } from '../store/org';
import { Failed, Loading } from '../ui/bits';
import { useUi } from '../ui/store';

/** Workspaces whose messages are read, and readings at once. */
const FEEDS = 60;
const PARALLEL = 6;
/** Seconds that the whole past takes to play. */
const PLAY_SECONDS = 30;
const TICK_MS = 80;

interface Past {
  history: History | null;
  events: Envelope[];
  /** Feeds that could not be read. */
  unread: number;
}

/** The newest records of all and of each: together they reach further back than either. */
async function read(): Promise<Past> {
  const events = (list(await http.json('GET', '/events')) as EventRow[]).map(fromRow);
  const ids = [...useOrg.getState().byId.keys()].slice(0, FEEDS);
  const rows: ActivityRow[] = [];
  let unread = 0;
  const worker = async () => {
    for (let id = ids.shift(); id !== undefined; id = ids.shift()) {
      try {
        events.push(...(list(await http.json('GET', `/events/${id}`)) as EventRow[]).map(fromRow));
        const feed = `/workspaces/${id}/activity?type=a2a_receive&source=agent&limit=200`;
        rows.push(...(list(await http.json('GET', feed)) as ActivityRow[]));
      } catch {
        unread += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  const once = new Map(events.map((event) => [`${event.timestamp}${event.event}${event.workspace_id}`, event]));
  const all = [...once.values()];
  return { history: historyOf(changesOf(all), hopsOf(rows), Date.now()), events: all, unread };
}

/** The past of the organisation on its own chart, moved by a slider. */
export default function Replay() {
  const past = useQuery({ queryKey: ['replay'], queryFn: read, staleTime: Number.POSITIVE_INFINITY, gcTime: 0 });
  useEffect(() => () => useReplay.setState({ statuses: null, links: null }), []);
  return (
    <section
      className="anim-rise absolute inset-x-4 bottom-4 z-20 mx-auto max-w-3xl rounded-2xl border border-line bg-surface p-3 shadow-high"
      aria-label="Replay"
    >
      {past.isPending && <Loading what="the past" />}
      {past.isError && <Failed what="The past" error={past.error} retry={() => void past.refetch()} />}
      {past.data && !past.data.history && <p className="p-2 text-[13px] text-ink-2">Nothing has been recorded yet.</p>}
      {past.data?.history && <Player history={past.data.history} events={past.data.events} unread={past.data.unread} />}
      {!past.data?.history && <Close />}
    </section>
  );
}

function Close() {
  return (
    <button type="button" className="btn" onClick={() => useUi.setState({ replay: false })}>
      <X size={14} aria-hidden /> Back to now
    </button>
  );
}

function Player({ history, events, unread }: { history: History; events: readonly Envelope[]; unread: number }) {
  const [at, setAt] = useState(history.from);
  const [playing, setPlaying] = useState(false);
  const span = history.to - history.from;
  useEffect(() => {
    useReplay.setState({ statuses: statusesAt(history, at), links: linksAt(history, at) });
  }, [history, at]);
  useEffect(() => {
    if (!playing) return undefined;
    const timer = window.setInterval(() => {
      setAt((before) => Math.min(history.to, before + (span / PLAY_SECONDS) * (TICK_MS / 1_000)));
    }, TICK_MS);
    return () => window.clearInterval(timer);
  }, [playing, span, history.to]);
  const done = at >= history.to;
  const latest = useMemo(() => {
    const before = events.filter((event) => Date.parse(event.timestamp) <= at);
    before.sort((a, b) => Date.parse(b.timestamp) - Date.parse(a.timestamp));
    const last = before.find((event) => describe(event, nameOf) !== null);
    return last ? `${cut(nameOf(last.workspace_id), 40)} ${describe(last, nameOf)?.text ?? ''}` : '';
  }, [events, at]);
  const text = new Date(at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
  return (
    <>
      <div className="flex items-center gap-2">
        <button
          type="button"
          className="btn btn-primary btn-icon"
          aria-label={playing && !done ? 'Pause' : 'Play'}
          onClick={() => {
            if (done) setAt(history.from);
            setPlaying(done || !playing);
          }}
        >
          {playing && !done ? <Pause size={15} aria-hidden /> : <Play size={15} aria-hidden />}
        </button>
        <button
          type="button"
          className="btn btn-ghost btn-icon"
          aria-label="Previous event"
          onClick={() => setAt(stepFrom(history, at, -1))}
        >
          <SkipBack size={15} aria-hidden />
        </button>
        <button
          type="button"
          className="btn btn-ghost btn-icon"
          aria-label="Next event"
          onClick={() => setAt(stepFrom(history, at, 1))}
        >
          <SkipForward size={15} aria-hidden />
        </button>
        <input
          type="range"
          className="min-w-0 flex-1 accent-(--accent)"
          aria-label="Moment"
          aria-valuetext={text}
          min={history.from}
          max={history.to}
          step={Math.max(1, Math.round(span / 1_000))}
          value={at}
          onChange={(event) => {
            setPlaying(false);
            setAt(Number(event.target.value));
          }}
        />
        <time className="text-[12.5px] whitespace-nowrap tabular-nums" dateTime={new Date(at).toISOString()}>
          {text}
        </time>
        <Close />
      </div>
      <p className="text mt-1.5 truncate px-1 text-[12.5px] text-ink-2" aria-live={playing ? 'off' : 'polite'}>
        {latest || 'Before the first recorded event'}
        {unread > 0 && ` · the records of ${unread} could not be read`}
      </p>
    </>
  );
}
