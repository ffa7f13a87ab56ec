import { beforeEach, describe, expect, test } from 'vitest';
import type { Workspace } from '../lib/api';
import type { Envelope } from '../lib/events';
import { applyEvents, fromList } from './events';
import { applyHops, pruneLinks, withRecorded, LINK_LIFE_MS, MAX_LINKS } from './links';
import {
  loadFailed,
  loadLog,
  loadWorkspaces,
  LOG_LIMIT,
  markStale,
  patchLocal,
  removeLocal,
  resetOrg,
  takeEvents,
  useOrg,
} from './org';

const row = (id: string, more: Partial<Workspace> = {}): Workspace => ({
  id,
  name: id,
  role: null,
  tier: 2,
  status: 'online',
  url: '',
  parent_id: null,
  active_tasks: 0,
  max_concurrent_tasks: 1,
  last_error_rate: 0,
  uptime_seconds: 0,
  runtime: 'native',
  delivery_mode: null,
  x: 0,
  y: 0,
  collapsed: false,
  agent_card: null,
  current_task: '',
  last_sample_error: '',
  monthly_spend: 0,
  ...more,
});

const event = (name: string, id: string, payload: Record<string, unknown> = {}, at = 1_000): Envelope => ({
  event: name as Envelope['event'],
  workspace_id: id,
  timestamp: new Date(at).toISOString(),
  payload,
});

const map = (...rows: Workspace[]) => new Map(rows.map((one) => [one.id, one]));

describe('what events do', () => {
  // UI-18, UI-19
  test('a start draws an unknown workspace at once and asks for the rest', () => {
    const effect = applyEvents(new Map(), [
      event('WORKSPACE_PROVISIONING', 'a', { name: 'A', tier: 3, runtime: 'codex', parent_id: 'p' }),
      event('WORKSPACE_ONLINE', 'a', { url: 'http://x' }),
    ]);
    expect(effect.byId.get('a')).toMatchObject({
      name: 'A',
      tier: 3,
      status: 'online',
      parent_id: 'p',
      url: 'http://x',
    });
    expect(effect).toMatchObject({ reshaped: true, refresh: true });
  });

  // UI-20…25
  test.each<[string, Record<string, unknown>, Partial<Workspace>]>([
    ['WORKSPACE_OFFLINE', {}, { status: 'offline' }],
    [
      'WORKSPACE_DEGRADED',
      { error_rate: 0.5, sample_error: 'e' },
      { status: 'degraded', last_error_rate: 0.5, last_sample_error: 'e' },
    ],
    ['WORKSPACE_PROVISION_FAILED', { error: 'no key' }, { status: 'failed', last_sample_error: 'no key' }],
    ['WORKSPACE_AWAITING_AGENT', {}, { status: 'awaiting_agent' }],
    ['WORKSPACE_PAUSED', {}, { status: 'paused', current_task: '' }],
    ['WORKSPACE_HIBERNATED', {}, { status: 'hibernated' }],
    ['TASK_UPDATED', { current_task: 't', active_tasks: 2 }, { current_task: 't', active_tasks: 2 }],
    ['AGENT_CARD_UPDATED', { agent_card: 'x' }, { agent_card: null }],
  ])('%s', (name, payload, expected) => {
    const effect = applyEvents(map(row('a', { current_task: 'before' })), [event(name, 'a', payload)]);
    expect(effect.byId.get('a')).toMatchObject(expected);
  });

  // UI-20a
  test('an external agent that went away is awaited', () => {
    const external = row('a', { runtime: 'external' });
    expect(applyEvents(map(external), [event('WORKSPACE_OFFLINE', 'a')]).byId.get('a')?.status).toBe('awaiting_agent');
    expect(fromList([{ ...external, status: 'offline' }]).get('a')?.status).toBe('awaiting_agent');
  });

  // UI-23
  test('children of a removed one move to its parent', () => {
    const effect = applyEvents(map(row('a'), row('b', { parent_id: 'a' }), row('c', { parent_id: 'b' })), [
      event('WORKSPACE_REMOVED', 'b'),
    ]);
    expect([...effect.byId.keys()]).toEqual(['a', 'c']);
    expect(effect.byId.get('c')?.parent_id).toBe('a');
  });

  // UI-135
  test('who is not concerned keeps their identity, and nothing changes nothing', () => {
    const before = map(row('a'), row('b'));
    expect(
      applyEvents(before, [event('WORKSPACE_ONLINE', 'a'), event('NEW_THING', 'a'), event('TASK_UPDATED', 'zz')]).byId,
    ).toBe(before);
    const after = applyEvents(before, [event('WORKSPACE_OFFLINE', 'a')]);
    expect(after.byId.get('b')).toBe(before.get('b'));
    expect(after.reshaped).toBe(false);
    expect(fromList([row('a'), row('b')], before).get('a')).toBe(before.get('a'));
  });

  test('removed and malformed rows are never drawn', () => {
    expect([...fromList([row('a', { status: 'removed' }), null, {}, row('b')]).keys()]).toEqual(['b']);
    expect(fromList('x').size).toBe(0);
  });
});

describe('who talked to whom', () => {
  const hop = (from: string | null, to: string, at = 1_000, more = {}) =>
    event(
      'ACTIVITY_LOGGED',
      to,
      { activity_type: 'a2a_receive', source_id: from, target_id: to, status: 'ok', ...more },
      at,
    );

  test('hops between two workspaces add up; those of people are no line', () => {
    const links = applyHops(new Map(), [hop('a', 'b', 1), hop('a', 'b', 5, { status: 'error' }), hop(null, 'b')]);
    expect([...links.values()]).toEqual([{ key: 'a>b', from: 'a', to: 'b', calls: 2, at: 5, failed: true, pulse: 2 }]);
    expect(applyHops(links, [event('WORKSPACE_ONLINE', 'a')])).toBe(links);
  });

  test('old ones and those that lead nowhere go; there are never too many', () => {
    const links = applyHops(new Map(), [
      hop('a', 'b', 1_000),
      hop('a', 'c', LINK_LIFE_MS),
      hop('a', 'gone', LINK_LIFE_MS),
    ]);
    expect([...pruneLinks(links, (id) => id !== 'gone', LINK_LIFE_MS + 2_000).keys()]).toEqual(['a>c']);
    const crowd = applyHops(
      new Map(),
      Array.from({ length: MAX_LINKS + 9 }, (_, n) => hop('a', `n${n}`, n + 1)),
    );
    const kept = pruneLinks(crowd, () => true, 10_000);
    expect(kept.size).toBe(MAX_LINKS);
    expect(kept.has('a>n0')).toBe(false);
  });
});

test('the record adds what was before, and never counts twice what was seen', () => {
  const seen = applyHops(new Map(), [
    {
      event: 'ACTIVITY_LOGGED',
      workspace_id: 'b',
      timestamp: new Date(9_000).toISOString(),
      payload: { activity_type: 'a2a_receive', source_id: 'a', target_id: 'b', status: 'ok' },
    },
  ]);
  const all = withRecorded(seen, [
    { at: 9_000, from: 'a', to: 'b', failed: false },
    { at: 2_000, from: 'a', to: 'c', failed: true },
    { at: 1_000, from: 'a', to: 'c', failed: false },
  ]);
  expect(all.get('a>b')).toMatchObject({ calls: 1, pulse: 1 });
  expect(all.get('a>c')).toMatchObject({ calls: 2, pulse: 0, at: 2_000, failed: true });
});

describe('the store', () => {
  beforeEach(resetOrg);

  test('a failed reading is no empty organisation, and takes nothing away', () => {
    loadFailed('x');
    expect(useOrg.getState()).toMatchObject({ phase: 'failed', error: 'x' });
    loadWorkspaces([row('a')]);
    loadFailed('y');
    expect(useOrg.getState()).toMatchObject({ phase: 'ready', error: null });
    expect(useOrg.getState().byId.size).toBe(1);
  });

  // UI-16
  test('what was deleted here is not brought back by a list that was under way', () => {
    loadWorkspaces([row('a'), row('b')], 0);
    removeLocal(new Set(['a']), 0);
    loadWorkspaces([row('a'), row('b')], 5_000);
    expect([...useOrg.getState().byId.keys()]).toEqual(['b']);
    loadWorkspaces([row('a'), row('b')], 20_000);
    expect(useOrg.getState().byId.size).toBe(2);
  });

  test('a change that the server refuses is taken back, and only that', () => {
    loadWorkspaces([row('a', { x: 1 }), row('b')]);
    const settle = patchLocal(
      new Map<string, Partial<Workspace>>([
        ['a', { x: 9, parent_id: 'b' }],
        ['b', { x: 7 }],
      ]),
    );
    takeEvents([event('WORKSPACE_OFFLINE', 'a')]);
    settle(new Set(['a']));
    expect(useOrg.getState().byId.get('a')).toMatchObject({ x: 1, parent_id: null, status: 'offline' });
    expect(useOrg.getState().byId.get('b')).toMatchObject({ x: 7 });
  });

  test('a list that was asked for before a change was stored does not take it back', () => {
    loadWorkspaces([row('a', { x: 1 })], 0);
    const settle = patchLocal(new Map([['a', { x: 9 }]]));
    loadWorkspaces([row('a', { x: 1, name: 'renamed' })], 20, 10);
    expect(useOrg.getState().byId.get('a')).toMatchObject({ x: 9, name: 'renamed' });
    settle(new Set(), 30);
    loadWorkspaces([row('a', { x: 1 })], 40, 25);
    expect(useOrg.getState().byId.get('a')?.x).toBe(9);
    // What was asked for afterwards is the truth, also where somebody else has moved it since.
    loadWorkspaces([row('a', { x: 5 })], 50, 45);
    expect(useOrg.getState().byId.get('a')?.x).toBe(5);
  });

  test('rows that say the same stay the same objects', () => {
    loadWorkspaces([row('a', { agent_card: { name: 'a' } as never }), row('b')]);
    const before = useOrg.getState().byId;
    loadWorkspaces([row('a', { agent_card: { name: 'a' } as never }), row('b', { uptime_seconds: 9 })]);
    expect(useOrg.getState().byId.get('a')).toBe(before.get('a'));
    expect(useOrg.getState().byId.get('b')).not.toBe(before.get('b'));
  });

  test('beats draw nothing anew; moves do', () => {
    loadWorkspaces([row('a')]);
    const { shape } = useOrg.getState();
    takeEvents([event('WORKSPACE_HEARTBEAT', 'a', { active_tasks: 0, uptime_seconds: 5 })]);
    loadWorkspaces([row('a')]);
    expect(useOrg.getState().shape).toBe(shape);
    loadWorkspaces([row('a', { x: 5 })]);
    expect(useOrg.getState().shape).toBe(shape + 1);
  });

  test('the log is bounded, newest first, and re-reading it doubles nothing', () => {
    loadWorkspaces([row('a')]);
    takeEvents(Array.from({ length: LOG_LIMIT + 5 }, (_, n) => event('WORKSPACE_ONLINE', 'a', {}, n)));
    expect(useOrg.getState().log).toHaveLength(LOG_LIMIT);
    expect(useOrg.getState().log[0]?.timestamp).toBe(new Date(LOG_LIMIT + 4).toISOString());
    resetOrg();
    takeEvents([event('TASK_UPDATED', 'a', { current_task: 'x' }, 1_000), event('WORKSPACE_ONLINE', 'a', {}, 2_000)]);
    loadLog([
      {
        id: '2',
        event_type: 'WORKSPACE_ONLINE',
        workspace_id: 'a',
        payload: {},
        created_at: new Date(2_000).toISOString(),
      },
      {
        id: '1',
        event_type: 'WORKSPACE_OFFLINE',
        workspace_id: 'a',
        payload: {},
        created_at: new Date(0).toISOString(),
      },
    ]);
    expect(useOrg.getState().log.map((one) => one.event)).toEqual([
      'WORKSPACE_ONLINE',
      'TASK_UPDATED',
      'WORKSPACE_OFFLINE',
    ]);
  });

  test('a restart applies changed settings', () => {
    loadWorkspaces([row('a'), row('b')]);
    markStale(['a', 'b']);
    takeEvents([event('WORKSPACE_PROVISIONING', 'a')]);
    expect([...useOrg.getState().stale]).toEqual(['b']);
  });
});
