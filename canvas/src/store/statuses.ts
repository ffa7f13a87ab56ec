/** How each status is shown (UI-31): a word, a tone, a shape, and what it means for the person looking. */

import type { Workspace } from '../lib/api';

export type Shape = 'disc' | 'arc' | 'triangle' | 'cross' | 'bars' | 'ring' | 'dotted' | 'moon';
export type StatusTone = 'green' | 'blue' | 'amber' | 'red' | 'indigo' | 'grey' | 'violet' | 'slate';

export interface StatusView {
  label: string;
  tone: StatusTone;
  /** Said by form as well, for those who do not tell colours apart. */
  shape: Shape;
  hint: string;
}

export const STATUSES: Readonly<Record<string, StatusView>> = {
  online: { label: 'Online', tone: 'green', shape: 'disc', hint: '' },
  provisioning: { label: 'Starting', tone: 'blue', shape: 'arc', hint: 'The agent is being started.' },
  degraded: {
    label: 'Degraded',
    tone: 'amber',
    shape: 'triangle',
    hint: 'The agent answers, but reports errors. Look at the logs; restart it if it does not recover.',
  },
  failed: {
    label: 'Failed',
    tone: 'red',
    shape: 'cross',
    hint: 'The start did not complete. Look at the logs, fix the cause, then try again.',
  },
  paused: {
    label: 'Paused',
    tone: 'indigo',
    shape: 'bars',
    hint: 'Stopped by an operator. Resume it to send messages.',
  },
  offline: {
    label: 'Offline',
    tone: 'grey',
    shape: 'ring',
    hint: 'The agent was lost. The platform restarts it by itself; restart it here if it stays offline.',
  },
  awaiting_agent: {
    label: 'Awaiting agent',
    tone: 'violet',
    shape: 'dotted',
    hint: 'Waiting for the external agent to connect.',
  },
  hibernating: {
    label: 'Hibernating',
    tone: 'slate',
    shape: 'moon',
    hint: 'Going to sleep; it wakes on the next message.',
  },
  hibernated: { label: 'Hibernated', tone: 'slate', shape: 'moon', hint: 'Asleep; it wakes on the next message.' },
};

/** How a status is shown; unknown ones look like offline, under their own name. */
export function statusView(status: string): StatusView {
  const known = Object.hasOwn(STATUSES, status) ? STATUSES[status] : undefined;
  // Only a replay knows this one.
  if (status === 'absent') return { label: 'Not there', tone: 'grey', shape: 'ring', hint: '' };
  return known ?? { label: status.replaceAll('_', ' ') || 'Unknown', tone: 'grey', shape: 'ring', hint: '' };
}

/** What to do about the state a workspace is in; "" when nothing. */
export function hintFor(workspace: Pick<Workspace, 'status' | 'last_sample_error' | 'runtime'>): string {
  const { status, last_sample_error: error, runtime } = workspace;
  // Its logs and its process are with whoever runs it.
  if (status === 'degraded' && runtime === 'external') {
    return 'The agent answers, but reports errors. It runs on its operator’s own host: the cause is in its logs there.';
  }
  if (status === 'failed' && /missing|required env|not set/i.test(error)) {
    return 'Store the missing values as secrets of this workspace, or as global ones, then try again.';
  }
  if (status === 'failed' && /provisioner|backend/i.test(error)) {
    return 'No backend could start it. “molecule doctor” tells which backends work on this machine; then try again.';
  }
  return statusView(status).hint;
}

/** `[status, count]` of the statuses that occur, in the order of the table. */
export function statusCounts(workspaces: Iterable<Pick<Workspace, 'status'>>): [string, number][] {
  const counts = new Map<string, number>();
  for (const { status } of workspaces) counts.set(status, (counts.get(status) ?? 0) + 1);
  const order = Object.keys(STATUSES);
  const rank = (status: string) => (order.includes(status) ? order.indexOf(status) : order.length);
  return [...counts].sort(([a], [b]) => rank(a) - rank(b));
}

/** What the runtime pill says (UI-30). `echo` is no real agent and must not pass for one (D6). */
export function runtimePill(runtime: string): { text: string; title: string; special: boolean } | null {
  if (!runtime) return null;
  if (runtime === 'echo') {
    return { text: 'demo', title: 'Runtime echo: answers deterministically, no model behind it', special: true };
  }
  if (runtime === 'external') return { text: '★ remote', title: 'Runs on its operator’s own host', special: true };
  return { text: runtime, title: `Runtime ${runtime}`, special: false };
}
