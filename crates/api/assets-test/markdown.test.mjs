import assert from 'node:assert/strict';
import test from 'node:test';
import { parse, parseInline } from '../assets/markdown.js';

const kinds = (source) => parse(source).map((block) => block.kind);
const spans = (source) => parseInline(source).map((span) => [span.kind, span.text]);

test('blocks', () => {
  assert.deepEqual(kinds('# T\n\ntext\nmore\n\n- a\n- b\n\n3. c\n\n> q\n\n---\n\n```js\nx\n```'), ['heading', 'paragraph', 'list', 'list', 'quote', 'rule', 'code']);
  assert.deepEqual(parse('## Title ##')[0].inline, [{ kind: 'text', text: 'Title' }]);
  assert.equal(parse('3. c\n4. d')[0].start, 3);
  assert.equal(parse('- a\n  still a\n- b')[0].items.length, 2);
});

test('a fence that is still open is code already, and markup inside it is text', () => {
  assert.deepEqual(parse('```\n# no\n**no**'), [{ kind: 'code', text: '# no\n**no**', lang: '' }]);
});

test('tables', () => {
  const [table] = parse('| a | b |\n|---|:-:|\n| 1 | **2** |\n\nafter');
  assert.equal(table.kind, 'table');
  assert.deepEqual(table.rows, [[[{ kind: 'text', text: '1' }], [{ kind: 'strong', text: '2' }]]]);
  assert.deepEqual(kinds('a | b'), ['paragraph']);
});

test('spans', () => {
  assert.deepEqual(spans('a `b*c*` **d** *e* 2 * 3 * 4'), [['text', 'a '], ['code', 'b*c*'], ['text', ' '], ['strong', 'd'], ['text', ' '], ['em', 'e'], ['text', ' 2 * 3 * 4']]);
  assert.deepEqual(spans('see https://x.org/a_b.'), [['text', 'see '], ['link', 'https://x.org/a_b'], ['text', '.']]);
});

// UI-92
test('only http and https become links, and markup stays text', () => {
  for (const bad of ['[x](javascript:alert(1))', '<img src=x onerror=alert(1)>', 'data:text/html,x']) {
    assert.deepEqual(spans(bad), [['text', bad]]);
  }
  assert.deepEqual(parseInline('[x](https://y.org)'), [{ kind: 'link', text: 'x', href: 'https://y.org/' }]);
});

test('long hostile input ends, and unmatched marks stay text', () => {
  const said = (blocks) => blocks.flatMap((block) => block.inline ?? []).map((span) => span.text).join('');
  for (const bit of ['*a ', '`', '**a b ', '[', '[a', '`a ', 'https://']) {
    const source = `x ${bit.repeat(50_000)}`;
    assert.ok(said(parse(source)).length > source.length / 2, JSON.stringify(bit));
  }
  for (const source of [`https://${'.'.repeat(100_000)}x`, `# ${' '.repeat(100_000)}x`, `a|b\n|-${' '.repeat(100_000)}x`]) {
    assert.ok(parse(source).length > 0);
  }
  for (const bit of ['|', '> ', '- ', '#', '\n- \n', '-:|', 'a|b\n']) assert.ok(parse(bit.repeat(50_000)).length > 0, JSON.stringify(bit));
});
