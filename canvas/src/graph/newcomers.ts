/** Which cards have just come, so that the view can follow them (UI-46). */

import type { Box } from './layout';

/** Milliseconds within which a card that came with an event may still be given its real place. */
const SETTLING_MS = 10_000;

export class Newcomers {
  #known: ReadonlySet<string> | null = null;
  /** When those came that stand where there was room, because their events named no place. */
  readonly #loose = new Map<string, number>();

  /** Takes in the cards that are drawn now. Says whether one of them is new, or has only now come to where it belongs. */
  take(boxes: ReadonlyMap<string, Pick<Box, 'stored'>>, now: number): boolean {
    const before = this.#known;
    this.#known = new Set(boxes.keys());
    if (!before) return false;
    let found = false;
    for (const [id, since] of this.#loose) {
      const box = boxes.get(id);
      if (box && !box.stored && now - since < SETTLING_MS) continue;
      this.#loose.delete(id);
      if (box?.stored && now - since < SETTLING_MS) found = true;
    }
    for (const [id, box] of boxes) {
      if (before.has(id)) continue;
      found = true;
      if (!box.stored) this.#loose.set(id, now);
    }
    return found;
  }
}
