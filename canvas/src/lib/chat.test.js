import assert from 'node:assert/strict';
import { test } from 'vitest';
import { ApiError } from './http';
import { Chat } from './chat';

const json = (status, body, headers = {}) =>
  new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', ...headers } });
const sse = (frames) =>
  new Response(frames.map((result) => `data: ${JSON.stringify({ jsonrpc: '2.0', id: '1', result })}\n\n`).join(''), {
    headers: { 'content-type': 'text/event-stream' },
  });
const said = (text) => ({ jsonrpc: '2.0', id: '1', result: { kind: 'message', parts: [{ kind: 'text', text }] } });

/** A conversation that is read like its snapshot. */
class Watched extends Chat {
  get items() {
    return this.snapshot().items;
  }
  get pending() {
    return this.snapshot().pending;
  }
  get loaded() {
    return this.snapshot().loaded;
  }
  get hasMore() {
    return this.snapshot().hasMore;
  }
  get loadError() {
    return this.snapshot().loadError;
  }
  get draft() {
    return this.snapshot().draft;
  }
  set draft(text) {
    super.draft = text;
  }
}

function stage({ answers = [], rows = () => [], streaming = false, kept = null } = {}) {
  const sent = [];
  const saved = [];
  const waiters = [];
  const chat = new Watched('w', {
    http: {
      json: async (_, path) => rows(path),
      raw: async (method, path, init) => {
        sent.push(init.body);
        const next = answers.shift();
        return typeof next === 'function' ? next(init) : next;
      },
    },
    workspace: () => ({ agent_card: { capabilities: { streaming } } }),
    announce: () => {},
    store: { load: () => kept, save: (value) => saved.push(value) },
  });
  chat.subscribe(() => waiters.forEach((check) => check()));
  const idle = () =>
    new Promise((resolve) => {
      const check = () => {
        if (chat.pending === null) resolve();
      };
      waiters.push(check);
      check();
    });
  return { chat, sent, saved, idle, end: () => chat.close() };
}
const brief = (chat) => chat.items.map((item) => [item.role, item.text, item.state]);

test('a message and its reply', async () => {
  const { chat, sent, idle, end } = stage({ answers: [json(200, said('hi'))] });
  assert.equal(chat.send('hello'), true);
  assert.equal(chat.send('second'), false, 'UI-90');
  await idle();
  assert.deepEqual(brief(chat), [
    ['user', 'hello', ''],
    ['agent', 'hi', ''],
  ]);
  assert.equal(sent[0].method, 'message/send');
  assert.equal(chat.send('   '), false);
  end();
});

test('a stream ends as one reply', async () => {
  const { chat, sent, idle, end } = stage({
    streaming: true,
    answers: [
      sse([
        { kind: 'artifact-update', artifact: { artifactId: 'a', parts: [{ text: 'one ' }] } },
        { kind: 'artifact-update', append: true, artifact: { artifactId: 'a', parts: [{ text: 'two' }] } },
        { kind: 'status-update', final: true, status: { state: 'completed' } },
      ]),
    ],
  });
  chat.send('go');
  await idle();
  assert.equal(sent[0].method, 'message/stream');
  assert.deepEqual(brief(chat), [
    ['user', 'go', ''],
    ['agent', 'one two', ''],
  ]);
  end();
});

test('a stream that is cut is not taken for a reply', async () => {
  const { chat, idle, end } = stage({
    streaming: true,
    answers: [sse([{ kind: 'artifact-update', artifact: { artifactId: 'a', parts: [{ text: 'par' }] } }])],
  });
  chat.send('go');
  await idle();
  assert.deepEqual(brief(chat), [['user', 'go', 'failed']]);
  assert.equal(chat.items[0].retry, true);
  end();
});

test('an agent that cannot stream is asked plainly, under the same id', async () => {
  const { chat, sent, idle, end } = stage({
    streaming: true,
    answers: [json(200, { jsonrpc: '2.0', id: '1', error: { code: -32601, message: 'no' } }), json(200, said('ok'))],
  });
  chat.send('go');
  await idle();
  assert.deepEqual(
    sent.map((body) => body.method),
    ['message/stream', 'message/send'],
  );
  assert.equal(sent[0].params.message.messageId, sent[1].params.message.messageId);
  assert.deepEqual(brief(chat).at(-1), ['agent', 'ok', '']);
  end();
});

// D14, UI-95
test('trying again uses the same id; editing gives the text back', async () => {
  const { chat, sent, idle, end } = stage({
    answers: [
      json(503, { error: 'x', restarting: true, retry_after: 15 }),
      json(503, { error: 'x', busy: true, retry_after: 30 }),
    ],
  });
  chat.send('do it');
  await idle();
  const [item] = chat.items;
  assert.deepEqual([item.state, item.retry], ['failed', true]);
  chat.retry(item.key);
  await idle();
  assert.equal(sent[0].params.message.messageId, sent[1].params.message.messageId);
  chat.draft = 'half a line';
  chat.edit(item.key);
  assert.equal(chat.draft, 'half a line\ndo it');
  assert.deepEqual(chat.items, []);
  end();
});

test('a lost connection loses no text, and a reply heard meanwhile is no failure', async () => {
  const lost = stage({ answers: [() => Promise.reject(new ApiError('x', { kind: 'network' }))] });
  lost.chat.send('precious');
  await lost.idle();
  assert.deepEqual(brief(lost.chat), [['user', 'precious', 'failed']]);
  assert.equal(lost.saved.at(-1).local[0].text, 'precious');
  lost.end();
  let fail;
  const heard = stage({
    answers: [
      () =>
        new Promise((_, reject) => {
          fail = reject;
        }),
    ],
  });
  heard.chat.send('q');
  heard.chat.hear({ event: 'A2A_RESPONSE', payload: { response_body: said('a') } });
  fail(new ApiError('x', { kind: 'network' }));
  await heard.idle();
  assert.equal(heard.chat.items[0].state, 'queued');
  heard.end();
});

test('stopping to wait is no failure', async () => {
  const { chat, idle, end } = stage({
    answers: [
      ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new ApiError('x', { kind: 'aborted' })));
        }),
    ],
  });
  chat.send('long');
  chat.stop();
  await idle();
  assert.equal(chat.items[0].state, 'queued');
  end();
});

test('queued answers wait for the record', async () => {
  let rows = [];
  const { chat, sent, idle, end } = stage({ answers: [json(202, { queued: true, queue_depth: 1 })], rows: () => rows });
  chat.send('q');
  await idle();
  assert.equal(chat.items[0].state, 'queued');
  rows = [
    {
      id: 'r',
      activity_type: 'a2a_receive',
      method: 'message/send',
      status: 'ok',
      duration_ms: 9,
      created_at: new Date().toISOString(),
      request_body: sent[0],
      response_body: said('later'),
    },
  ];
  await chat.reload();
  assert.deepEqual(brief(chat), [
    ['user', 'q', ''],
    ['agent', 'later', ''],
  ]);
  end();
});

test('notifications show at once and once', async () => {
  let rows = [];
  const { chat, end } = stage({ rows: () => rows });
  const now = new Date().toISOString();
  chat.hear({
    event: 'AGENT_MESSAGE',
    timestamp: now,
    payload: { message: 'ping', attachments: [{ uri: '', name: 'x' }] },
  });
  chat.hear({ event: 'AGENT_MESSAGE', timestamp: now, payload: { message: '', attachments: [] } });
  assert.deepEqual(brief(chat), [['agent', 'ping', '']]);
  rows = [
    {
      id: 'r',
      activity_type: 'a2a_receive',
      method: 'notify',
      status: 'ok',
      duration_ms: null,
      created_at: now,
      response_body: { result: 'ping' },
    },
  ];
  await chat.reload();
  assert.equal(chat.items.length, 1);
  end();
});

test('earlier pages stay through a re-read; an unreadable history is not an empty one', async () => {
  const page = (from) =>
    Array.from({ length: 50 }, (_, i) => ({
      id: `r${from + i}`,
      activity_type: 'a2a_receive',
      method: 'notify',
      status: 'ok',
      duration_ms: null,
      created_at: new Date(1e9 - (from + i) * 1000).toISOString(),
      response_body: { result: `n${from + i}` },
    }));
  let broken = false;
  const { chat, end } = stage({
    rows: (path) => {
      if (broken) throw new ApiError('query failed', { status: 500 });
      return path.includes('before_ts') ? page(50).slice(0, 3) : page(0);
    },
  });
  await chat.reload();
  assert.equal(chat.hasMore, true);
  await chat.loadOlder();
  assert.deepEqual([chat.items.length, chat.hasMore], [53, false]);
  await chat.reload();
  assert.deepEqual([chat.items.length, chat.hasMore], [53, false]);
  broken = true;
  await chat.reload();
  assert.deepEqual(
    [chat.items.length, chat.loadError],
    [53, 'Query failed. That went wrong in the server: try again, and look at its log if it stays so.'],
  );
  end();
});

test('after its end a conversation keeps and asks for nothing', async () => {
  let answer;
  const { chat, saved, sent, idle, end } = stage({
    answers: [
      () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    ],
  });
  chat.send('secret plan');
  await Promise.resolve();
  end();
  assert.equal(saved.at(-1), null, 'what was kept is dropped');
  const before = saved.length;
  answer(json(200, said('too late')));
  await idle();
  chat.draft = 'more';
  assert.equal(chat.send('more'), false);
  chat.hear({ event: 'AGENT_MESSAGE', timestamp: new Date().toISOString(), payload: { message: 'ping' } });
  await chat.reload();
  assert.deepEqual([saved.length, sent.length, chat.loaded], [before, 1, false]);
  assert.ok(chat.items.every((item) => item.role === 'user'));
});

test('bubbles are the same objects until they change', async () => {
  const row = {
    id: 'r',
    activity_type: 'a2a_receive',
    method: 'notify',
    status: 'ok',
    duration_ms: null,
    created_at: new Date().toISOString(),
    response_body: { result: 'old' },
  };
  const { chat, idle, end } = stage({ answers: [json(200, said('new'))], rows: () => [row] });
  await chat.reload();
  const [old] = chat.items;
  chat.send('go');
  await idle();
  assert.equal(chat.items.length, 3);
  assert.equal(chat.items[0], old, 'an old bubble is not made again for a new one');
  end();
});

test('what was open before a reload of the page comes back', () => {
  const { chat, end } = stage({
    kept: {
      draft: 'half',
      local: [
        {
          key: 'u:1',
          role: 'user',
          text: 'sent',
          messageId: '1',
          files: [],
          at: new Date().toISOString(),
          state: 'sending',
        },
      ],
    },
  });
  assert.equal(chat.draft, 'half');
  assert.deepEqual(brief(chat), [['user', 'sent', 'failed']]);
  end();
});
