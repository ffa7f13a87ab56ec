/** What passes between the graph and its cards while a person points at them or moves about. */

import { create } from 'zustand';

export const useDrag = create<{
  /** The card that would take in what is being dragged. */
  target: string | null;
  /** A card is being dragged or resized. */
  dragging: boolean;
}>(() => ({ target: null, dragging: false }));

/** How much of a card is drawn: less the further away it is. */
export type Detail = 'full' | 'name' | 'block';

export const detailAt = (zoom: number): Detail => (zoom >= 0.5 ? 'full' : zoom >= 0.2 ? 'name' : 'block');

/**
 * How much is drawn now. A store of its own, because hundreds of cards listen: the chart's own store changes with every
 * frame of a movement, this one when a limit is passed.
 */
export const useDetail = create<{ detail: Detail }>(() => ({ detail: 'full' }));

export function setDetail(zoom: number): void {
  const detail = detailAt(zoom);
  if (useDetail.getState().detail !== detail) useDetail.setState({ detail });
}
