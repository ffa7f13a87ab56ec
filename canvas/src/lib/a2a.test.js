import assert from 'node:assert/strict';
import { test } from 'vitest';
import { Reply, answerOf, filesOfParts, messageBody, taskState, textOfParts, wantsStream } from './a2a';

const rpc = (result) => ({ jsonrpc: '2.0', id: '1', result });
const answer = (status, body, headers = {}) => answerOf(status, body, new Headers(headers));

// UI-92
test('all text parts count, in every version’s shape', () => {
  assert.equal(
    textOfParts([
      { kind: 'text', text: 'a' },
      { type: 'text', text: 'b' },
      { text: 'c' },
      { kind: 'data', data: {} },
      null,
    ]),
    'a\nb\nc',
  );
  assert.equal(textOfParts(null), '');
});

// UI-26
test('files need an address and a name', () => {
  const parts = [
    { kind: 'file', file: { uri: 'workspace:/a.txt', name: 'a.txt', size: 5 } },
    { kind: 'file', file: { uri: '/work/b.txt' } },
    { kind: 'file', file: { name: 'c.txt', bytes: 'AA==' } },
    { url: 'https://x/d.png', filename: 'd.png' },
    { kind: 'text', text: 'no' },
  ];
  assert.deepEqual(filesOfParts(parts), [
    { uri: 'workspace:/a.txt', name: 'a.txt', size: 5 },
    { uri: '/work/b.txt', name: 'b.txt', size: null },
    { uri: 'https://x/d.png', name: 'd.png', size: null },
  ]);
});

test('task states have one spelling', () => {
  assert.equal(taskState('TASK_STATE_INPUT_REQUIRED'), 'input-required');
  assert.equal(taskState('completed'), 'completed');
  assert.equal(taskState(undefined), '');
});

test('a message, a task, a notification and a bare result are replies', () => {
  const texts = [
    [rpc({ kind: 'message', parts: [{ kind: 'text', text: 'hi' }] }), 'hi'],
    [
      rpc({
        kind: 'task',
        status: { state: 'completed' },
        artifacts: [
          { artifactId: '1', parts: [{ text: 'a' }] },
          { artifactId: '2', parts: [{ text: 'b' }] },
        ],
      }),
      'a\n\nb',
    ],
    [rpc({ kind: 'task', status: { state: 'completed', message: { parts: [{ text: 'only here' }] } } }), 'only here'],
    [rpc({ task: { status: { state: 'TASK_STATE_COMPLETED' }, artifacts: [{ parts: [{ text: 'v1' }] }] } }), 'v1'],
    [rpc({ message: { parts: [{ text: 'v1 message' }] } }), 'v1 message'],
    [{ result: 'note', parts: [{ kind: 'file', file: { uri: '/f', name: 'f' } }] }, 'note'],
    [{ text: 'delegated', delegation_id: 'd' }, 'delegated'],
    ['plain', 'plain'],
    [null, ''],
  ];
  for (const [body, text] of texts) {
    const reply = new Reply().push(body);
    reply.done = true;
    assert.equal(reply.text, text, JSON.stringify(body));
    assert.equal(reply.error, '');
  }
  assert.equal(
    new Reply().push({ result: 'note', parts: [{ kind: 'file', file: { uri: '/f', name: 'f' } }] }).files.length,
    1,
  );
});

test('a stream grows: appended chunks continue, a new artifact starts', () => {
  const reply = new Reply();
  const frame = (result) => reply.push(rpc(result));
  frame({ kind: 'task', id: 't', status: { state: 'submitted' } });
  frame({
    kind: 'status-update',
    final: false,
    status: { state: 'working', message: { parts: [{ text: 'reading' }] } },
  });
  assert.equal(reply.progress, 'reading');
  assert.equal(reply.text, '');
  frame({ kind: 'artifact-update', artifact: { artifactId: 'a', parts: [{ text: 'Hel' }] } });
  frame({ kind: 'artifact-update', append: true, artifact: { artifactId: 'a', parts: [{ text: 'lo' }] } });
  frame({ artifactUpdate: { artifact: { artifactId: 'b', parts: [{ text: 'more' }] } } });
  assert.equal(reply.text, 'Hello\n\nmore');
  assert.equal(reply.done, false);
  frame({ kind: 'status-update', final: true, status: { state: 'completed' } });
  assert.equal(reply.done, true);
  assert.equal(reply.progress, '');
  assert.equal(reply.text, 'Hello\n\nmore');
});

test('failed and input-required tasks say so', () => {
  const failed = new Reply().push(
    rpc({ kind: 'status-update', status: { state: 'failed', message: { parts: [{ text: 'no disk' }] } } }),
  );
  assert.deepEqual([failed.text, failed.failed, failed.note], ['no disk', true, 'The agent reports: failed.']);
  const asks = new Reply().push(
    rpc({ status: { state: 'input-required', message: { parts: [{ text: 'Which one?' }] } } }),
  );
  assert.deepEqual([asks.text, asks.done, asks.note], ['Which one?', true, 'The agent needs more input to go on.']);
});

test('errors are errors, and “cannot stream” is told apart', () => {
  const reply = new Reply().push({ jsonrpc: '2.0', id: '1', error: { code: -32601, message: 'Method not found' } });
  assert.deepEqual([reply.error, reply.cannotStream, reply.done], ['Method not found', true, true]);
  assert.equal(new Reply().push({ error: 'text' }).error, 'text');
  assert.equal(answer(200, { error: { code: -32603, message: 'boom' } }).kind, 'failed');
});

// A2A-40, A2A-61, A2A-81, A2A-86, A2A-88…90, UI-95, UI-96
test('platform answers are said plainly', () => {
  const cases = [
    [answer(202, { queued: true, queue_id: 'q', queue_depth: 3 }), 'queued', /queued.*number 3/],
    [
      answer(200, { status: 'queued', delivery_mode: 'poll', method: 'message/send' }),
      'queued',
      /fetches its messages/,
    ],
    [answer(503, { error: 'x', restarting: true }, { 'Retry-After': '15' }), 'failed', /restarting/],
    [answer(503, { error: 'x', waking: true, retry_after: 15 }), 'failed', /waking/],
    [answer(503, { error: 'x', busy: true, retry_after: 30 }), 'failed', /busy/],
    [answer(503, { error: 'workspace has no URL', status: 'awaiting_agent' }), 'failed', /awaiting agent/],
    [answer(402, { error: 'workspace budget limit exceeded' }), 'failed', /Budget exceeded/],
    [answer(404, { error: 'workspace not found' }), 'failed', /does not exist/],
    [
      answer(502, { error: 'failed to read agent response', delivery_confirmed: true }),
      'failed',
      /received the message/,
    ],
    [answer(502, { error: 'failed to reach workspace agent' }), 'failed', /Failed to reach workspace agent\./],
    [answer(500, undefined), 'failed', /could not be reached \(500\)/],
    [answer(200, undefined), 'failed', /not JSON/],
  ];
  for (const [got, kind, note] of cases) {
    assert.equal(got.kind, kind, String(note));
    assert.match(got.note, note);
  }
});

test('when to try again', () => {
  const when = (got) => [got.retry, got.retryAfter];
  assert.deepEqual(when(answer(503, { error: 'x', restarting: true, retry_after: 15 }, { 'Retry-After': '20' })), [
    true,
    20,
  ]);
  assert.deepEqual(when(answer(503, { error: 'x', busy: true, retry_after: 30 })), [true, 30]);
  assert.equal(answer(400, { error: 'invalid JSON' }).retry, false);
  assert.equal(answer(403, { error: 'access denied' }).retry, false);
  assert.equal(answer(429, { error: 'slow down' }).retry, true);
  assert.equal(answer(504, { error: 'Gateway Timeout' }).retry, true);
  assert.equal(answer(402, {}).retry, false);
});

// UI-88, RUN-52
test('a message carries at most 20 turns, system lines excluded', () => {
  const history = Array.from({ length: 30 }, (_, i) => ({ role: i % 3 === 2 ? 'system' : 'user', text: `t${i}` }));
  const body = messageBody({ id: '1', messageId: 'm', text: 'x', stream: true, history });
  assert.equal(body.method, 'message/stream');
  assert.equal(body.params.metadata.history.length, 20);
  assert.equal(body.params.metadata.history.at(-1).parts[0].text, 't28');
  assert.deepEqual(body.params.message.parts, [{ kind: 'text', text: 'x' }]);
  assert.equal(
    'metadata' in messageBody({ id: '1', messageId: 'm', text: 'x', stream: false, history: [] }).params,
    false,
  );
});

test('a stream is asked for only where one is promised', () => {
  assert.equal(wantsStream({ agent_card: { capabilities: { streaming: true } } }), true);
  assert.equal(wantsStream({ agent_card: { capabilities: {} } }), false);
  assert.equal(wantsStream({ agent_card: { capabilities: { streaming: true } }, delivery_mode: 'poll' }), false);
  assert.equal(wantsStream({ agent_card: null }), false);
  assert.equal(wantsStream(undefined), false);
});
