/** Sizes that a person gave to cards (UI-37). They are this browser's own: the server keeps places, not sizes. */

import { create } from 'zustand';

export interface Size {
  w: number;
  h: number;
}

export type Sizes = ReadonlyMap<string, Size>;

const KEY = 'molecule.sizes';
/** Sizes kept; the ones given last. */
const MAX_SIZES = 500;

function stored(): Sizes {
  try {
    const rows: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return sizesOf(rows);
  } catch {
    return new Map();
  }
}

/** Sizes out of what was stored, whoever wrote there. */
export function sizesOf(rows: unknown): Sizes {
  const sizes = new Map<string, Size>();
  for (const row of Array.isArray(rows) ? (rows as unknown[]) : []) {
    const [id, w, h] = Array.isArray(row) ? (row as unknown[]) : [];
    if (typeof id === 'string' && Number.isFinite(w) && Number.isFinite(h))
      sizes.set(id, { w: Number(w), h: Number(h) });
  }
  return sizes;
}

export const useSizes = create<{ sizes: Sizes }>(() => ({ sizes: stored() }));

function keep(sizes: Sizes): void {
  useSizes.setState({ sizes });
  try {
    const rows = [...sizes].slice(-MAX_SIZES).map(([id, { w, h }]) => [id, Math.round(w), Math.round(h)]);
    localStorage.setItem(KEY, JSON.stringify(rows));
  } catch {
    // Private windows may refuse: the size then lasts as long as the page.
  }
}

export function setSize(id: string, size: Size): void {
  const sizes = new Map(useSizes.getState().sizes);
  sizes.delete(id);
  keep(sizes.set(id, size));
}

/** The card is again as large as what is in it: it was folded, or somebody left it. */
export function dropSizes(ids: Iterable<string>): void {
  const { sizes } = useSizes.getState();
  const gone = [...ids].filter((id) => sizes.has(id));
  if (gone.length > 0) keep(new Map([...sizes].filter(([id]) => !gone.includes(id))));
}
