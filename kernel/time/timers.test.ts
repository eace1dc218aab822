import { expect, it } from 'vitest';
import type { Kernel } from '../state.ts';
import { addTimer, cancelTimer, nextTimerNs, runTimers, timerActions } from './timers.ts';

it('fires timers in order of time, then of birth, and not the cancelled ones', () => {
  const fired: number[] = [];
  timerActions['test'] = (_kernel, action) => void fired.push(Number(action['n']));
  const kernel = { timers: { heap: [], lastId: 0 } } as unknown as Kernel;
  const times = [50, 10, 30, 10, 70, 20, 30, 5];
  const ids = times.map((at, n) => addTimer(kernel, at, { kind: 'test', n }));
  expect(nextTimerNs(kernel)).toBe(5);
  expect(cancelTimer(kernel, ids[2] ?? 0)).toBe(true);
  expect(cancelTimer(kernel, ids[2] ?? 0)).toBe(false);
  runTimers(kernel, 50);
  expect(fired).toEqual([7, 1, 3, 5, 6, 0]);
  expect(nextTimerNs(kernel)).toBe(70);
});
