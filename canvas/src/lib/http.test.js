import assert from 'node:assert/strict';
import { test } from 'vitest';
import { ApiError, Http, explain } from './http';
import { uuid } from './text';

const reply = (status, body, headers = {}) =>
  new Response(body === undefined ? null : JSON.stringify(body), { status, headers });

function client(answers, more = {}) {
  const calls = [];
  const http = new Http({
    fetch: async (path, init) => {
      calls.push({ path, ...init });
      const next = answers.shift();
      if (typeof next === 'function') return next(init);
      return next;
    },
    token: () => 'tok',
    ...more,
  });
  const api = {
    get: (path, options) => http.json('GET', path, options),
    post: (path, body, options) => http.json('POST', path, { ...options, body }),
    raw: (...args) => http.raw(...args),
  };
  return { api, calls };
}

test('sends the bearer and no cookie', async () => {
  const { api, calls } = client([reply(200, { ok: true }), reply(200, {})]);
  assert.deepEqual(await api.post('/x', { a: 1 }), { ok: true });
  assert.equal(calls[0].headers.Authorization, 'Bearer tok');
  assert.equal(calls[0].credentials, 'omit');
  assert.equal(calls[0].body, '{"a":1}');
  await api.get('/y', { auth: false });
  assert.equal('Authorization' in calls[1].headers, false);
  assert.equal('Content-Type' in calls[1].headers, false);
});

test('a 401 is told with the token it was answered to', async () => {
  const told = [];
  const { api } = client([reply(401, { error: 'gone' }), reply(401, { error: 'code' })], {
    onUnauthorized: (used, error) => told.push([used, error.message]),
  });
  await assert.rejects(api.get('/x'), { name: 'ApiError', status: 401, message: 'gone' });
  await assert.rejects(api.post('/auth/login', {}, { auth: false }), { status: 401 });
  assert.deepEqual(told, [['tok', 'gone']]);
});

test('an agent that says 401 signs nobody out', async () => {
  const told = [];
  const marked = reply(401, { error: 'unauthorized' }, { 'X-Molecule-Upstream-Status': '401' });
  const { api } = client([marked], { onUnauthorized: () => told.push('out') });
  await assert.rejects(api.post('/workspaces/w/a2a', {}), { status: 401, message: 'unauthorized' });
  assert.deepEqual(told, []);
});

// UI-7
test('a 429 GET is tried once more after Retry-After, a mutation never', async () => {
  const slept = [];
  const sleep = async (ms) => slept.push(ms);
  const first = client([reply(429, {}, { 'Retry-After': '90' }), reply(200, [])], { sleep });
  assert.deepEqual(await first.api.get('/x'), []);
  assert.deepEqual(slept, [20_000]);
  const second = client([reply(429, { error: 'a' }), reply(429, { error: 'b' }, { 'Retry-After': '3' })], { sleep });
  await assert.rejects(second.api.get('/x'), { status: 429, message: 'b', retryAfter: 3 });
  assert.deepEqual(slept, [20_000, 2_000]);
  const third = client([reply(429, {})], { sleep });
  await assert.rejects(third.api.post('/x', {}), { status: 429 });
  assert.equal(third.calls.length, 1);
});

test('no answer, a late answer and a stopped call are three things', async () => {
  const hang = ({ signal }) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const { api } = client([() => Promise.reject(new TypeError('failed')), hang, hang]);
  await assert.rejects(api.get('/x'), { kind: 'network' });
  await assert.rejects(api.get('/x', { timeoutMs: 5 }), { kind: 'timeout' });
  const controller = new AbortController();
  const stopped = assert.rejects(api.raw('POST', '/x', { signal: controller.signal, timeoutMs: 0 }), {
    kind: 'aborted',
  });
  controller.abort();
  await stopped;
});

test('bodies that are no JSON, and none at all', async () => {
  const { api } = client([
    new Response('<html>'),
    new Response(null, { status: 204 }),
    new Response('<html>', { status: 502 }),
  ]);
  await assert.rejects(api.get('/x'), /not JSON/);
  assert.equal(await api.post('/x', {}), null);
  await assert.rejects(api.get('/x'), { message: 'The server answered 502.' });
});

// D11
test('the detail follows a text that the wire has fixed', async () => {
  const { api } = client([reply(400, { error: 'invalid org template', detail: 'org.yaml:3: name is missing' })]);
  await assert.rejects(api.post('/org/import', {}), { message: 'invalid org template: org.yaml:3: name is missing' });
});

test('errors are explained in one sentence', () => {
  assert.equal(explain(new ApiError('workspace not found', { status: 404 })), 'Workspace not found.');
  assert.match(explain(new ApiError('x', { status: 503, body: { code: 'platform_unavailable' } })), /database/);
  assert.match(explain(new TypeError('x')), /Reload/);
});

test('ids are UUIDs without a secure context too', () => {
  const plain = { getRandomValues: (bytes) => crypto.getRandomValues(bytes) };
  for (const id of [uuid(plain), uuid()])
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
