// The part of Markdown that agents write most, as data: no HTML is ever made of it. Knows no DOM.

/**
 * @typedef {{kind: 'text'|'code'|'strong'|'em', text: string} | {kind: 'link', text: string, href: string}} Inline
 * @typedef {{kind: 'code', text: string, lang: string}
 *   | {kind: 'heading', level: number, inline: Inline[]}
 *   | {kind: 'list', ordered: boolean, start: number, items: Inline[][]}
 *   | {kind: 'quote'|'paragraph', inline: Inline[]}
 *   | {kind: 'table', head: Inline[][], rows: Inline[][][]}
 *   | {kind: 'rule'}} Block
 */

/** Longer lines are never more than text: the patterns below are not linear in every line. */
const MAX_MARKED_LINE = 2_000;
const BULLET = /^\s*[-*+]\s+(.*)$/;
const NUMBER = /^\s*(\d{1,6})[.)]\s+(.*)$/;
const FENCE = /^\s*(`{3,}|~{3,})\s*([^\s`]*)/;
const HEADING = /^(#{1,6})\s+(\S.*)$/;
const QUOTE = /^\s*>\s?(.*)$/;
const RULE = /^\s*([-*_])(\s*\1){2,}\s*$/;
const TABLE_LINE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

/** @param {string} source @returns {Block[]} */
export function parse(source) {
  const lines = source.replaceAll('\r\n', '\n').split('\n');
  const blocks = [];
  let paragraph = [];
  const flush = () => {
    if (paragraph.length > 0) blocks.push({ kind: 'paragraph', inline: parseInline(paragraph.join('\n')) });
    paragraph = [];
  };
  let i = 0;
  while (i < lines.length) {
    const taken = block(lines, i);
    if (taken) {
      flush();
      blocks.push(taken.block);
      i = taken.next;
    } else {
      if (lines[i].trim() === '') flush();
      else paragraph.push(lines[i]);
      i += 1;
    }
  }
  flush();
  return blocks;
}

function block(lines, i) {
  const line = lines[i];
  const fence = FENCE.exec(line);
  if (fence) return fenced(lines, i, fence);
  if (line.length > MAX_MARKED_LINE) return null;
  const heading = HEADING.exec(line);
  if (heading) return { block: { kind: 'heading', level: heading[1].length, inline: parseInline(trimEnd(heading[2], '# ')) }, next: i + 1 };
  if (RULE.test(line)) return { block: { kind: 'rule' }, next: i + 1 };
  if (BULLET.test(line)) return list(lines, i, BULLET, false);
  if (NUMBER.test(line)) return list(lines, i, NUMBER, true);
  if (QUOTE.test(line)) {
    const next = span(lines, i, (text) => QUOTE.test(text));
    const text = lines.slice(i, next).map((each) => QUOTE.exec(each)[1]);
    return { block: { kind: 'quote', inline: parseInline(text.join('\n')) }, next };
  }
  if (line.includes('|') && i + 1 < lines.length && lines[i + 1].includes('|') && lines[i + 1].length <= MAX_MARKED_LINE && TABLE_LINE.test(lines[i + 1])) {
    return table(lines, i);
  }
  return null;
}

/** A fence that is not closed runs to the end: a reply may still be arriving. */
function fenced(lines, i, [, mark, lang]) {
  let end = i + 1;
  while (end < lines.length && !(lines[end].trim().startsWith(mark) && lines[end].trim().replaceAll(mark[0], '') === '')) end += 1;
  return { block: { kind: 'code', text: lines.slice(i + 1, end).join('\n'), lang }, next: end + 1 };
}

function list(lines, i, pattern, ordered) {
  const items = [];
  let next = i;
  while (next < lines.length) {
    const match = pattern.exec(lines[next]);
    if (match) items.push(match[match.length - 1]);
    else if (/^\s{2,}\S/.test(lines[next]) && !FENCE.test(lines[next]) && !BULLET.test(lines[next]) && !NUMBER.test(lines[next])) {
      items[items.length - 1] += `\n${lines[next].trim()}`;
    } else break;
    next += 1;
  }
  const start = ordered ? Number(pattern.exec(lines[i])[1]) : 1;
  return { block: { kind: 'list', ordered, start, items: items.map(parseInline) }, next };
}

function table(lines, i) {
  const next = span(lines, i + 2, (text) => text.includes('|'));
  const head = cells(lines[i]);
  const rows = lines.slice(i + 2, next).map(cells);
  return { block: { kind: 'table', head, rows }, next };
}

function cells(line) {
  const inner = line.trim().replace(/^\|/, '').replace(/\|$/, '');
  return inner.split('|').map((cell) => parseInline(cell.trim()));
}

function span(lines, from, belongs) {
  let next = from;
  while (next < lines.length && belongs(lines[next])) next += 1;
  return next;
}

// Spans are bounded in length, so that a long hostile text costs linear time.
const INLINE =
  /(?<!`)(`{1,3})(?!`)([\s\S]{0,2000}?[^`])\1(?!`)|\*\*(?=\S)([\s\S]{0,1000}?\S)\*\*|\*(?=[^\s*])([^*\n]{0,1000}?[^\s*])\*(?!\*)|\[([^\][\n]{1,500})\]\((https?:\/\/[^\s)]+)\)|(https?:\/\/[^\s<>"'`]+)/g;

/** @param {string} text @returns {Inline[]} */
export function parseInline(text) {
  const out = [];
  let from = 0;
  for (const match of text.matchAll(INLINE)) {
    let [whole] = match;
    let node;
    if (match[1]) node = { kind: 'code', text: match[2].replace(/^ (.*) $/s, '$1') };
    else if (match[3]) node = { kind: 'strong', text: match[3] };
    else if (match[4]) node = { kind: 'em', text: match[4] };
    else if (match[5]) node = link(match[5], match[6]);
    else {
      // A full stop or bracket after an address belongs to the sentence.
      whole = trimEnd(whole, '.,;:!?)]}*_');
      node = link(whole, whole);
    }
    if (!node) continue;
    if (match.index > from) out.push({ kind: 'text', text: text.slice(from, match.index) });
    out.push(node);
    from = match.index + whole.length;
  }
  if (from < text.length) out.push({ kind: 'text', text: text.slice(from) });
  return out;
}

function trimEnd(text, characters) {
  let end = text.length;
  while (end > 0 && characters.includes(text[end - 1])) end -= 1;
  return text.slice(0, end);
}

/** Only http and https become links (UI-92). */
function link(text, address) {
  try {
    const url = new URL(address);
    return url.protocol === 'https:' || url.protocol === 'http:' ? { kind: 'link', text, href: url.href } : null;
  } catch {
    return null;
  }
}
