// The fair class, EEVDF: every task has a virtual run time that grows with ns / weight; those at or behind the weighted
// average are eligible, and of these the one with the earliest virtual deadline runs
// (Stoica and Abdel-Wahab 1995; Documentation/scheduler/sched-eevdf.rst).
import type { Task } from '../task.ts';
import type { SchedulingClass } from './class.ts';

export interface FairQueue {
  tasks: Task[];
  /** Virtual time of the queue: never goes back, so that an empty queue keeps its place. */
  virtualTime: number;
}

/** base_slice_ns for 1 to 2 CPUs. */
export const BASE_SLICE_NS = 3_000_000;
const NICE_0_WEIGHT = 1024;

/** Weights by nice from -20 (kernel/sched/core.c gives the same 1.25 steps). */
export const weights: readonly number[] = [
  88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586,
  1277, 1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
]; // prettier-ignore

const IDLE_POLICY_WEIGHT = 3;

/** Share of the CPU relative to 1024 for nice 0. */
export function weightOf(task: Task): number {
  if (task.sched.policy === 'idle') return IDLE_POLICY_WEIGHT;
  return weights[task.sched.nice + 20] ?? NICE_0_WEIGHT;
}

const virtualNs = (task: Task, ns: number): number => (ns * NICE_0_WEIGHT) / weightOf(task);

function averageVruntime(queue: FairQueue, current: Task | null): number {
  let sum = 0;
  let weight = 0;
  for (const task of queue.tasks) {
    const w = weightOf(task);
    sum += (task.sched.vruntime - queue.virtualTime) * w;
    weight += w;
  }
  if (current !== null) {
    const w = weightOf(current);
    sum += (current.sched.vruntime - queue.virtualTime) * w;
    weight += w;
  }
  return weight === 0 ? queue.virtualTime : queue.virtualTime + sum / weight;
}

function renewDeadline(task: Task): void {
  task.sched.deadline = task.sched.vruntime + virtualNs(task, BASE_SLICE_NS);
  task.sched.sliceUsedNs = 0;
}

export const fair: SchedulingClass<FairQueue> = {
  name: 'fair',
  emptyQueue: () => ({ tasks: [], virtualTime: 0 }),
  enqueue(queue, task, woken) {
    if (woken) {
      // A sleeper comes back at the average: it neither saved up time nor lost any.
      task.sched.vruntime = averageVruntime(queue, null);
      renewDeadline(task);
    }
    queue.tasks.push(task);
  },
  dequeue(queue, task) {
    const index = queue.tasks.indexOf(task);
    if (index >= 0) queue.tasks.splice(index, 1);
  },
  pickNext(queue) {
    const average = averageVruntime(queue, null);
    let best: Task | undefined;
    for (const task of queue.tasks) {
      if (task.sched.vruntime > average + 1) continue; // one virtual ns: rounding
      if (best === undefined || task.sched.deadline < best.sched.deadline) best = task;
    }
    best ??= queue.tasks[0];
    if (best === undefined) return undefined;
    queue.virtualTime = Math.max(queue.virtualTime, Math.min(average, best.sched.vruntime));
    fair.dequeue(queue, best);
    return best;
  },
  ran(_queue, current, ns) {
    const { sched } = current;
    const vruntime = sched.vruntime + virtualNs(current, ns);
    const sliceUsedNs = sched.sliceUsedNs + ns;
    sched.vruntime = vruntime;
    sched.sliceUsedNs = sliceUsedNs;
    if (vruntime >= sched.deadline && sliceUsedNs < BASE_SLICE_NS) renewDeadline(current);
  },
  shouldYield(queue, current) {
    if (current.sched.sliceUsedNs < BASE_SLICE_NS) return false;
    renewDeadline(current);
    return queue.tasks.length > 0;
  },
  shouldPreempt(queue, current, woken) {
    if (woken.sched.policy !== 'normal') return false;
    if (current.sched.policy === 'idle') return true;
    return (
      woken.sched.deadline < current.sched.deadline && woken.sched.vruntime <= averageVruntime(queue, current)
    );
  },
  waiting: (queue) => queue.tasks,
};
