import assert from 'node:assert/strict';
import { test } from 'vitest';
import { describe, hopOf, parseFrame } from './events';
import { cut, duration } from './text';

const names = { l: 'Lead', r: 'Researcher' };
const nameOf = (id) => (id === null ? 'User' : (names[id] ?? id));
const line = (event, payload, id = 'l') => describe({ event, workspace_id: id, payload }, nameOf)?.text;

// UI-15
test('malformed frames are nothing', () => {
  for (const data of ['', 'x', 'null', '[]', '{}', '{"event":1}']) assert.equal(parseFrame(data), null, data);
  assert.deepEqual(parseFrame('{"event":"A","workspace_id":null,"timestamp":"t","payload":null}'), {
    event: 'A',
    workspace_id: '',
    timestamp: 't',
    payload: {},
  });
});

test('hops read as one line', () => {
  const hop = {
    activity_type: 'a2a_receive',
    method: 'message/send',
    status: 'ok',
    source_id: 'l',
    target_id: 'r',
    duration_ms: 120,
  };
  assert.equal(line('ACTIVITY_LOGGED', hop, 'r'), 'Lead → Researcher message/send ok 120 ms');
  assert.equal(line('ACTIVITY_LOGGED', { ...hop, source_id: null }, 'r'), 'User → Researcher message/send ok 120 ms');
  // ACT-107
  assert.equal(line('ACTIVITY_LOGGED', { ...hop, duration_ms: null }, 'r'), 'Lead → Researcher message/send queued');
  const failed = describe(
    { event: 'ACTIVITY_LOGGED', workspace_id: 'r', payload: { ...hop, status: 'error', summary: 'refused' } },
    nameOf,
  );
  assert.deepEqual([failed.text, failed.tone], ['Lead → Researcher message/send error 120 ms (refused)', 'bad']);
  assert.equal(
    line('ACTIVITY_LOGGED', { activity_type: 'agent_log', summary: 'Read a file' }),
    'agent log: Read a file',
  );
});

test('status, delegations, schedules, approvals, unknown events', () => {
  assert.equal(line('WORKSPACE_PROVISION_FAILED', { error: 'no key' }), 'failed to start: no key');
  assert.equal(line('WORKSPACE_ONLINE', { recovered_from: 'awaiting_agent' }), 'online again, was awaiting agent');
  assert.equal(line('WORKSPACE_DEGRADED', { runtime_state: 'wedged' }), 'degraded: the runtime is wedged');
  assert.equal(line('WORKSPACE_REMOVED', { cascade_deleted: 2 }), 'removed, with 2 below it');
  assert.equal(
    line('DELEGATION_SENT', { target_id: 'r', task_preview: 'Find\n it' }),
    'Lead → Researcher delegates “Find it”',
  );
  assert.equal(line('DELEGATION_FAILED', { target_id: 'r', error: 'x' }), 'Lead → Researcher delegation failed: x');
  assert.equal(line('CRON_SKIPPED', { schedule_name: 's', reason: 'busy' }), 'schedule “s” skipped: busy');
  assert.equal(line('APPROVAL_APPROVED', { decision: 'approved', decided_by: 'human' }), 'approval approved by human');
  assert.equal(line('SOMETHING_NEW', {}), 'something new');
  assert.equal(line('WORKSPACE_HEARTBEAT', {}), undefined);
  assert.equal(line('A2A_RESPONSE', {}), undefined);
});

test('durations and cuts', () => {
  assert.deepEqual([0.4, 999, 1500, 125_000].map(duration), ['0 ms', '999 ms', '1.5 s', '2 min 5 s']);
  assert.equal(cut('😀😀😀', 2), '😀…');
  assert.equal(cut('abc', 3), 'abc');
});

// UI-48
test('a hop has two ends; talking to oneself is none', () => {
  const hop = (payload, id = 'r') => hopOf({ event: 'ACTIVITY_LOGGED', workspace_id: id, timestamp: '', payload });
  assert.deepEqual(hop({ activity_type: 'a2a_receive', source_id: 'l', target_id: 'r', status: 'error' }), {
    from: 'l',
    to: 'r',
    failed: true,
  });
  assert.equal(hop({ activity_type: 'a2a_receive', source_id: null, status: 'ok' }).from, null);
  assert.equal(hop({ activity_type: 'agent_log', source_id: 'l' }), null);
  assert.equal(hop({ activity_type: 'a2a_receive', source_id: 'r', target_id: 'r' }), null);
});
