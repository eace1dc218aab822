// CPUs and run queues as they stand.
import { schedulingClasses } from '../sched/classes/index.ts';
import { stateLetter } from '../sched/core.ts';
import type { RunQueue } from '../sched/state.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { machineNs } from '../trap/loop.ts';

export interface QueuedTaskView {
  readonly tid: number;
  readonly comm: string;
  readonly policy: string;
  readonly vruntimeNs: number;
  readonly state: string;
}

export interface CpuView {
  readonly userNs: number;
  readonly niceNs: number;
  readonly systemNs: number;
  readonly irqNs: number;
  readonly softirqNs: number;
  readonly iowaitNs: number;
  readonly idleNs: number;
  readonly contextSwitches: number;
  readonly migrationsIn: number;
  readonly running: QueuedTaskView | null;
  readonly queue: readonly QueuedTaskView[];
  readonly queueLength: number;
}

const MOST_QUEUED = 64;

const viewOf = (task: Task): QueuedTaskView => ({
  tid: task.tid, comm: task.comm, policy: task.sched.policy, vruntimeNs: Math.max(0, Math.round(task.sched.vruntime)), state: stateLetter(task),
}); // prettier-ignore

/** Waiting tasks, first to run first as far as their class orders them. */
function waitingTasks(queue: RunQueue): Task[] {
  const waiting: Task[] = [];
  for (const [name, schedulingClass] of schedulingClasses)
    waiting.push(...schedulingClass.waiting(queue.queues[name]));
  return waiting;
}

/** One view for each CPU. An idle CPU's idle time is counted up to `nowNs`. */
export function viewCpus(kernel: Kernel, nowNs = machineNs(kernel)): CpuView[] {
  return kernel.sched.runQueues.map((queue) => {
    const { times } = queue;
    const waiting = waitingTasks(queue);
    const openIdleNs = queue.current === null ? Math.max(0, nowNs - (kernel.time.cpuNs[queue.cpu] ?? 0)) : 0;
    return {
      userNs: times.user, niceNs: times.nice, systemNs: times.system, irqNs: times.irq, softirqNs: times.softirq, iowaitNs: times.iowait,
      idleNs: times.idle + openIdleNs, contextSwitches: queue.contextSwitches, migrationsIn: queue.migrationsIn,
      running: queue.current === null ? null : viewOf(queue.current),
      queue: waiting.slice(0, MOST_QUEUED).map(viewOf), queueLength: queue.waiting,
    }; // prettier-ignore
  });
}

/** Run-queue latencies of all CPUs: entry i counts those from 2^i to 2^(i+1) µs. */
export function runQueueLatency(kernel: Kernel): number[] {
  const sums = Array.from({ length: 32 }, () => 0);
  for (const queue of kernel.sched.runQueues)
    queue.latencyHistogram.forEach((count, i) => (sums[i] = (sums[i] ?? 0) + count));
  return sums;
}

/** Interrupts by line, all CPUs together. */
export function interruptCounts(kernel: Kernel): number[] {
  const [first = []] = kernel.board.counts;
  return first.map((_, line) => kernel.board.counts.reduce((sum, counts) => sum + (counts[line] ?? 0), 0));
}
