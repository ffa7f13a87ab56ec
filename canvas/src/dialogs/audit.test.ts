import { expect, test } from 'vitest';
import { actorOf, changesOf, subjectOf } from './audit';

const ID = '6fa459ea-ee8a-4ca4-894e-db77e160355e';
const nameOf = (id: string) => (id === ID ? 'Lead' : 'somebody');

test.each([
  ['admin', 'the operator'],
  ['anonymous', 'not signed in'],
  [`session:${ID}`, 'browser session 6fa459ea'],
  ['org-token:NGISkg31', 'org token NGISkg31…'],
  [`workspace:${ID}`, 'workspace Lead'],
  ['a:new:kind', 'a:new:kind'],
])('%s is told as %s', (actor, told) => {
  expect(actorOf(actor, nameOf)).toBe(told);
});

test('what was changed has its name, and no id that nobody can read', () => {
  expect(subjectOf({ workspace_id: ID }, nameOf)).toBe('Lead');
  expect(subjectOf({ workspace_id: ID, target: 'OPENAI_API_KEY' }, nameOf)).toBe('Lead OPENAI_API_KEY');
  expect(subjectOf({ target: ID, after: { name: 'Scout' } }, nameOf)).toBe('Scout');
  expect(subjectOf({ target: ID }, nameOf)).toBe('6fa459ea');
  expect(subjectOf({}, nameOf)).toBe('');
});

test('a change is told from what it was to what it is', () => {
  expect(changesOf({ before: { name: 'Lead', tier: 2 }, after: { name: 'Research lead', tier: 2 } })).toEqual([
    'name: Lead → Research lead',
  ]);
  expect(changesOf({ after: { role: 'Reads' } })).toEqual(['role: nothing → Reads']);
  expect(changesOf({ before: null, after: 'x' })).toEqual([]);
  const many = Object.fromEntries(Array.from({ length: 6 }, (_, n) => [`k${n}`, n]));
  expect(changesOf({ after: many })).toHaveLength(5);
});
