import { useState } from 'react';

/** Raised when the policy changes: everybody is asked again then (UI-139). */
const POLICY = 1;
const KEY = 'molecule.consent';

interface Decision {
  policy: number;
  optional: boolean;
  at: string;
}

/** What was decided under the present policy; null when nothing was. */
export function decisionOf(text: string | null): Decision | null {
  try {
    const kept = JSON.parse(text ?? 'null') as Partial<Decision> | null;
    if (kept?.policy !== POLICY || typeof kept.optional !== 'boolean') return null;
    return { policy: POLICY, optional: kept.optional, at: String(kept.at ?? '') };
  } catch {
    return null;
  }
}

function stored(): Decision | null {
  try {
    return decisionOf(localStorage.getItem(KEY));
  } catch {
    return null;
  }
}

/** Asks once, on hosted pages only, what may be stored beyond what signing in needs. */
export function Consent() {
  const [open, setOpen] = useState(() => stored() === null);
  if (!open) return null;
  const decide = (optional: boolean) => {
    setOpen(false);
    const decision: Decision = { policy: POLICY, optional, at: new Date().toISOString() };
    try {
      localStorage.setItem(KEY, JSON.stringify(decision));
    } catch {
      // Refused storage stores nothing: it is asked again with the next page.
    }
  };
  return (
    <section
      className="anim-rise fixed inset-x-3 bottom-3 z-50 mx-auto flex max-w-3xl flex-wrap items-center gap-x-4 gap-y-3 rounded-2xl border border-line bg-surface p-4 shadow-high"
      aria-label="Cookies and storage"
    >
      <p className="min-w-60 flex-1 text-[13px] text-ink-2">
        A cookie keeps you signed in; the pages cannot work without it. May we also store what helps us to see which
        parts of the product are used?
      </p>
      <div className="flex flex-wrap gap-2">
        <button type="button" className="btn h-9" onClick={() => decide(false)}>
          Only what is needed
        </button>
        <button type="button" className="btn btn-primary h-9" onClick={() => decide(true)}>
          Allow
        </button>
      </div>
    </section>
  );
}
