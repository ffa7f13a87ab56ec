import { useState } from 'react';
import { cut } from '../lib/text';
import { Modal } from '../ui/Modal';
import { useUi, type Confirmation } from '../ui/store';

const NAMED = 8;

/** Asks before something is done that matters. Answers for itself: it outlives the menu that it came from (UI-42). */
export function Confirm({ ask }: { ask: Confirmation }) {
  const [busy, setBusy] = useState(false);
  const close = () => useUi.setState((state) => (state.asking === ask ? { asking: null } : {}));
  const run = async () => {
    setBusy(true);
    await ask.run();
    close();
  };
  const items = ask.items ?? [];
  return (
    <Modal
      title={ask.title}
      description={ask.text}
      onClose={() => {
        if (busy) return;
        ask.cancel?.();
        close();
      }}
      footer={
        <>
          <button
            type="button"
            className="btn"
            disabled={busy}
            onClick={() => {
              ask.cancel?.();
              close();
            }}
          >
            Cancel
          </button>
          <button
            type="button"
            className={`btn ${ask.danger ? 'btn-danger' : 'btn-primary'}`}
            disabled={busy}
            onClick={() => void run()}
          >
            {busy ? 'Working…' : ask.action}
          </button>
        </>
      }
    >
      {items.length > 1 && (
        <ul className="list-disc space-y-0.5 pl-5 text-[13px] text-ink-2">
          {items.slice(0, NAMED).map((name, index) => (
            <li key={`${index}:${name}`} className="text">
              {cut(name, 80)}
            </li>
          ))}
          {items.length > NAMED && <li>and {items.length - NAMED} more</li>}
        </ul>
      )}
    </Modal>
  );
}
