import { describe, expect, test } from 'vitest';
import { boundedChunk, isTame, tamed } from './bounded';

describe('what is rendered of a text that somebody else wrote', () => {
  test('ten megabytes are shown a page at a time', () => {
    const text = 'word '.repeat(2_000_000);
    const { shown, rest } = boundedChunk(text, 1);
    expect(shown.length).toBeLessThanOrEqual(12_000);
    expect(shown.length + rest).toBe(text.length);
    expect(boundedChunk(text, 2).shown.length).toBeGreaterThan(shown.length);
  });

  test('a short text is whole', () => {
    expect(boundedChunk('hello', 1)).toEqual({ shown: 'hello', rest: 0 });
  });

  test('a word without an end is cut between characters', () => {
    const { shown } = boundedChunk('😀'.repeat(10_000), 1);
    expect([...shown].every((c) => c === '😀')).toBe(true);
  });

  test('a code block that is cut stays one', () => {
    const { shown } = boundedChunk(`\`\`\`\n${'line\n'.repeat(5_000)}\`\`\``, 1);
    expect(shown.endsWith('\n```')).toBe(true);
  });

  test('towers of combining marks and overrides of direction are taken down', () => {
    expect(tamed(`z${'\u0301'.repeat(1_000)}`)).toBe(`z${'\u0301'.repeat(6)}`);
    expect(tamed('a\u202Eb\u2066c')).toBe('abc');
    expect(tamed('ראשון 👩‍👩‍👧')).toBe('ראשון 👩‍👩‍👧');
  });

  test.each([
    ['[[[[', '['.repeat(3_000)],
    ['stars', '*a'.repeat(2_000)],
    ['quotes', `${'> '.repeat(40)}x`],
    ['lists', `${'- '.repeat(40)}x`],
    ['ticks', '`'.repeat(500)],
  ])('%s would take a parser quadratic time', (_, text) => {
    expect(isTame(text)).toBe(false);
  });

  test('ordinary Markdown is parsed', () => {
    expect(isTame('# Title\n\n- **one**\n  - [two](https://x)\n\n> quoted\n\n```js\nlet x = [1];\n```')).toBe(true);
  });
});
