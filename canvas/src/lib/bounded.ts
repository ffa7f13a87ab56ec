/** Bounds on what is rendered of a text that somebody else wrote. */

/** Characters rendered before “show more”, and with each of it. */
const PAGE_CHARS = 12_000;
/** Marks put on one character; more of them only pile up. */
const MAX_MARKS = 6;
/** Openers in a row beyond which a parser of Markdown may take quadratic time. */
const MAX_RUN = 200;
/** Openers in all. */
const MAX_OPENERS = 1_500;
/** Quotes or list marks before which a line is nested too deeply to be drawn. */
const MAX_NESTING = 12;

export interface Chunk {
  shown: string;
  /** Characters that are not shown. */
  rest: number;
}

/** The head of a text, cut where a line or a word ends, without towers of combining marks. */
export function boundedChunk(text: string, pages: number): Chunk {
  const limit = pages * PAGE_CHARS;
  if (text.length <= limit) return { shown: tamed(text), rest: 0 };
  let end = limit;
  const line = text.lastIndexOf('\n', limit);
  const word = text.lastIndexOf(' ', limit);
  if (line > limit / 2) end = line;
  else if (word > limit / 2) end = word;
  // A character of two units is not cut in half.
  else if (/[\uD800-\uDBFF]/.test(text[end - 1] ?? '')) end -= 1;
  const shown = text.slice(0, end);
  // A code block that is cut stays one.
  const fences = shown.match(/^\s{0,3}(```|~~~)/gm)?.length ?? 0;
  return { shown: tamed(fences % 2 === 1 ? `${shown}\n\`\`\`` : shown), rest: text.length - end };
}

const TOWERS = new RegExp(`(\\p{M}{${MAX_MARKS}})\\p{M}+`, 'gu');
/** Characters that turn the direction of what follows, also outside of the text. */
const OVERRIDES = /[\u202A-\u202E\u2066-\u2069]/g;

/** Without towers of combining marks and without overrides of direction. */
export function tamed(text: string): string {
  return text.replace(TOWERS, '$1').replace(OVERRIDES, '');
}

/** Whether a parser of Markdown is done with the text in about linear time. */
export function isTame(text: string): boolean {
  let openers = 0;
  let run = 0;
  for (const c of text) {
    const opener = c === '[' || c === '*' || c === '_' || c === '`' || c === '~' || c === '<' || c === '!';
    run = opener ? run + 1 : 0;
    if (opener) openers += 1;
    if (run > MAX_RUN || openers > MAX_OPENERS) return false;
  }
  const nested = new RegExp(`^(?:\\s*(?:>|[-*+](?=\\s)|\\d{1,9}[.)](?=\\s))){${MAX_NESTING},}`, 'm');
  return !nested.test(text);
}
