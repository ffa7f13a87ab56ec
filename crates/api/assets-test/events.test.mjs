import assert from 'node:assert/strict';
import test from 'node:test';
import { EventLog, LOG_LIMIT, backoff, cut, describe, duration, fromRow, parseFrame } from '../assets/events.js';

const names = { l: 'Lead', r: 'Researcher' };
const nameOf = (id) => (id === null ? 'User' : (names[id] ?? id));
const line = (event, payload, id = 'l') => describe({ event, workspace_id: id, payload }, nameOf)?.text;

test('back-off doubles from 1 s to 30 s', () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, 6, 99].map(backoff), [1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
});

// UI-15
test('malformed frames are nothing', () => {
  for (const data of ['', 'x', 'null', '[]', '{}', '{"event":1}']) assert.equal(parseFrame(data), null, data);
  assert.deepEqual(parseFrame('{"event":"A","workspace_id":null,"timestamp":"t","payload":null}'), { event: 'A', workspace_id: '', timestamp: 't', payload: {} });
});

test('hops read as one line', () => {
  const hop = { activity_type: 'a2a_receive', method: 'message/send', status: 'ok', source_id: 'l', target_id: 'r', duration_ms: 120 };
  assert.equal(line('ACTIVITY_LOGGED', hop, 'r'), 'Lead → Researcher message/send ok 120 ms');
  assert.equal(line('ACTIVITY_LOGGED', { ...hop, source_id: null }, 'r'), 'User → Researcher message/send ok 120 ms');
  // ACT-107
  assert.equal(line('ACTIVITY_LOGGED', { ...hop, duration_ms: null }, 'r'), 'Lead → Researcher message/send queued');
  const failed = describe({ event: 'ACTIVITY_LOGGED', workspace_id: 'r', payload: { ...hop, status: 'error', summary: 'refused' } }, nameOf);
  assert.deepEqual([failed.text, failed.tone], ['Lead → Researcher message/send error 120 ms (refused)', 'bad']);
  assert.equal(line('ACTIVITY_LOGGED', { activity_type: 'agent_log', summary: 'Read a file' }), 'agent log: Read a file');
});

test('status, delegations, schedules, approvals, unknown events', () => {
  assert.equal(line('WORKSPACE_PROVISION_FAILED', { error: 'no key' }), 'failed to start: no key');
  assert.equal(line('WORKSPACE_ONLINE', { recovered_from: 'awaiting_agent' }), 'online again, was awaiting agent');
  assert.equal(line('WORKSPACE_DEGRADED', { runtime_state: 'wedged' }), 'degraded: the runtime is wedged');
  assert.equal(line('WORKSPACE_REMOVED', { cascade_deleted: 2 }), 'removed, with 2 below it');
  assert.equal(line('DELEGATION_SENT', { target_id: 'r', task_preview: 'Find\n it' }), 'Lead → Researcher delegates “Find it”');
  assert.equal(line('DELEGATION_FAILED', { target_id: 'r', error: 'x' }), 'Lead → Researcher delegation failed: x');
  assert.equal(line('CRON_SKIPPED', { schedule_name: 's', reason: 'busy' }), 'schedule “s” skipped: busy');
  assert.equal(line('APPROVAL_APPROVED', { decision: 'approved', decided_by: 'human' }), 'approval approved by human');
  assert.equal(line('SOMETHING_NEW', {}), 'something new');
  assert.equal(line('WORKSPACE_HEARTBEAT', {}), undefined);
  assert.equal(line('A2A_RESPONSE', {}), undefined);
});

test('the log is bounded and newest first', () => {
  const log = new EventLog();
  for (let i = 0; i < LOG_LIMIT + 5; i += 1) log.add({ event: 'WORKSPACE_ONLINE', workspace_id: 'l', timestamp: new Date(i).toISOString(), payload: {} });
  assert.equal(log.entries.length, LOG_LIMIT);
  assert.equal(log.entries[0].timestamp, new Date(LOG_LIMIT + 4).toISOString());
  assert.equal(log.add({ event: 'WORKSPACE_HEARTBEAT', workspace_id: 'l', payload: {} }), null);
  assert.equal(new Set(log.entries.map((entry) => entry.key)).size, LOG_LIMIT);
});

test('re-reading the record doubles nothing and keeps what is never recorded', () => {
  const log = new EventLog();
  const time = (n) => new Date(n * 1000).toISOString();
  log.add({ event: 'TASK_UPDATED', workspace_id: 'l', timestamp: time(1), payload: { current_task: 'x' } });
  log.add({ event: 'WORKSPACE_ONLINE', workspace_id: 'l', timestamp: time(2), payload: {} });
  log.add({ event: 'WORKSPACE_PAUSED', workspace_id: 'l', timestamp: time(9), payload: {} });
  log.load([
    { id: '2', event_type: 'WORKSPACE_ONLINE', workspace_id: 'l', payload: {}, created_at: time(2) },
    { id: '1', event_type: 'WORKSPACE_PROVISIONING', workspace_id: 'l', payload: {}, created_at: time(0) },
  ]);
  assert.deepEqual(log.entries.map((entry) => entry.event), ['WORKSPACE_PAUSED', 'WORKSPACE_ONLINE', 'TASK_UPDATED', 'WORKSPACE_PROVISIONING']);
  log.load(null);
  assert.equal(fromRow({ event_type: 'A', workspace_id: null, payload: null, created_at: 't' }).workspace_id, '');
});

test('durations and cuts', () => {
  assert.deepEqual([0.4, 999, 1500, 125_000].map(duration), ['0 ms', '999 ms', '1.5 s', '2 min 5 s']);
  assert.equal(cut('😀😀😀', 2), '😀…');
  assert.equal(cut('abc', 3), 'abc');
});
