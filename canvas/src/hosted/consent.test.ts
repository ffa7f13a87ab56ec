import { expect, test } from 'vitest';
import { decisionOf } from './Consent';

// UI-139
test('a decision holds for the policy that it was asked for, and for nothing else', () => {
  expect(decisionOf('{"policy":1,"optional":true,"at":"x"}')).toMatchObject({ optional: true });
  for (const text of [null, '', '{', '[]', '1', '{"policy":0,"optional":true}', '{"policy":1}']) {
    expect(decisionOf(text), String(text)).toBeNull();
  }
});
