import { expect, test } from 'vitest';
import { loopsOf } from './server';

const now = Date.parse('2026-12-01T12:00:00Z');
const at = (secondsAgo: number) => new Date(now - secondsAgo * 1_000).toISOString();

test('loops in trouble come first, and say what is the matter', () => {
  const loops = loopsOf(
    {
      subsystems: {
        sweep: { description: 'Sweeps', last_tick_at: at(4), last_success_at: at(4), period_ms: 15_000 },
        late: { description: 'Late', last_tick_at: at(600), last_success_at: at(600), period_ms: 15_000 },
        failing: { last_tick_at: at(4), last_success_at: at(90), last_error: 'disk full', period_ms: 15_000 },
        recovered: { last_tick_at: at(4), last_success_at: at(3), last_error: 'disk full', period_ms: 15_000 },
        waiting: { description: 'Only waits for work', last_tick_at: at(90_000), last_success_at: at(90_000) },
        odd: 'not a loop',
      },
    },
    now,
  );
  expect(loops.map(({ name, trouble }) => [name, trouble])).toEqual([
    ['failing', 'disk full'],
    ['late', 'It has not run for too long.'],
    ['recovered', ''],
    ['sweep', ''],
    ['waiting', ''],
  ]);
  expect(loopsOf(null, now)).toEqual([]);
});
