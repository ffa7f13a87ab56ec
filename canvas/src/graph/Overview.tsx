import { useReactFlow, useStoreApi } from '@xyflow/react';
import { useEffect, useMemo, useRef } from 'react';
import { useOrg } from '../store/org';
import { statusView } from '../store/statuses';
import type { Box } from './layout';
import { boundsOf } from './view';

const WIDTH = 200;
const HEIGHT = 150;
const PAD = 10;

/**
 * All of the chart in small, and what of it is in sight (UI-47). Drawn when a card or a status changes; a movement of the
 * view moves one element of it, and draws nothing.
 */
export function Overview({ boxes, labels }: { boxes: ReadonlyMap<string, Box>; labels: number }) {
  const flow = useReactFlow();
  const chart = useStoreApi();
  const paper = useRef<HTMLCanvasElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const place = useMemo(() => {
    const { left, top, right, bottom } = boundsOf(boxes);
    const scale = Math.min((WIDTH - 2 * PAD) / (right - left), (HEIGHT - 2 * PAD) / (bottom - top));
    const [x, y] = [
      (WIDTH - (right - left) * scale) / 2 - left * scale,
      (HEIGHT - (bottom - top) * scale) / 2 - top * scale,
    ];
    return { scale, x, y };
  }, [boxes]);

  useEffect(() => {
    void labels;
    const paint = () => paper.current && draw(paper.current, boxes, place);
    paint();
    // Colours are those of the theme.
    const observer = new MutationObserver(paint);
    observer.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    return () => observer.disconnect();
  }, [boxes, labels, place]);

  useEffect(() => {
    const follow = () => {
      const { transform, width, height } = chart.getState();
      const [x, y, zoom] = transform;
      const node = frame.current;
      if (!node) return;
      const [w, h] = [(width / zoom) * place.scale, (height / zoom) * place.scale];
      node.style.transform = `translate(${(-x / zoom) * place.scale + place.x}px, ${(-y / zoom) * place.scale + place.y}px)`;
      // Only a change of zoom changes its size.
      if (node.dataset.size !== `${w}:${h}`) {
        node.dataset.size = `${w}:${h}`;
        [node.style.width, node.style.height] = [`${w}px`, `${h}px`];
      }
    };
    follow();
    return chart.subscribe(follow);
  }, [chart, place]);

  /** The chart's middle comes to where somebody points. */
  const go = (event: React.PointerEvent) => {
    const at = event.currentTarget.getBoundingClientRect();
    const { transform, width, height } = chart.getState();
    const zoom = transform[2];
    const x = (event.clientX - at.left - place.x) / place.scale;
    const y = (event.clientY - at.top - place.y) / place.scale;
    void flow.setViewport({ x: width / 2 - x * zoom, y: height / 2 - y * zoom, zoom });
  };
  return (
    <div
      className="overview nopan nowheel"
      role="img"
      aria-label="Overview of the chart"
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        go(event);
      }}
      onPointerMove={(event) => {
        if (event.buttons === 1) go(event);
      }}
      onWheel={(event) => void (event.deltaY > 0 ? flow.zoomOut() : flow.zoomIn())}
    >
      <canvas ref={paper} className="size-full" aria-hidden />
      <div ref={frame} className="overview-frame" />
    </div>
  );
}

interface Place {
  scale: number;
  x: number;
  y: number;
}

function draw(paper: HTMLCanvasElement, boxes: ReadonlyMap<string, Box>, { scale, x, y }: Place): void {
  const context = paper.getContext('2d');
  if (!context) return;
  const sharp = window.devicePixelRatio || 1;
  [paper.width, paper.height] = [WIDTH * sharp, HEIGHT * sharp];
  context.scale(sharp, sharp);
  const style = getComputedStyle(document.documentElement);
  const tones = new Map<string, string>();
  const { byId } = useOrg.getState();
  for (const { id, absX, absY, w, h, open } of boxes.values()) {
    const { tone } = statusView(byId.get(id)?.status ?? '');
    const colour = tones.get(tone) ?? style.getPropertyValue(`--${tone}`);
    tones.set(tone, colour);
    context.fillStyle = colour;
    // A team is a region, its members are in it.
    context.globalAlpha = open ? 0.14 : 0.85;
    const [width, height] = [Math.max(1, w * scale), Math.max(1, h * scale)];
    context.beginPath();
    context.roundRect(absX * scale + x, absY * scale + y, width, height, Math.min(3, height / 4));
    context.fill();
  }
}
