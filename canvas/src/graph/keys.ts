/** The chart by keyboard (UI-51): arrows go to the next card, Enter opens it, then goes to its first member. */

import { askDelete, fold, reorder } from '../actions';
import { focusOn, openPanel, select, useUi } from '../ui/store';
import { neighbour, type Box } from './layout';
import type { Tree } from './tree';

interface Chart {
  tree: Tree;
  boxes: ReadonlyMap<string, Box>;
  setActive: (id: string) => void;
}

const ARROWS: Record<string, readonly [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

export function onGraphKey(event: React.KeyboardEvent, { tree, boxes, setActive }: Chart): void {
  const target = event.target as HTMLElement;
  const id = target.classList.contains('react-flow__node') ? target.dataset.id : undefined;
  if (id === undefined || event.altKey) return;
  if (event.ctrlKey || event.metaKey) {
    if (event.key !== ']' && event.key !== '[') return;
    event.preventDefault();
    void reorder(id, event.key === ']' ? 1 : -1);
    return;
  }
  const go = (to: string | undefined) => {
    if (to === undefined) return;
    setActive(to);
    focusCard(to);
  };
  const arrow = ARROWS[event.key];
  if (arrow) {
    go(neighbour(boxes, id, arrow));
  } else if (event.key === 'Enter' && event.shiftKey) {
    go(tree.parent.get(id));
  } else if (event.key === 'Enter') {
    if (useUi.getState().open === id) go((tree.children.get(id) ?? []).find((child) => boxes.has(child)));
    else openPanel(id);
  } else if (event.key === ' ') {
    const next = new Set(useUi.getState().selected);
    if (next.has(id)) next.delete(id);
    else next.add(id);
    select(next);
  } else if (event.key === 'z' || event.key === 'Z') {
    focusOn([id]);
  } else if (event.key === '+' || event.key === '-') {
    if ((tree.children.get(id)?.length ?? 0) > 0) void fold(id, event.key === '-');
  } else if (event.key === 'Delete' || event.key === 'Backspace') {
    const { selected } = useUi.getState();
    askDelete(selected.has(id) && selected.size > 1 ? [...selected] : [id]);
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
}

/** Puts the focus on a card, bringing it into view first if it is not drawn. */
export function focusCard(id: string): void {
  const card = () => document.querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(id)}"]`);
  const found = card();
  if (found) {
    found.focus();
    const box = found.getBoundingClientRect();
    const view = document.getElementById('canvas')?.getBoundingClientRect();
    if (view && (box.right > view.right || box.left < view.left || box.bottom > view.bottom || box.top < view.top)) {
      focusOn([id]);
    }
    return;
  }
  focusOn([id]);
  window.setTimeout(() => card()?.focus(), 500);
}
