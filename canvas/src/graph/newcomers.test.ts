import { expect, test } from 'vitest';
import { Newcomers } from './newcomers';

const boxes = (all: Record<string, boolean>) =>
  new Map(Object.entries(all).map(([id, stored]) => [id, { stored }] as const));

test('those that are there at first are no newcomers', () => {
  const newcomers = new Newcomers();
  expect(newcomers.take(boxes({ a: true }), 0)).toBe(false);
  expect(newcomers.take(boxes({ a: true }), 0)).toBe(false);
  expect(newcomers.take(boxes({ a: true, b: true }), 0)).toBe(true);
  expect(newcomers.take(boxes({ a: true, b: true }), 0)).toBe(false);
});

// UI-18: an event names no place; the list that is read after it does.
test('a card that jumps from where there was room to where it belongs is followed once', () => {
  const newcomers = new Newcomers();
  newcomers.take(boxes({}), 0);
  expect(newcomers.take(boxes({ a: false }), 0)).toBe(true);
  expect(newcomers.take(boxes({ a: false }), 500)).toBe(false);
  expect(newcomers.take(boxes({ a: true }), 1_500)).toBe(true);
  expect(newcomers.take(boxes({ a: true }), 1_600)).toBe(false);
});

test('a card that somebody places later is theirs to look at', () => {
  const newcomers = new Newcomers();
  newcomers.take(boxes({ old: false }), 0);
  expect(newcomers.take(boxes({ old: true }), 100)).toBe(false);
  newcomers.take(boxes({ old: true, a: false }), 100);
  expect(newcomers.take(boxes({ old: true, a: true }), 60_000)).toBe(false);
});
