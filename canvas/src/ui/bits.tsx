/** Small parts that many views share. */

import { Check, Copy, LoaderCircle, TriangleAlert } from 'lucide-react';
import { useEffect, useId, useRef, useState } from 'react';
import { copy } from '../actions';
import { explain } from '../lib/http';
import { age, when } from '../lib/text';

/** Loading, empty and failed are three different things (UI-129). */
export function Loading({ what }: { what: string }) {
  return (
    <p className="flex items-center gap-2 p-4 text-[13px] text-ink-2" role="status">
      <LoaderCircle size={14} className="mark-spin" aria-hidden /> Reading {what}…
    </p>
  );
}

export function Empty({ children }: { children: React.ReactNode }) {
  return <p className="p-4 text-[13px] text-ink-3">{children}</p>;
}

export function Failed({ what, error, retry }: { what: string; error: unknown; retry?: () => void }) {
  return (
    <div className="notice notice-bad m-3" role="alert">
      <TriangleAlert size={15} className="mt-0.5 shrink-0 text-bad" aria-hidden />
      <p className="text min-w-0 flex-1">
        {what} could not be read. {explain(error)}
      </p>
      {retry && (
        <button type="button" className="link shrink-0" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** A time, and how long ago it was. */
export function Ago({ at }: { at: string }) {
  return (
    <time dateTime={at} title={when(at)} className="text-[11.5px] whitespace-nowrap text-ink-3 tabular-nums">
      {age(at)}
    </time>
  );
}

/** Copies a text and says so for 1.5 s; where the clipboard is refused, a field to copy from appears (UI-80). */
export function CopyButton({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [state, setState] = useState<'idle' | 'done' | 'refused'>('idle');
  const timer = useRef<number | undefined>(undefined);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  const run = async () => {
    const done = await copy(text);
    setState(done ? 'done' : 'refused');
    if (done) timer.current = window.setTimeout(() => setState('idle'), 1_500);
  };
  return (
    <>
      <button type="button" className="btn" onClick={() => void run()}>
        {state === 'done' ? <Check size={14} aria-hidden /> : <Copy size={14} aria-hidden />}
        <span aria-live="polite">{state === 'done' ? 'Copied' : label}</span>
      </button>
      {state === 'refused' && (
        <textarea
          className="field mt-2 font-mono"
          readOnly
          value={text}
          rows={3}
          aria-label="Select and copy this text"
          ref={(field) => field?.select()}
        />
      )}
    </>
  );
}

/** A labelled control. */
export function Field({
  label,
  hint,
  children,
}: {
  label: string;
  hint?: React.ReactNode;
  children: (ids: { id: string; 'aria-describedby'?: string }) => React.ReactNode;
}) {
  const id = useId();
  return (
    <div>
      <label className="label" htmlFor={id}>
        {label}
      </label>
      {children(hint ? { id, 'aria-describedby': `${id}-hint` } : { id })}
      {hint && (
        <p className="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

/** Errors of a form, beside what was typed. */
export function FormError({ error }: { error: unknown }) {
  if (!error) return null;
  return (
    <p
      className="notice notice-bad text"
      role="alert"
      // Whoever pressed the button sees why nothing came of it, however long the form is.
      ref={(notice) => notice?.scrollIntoView({ block: 'nearest' })}
    >
      {typeof error === 'string' ? error : explain(error)}
    </p>
  );
}

/** Ticks, so that ages and waits stay true. */
export function useNow(everyMs: number, on = true): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!on) return undefined;
    const timer = window.setInterval(() => setNow(Date.now()), everyMs);
    return () => window.clearInterval(timer);
  }, [everyMs, on]);
  return now;
}

/** Terms with what holds for each, side by side. */
export function FactList({ facts }: { facts: readonly (readonly [string, React.ReactNode])[] }) {
  return (
    <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 text-[13px]">
      {facts.map(([term, value]) => (
        <div key={term} className="contents">
          <dt className="text-ink-3">{term}</dt>
          <dd className="text min-w-0">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
