import assert from 'node:assert/strict';
import { test } from 'vitest';
import { ApiError } from './http';
import { Session, codeFromHash, codeFromInput, loginFailure } from './session';

class Storage {
  #map = new Map();
  getItem = (key) => this.#map.get(key) ?? null;
  setItem = (key, value) => this.#map.set(key, value);
  removeItem = (key) => this.#map.delete(key);
}

test('the code is read from the fragment only', () => {
  assert.equal(codeFromHash('#code=abc-_1'), 'abc-_1');
  assert.equal(codeFromHash('#x=1&code=a%2Bb'), 'a+b');
  for (const hash of ['', '#', '#code=', '#tree', '#code=%20']) assert.equal(codeFromHash(hash), null, hash);
});

test('a link, a fragment or the bare code may be pasted', () => {
  for (const text of ['http://localhost:8080/#code=abc', ' #code=abc ', 'code=abc', 'abc\n'])
    assert.equal(codeFromInput(text), 'abc', text);
  for (const text of ['', '   ', 'http://localhost:8080/', 'two words', '#tree'])
    assert.equal(codeFromInput(text), null, text);
});

test('refusals are told apart from an unreachable server', () => {
  assert.match(loginFailure(new ApiError('x', { status: 401 })), /used already or has expired/);
  assert.match(loginFailure(new ApiError('x', { kind: 'network' })), /was not used/);
  assert.match(loginFailure(new ApiError('x', { status: 429, retryAfter: 9 })), /9 s/);
  assert.match(loginFailure(new ApiError('db down', { status: 503 })), /db down/);
  // SEC-202: a page under an address the server was not told of.
  assert.match(loginFailure(new ApiError('x', { status: 403 })), /MOLECULE_PUBLIC_URL.*CORS_ORIGINS/);
  for (const status of [400, 404, 413]) {
    const told = loginFailure(new ApiError('request body too large', { status }));
    assert.match(told, /was not used\. Request body too large\./, `${status}`);
  }
});

test('a refused token is forgotten, unless another has taken its place', () => {
  const session = new Session(new Storage());
  session.keep('old');
  session.keep('new');
  assert.equal(session.forget('old'), false);
  assert.equal(session.token, 'new');
  assert.equal(session.forget('new'), true);
  assert.equal(session.token, null);
  assert.equal(session.forget(null), true);
});

test('a browser that refuses storage keeps the session in memory', () => {
  const refuse = () => {
    throw new Error('denied');
  };
  const session = new Session({ getItem: refuse, setItem: refuse, removeItem: refuse });
  session.keep('t');
  assert.equal(session.token, 't');
  session.forget();
  assert.equal(session.token, null);
});

test('whoever is refused while another tab signs in reads again with its session', async () => {
  const session = new Session(new Storage());
  const read = async () => {
    const used = session.token;
    // The other tab stores its session while the server still answers.
    if (used === null) session.keep('theirs');
    if (used !== 'theirs') throw new ApiError('x', { status: 401 });
    return used;
  };
  assert.equal(await session.reading(read), 'theirs');
});

test('a refusal that no new session answers is final', async () => {
  const refusals = [
    [new Session(new Storage()), new ApiError('x', { status: 401 })],
    [new Session(new Storage()), new ApiError('x', { status: 500 })],
    [new Session(new Storage()), new ApiError('x', { status: 401, agents: true })],
  ];
  refusals[0][0].keep('refused');
  for (const [session, error] of refusals) {
    let reads = 0;
    const read = async () => {
      reads += 1;
      if (error.status !== 401 || error.agents) session.keep('another');
      throw error;
    };
    await assert.rejects(session.reading(read), error);
    assert.equal(reads, 1);
  }
});
