import assert from 'node:assert/strict';
import { test } from 'vitest';
import { Live, backoff } from './live';

/** A socket and a clock that the test moves. */
function stage({ tickets = () => 'T' } = {}) {
  const made = { sockets: [], timers: [], states: [], opens: [], events: [] };
  const live = new Live({
    ticket: async () => tickets(),
    connect: (url) => {
      const socket = {
        url,
        closed: false,
        close: () => {
          socket.closed = true;
        },
      };
      made.sockets.push(socket);
      return socket;
    },
    onEvent: (event) => made.events.push(event.event),
    onState: (state, wait) => made.states.push([state, wait]),
    onOpen: (first) => made.opens.push(first),
    setTimeout: (run, ms) => {
      const timer = { run, ms, live: true };
      made.timers.push(timer);
      return timer;
    },
    clearTimeout: (timer) => {
      if (timer) timer.live = false;
    },
  });
  const settle = () =>
    new Promise((resolve) => {
      setImmediate(resolve);
    });
  const fire = async (ms) => {
    const timer = made.timers.find((each) => each.live && each.ms === ms);
    assert.ok(timer, `a timer of ${ms} ms`);
    timer.live = false;
    timer.run();
    await settle();
  };
  return { live, made, settle, fire };
}

test('a ticket opens the socket, frames become events, bad ones nothing', async () => {
  const { live, made, settle } = stage();
  live.start();
  live.start();
  await settle();
  assert.deepEqual(
    made.sockets.map((socket) => socket.url),
    ['/ws?ticket=T'],
  );
  made.sockets[0].onopen();
  made.sockets[0].onmessage({ data: '{"event":"A","payload":{}}' });
  made.sockets[0].onmessage({ data: '{' });
  assert.deepEqual(made.events, ['A']);
  assert.deepEqual(made.opens, [true]);
  assert.deepEqual(made.states.at(-1), ['live', 0]);
});

// ACT-80
test('it comes back with doubling pauses, and starts over after success', async () => {
  const { live, made, settle, fire } = stage();
  live.start();
  await settle();
  made.sockets[0].onclose();
  await fire(1_000);
  made.sockets[1].onclose();
  await fire(2_000);
  made.sockets[2].onopen();
  made.sockets[2].onclose();
  assert.deepEqual(made.states.at(-1), ['waiting', 1_000]);
  await fire(1_000);
  made.sockets[3].onopen();
  assert.deepEqual(made.opens, [true, false]);
});

test('a refused ticket waits like a lost socket', async () => {
  const { live, made, settle } = stage({
    tickets: () => {
      throw new Error('503');
    },
  });
  live.start();
  await settle();
  assert.deepEqual(made.states, [
    ['connecting', 0],
    ['waiting', 1_000],
  ]);
});

test('hurry skips the pause once; without a pause it does nothing', async () => {
  const { live, made, settle } = stage();
  live.start();
  await settle();
  live.hurry();
  await settle();
  assert.equal(made.sockets.length, 1);
  made.sockets[0].onclose();
  live.hurry();
  live.hurry();
  await settle();
  assert.equal(made.sockets.length, 2);
});

test('a silent connection is replaced and its late frames are ignored', async () => {
  const { live, made, settle, fire } = stage();
  live.start();
  await settle();
  made.sockets[0].onopen();
  await fire(120_000);
  assert.equal(made.sockets[0].closed, true);
  made.sockets[0].onmessage({ data: '{"event":"OLD","payload":{}}' });
  made.sockets[0].onclose();
  assert.deepEqual(made.events, []);
  assert.equal(made.sockets.length, 2);
  assert.equal(made.states.at(-1)[0], 'connecting');
});

test('stop leaves nothing behind, also while a ticket is under way', async () => {
  const { live, made, settle } = stage();
  live.start();
  live.stop();
  await settle();
  assert.equal(made.sockets.length, 0);
  live.start();
  await settle();
  live.stop();
  assert.equal(made.sockets[0].closed, true);
  made.sockets[0].onclose();
  assert.equal(made.timers.filter((timer) => timer.live).length, 0);
});

// UI-14
test('back-off doubles from 1 s to 30 s', () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, 6, 99].map(backoff), [1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
});
