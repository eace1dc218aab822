import { describe, expect, it } from 'vitest';
import type { PolicyName } from '../entity.ts';
import type { Task } from '../task.ts';
import { classOfPolicy } from './index.ts';
import { BASE_SLICE_NS, fair } from './fair.ts';
import { realTime, RR_QUANTUM_NS } from './real-time.ts';

/** As much of a task as a scheduling class looks at. */
function task(tid: number, policy: PolicyName, { nice = 0, rtPriority = 0 } = {}): Task {
  const sched = {
    policy, class: classOfPolicy[policy], nice, rtPriority, resetOnFork: false, affinity: -1, cpu: 0, onCpu: false,
    queued: false, vruntime: 0, deadline: 0, sliceUsedNs: 0, sumExecNs: 0, lastRanNs: 0, queuedSinceNs: 0, waitSumNs: 0,
    switchCount: 0, migrations: 0,
  }; // prettier-ignore
  return { tid, sched } as unknown as Task;
}

/** Runs tasks of one fair queue for a while and gives the share of each. */
function shares(tasks: readonly Task[], rounds: number): number[] {
  const queue = fair.emptyQueue();
  const ran = new Map<number, number>();
  for (const one of tasks) fair.enqueue(queue, one, true);
  for (let i = 0; i < rounds; i++) {
    const current = fair.pickNext(queue);
    if (current === undefined) throw new Error('nothing to run');
    while (!fair.shouldYield(queue, current)) {
      fair.ran(queue, current, 500_000);
      ran.set(current.tid, (ran.get(current.tid) ?? 0) + 500_000);
    }
    fair.enqueue(queue, current, false);
  }
  const total = [...ran.values()].reduce((a, b) => a + b, 0);
  return tasks.map((one) => (ran.get(one.tid) ?? 0) / total);
}

describe('fair', () => {
  it('gives equal tasks equal shares', () => {
    for (const share of shares([task(1, 'normal'), task(2, 'normal'), task(3, 'normal')], 300))
      expect(share).toBeCloseTo(1 / 3, 1);
  });
  it('gives nice 0 about three times what nice 5 gets', () => {
    const [a = 0, b = 0] = shares([task(1, 'normal'), task(2, 'normal', { nice: 5 })], 1000);
    expect(a / b).toBeGreaterThan(2.6);
    expect(a / b).toBeLessThan(3.6);
  });
  it('leaves an idle-policy task almost nothing', () => {
    const [, b = 1] = shares([task(1, 'normal'), task(2, 'idle')], 2000);
    expect(b).toBeLessThan(0.02);
  });
  it('puts a sleeper at the average, not ahead by what it slept', () => {
    const queue = fair.emptyQueue();
    const busy = task(1, 'normal');
    busy.sched.vruntime = 50 * BASE_SLICE_NS;
    fair.enqueue(queue, busy, false);
    const sleeper = task(2, 'normal');
    fair.enqueue(queue, sleeper, true);
    expect(sleeper.sched.vruntime).toBe(busy.sched.vruntime);
  });
});

describe('real-time', () => {
  it('runs the highest priority first, equals in order', () => {
    const queue = realTime.emptyQueue();
    for (const one of [
      task(1, 'fifo', { rtPriority: 5 }),
      task(2, 'fifo', { rtPriority: 9 }),
      task(3, 'fifo', { rtPriority: 5 }),
    ]) {
      realTime.enqueue(queue, one, true);
    }
    expect([1, 2, 3].map(() => realTime.pickNext(queue)?.tid)).toEqual([2, 1, 3]);
    expect(realTime.pickNext(queue)).toBeUndefined();
  });
  it('lets a FIFO task run on and ends a round-robin one after its quantum', () => {
    const queue = realTime.emptyQueue();
    const fifo = task(1, 'fifo', { rtPriority: 5 });
    const rr = task(2, 'rr', { rtPriority: 5 });
    realTime.enqueue(queue, task(3, 'rr', { rtPriority: 5 }), true);
    for (const one of [fifo, rr]) realTime.ran(queue, one, RR_QUANTUM_NS);
    expect(realTime.shouldYield(queue, fifo)).toBe(false);
    expect(realTime.shouldYield(queue, rr)).toBe(true);
  });
});
