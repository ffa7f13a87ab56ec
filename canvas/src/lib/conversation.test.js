import assert from 'node:assert/strict';
import { test } from 'vitest';
import { historyItems, mergeLocal, survivors } from './conversation';

const at = (second) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
const ask = (messageId, text) => ({
  params: { message: { messageId, role: 'user', parts: [{ kind: 'text', text }] } },
});
const say = (text) => ({ result: { kind: 'message', parts: [{ kind: 'text', text }] } });
const row = (n, more) => ({
  id: `r${n}`,
  activity_type: 'a2a_receive',
  method: 'message/send',
  status: 'ok',
  duration_ms: 5,
  created_at: at(n),
  ...more,
});
const brief = (items) => items.map((item) => [item.role, item.text]);

// UI-93
test('rows become bubbles, oldest first', () => {
  const items = historyItems([
    row(3, { method: 'notify', duration_ms: null, response_body: { result: 'by the way' } }),
    row(2, { request_body: ask('m2', 'again'), status: 'error', error_detail: 'connection refused' }),
    row(1, { request_body: ask('m1', 'hello'), response_body: say('hi') }),
  ]);
  assert.deepEqual(brief(items), [
    ['user', 'hello'],
    ['agent', 'hi'],
    ['user', 'again'],
    ['system', 'Connection refused.'],
    ['agent', 'by the way'],
  ]);
  assert.deepEqual(
    items.map((item) => item.key),
    ['u:m1', 'a:m1', 'u:m2', 'a:m2', 'a:r3'],
  );
});

// UI-98: rows map individually
test('malformed rows are left out, the others stay', () => {
  const items = historyItems([
    null,
    { activity_type: 'cron_run' },
    row(2, { request_body: null }),
    row(1, { request_body: ask('m', 'x'), response_body: say('y') }),
    'text',
  ]);
  assert.deepEqual(brief(items).slice(0, 2), [
    ['user', 'x'],
    ['agent', 'y'],
  ]);
});

test('v0.2 content, scheduled messages, unanswered rows', () => {
  const items = historyItems([
    row(3, { request_body: ask('m3', 'waiting'), duration_ms: null }),
    row(2, { request_body: ask('cron-1', 'tick'), response_body: say('tock') }),
    row(1, { request_body: { params: { message: { messageId: 'm1', content: 'old' } } }, response_body: say('ok') }),
  ]);
  assert.equal(items[0].text, 'old');
  assert.equal(items[2].note, 'Sent by a schedule');
  assert.deepEqual(brief(items).at(-1), ['system', 'Accepted; no reply is recorded yet.']);
});

// A2A-101: a queued call first leaves an error row
test('of several rows of one message the last outcome counts', () => {
  const items = historyItems([
    row(2, { request_body: ask('m', 'do it'), response_body: say('done') }),
    row(1, { request_body: ask('m', 'do it'), status: 'error', error_detail: 'busy' }),
  ]);
  assert.deepEqual(brief(items), [
    ['user', 'do it'],
    ['agent', 'done'],
  ]);
});

test('local bubbles give way to the record', () => {
  const history = historyItems([row(1, { request_body: ask('m', 'q'), response_body: say('a') })]);
  const local = [
    { key: 'u:m', role: 'user', text: 'q', messageId: 'm', at: at(0), state: '' },
    { key: 'a:m', role: 'agent', text: 'a', messageId: 'm', at: at(1), state: '' },
    { key: 'n:1', role: 'agent', text: 'a', at: at(2), state: '' },
  ];
  const merged = mergeLocal(history, local);
  assert.deepEqual(brief(merged.items), [
    ['user', 'q'],
    ['agent', 'a'],
  ]);
  assert.deepEqual(merged.local, []);
});

test('a reply stays until the record has it, and stands below its question whatever the clocks say', () => {
  const history = historyItems([row(50, { request_body: ask('m', 'q'), duration_ms: null })]);
  const local = [
    { key: 'u:m', role: 'user', text: 'q', messageId: 'm', at: at(0), state: '' },
    { key: 'a:m', role: 'agent', text: 'a', messageId: 'm', at: at(1), state: '' },
  ];
  const merged = mergeLocal(history, local);
  assert.deepEqual(brief(merged.items), [
    ['user', 'q'],
    ['agent', 'a'],
  ]);
  assert.deepEqual(
    merged.local.map((item) => item.key),
    ['a:m'],
  );
});

test('a failed or queued message keeps its own words until a reply is recorded', () => {
  const failed = {
    key: 'u:m',
    role: 'user',
    text: 'q',
    messageId: 'm',
    at: at(1),
    state: 'failed',
    note: 'restarting',
    retry: true,
  };
  const refused = historyItems([row(1, { request_body: ask('m', 'q'), status: 'error', error_detail: 'refused' })]);
  assert.deepEqual(
    mergeLocal(refused, [failed]).items.map((item) => [item.role, item.note]),
    [['user', 'restarting']],
  );
  const answered = historyItems([row(1, { request_body: ask('m', 'q'), response_body: say('a') })]);
  assert.deepEqual(mergeLocal(answered, [{ ...failed, state: 'queued' }]).local, []);
});

test('a message under way is not doubled by its own row', () => {
  const sending = { key: 'u:m', role: 'user', text: 'q', messageId: 'm', at: at(1), state: 'sending' };
  const streaming = { key: 'a:m', role: 'agent', text: 'par', messageId: 'm', at: at(2), state: 'streaming' };
  const history = historyItems([row(1, { request_body: ask('m', 'q'), duration_ms: null })]);
  assert.deepEqual(brief(mergeLocal(history, [sending, streaming]).items), [
    ['user', 'q'],
    ['agent', 'par'],
  ]);
});

test('a reload keeps what is open and nothing else', () => {
  const kept = survivors([
    { role: 'user', key: 'u:1', state: 'sending' },
    { role: 'user', key: 'u:2', state: 'queued', note: 'n' },
    { role: 'user', key: 'u:3', state: '' },
    { role: 'agent', key: 'a:1', state: 'streaming' },
  ]);
  assert.deepEqual(
    kept.map((item) => [item.key, item.state]),
    [
      ['u:1', 'failed'],
      ['u:2', 'queued'],
    ],
  );
  assert.equal(kept[0].retry, true);
});
