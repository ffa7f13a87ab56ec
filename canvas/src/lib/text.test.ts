import { expect, test } from 'vitest';
import { age, ago, centsOf, sentence } from './text';

test('what was a moment ago is not called “now ago”', () => {
  const now = Date.parse('2026-12-01T12:00:00Z');
  const before = (seconds: number) => now - seconds * 1_000;
  expect([0, 12, 300, 7_200, 172_800].map((seconds) => ago(before(seconds), now))).toEqual([
    'just now',
    '12 s ago',
    '5 min ago',
    '2 h ago',
    '2 d ago',
  ]);
  expect(age(before(0), now)).toBe('now');
  expect(ago('no date', now)).toBe('');
});

test('what the server says becomes a sentence', () => {
  expect(sentence('save this token ')).toBe('Save this token.');
  expect(sentence('done!')).toBe('Done!');
  expect(sentence('')).toBe('');
});

test('what somebody types as dollars becomes cents, or is refused', () => {
  expect(['20', ' $20 ', '0.5', '0,50', '0', '1.1'].map(centsOf)).toEqual([2_000, 2_000, 50, 50, 0, 110]);
  expect(['', '  '].map(centsOf)).toEqual([null, null]);
  expect(['-1', '1e3', 'ten', '1.234', '1 2', 'NaN'].map(centsOf)).toEqual(Array(6).fill(undefined));
});
