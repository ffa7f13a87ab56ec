/** The hierarchy as an index. Linear, and a cycle of parents is cut open at its first member (UI-135). */

export interface Placed {
  id: string;
  parent_id?: string | null;
}

export interface Tree {
  /** Roots in the order of the list. */
  roots: readonly string[];
  /** Direct children, in the order of the list. */
  children: ReadonlyMap<string, readonly string[]>;
  /** The parent under which a workspace is shown; absent for roots. */
  parent: ReadonlyMap<string, string>;
  /** Workspaces below one, at any depth; absent for none. */
  below: ReadonlyMap<string, number>;
}

export function treeOf(workspaces: Iterable<Placed>): Tree {
  const claimed = new Map<string, string | null>();
  for (const { id, parent_id } of workspaces) claimed.set(id, parent_id ?? null);
  const parent = new Map<string, string>();
  const settled = new Set<string>();
  for (const id of claimed.keys()) {
    const path: string[] = [];
    const onPath = new Set<string>();
    let at: string | null = id;
    while (at !== null && claimed.has(at) && !settled.has(at) && !onPath.has(at)) {
      path.push(at);
      onPath.add(at);
      at = claimed.get(at) ?? null;
    }
    for (const each of path) {
      const above = claimed.get(each) ?? null;
      const cycle = above !== null && onPath.has(above) && above === at && each === path.at(-1);
      if (above !== null && claimed.has(above) && above !== each && !cycle) parent.set(each, above);
      settled.add(each);
    }
  }
  const roots: string[] = [];
  const children = new Map<string, string[]>();
  for (const id of claimed.keys()) {
    const above = parent.get(id);
    if (above === undefined) roots.push(id);
    else if (children.get(above)?.push(id) === undefined) children.set(above, [id]);
  }
  const order = [...roots];
  for (const id of order) order.push(...(children.get(id) ?? []));
  const below = new Map<string, number>();
  for (const id of order.reverse()) {
    const above = parent.get(id);
    if (above !== undefined) below.set(above, (below.get(above) ?? 0) + (below.get(id) ?? 0) + 1);
  }
  return { roots, children, parent, below };
}

/** A workspace and everything below it. */
export function subtree(tree: Tree, id: string): Set<string> {
  const found = new Set([id]);
  for (const each of found) for (const child of tree.children.get(each) ?? []) found.add(child);
  return found;
}

/** Whether `id` lies at or below `above`. */
export function isWithin(tree: Tree, id: string, above: string): boolean {
  for (let at: string | undefined = id; at !== undefined; at = tree.parent.get(at)) if (at === above) return true;
  return false;
}

/** Those of the ids that lie below no other one of them (UI-36). */
export function selectedRoots(tree: Tree, ids: Iterable<string>): string[] {
  const all = new Set(ids);
  return [...all].filter((id) => {
    for (let at = tree.parent.get(id); at !== undefined; at = tree.parent.get(at)) if (all.has(at)) return false;
    return true;
  });
}
