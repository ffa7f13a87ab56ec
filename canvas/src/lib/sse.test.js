import assert from 'node:assert/strict';
import { test } from 'vitest';
import { SseParser, readEvents } from './sse';

const STREAM =
  '\uFEFF: ping\r\n\r\nevent: a\r\ndata: one\r\ndata:two\r\n\r\ndata: {"x":"é"}\n\nid: 7\nretry: 10\n\rdata\n\ndata: last';
const EVENTS = [
  { event: 'a', data: 'one\ntwo' },
  { event: 'message', data: '{"x":"é"}' },
  { event: 'message', data: '' },
  { event: 'message', data: 'last' },
];

test('events are the same wherever the chunks are cut', () => {
  for (let size = 1; size <= STREAM.length; size += 1) {
    const parser = new SseParser();
    const got = [];
    for (let at = 0; at < STREAM.length; at += size) got.push(...parser.push(STREAM.slice(at, at + size)));
    got.push(...parser.end());
    assert.deepEqual(got, EVENTS, `chunks of ${size}`);
  }
});

test('a body is decoded across bytes of one character', async () => {
  const bytes = new TextEncoder().encode('data: é€😀\n\n');
  const body = new ReadableStream({
    start(controller) {
      for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
      controller.close();
    },
  });
  const got = [];
  for await (const event of readEvents(body)) got.push(event.data);
  assert.deepEqual(got, ['é€😀']);
});

test('a body that is not read to its end is given up', async () => {
  let given = false;
  const body = new ReadableStream({
    pull: (controller) => controller.enqueue(new TextEncoder().encode('data: x\n\n')),
    cancel: () => {
      given = true;
    },
  });
  for await (const event of readEvents(body)) {
    assert.equal(event.data, 'x');
    break;
  }
  assert.equal(given, true);
  assert.equal(body.locked, false);
});

test('comments alone make no event', () => {
  const parser = new SseParser();
  assert.deepEqual([...parser.push(': ping\n\n: ping\n\n'), ...parser.end()], []);
});
