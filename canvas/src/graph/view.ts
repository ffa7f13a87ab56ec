/** What the chart looks at: it begins where somebody looked last, follows what is new, and shows what is asked for. */

import { getViewportForBounds, useReactFlow, useStoreApi, type Viewport } from '@xyflow/react';
import { useCallback, useEffect, useRef } from 'react';
import { saveViewport, storedViewport } from '../app';
import { useUi } from '../ui/store';
import type { Box } from './layout';
import { Newcomers } from './newcomers';
import { setDetail } from './state';

export const fitOptions = { padding: 0.14, maxZoom: 1.05 };
/** Milliseconds after the last new card before the view follows (UI-46). */
const FOLLOW_MS = 500;
/** Milliseconds after the last movement before the view is kept (UI-45). */
const KEEP_MS = 1_000;
/** Pixels kept free around a card that is brought into sight. */
const MARGIN = 16;
/** How far one can go away, and how near (UI-45). Further only where the whole chart would not be seen otherwise. */
export const MIN_ZOOM = 0.1;
export const MAX_ZOOM = 2;

const still = () => window.matchMedia('(prefers-reduced-motion: reduce)').matches;
export const motionMs = (ms: number): number => (still() ? 0 : ms);

/** A person has moved the view since it was last fitted. */
let moved = false;
/** Movements under way that nobody asked for: they are not kept as somebody's view. */
let automatic = 0;

export function onMoveStart(event: MouseEvent | TouchEvent | null): void {
  if (event) moved = true;
}

/** Keeps the view some time after it came to rest; also tells the cards how much of them to draw. */
export function useKeepView(): (event: unknown, viewport: Viewport) => void {
  const timer = useRef<number | undefined>(undefined);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  return useCallback((_: unknown, { x, y, zoom }: Viewport) => {
    if (automatic > 0) return;
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(() => void saveViewport({ x, y, zoom }), KEEP_MS);
  }, []);
}

/** Follows the zoom with how much is drawn, without anything being rendered for it. */
export function useDetailFollowsZoom(): void {
  const chart = useStoreApi();
  useEffect(() => {
    setDetail(chart.getState().transform[2]);
    return chart.subscribe(({ transform }) => setDetail(transform[2]));
  }, [chart]);
}

/** The rectangle that holds every card. */
export function boundsOf(boxes: ReadonlyMap<string, Box>): {
  left: number;
  top: number;
  right: number;
  bottom: number;
} {
  let [left, top] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  let [right, bottom] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const { absX, absY, w, h } of boxes.values()) {
    left = Math.min(left, absX);
    top = Math.min(top, absY);
    right = Math.max(right, absX + w);
    bottom = Math.max(bottom, absY + h);
  }
  return left < right ? { left, top, right, bottom } : { left: 0, top: 0, right: 1, bottom: 1 };
}

/** The least zoom that is allowed: that at which all of the chart is in sight. */
export function minZoomOf(boxes: ReadonlyMap<string, Box>): number {
  const { left, top, right, bottom } = boundsOf(boxes);
  const whole = Math.min(window.innerWidth / (right - left), window.innerHeight / (bottom - top));
  return Math.min(MIN_ZOOM, Math.max(0.01, whole * 0.6));
}

/** Whether any card of the chart is in this view: one that shows none is of another chart. */
function showsAny({ x, y, zoom }: Viewport, boxes: ReadonlyMap<string, Box>): boolean {
  const [width, height] = [window.innerWidth, window.innerHeight];
  for (const { absX, absY, w, h } of boxes.values()) {
    const [left, top] = [absX * zoom + x, absY * zoom + y];
    if (left < width && top < height && left + w * zoom > 0 && top + h * zoom > 0) return true;
  }
  return false;
}

/** Height of the toolbar, pixels. */
const TOOLBAR = 52;

/** The view that the chart begins with: where somebody looked last (UI-45), else all of it. */
export function firstView(boxes: ReadonlyMap<string, Box>): Viewport {
  const kept = storedViewport();
  moved = kept !== null && showsAny(kept, boxes);
  const { left, top, right, bottom } = boundsOf(boxes);
  const bounds = { x: left, y: top, width: right - left, height: bottom - top };
  const { padding, maxZoom } = fitOptions;
  const [width, height] = [window.innerWidth, window.innerHeight - TOOLBAR];
  const view = moved && kept ? kept : getViewportForBounds(bounds, width, height, minZoomOf(boxes), maxZoom, padding);
  setDetail(view.zoom);
  return view;
}

/** The view follows new cards unless a person has moved it since (UI-46). */
export function useFollow(boxes: ReadonlyMap<string, Box>): void {
  const flow = useReactFlow();
  const newcomers = useRef(new Newcomers());
  // Stays until it is done: what else changes meanwhile must not take it away.
  const due = useRef(false);
  useEffect(() => {
    if (newcomers.current.take(boxes, Date.now())) due.current = true;
    if (!due.current || moved) return undefined;
    const timer = window.setTimeout(() => {
      due.current = false;
      automatic += 1;
      void flow.fitView({ ...fitOptions, duration: motionMs(300) }).finally(() => (automatic -= 1));
    }, FOLLOW_MS);
    return () => window.clearTimeout(timer);
  }, [boxes, flow]);
}

/** Brings into view what was asked for. */
export function useFocus(): void {
  const flow = useReactFlow();
  const focus = useUi((state) => state.focus);
  useEffect(() => {
    if (!focus) return undefined;
    const timer = window.setTimeout(() => {
      const nodes = focus.ids.map((id) => ({ id }));
      void flow.fitView({ nodes, padding: 0.3, maxZoom: 1.1, duration: motionMs(350) });
    }, 60);
    return () => window.clearTimeout(timer);
  }, [focus, flow]);
}

/** The card that the panel is about stays in sight when the panel takes its room. */
export function useInSight(boxes: ReadonlyMap<string, Box>): void {
  const flow = useReactFlow();
  const open = useUi((state) => state.open);
  const latest = useRef(boxes);
  useEffect(() => {
    latest.current = boxes;
  }, [boxes]);
  useEffect(() => {
    const chart = document.getElementById('canvas');
    if (open === null || !chart) return undefined;
    const reveal = () => {
      const box = latest.current.get(open);
      if (!box) return;
      const { x, y, zoom } = flow.getViewport();
      const { clientWidth: width, clientHeight: height } = chart;
      const [w, h] = [Math.min(box.w * zoom, width), Math.min(box.h * zoom, height)];
      const [left, top] = [box.absX * zoom + x, box.absY * zoom + y];
      const dx = left < MARGIN ? MARGIN - left : Math.min(0, width - MARGIN - left - w);
      const dy = top < MARGIN ? MARGIN - top : Math.min(0, height - MARGIN - top - h);
      if (dx !== 0 || dy !== 0) void flow.setViewport({ x: x + dx, y: y + dy, zoom }, { duration: motionMs(220) });
    };
    // Once for the selection, and again when the panel has taken its room; later resizes are the reader's own.
    let narrowed = false;
    const width = chart.clientWidth;
    const observer = new ResizeObserver(() => {
      if (narrowed || chart.clientWidth === width) return;
      narrowed = true;
      reveal();
    });
    observer.observe(chart);
    reveal();
    return () => observer.disconnect();
  }, [open, flow]);
}
