/** Teams that are being started for the first time: locked until all of them are there (UI-44). */

import { useMemo, useRef } from 'react';
import type { Tree } from './tree';

/** Members that still start, by the root of their tree. */
export type Deploys = ReadonlyMap<string, number>;

/**
 * The trees being deployed. `before` are those that were: a tree begins to be one with its root, so that a member that
 * joins a standing team, or starts again, locks nobody.
 */
export function deploysOf(before: Deploys, fresh: ReadonlySet<string>, tree: Tree): Deploys {
  if (fresh.size === 0) return before.size === 0 ? before : new Map();
  const deploys = new Map<string, number>();
  for (const id of fresh) {
    let root = id;
    for (let up = tree.parent.get(root); up !== undefined; up = tree.parent.get(root)) root = up;
    if (fresh.has(root) || before.has(root)) deploys.set(root, (deploys.get(root) ?? 0) + 1);
  }
  const same = deploys.size === before.size && [...deploys].every(([root, n]) => before.get(root) === n);
  return same ? before : deploys;
}

export function useDeploys(fresh: ReadonlySet<string>, tree: Tree): Deploys {
  const before = useRef<Deploys>(new Map());
  return useMemo(() => (before.current = deploysOf(before.current, fresh, tree)), [fresh, tree]);
}
