import { expect, test } from 'vitest';
import { commandKey } from './keys';

test('keys are called what is written on them', () => {
  expect(['MacIntel', 'iPhone', 'iPad'].map(commandKey)).toEqual(['⌘', '⌘', '⌘']);
  expect(['Linux x86_64', 'Win32', ''].map(commandKey)).toEqual(['Ctrl ', 'Ctrl ', 'Ctrl ']);
});
