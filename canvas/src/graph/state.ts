/** What passes between the graph and its cards while a person points at them. */

import { create } from 'zustand';

export const useDrag = create<{
  /** The card that would take in what is being dragged. */
  target: string | null;
}>(() => ({ target: null }));

/** How much of a card is drawn: less the further away it is. */
export type Detail = 'full' | 'name' | 'block';

export const detailAt = (zoom: number): Detail => (zoom >= 0.5 ? 'full' : zoom >= 0.2 ? 'name' : 'block');
