// Small helpers for building nodes. Data reaches the page as text only: nothing here takes HTML.

import { parse, parseInline } from './markdown.js';

/**
 * @param {string} tag
 * @param {Record<string, any>} [props] `class`, `text`, `on…` handlers, `data-…`/`aria-…`/other attributes; null and false are left out
 * @param {...(Node|string|null|undefined|false)} children
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) set(node, name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function set(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === 'text') node.textContent = value;
  else if (name === 'class') node.className = value;
  else if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
  else node.setAttribute(name, value === true ? '' : String(value));
}

/** The element with that id; the page is broken without it. */
export function byId(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`the page lacks #${id}`);
  return node;
}

/** Sets text only when it differs, so that live regions stay quiet. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets, or with null removes, an attribute. */
export function setAttr(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

/** Makes the children of `parent` exactly `nodes`, moving as little as possible so that focus and selection survive. */
export function place(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    const there = parent.childNodes[index];
    if (there !== node) parent.insertBefore(node, there ?? null);
  });
}

/** A dot and a word for a status: never colour alone. */
export function statusChip(view) {
  return h('span', { class: `status tone-${view.tone}` }, h('span', { class: 'dot', 'aria-hidden': 'true' }), view.label);
}

/** Text with the common Markdown of agents. @param {string} source */
export function prose(source) {
  return h('div', { class: 'prose' }, ...parse(source).map(blockNode));
}

/** One line of such text. @param {string} source */
export function inlineProse(source) {
  return parseInline(source).map(inlineNode);
}

function blockNode(block) {
  switch (block.kind) {
    case 'code':
      return h('pre', { tabindex: '0' }, h('code', { text: block.text }));
    case 'heading':
      return h('p', { class: 'heading' }, ...block.inline.map(inlineNode));
    case 'list': {
      const items = block.items.map((item) => h('li', {}, ...item.map(inlineNode)));
      return block.ordered ? h('ol', { start: block.start }, ...items) : h('ul', {}, ...items);
    }
    case 'quote':
      return h('blockquote', {}, ...block.inline.map(inlineNode));
    case 'rule':
      return h('hr');
    case 'table':
      return tableNode(block);
    default:
      return h('p', {}, ...block.inline.map(inlineNode));
  }
}

function tableNode({ head, rows }) {
  const cell = (tag) => (content) => h(tag, {}, ...content.map(inlineNode));
  return h(
    'div',
    { class: 'table-wrap', tabindex: '0' },
    h(
      'table',
      {},
      h('thead', {}, h('tr', {}, ...head.map(cell('th')))),
      h('tbody', {}, ...rows.map((row) => h('tr', {}, ...row.map(cell('td'))))),
    ),
  );
}

function inlineNode(inline) {
  switch (inline.kind) {
    case 'code':
      return h('code', { text: inline.text });
    case 'strong':
      return h('strong', { text: inline.text });
    case 'em':
      return h('em', { text: inline.text });
    case 'link':
      return h('a', { href: inline.href, target: '_blank', rel: 'noopener noreferrer', text: inline.text });
    default:
      return document.createTextNode(inline.text);
  }
}

/** Local time of day; with the date when it is not today. */
export function clock(timestamp, { seconds = false } = {}) {
  const date = new Date(timestamp);
  if (Number.isNaN(date.getTime())) return '';
  const time = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', ...(seconds ? { second: '2-digit' } : {}) });
  if (date.toDateString() === new Date().toDateString()) return time;
  return `${date.toLocaleDateString([], { day: 'numeric', month: 'short' })}, ${time}`;
}

/** `<time>` for a timestamp. */
export function timeNode(timestamp, options) {
  const date = new Date(timestamp);
  const valid = !Number.isNaN(date.getTime());
  return h('time', {
    datetime: valid ? date.toISOString() : null,
    title: valid ? date.toLocaleString() : null,
    text: clock(timestamp, options),
  });
}

/**
 * Announces to screen readers, politely and together: a burst of changes becomes one sentence. `clear` takes back what was
 * said and what is still to be said.
 */
export function announcer(region, delayMs = 800) {
  let waiting = [];
  let timer = null;
  const announce = (text) => {
    waiting.push(text);
    if (timer !== null) return;
    timer = setTimeout(() => {
      timer = null;
      const [first, ...rest] = waiting.reverse();
      region.textContent = rest.length > 2 ? `${first}; and ${rest.length} more changes.` : waiting.reverse().join('; ');
      waiting = [];
    }, delayMs);
  };
  announce.clear = () => {
    clearTimeout(timer);
    timer = null;
    waiting = [];
    region.textContent = '';
  };
  return announce;
}
