import { lazy, Suspense, useEffect } from 'react';
import { useEntry, reload } from './app';
import { Login } from './chrome/Login';
import { Shell } from './chrome/Shell';
import { Toasts } from './chrome/Toasts';
import { Confirm } from './dialogs/Confirm';
import { explain, isPlatformDown } from './lib/http';
import { useOrg } from './store/org';
import { Logo } from './ui/Logo';
import { hosted } from './hosted/session';
import { useUi } from './ui/store';

const Consent = lazy(() => import('./hosted/Consent').then((module) => ({ default: module.Consent })));
const Dialogs = lazy(() => import('./dialogs/Dialogs'));

export function App() {
  const entry = useEntry((state) => state.entry);
  const dialog = useUi((state) => state.dialog);
  const asking = useUi((state) => state.asking);
  const announcement = useUi((state) => state.announcement);
  return (
    <>
      <div className="sr-only" role="status" aria-live="polite">
        {announcement}
      </div>
      {entry.kind === 'starting' && <Starting />}
      {entry.kind === 'login' && <Login reason={entry.reason} busy={entry.busy} />}
      {entry.kind === 'in' && <Inside />}
      {dialog && (
        <Suspense>
          <Dialogs dialog={dialog} />
        </Suspense>
      )}
      {asking && <Confirm ask={asking} />}
      <Toasts />
      {hosted && (
        <Suspense>
          <Consent />
        </Suspense>
      )}
    </>
  );
}

function Starting() {
  return (
    <main className="grid h-full place-items-center">
      <p className="flex items-center gap-2 text-ink-2" role="status">
        <Logo /> Opening Molecule…
      </p>
    </main>
  );
}

function Inside() {
  const phase = useOrg((state) => state.phase);
  const error = useOrg((state) => state.error);
  useEffect(() => {
    document.title = 'Molecule';
  }, []);
  if (phase === 'loading') return <Starting />;
  if (phase === 'ready') return <Shell />;
  return (
    <main className="grid h-full place-items-center p-6">
      <div className="max-w-md space-y-3 text-center" role="alert" data-testid="hydration-error">
        <p className="flex justify-center">
          <Logo size={40} />
        </p>
        <h1 className="text-lg font-semibold">
          {isPlatformDown(error) ? 'The platform cannot reach its database' : 'The organisation could not be read'}
        </h1>
        <p className="text text-ink-2">
          {isPlatformDown(error)
            ? 'The server runs, but its database does not answer. Check the database, then try again; agents that run go on meanwhile.'
            : explain(error)}
        </p>
        <button type="button" className="btn btn-primary" onClick={() => void reload()}>
          Try again
        </button>
      </div>
    </main>
  );
}
