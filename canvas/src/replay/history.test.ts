import { expect, test } from 'vitest';
import type { ActivityRow } from '../lib/api';
import type { Envelope } from '../lib/events';
import { changesOf, historyOf, hopsOf, linksAt, statusesAt, stepFrom, type History } from './history';

const event = (name: string, id: string, at: number): Envelope => ({
  event: name as Envelope['event'],
  workspace_id: id,
  timestamp: new Date(at).toISOString(),
  payload: {},
});

const hop = (from: string | null, to: string, at: number, status = 'ok') =>
  ({
    id: `${at}`,
    workspace_id: to,
    source_id: from,
    target_id: to,
    status,
    created_at: new Date(at).toISOString(),
    activity_type: 'a2a_receive',
  }) as ActivityRow;

function history(): History {
  const events = [
    event('WORKSPACE_ONLINE', 'a', 2_000),
    event('WORKSPACE_PROVISIONING', 'a', 1_000),
    event('WORKSPACE_OFFLINE', 'old', 5_000),
    event('WORKSPACE_REMOVED', 'a', 9_000),
    event('TASK_UPDATED', 'a', 3_000),
  ];
  const made = historyOf(
    changesOf(events),
    hopsOf([hop('a', 'old', 4_000), hop('a', 'old', 4_500, 'error'), hop(null, 'a', 1)]),
    10_000,
  );
  if (!made) throw new Error('there is a past');
  return made;
}

test('states are those of the moment', () => {
  const past = history();
  expect([past.from, past.to]).toEqual([1_000, 10_000]);
  expect(statusesAt(past, 500).get('a')).toBe('absent');
  expect(statusesAt(past, 1_500).get('a')).toBe('provisioning');
  expect(statusesAt(past, 3_000).get('a')).toBe('online');
  expect(statusesAt(past, 9_000).get('a')).toBe('absent');
  // Nothing is recorded of it before it fell: it was there, in whatever state.
  expect(statusesAt(past, 1_500).has('old')).toBe(false);
  expect(statusesAt(past, 6_000).get('old')).toBe('offline');
});

test('messages are seen for a while after they passed', () => {
  const past = history();
  expect(linksAt(past, 3_000).size).toBe(0);
  expect(linksAt(past, 4_600).get('a>old')).toMatchObject({ calls: 2, failed: true });
  expect(linksAt(past, 8_000).size).toBe(0);
});

test('steps go from one thing that happened to the next', () => {
  const past = history();
  expect(stepFrom(past, 2_000, 1)).toBe(4_000);
  expect(stepFrom(past, 2_000, -1)).toBe(1_000);
  expect(stepFrom(past, 9_500, 1)).toBe(10_000);
});

test('nothing known is no past', () => {
  expect(historyOf([], [], 5)).toBeNull();
});
