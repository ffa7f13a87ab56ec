import { describe, expect, test } from 'vitest';
import { CARD_W, dropTarget, HEAD_H, layoutOf, leaves, neighbour } from './layout';
import { isWithin, selectedRoots, subtree, treeOf } from './tree';

interface Row {
  id: string;
  parent_id: string | null;
  x: number;
  y: number;
  collapsed: boolean;
}

const row = (id: string, parent_id: string | null = null, more: Partial<Row> = {}): Row => ({
  id,
  parent_id,
  x: 0,
  y: 0,
  collapsed: false,
  ...more,
});

function lay(...rows: Row[]) {
  const byId = new Map(rows.map((one) => [one.id, one]));
  const tree = treeOf(rows);
  return { tree, boxes: layoutOf(byId, tree) };
}

const at = (boxes: ReadonlyMap<string, { absX: number; absY: number; w: number; h: number }>, id: string) => {
  const box = boxes.get(id);
  if (!box) throw new Error(`no box of ${id}`);
  return box;
};

describe('the hierarchy', () => {
  test('a missing parent makes a root; a cycle is cut open and loses nobody', () => {
    const tree = treeOf([row('a', 'gone'), row('b', 'c'), row('c', 'd'), row('d', 'b'), row('e', 'e')]);
    expect(tree.roots).toContain('a');
    expect(tree.roots).toContain('e');
    const reached = new Set(tree.roots.flatMap((id) => [...subtree(tree, id)]));
    expect([...reached].sort()).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test('a chain of two thousand is walked in time', () => {
    const rows = Array.from({ length: 2_000 }, (_, n) => row(`n${n}`, n === 0 ? null : `n${n - 1}`));
    const { tree, boxes } = lay(...rows);
    expect(boxes.size).toBe(2_000);
    expect(isWithin(tree, 'n1999', 'n0')).toBe(true);
  });

  // UI-36
  test('of a selection its roots count', () => {
    const tree = treeOf([row('a'), row('b', 'a'), row('c', 'b'), row('d')]);
    expect(selectedRoots(tree, ['c', 'a', 'd'])).toEqual(['a', 'd']);
  });
});

describe('the layout', () => {
  // UI-28
  test('children stand inside their parent, and no two of them overlap', () => {
    const rows = [row('p'), ...Array.from({ length: 9 }, (_, n) => row(`c${n}`, 'p')), row('g', 'c3')];
    const { boxes } = lay(...rows);
    const parent = at(boxes, 'p');
    for (let n = 0; n < 9; n += 1) {
      const box = at(boxes, `c${n}`);
      expect(box.absX).toBeGreaterThan(parent.absX);
      expect(box.absY).toBeGreaterThanOrEqual(parent.absY + HEAD_H);
      expect(box.absX + box.w).toBeLessThan(parent.absX + parent.w);
      expect(box.absY + box.h).toBeLessThan(parent.absY + parent.h);
      for (let m = 0; m < n; m += 1) {
        const other = at(boxes, `c${m}`);
        const apart =
          other.absX + other.w <= box.absX ||
          box.absX + box.w <= other.absX ||
          other.absY + other.h <= box.absY ||
          box.absY + box.h <= other.absY;
        expect(apart, `c${n} and c${m}`).toBe(true);
      }
    }
  });

  test('stored places hold; what has none stands beside them', () => {
    const { boxes } = lay(
      row('a', null, { x: 100, y: 50 }),
      row('b', 'a', { x: 160, y: 250 }),
      row('c', 'a'),
      row('d'),
    );
    expect(at(boxes, 'a')).toMatchObject({ absX: 100, absY: 50, stored: true });
    expect(at(boxes, 'b')).toMatchObject({ absX: 160, absY: 250, stored: true });
    expect(at(boxes, 'c')).toMatchObject({ stored: false });
    expect(at(boxes, 'c').absY).toBeGreaterThanOrEqual(at(boxes, 'b').absY + at(boxes, 'b').h);
    expect(at(boxes, 'd').absY).toBeGreaterThan(at(boxes, 'a').absY + at(boxes, 'a').h);
  });

  // UI-38
  test('a place far away from the parent is no place', () => {
    const { boxes } = lay(row('a', null, { x: 10, y: 10 }), row('b', 'a', { x: 90_000, y: 10 }));
    expect(at(boxes, 'b').absX).toBeLessThan(1_000);
  });

  // UI-39
  test('a folded team is one card', () => {
    const { boxes } = lay(row('a', null, { collapsed: true }), row('b', 'a'), row('c', 'b'));
    expect([...boxes.keys()]).toEqual(['a']);
    expect(at(boxes, 'a').w).toBe(CARD_W);
  });

  test('parents come before their children, as the graph wants them', () => {
    const { boxes } = lay(row('c', 'b'), row('b', 'a'), row('a'));
    expect([...boxes.keys()]).toEqual(['a', 'b', 'c']);
  });
});

describe('dropping', () => {
  const { boxes } = lay(row('a', null, { x: 1, y: 1 }), row('b', 'a'), row('c', null, { x: 2_000, y: 1 }));

  // UI-33
  test('into the deepest card below the centre, never into oneself', () => {
    const b = at(boxes, 'b');
    const centre = { x: b.absX + 10, y: b.absY + 10 };
    expect(dropTarget(boxes.values(), centre, new Set(['c']))?.id).toBe('b');
    expect(dropTarget(boxes.values(), centre, new Set(['b']))?.id).toBe('a');
    expect(dropTarget(boxes.values(), { x: -900, y: 0 }, new Set())).toBeNull();
  });

  // UI-35
  test('a fifth outside leaves the team', () => {
    const parent = { w: 500, h: 400 };
    expect(leaves({ x: -20, y: 50, w: 200, h: 100 }, parent)).toBe(false);
    expect(leaves({ x: -41, y: 50, w: 200, h: 100 }, parent)).toBe(true);
    expect(leaves({ x: 50, y: 330, w: 200, h: 100 }, parent)).toBe(true);
  });
});

test('arrows go to the nearest card in their direction', () => {
  const { boxes } = lay(
    row('a', null, { x: 1, y: 1 }),
    row('b', null, { x: 400, y: 30 }),
    row('c', null, { x: 1, y: 300 }),
  );
  expect(neighbour(boxes, 'a', [1, 0])).toBe('b');
  expect(neighbour(boxes, 'a', [0, 1])).toBe('c');
  expect(neighbour(boxes, 'a', [-1, 0])).toBeUndefined();
});
