import { lazy, Suspense, useEffect } from 'react';
import { undo } from '../actions';
import { Graph } from '../graph/Graph';
import { useOrg } from '../store/org';
import { closePanel, select, showDialog, useUi } from '../ui/store';
import { BatchBar } from './BatchBar';
import { EmptyState } from './EmptyState';
import { FileDrop } from './FileDrop';
import { Feed } from './Feed';
import { Onboarding } from './Onboarding';
import { ProvisioningBanner } from './ProvisioningBanner';
import { Toolbar } from './Toolbar';

const SidePanel = lazy(() => import('../panel/SidePanel'));
const Replay = lazy(() => import('./Replay'));

/** Milliseconds after which the rooms that are usually entered first are read, when the chart stands. */
const AHEAD_MS = 300;

/** Everything of a person who is signed in. */
export function Shell() {
  const empty = useOrg((state) => state.byId.size === 0);
  const open = useUi((state) => (state.open !== null ? state.open : null));
  const exists = useOrg((state) => open !== null && state.byId.has(open));
  const replay = useUi((state) => state.replay);
  const feedOpen = useUi((state) => state.feedOpen);
  useEffect(() => {
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);
  useEffect(() => {
    // What is needed next is there before it is asked for: who types at once after ⌘K loses no letter.
    const timer = window.setTimeout(() => {
      void import('../dialogs/Dialogs');
      void import('../panel/SidePanel');
      void import('../panel/ChatTab');
    }, AHEAD_MS);
    return () => window.clearTimeout(timer);
  }, []);
  return (
    <div className="flex h-full flex-col">
      <a
        href="#canvas"
        className="btn sr-only focus:not-sr-only focus:absolute focus:top-2 focus:left-2 focus:z-50"
        onClick={(event) => {
          event.preventDefault();
          document.querySelector<HTMLElement>('.react-flow__node[tabindex="0"]')?.focus();
        }}
      >
        Skip to the chart
      </a>
      <Toolbar />
      <ProvisioningBanner />
      <div className="flex min-h-0 flex-1">
        <FileDrop className="relative flex min-w-0 flex-1 flex-col">
          {empty ? <EmptyState /> : <Graph />}
          {!replay && <Onboarding />}
          <BatchBar />
          {replay && (
            <Suspense>
              <Replay />
            </Suspense>
          )}
        </FileDrop>
        {feedOpen && <Feed />}
        {open !== null && exists && (
          <Suspense>
            <SidePanel id={open} />
          </Suspense>
        )}
      </div>
    </div>
  );
}

/** Whether keys are for a field now. */
const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

/** Keys that work anywhere on the page (UI-51). */
function onKey(event: KeyboardEvent): void {
  const command = event.metaKey || event.ctrlKey;
  const { dialog, asking, selected, open } = useUi.getState();
  if (command && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    showDialog(dialog?.kind === 'palette' ? null : { kind: 'palette' });
    return;
  }
  if (dialog || asking || event.defaultPrevented) return;
  if (event.key === 'Escape') {
    if (selected.size > 1) select(open ? [open] : []);
    else if (open) closePanel();
    else select([]);
    return;
  }
  if (typing(event.target)) return;
  if (command && event.key === ',') showDialog({ kind: 'settings' });
  else if (command && event.key.toLowerCase() === 'z' && !event.shiftKey) void undo();
  else if (command && event.key.toLowerCase() === 'a') select(useOrg.getState().byId.keys());
  else if (!command && event.key === 'n') showDialog({ kind: 'create' });
  else if (!command && event.key === '/') showDialog({ kind: 'palette' });
  else if (!command && event.key === '?') showDialog({ kind: 'help' });
  else return;
  event.preventDefault();
}
