// The org chart as an ARIA tree, kept up to date in place.

import { h, place, setAttr, setText, statusChip } from './dom.js';
import { buildTree, runtimeBadge, statusView, visibleIds } from './tree.js';

/** Milliseconds between two keys of one typed search. */
const TYPE_AHEAD_MS = 700;

export class TreeView {
  #root;
  #onSelect;
  #rows = new Map();
  #tree = [];
  #map = new Map();
  #collapsed = new Set();
  #selected = null;
  #focused = null;
  #typed = { text: '', at: 0 };

  /**
   * @param {HTMLElement} root the `role="tree"` list
   * @param {(id: string) => void} onSelect
   */
  constructor(root, onSelect) {
    this.#root = root;
    this.#onSelect = onSelect;
    root.addEventListener('keydown', (event) => this.#key(event));
    root.addEventListener('click', (event) => this.#click(event));
    root.addEventListener('focusin', (event) => {
      const id = event.target.closest('[role=treeitem]')?.dataset.id;
      if (id) this.#rove(id);
    });
  }

  /** Draws the whole tree; rows that exist already are kept. */
  sync(map) {
    this.#map = map;
    this.#tree = buildTree(map.values());
    const hadFocus = this.#root.contains(document.activeElement) ? this.#focused : null;
    place(this.#root, this.#tree.map((node, index) => this.#item(node, index + 1, this.#tree.length)));
    for (const id of [...this.#rows.keys()]) {
      if (!map.has(id)) {
        this.#rows.delete(id);
        this.#collapsed.delete(id);
      }
    }
    const visible = this.#visible();
    if (!visible.includes(this.#focused)) this.#rove(visible.includes(this.#selected) ? this.#selected : visible[0]);
    // Moving a node takes the focus off it.
    if (hadFocus && !this.#root.contains(document.activeElement)) this.#rows.get(this.#focused)?.li.focus();
  }

  /** Redraws one row. */
  update(id) {
    const row = this.#rows.get(id);
    const workspace = this.#map.get(id);
    if (row && workspace) this.#fill(row, workspace);
  }

  select(id) {
    const before = this.#rows.get(this.#selected);
    if (before) setAttr(before.li, 'aria-selected', 'false');
    this.#selected = id;
    const row = this.#rows.get(id);
    if (!row) return;
    setAttr(row.li, 'aria-selected', 'true');
    this.#rove(id);
  }

  #visible() {
    return visibleIds(this.#tree, this.#collapsed);
  }

  #item(node, position, size) {
    let row = this.#rows.get(node.id);
    if (!row) {
      row = newRow(node.id);
      this.#rows.set(node.id, row);
    }
    setAttr(row.li, 'aria-level', node.level);
    setAttr(row.li, 'aria-posinset', position);
    setAttr(row.li, 'aria-setsize', size);
    setAttr(row.li, 'aria-selected', String(node.id === this.#selected));
    if (node.children.length > 0) {
      row.group ??= h('ul', { role: 'group' });
      place(row.group, node.children.map((child, index) => this.#item(child, index + 1, node.children.length)));
      place(row.li, [row.line, row.group]);
    } else {
      this.#collapsed.delete(node.id);
      place(row.li, [row.line]);
    }
    this.#fold(row, node);
    this.#fill(row, this.#map.get(node.id));
    return row.li;
  }

  #fold(row, node) {
    const open = node.children.length > 0 ? !this.#collapsed.has(node.id) : null;
    setAttr(row.li, 'aria-expanded', open === null ? null : String(open));
    if (row.group) row.group.hidden = open === false;
  }

  #fill(row, workspace) {
    const view = statusView(workspace.status);
    setText(row.name, workspace.name);
    place(row.status, [statusChip(view)]);
    const badge = runtimeBadge(workspace.runtime);
    row.badge.hidden = !badge;
    if (badge) {
      setText(row.badge, badge.text);
      row.badge.className = `badge badge-${badge.tone}`;
      row.badge.title = badge.title;
    }
    const broken = workspace.status === 'failed' || workspace.status === 'degraded';
    const line = broken ? workspace.last_sample_error || '' : workspace.current_task || '';
    setText(row.task, line);
    row.task.hidden = !line;
    row.task.title = line;
    row.task.className = broken ? 'tree-task is-error' : 'tree-task';
    const spoken = [workspace.name, view.label, badge?.text, line && (broken ? `error: ${line}` : `working on: ${line}`)];
    setAttr(row.li, 'aria-label', spoken.filter(Boolean).join(', '));
  }

  /** Exactly one row is in the tab order. */
  #rove(id) {
    if (this.#focused !== id) this.#rows.get(this.#focused)?.li.setAttribute('tabindex', '-1');
    this.#focused = id ?? null;
    this.#rows.get(id)?.li.setAttribute('tabindex', '0');
  }

  #click(event) {
    const li = event.target.closest('[role=treeitem]');
    if (!li) return;
    const { id } = li.dataset;
    if (event.target.closest('.twist') && li.hasAttribute('aria-expanded')) this.#toggle(id);
    else this.#onSelect(id);
  }

  #toggle(id, open = this.#collapsed.has(id)) {
    if (open) this.#collapsed.delete(id);
    else this.#collapsed.add(id);
    this.sync(this.#map);
  }

  #key(event) {
    const id = event.target.closest('[role=treeitem]')?.dataset.id;
    if (!id || event.altKey || event.ctrlKey || event.metaKey) return;
    if (!this.#move(event.key, id)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** The keys of the ARIA tree pattern. Returns whether the key was one of them. */
  #move(key, id) {
    const { li } = this.#rows.get(id);
    const expanded = li.getAttribute('aria-expanded');
    const visible = this.#visible();
    const at = visible.indexOf(id);
    switch (key) {
      case 'ArrowDown':
        return this.#go(visible[at + 1] ?? id);
      case 'ArrowUp':
        return this.#go(visible[at - 1] ?? id);
      case 'Home':
        return this.#go(visible[0]);
      case 'End':
        return this.#go(visible.at(-1));
      case 'ArrowRight':
        if (expanded === 'false') this.#toggle(id, true);
        else if (expanded === 'true') this.#go(visible[at + 1]);
        return true;
      case 'ArrowLeft':
        if (expanded === 'true') this.#toggle(id, false);
        else this.#go(li.parentElement.closest('[role=treeitem]')?.dataset.id ?? id);
        return true;
      case 'Enter':
      case ' ':
        this.#onSelect(id);
        return true;
      default:
        return key.length === 1 && /\S/.test(key) && this.#find(key, visible, at);
    }
  }

  #go(id) {
    this.#rows.get(id)?.li.focus();
    return true;
  }

  #find(key, visible, at) {
    const now = Date.now();
    const continues = now - this.#typed.at < TYPE_AHEAD_MS;
    this.#typed = { text: (continues ? this.#typed.text : '') + key.toLowerCase(), at: now };
    const from = this.#typed.text.length > 1 ? at : at + 1;
    const order = [...visible.slice(from), ...visible.slice(0, from)];
    const found = order.find((id) => String(this.#map.get(id)?.name).toLowerCase().startsWith(this.#typed.text));
    return found ? this.#go(found) : true;
  }
}

function newRow(id) {
  const name = h('span', { class: 'tree-name' });
  const badge = h('span', { class: 'badge' });
  const status = h('span', { class: 'tree-status' });
  const task = h('span', { class: 'tree-task' });
  const line = h(
    'div',
    { class: 'tree-line', 'aria-hidden': 'true' },
    h('span', { class: 'twist' }),
    h(
      'span',
      { class: 'tree-text' },
      h('span', { class: 'tree-head' }, name, badge, status),
      task,
    ),
  );
  const li = h('li', { role: 'treeitem', tabindex: '-1', 'data-id': id, 'aria-selected': 'false' }, line);
  return { li, line, name, badge, status, task, group: null };
}
