import { expect, test } from 'vitest';
import { browserOf, sessionsOf } from './signedIn';

test.each([
  [
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36',
    'Chrome on Linux',
  ],
  ['Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0', 'Edge on Windows'],
  ['Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox on macOS'],
  ['', 'Unknown browser'],
  ['curl/8', 'curl/8'],
])('%s', (agent, name) => expect(browserOf(agent)).toBe(name));

test('the session that asks comes first, and what is no session is none', () => {
  const answer = { sessions: [{ id: 'a' }, { id: 'b', current: true }, null, { current: true }] };
  expect(sessionsOf(answer).map(({ id }) => id)).toEqual(['b', 'a']);
  expect(sessionsOf('nothing')).toEqual([]);
});
