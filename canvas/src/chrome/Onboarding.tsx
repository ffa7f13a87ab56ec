import { Check, X } from 'lucide-react';
import { useEffect, useState } from 'react';
import { useOrg } from '../store/org';
import { openPanel, showDialog, useUi } from '../ui/store';

const KEY = 'molecule-onboarding-complete';

function isComplete(): boolean {
  try {
    return localStorage.getItem(KEY) !== null;
  } catch {
    return false;
  }
}

/** The first steps of a newcomer; gone for good once they are taken or dismissed (UI-64). */
export function Onboarding() {
  const [gone, setGone] = useState(isComplete);
  const [keys, setKeys] = useState(false);
  const first = useOrg((state) => state.byId.keys().next().value ?? null);
  const tab = useUi((state) => (state.open === null ? null : state.tab));
  const settings = useUi((state) => state.dialog?.kind === 'settings');
  const answered = useOrg((state) =>
    state.log.some(
      ({ event, payload }) =>
        event === 'AGENT_MESSAGE' ||
        (event === 'ACTIVITY_LOGGED' &&
          payload.activity_type === 'a2a_receive' &&
          payload.source_id === null &&
          payload.status === 'ok'),
    ),
  );
  const looked = keys || settings || tab === 'config' || tab === 'secrets';
  useEffect(() => {
    if (looked) setKeys(true);
  }, [looked]);
  const steps = [
    {
      text: 'Create a workspace or a team',
      done: first !== null,
      run: () => showDialog({ kind: 'templates' }),
    },
    { text: 'Say hello to an agent', done: answered, run: () => first && openPanel(first, 'chat') },
    { text: 'Give it a model and a key', done: looked, run: () => first && openPanel(first, 'config') },
  ];
  const finish = () => {
    setGone(true);
    try {
      localStorage.setItem(KEY, 'true');
    } catch {
      // Private windows may refuse: it then comes back with the next page.
    }
  };
  if (gone || first === null) return null;
  const done = steps.every((step) => step.done);
  return (
    <section
      className="anim-rise absolute top-4 left-4 z-10 w-72 rounded-2xl border border-line bg-surface p-4 shadow-high max-md:hidden"
      aria-label="First steps"
    >
      <div className="flex items-center">
        <h2 className="flex-1 text-[14px] font-semibold tracking-tight">{done ? 'You are set up' : 'First steps'}</h2>
        <button
          type="button"
          className="btn btn-ghost btn-icon -my-2 -mr-2"
          aria-label="Dismiss the first steps"
          onClick={finish}
        >
          <X size={14} aria-hidden />
        </button>
      </div>
      <ol className="mt-2 space-y-1.5">
        {steps.map((step) => (
          <li key={step.text} className="flex items-center gap-2 text-[13px]">
            <span
              className={`grid size-4 shrink-0 place-items-center rounded-full border ${step.done ? 'border-good bg-good text-surface' : 'border-line-strong'}`}
              role="img"
              aria-label={step.done ? 'Done' : 'To do'}
            >
              {step.done && <Check size={11} aria-hidden />}
            </span>
            {step.done ? (
              <span className="text-ink-3">{step.text}</span>
            ) : (
              <button type="button" className="link text-left" onClick={step.run}>
                {step.text}
              </button>
            )}
          </li>
        ))}
      </ol>
      {done && (
        <button type="button" className="btn btn-primary mt-3" onClick={finish}>
          Done
        </button>
      )}
    </section>
  );
}
