/** What the chart shows of the past, while it does. */

import { create } from 'zustand';
import type { Links } from '../store/links';

export const useReplay = create<{
  /** Null: the chart is live. */
  statuses: ReadonlyMap<string, string> | null;
  links: Links | null;
}>(() => ({ statuses: null, links: null }));
