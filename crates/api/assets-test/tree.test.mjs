import assert from 'node:assert/strict';
import test from 'node:test';
import { STATUSES, applyEvent, buildTree, fromList, hintFor, runtimeBadge, statusCounts, statusView, visibleIds } from '../assets/tree.js';

const ws = (id, parent = null, more = {}) => ({ id, name: id, parent_id: parent, status: 'online', runtime: 'native', current_task: '', last_sample_error: '', ...more });
const shape = (nodes) => nodes.map((node) => (node.children.length > 0 ? [node.id, shape(node.children)] : node.id));
const event = (name, id, payload = {}) => ({ event: name, workspace_id: id, payload });

test('nests by parent, siblings by name with numbers in order', () => {
  const list = [ws('b10', 'a'), ws('b9', 'a'), ws('a'), ws('z'), ws('c', 'b9')];
  assert.deepEqual(shape(buildTree(list)), [['a', [['b9', ['c']], 'b10']], 'z']);
});

test('a missing parent makes a root', () => {
  assert.deepEqual(shape(buildTree([ws('a', 'gone')])), ['a']);
});

// UI-135
test('cycles lose nobody and end', () => {
  assert.deepEqual(shape(buildTree([ws('a', 'c'), ws('b', 'a'), ws('c', 'b'), ws('self', 'self')])), ['self', ['a', [['b', ['c']]]]]);
});

test('collapsed rows hide what is below them', () => {
  const tree = buildTree([ws('a'), ws('b', 'a'), ws('c', 'b'), ws('d')]);
  assert.deepEqual(visibleIds(tree, new Set(['b'])), ['a', 'b', 'd']);
  assert.deepEqual(visibleIds(tree, new Set()), ['a', 'b', 'c', 'd']);
});

// UI-31
test('every status has its own word, unknown ones their own name, removed ones are not drawn', () => {
  const words = Object.values(STATUSES).map((view) => view.label);
  assert.equal(new Set(words).size, 9);
  assert.deepEqual(statusView('melting_down'), { label: 'melting down', tone: 'grey', hint: '' });
  assert.equal(statusView('constructor').tone, 'grey');
  assert.deepEqual([...fromList([ws('a'), ws('b', null, { status: 'removed' }), null]).keys()], ['a']);
});

test('counts follow the order of the table', () => {
  const list = [ws('a', null, { status: 'failed' }), ws('b'), ws('c', null, { status: 'odd' }), ws('d')];
  assert.deepEqual(statusCounts(list), [['online', 2], ['failed', 1], ['odd', 1]]);
});

// D6
test('echo is labelled as a demo agent', () => {
  assert.equal(runtimeBadge('echo').text, 'demo agent');
  assert.equal(runtimeBadge(''), null);
});

test('a failed start says what to do', () => {
  assert.match(hintFor(ws('a', null, { status: 'failed', last_sample_error: 'missing required env: KEY' })), /secrets/);
  assert.match(hintFor(ws('a', null, { status: 'failed', last_sample_error: 'boom' })), /logs/);
  assert.equal(hintFor(ws('a')), '');
});

// UI-18…25, UI-20a
test('events patch one workspace and leave the other entries as they were', () => {
  const cases = [
    ['WORKSPACE_PROVISIONING', { name: 'n', runtime: 'codex' }, { status: 'provisioning', name: 'n', runtime: 'codex', current_task: '' }],
    ['WORKSPACE_OFFLINE', {}, { status: 'offline' }],
    ['WORKSPACE_DEGRADED', { error_rate: 0.5, sample_error: 'x' }, { status: 'degraded', last_error_rate: 0.5, last_sample_error: 'x' }],
    ['WORKSPACE_PROVISION_FAILED', { error: 'why' }, { status: 'failed', last_sample_error: 'why' }],
    ['WORKSPACE_AWAITING_AGENT', { name: 'a' }, { status: 'awaiting_agent' }],
    ['WORKSPACE_PAUSED', {}, { status: 'paused', current_task: '' }],
    ['WORKSPACE_HIBERNATED', {}, { status: 'hibernated' }],
    ['TASK_UPDATED', { current_task: 't', active_tasks: 2 }, { current_task: 't', active_tasks: 2 }],
    ['TASK_UPDATED', {}, { current_task: '', active_tasks: 0 }],
    ['AGENT_CARD_UPDATED', { agent_card: 'text' }, { agent_card: null }],
  ];
  for (const [name, payload, expected] of cases) {
    const other = ws('other');
    const map = fromList([ws('a', null, { current_task: 'busy', agent_card: {} }), other]);
    const before = map.get('a');
    assert.equal(applyEvent(map, event(name, 'a', payload)).changed, 'a', name);
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(map.get('a')[key], value, `${name} ${key}`);
    assert.notEqual(map.get('a'), before);
    assert.equal(map.get('other'), other);
  }
  const map = fromList([ws('a', null, { status: 'failed', last_sample_error: 'old' })]);
  applyEvent(map, event('WORKSPACE_ONLINE', 'a', { url: 'http://u', agent_card: { name: 'x' } }));
  assert.deepEqual([map.get('a').status, map.get('a').last_sample_error, map.get('a').url], ['online', '', 'http://u']);
});

// UI-20a
test('an external agent that went away is awaited', () => {
  const map = fromList([ws('a', null, { runtime: 'external' })]);
  applyEvent(map, event('WORKSPACE_OFFLINE', 'a'));
  assert.equal(map.get('a').status, 'awaiting_agent');
});

// UI-23
test('removal hands children to the parent', () => {
  const map = fromList([ws('a'), ws('b', 'a'), ws('c', 'b')]);
  assert.deepEqual(applyEvent(map, event('WORKSPACE_REMOVED', 'b')), { changed: null, structure: true, refresh: false });
  assert.equal(map.get('c').parent_id, 'a');
  assert.equal(applyEvent(map, event('WORKSPACE_REMOVED', 'b')).structure, false);
});

// UI-18, UI-19
test('unknown workspaces are drawn when they start, and re-read', () => {
  const map = fromList([ws('a')]);
  assert.deepEqual(applyEvent(map, event('WORKSPACE_PROVISIONING', 'n', { name: 'New', tier: 2, parent_id: 'a' })), { changed: 'n', structure: true, refresh: true });
  assert.equal(map.get('n').parent_id, 'a');
  assert.equal(applyEvent(map, event('WORKSPACE_ONLINE', 'other')).refresh, true);
  assert.equal(map.has('other'), false);
  assert.equal(applyEvent(map, event('WORKSPACE_HEARTBEAT', 'other')).refresh, false);
  assert.equal(applyEvent(map, event('AGENT_MESSAGE', 'other')).refresh, false);
});

// UI-15
test('what changes nothing redraws nothing', () => {
  const map = fromList([ws('a')]);
  const quiet = { changed: null, structure: false, refresh: false };
  assert.deepEqual(applyEvent(map, event('SOMETHING_NEW', 'a')), quiet);
  assert.deepEqual(applyEvent(map, event('TASK_UPDATED', '', {})), quiet);
  applyEvent(map, event('WORKSPACE_HEARTBEAT', 'a', { active_tasks: 1, uptime_seconds: 5 }));
  assert.deepEqual(applyEvent(map, event('WORKSPACE_HEARTBEAT', 'a', { active_tasks: 1, uptime_seconds: 5 })), quiet);
  assert.deepEqual(applyEvent(map, { event: 'WORKSPACE_OFFLINE', workspace_id: 'a', payload: null }).changed, 'a');
});
