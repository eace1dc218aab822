// Load averages: exponentially decaying means of runnable and disk-waiting tasks over 1, 5 and 15 minutes (proc(5)).
import type { Kernel } from '../state.ts';
import { now } from '../time/clock.ts';
import { LOAD_INTERVAL_NS } from './state.ts';

// exp(-5s/1m), exp(-5s/5m), exp(-5s/15m) as the 11-bit fixed-point constants of Linux (include/linux/sched/loadavg.h).
const DECAYS: readonly [number, number, number] = [1884 / 2048, 2014 / 2048, 2037 / 2048];

/** Tasks that run or wait for a CPU. */
export function runnableTasks(kernel: Kernel): number {
  return kernel.sched.runQueues.reduce(
    (sum, queue) => sum + queue.waiting + (queue.current === null ? 0 : 1),
    0,
  );
}

/** Takes the samples that are due. */
export function sampleLoad(kernel: Kernel): void {
  const { sched } = kernel;
  while (now(kernel) >= sched.nextLoadNs) {
    sched.nextLoadNs += LOAD_INTERVAL_NS;
    const active = runnableTasks(kernel) + sched.blockedTasks;
    const [one, five, fifteen] = sched.loadAverages;
    const decayed = (load: number, decay: number): number => load * decay + active * (1 - decay);
    sched.loadAverages = [decayed(one, DECAYS[0]), decayed(five, DECAYS[1]), decayed(fifteen, DECAYS[2])];
  }
}
