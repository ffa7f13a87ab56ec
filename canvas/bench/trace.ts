/** Chromium's own trace of a stretch of time, read for what the main thread of the page did in it. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  /** Microseconds. */
  ts: number;
  dur?: number;
  /** Processor time of the thread, microseconds: what the task cost, however busy the machine was. */
  tdur?: number;
  args?: { name?: string; data?: { type?: string } };
}

/** Set by a page whose first card is painted. */
export const MARK = 'molecule-first-card';

export interface MainThread {
  /** Milliseconds of each task, by the clock on the wall. */
  wallMs: number[];
  /** Milliseconds of processor time of each task. */
  cpuMs: number[];
  /** Processor time from one frame that was handed to the compositor to the next, milliseconds. */
  frameCpuMs: number[];
  /** Processor time until the page set its mark, milliseconds; null without one. */
  untilMarkCpuMs: number | null;
}

/** Traces what `run` does. */
export async function traced(browser: Browser, page: Page, run: () => Promise<void>): Promise<MainThread> {
  const categories = [
    'toplevel',
    'devtools.timeline',
    'disabled-by-default-devtools.timeline',
    'blink.user_timing',
    '__metadata',
  ];
  await browser.startTracing(page, { categories });
  await run();
  const text = (await browser.stopTracing()).toString();
  // To be looked at in the browser's own tools.
  if (process.env.MOLECULE_TRACES) writeFileSync(join(process.env.MOLECULE_TRACES, `${Date.now()}.json`), text);
  const trace = JSON.parse(text) as { traceEvents: TraceEvent[] };
  return mainThread(trace.traceEvents);
}

/** What the busiest renderer's main thread did: the page's own. */
export function mainThread(events: readonly TraceEvent[]): MainThread {
  const threads = events.filter((one) => one.name === 'thread_name' && one.args?.name === 'CrRendererMain');
  const tasksOf = ({ pid, tid }: TraceEvent) =>
    events.filter((one) => one.pid === pid && one.tid === tid && one.name === 'RunTask' && one.ph === 'X');
  const busiest = threads
    .map((thread) => ({ thread, tasks: tasksOf(thread) }))
    .sort((a, b) => sum(b.tasks.map((task) => task.dur ?? 0)) - sum(a.tasks.map((task) => task.dur ?? 0)))[0];
  if (!busiest) throw new Error('the trace has no main thread');
  const { thread, tasks } = busiest;
  tasks.sort((a, b) => a.ts - b.ts);
  const frames = events
    .filter((one) => one.pid === thread.pid && one.tid === thread.tid && one.name === 'Commit')
    .map((one) => one.ts)
    .sort((a, b) => a - b);
  const mark = events.find((one) => one.pid === thread.pid && one.name === MARK);
  const cpu = (task: TraceEvent) => task.tdur ?? task.dur ?? 0;
  const frameCpuMs: number[] = [];
  let at = 0;
  for (let frame = 1; frame < frames.length; frame += 1) {
    const [from = 0, to = 0] = [frames[frame - 1], frames[frame]];
    while (at < tasks.length && (tasks[at]?.ts ?? 0) + (tasks[at]?.dur ?? 0) <= from) at += 1;
    let spent = 0;
    for (let n = at; n < tasks.length && (tasks[n]?.ts ?? 0) < to; n += 1) {
      const task = tasks[n];
      if (task && task.ts + (task.dur ?? 0) > from && task.ts + (task.dur ?? 0) <= to) spent += cpu(task);
    }
    frameCpuMs.push(spent / 1_000);
  }
  return {
    wallMs: tasks.map((task) => (task.dur ?? 0) / 1_000),
    cpuMs: tasks.map((task) => cpu(task) / 1_000),
    frameCpuMs,
    untilMarkCpuMs: mark ? sum(tasks.filter((task) => task.ts < mark.ts).map(cpu)) / 1_000 : null,
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

export function percentile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
