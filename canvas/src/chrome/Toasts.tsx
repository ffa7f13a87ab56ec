import { CircleAlert, CircleCheck, Info, X } from 'lucide-react';
import { dismiss, useUi, type Toast } from '../ui/store';

const ICONS = { info: Info, success: CircleCheck, error: CircleAlert };
const TONES = { info: 'text-accent', success: 'text-good', error: 'text-bad' };

/** Notices: errors interrupt a screen reader, the rest does not (UI-57). */
export function Toasts() {
  const toasts = useUi((state) => state.toasts);
  return (
    <div className="pointer-events-none fixed bottom-4 left-4 z-60 flex w-[22rem] max-w-[calc(100vw-2rem)] flex-col gap-2">
      <div aria-live="polite" className="flex flex-col gap-2">
        {toasts.filter((each) => each.tone !== 'error').map(card)}
      </div>
      <div aria-live="assertive" className="flex flex-col gap-2">
        {toasts.filter((each) => each.tone === 'error').map(card)}
      </div>
    </div>
  );
}

function card(one: Toast) {
  const Icon = ICONS[one.tone];
  return (
    <div
      key={one.id}
      className="anim-rise pointer-events-auto flex items-start gap-2.5 rounded-xl border border-line bg-surface px-3 py-2.5 text-[13px] shadow-high"
    >
      <Icon size={16} className={`mt-0.5 shrink-0 ${TONES[one.tone]}`} aria-hidden />
      <p className="text max-h-40 min-w-0 flex-1 overflow-y-auto" {...(one.text.length > 300 ? { tabIndex: 0 } : {})}>
        {one.text}
      </p>
      {one.action && (
        <button
          type="button"
          className="link shrink-0"
          onClick={() => {
            one.action?.run();
            dismiss(one.id);
          }}
        >
          {one.action.label}
        </button>
      )}
      <button
        type="button"
        className="-m-1 rounded p-1 text-ink-3 hover:text-ink"
        aria-label="Dismiss"
        onClick={() => dismiss(one.id)}
      >
        <X size={14} aria-hidden />
      </button>
    </div>
  );
}
