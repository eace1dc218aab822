// What the scheduler keeps beside the tasks: a run queue for each CPU and the accounts of its time.
import type { Mm } from '../mm/mm.ts';
import type { Task } from './task.ts';
import { schedulingClasses } from './classes/index.ts';

/** Where a CPU's time went, virtual ns, as /proc/stat shows it. */
export interface CpuTimes {
  user: number;
  nice: number;
  system: number;
  idle: number;
  iowait: number;
  irq: number;
  softirq: number;
}

export interface RunQueue {
  readonly cpu: number;
  /** The running task; null when idle. */
  current: Task | null;
  /** Waiting tasks by scheduling class; the shape is the class's own. */
  queues: Record<string, unknown>;
  /** Waiting tasks, the running one not counted. */
  waiting: number;
  needResched: boolean;
  /** Whose page tables the CPU has loaded. */
  loadedMm: Mm | null;
  nextTickNs: number;
  /** When it went idle; meaningless while busy. */
  idleSinceNs: number;
  times: CpuTimes;
  contextSwitches: number;
  migrationsIn: number;
  /** Latencies from runnable to running, counted by floor(log2(µs)), 0 to 31. */
  latencyHistogram: number[];
}

export interface SchedState {
  runQueues: RunQueue[];
  loadAverages: [number, number, number];
  nextLoadNs: number;
  forks: number;
  /** Tasks in disk sleep, for iowait and the load. */
  blockedTasks: number;
}

const newTimes = (): CpuTimes => ({ user: 0, nice: 0, system: 0, idle: 0, iowait: 0, irq: 0, softirq: 0 });

function newRunQueue(cpu: number): RunQueue {
  const queues: Record<string, unknown> = {};
  for (const [name, schedulingClass] of schedulingClasses) queues[name] = schedulingClass.emptyQueue();
  return {
    cpu, current: null, queues, waiting: 0, needResched: false, loadedMm: null, nextTickNs: 0, idleSinceNs: 0,
    times: newTimes(), contextSwitches: 0, migrationsIn: 0, latencyHistogram: Array.from({ length: 32 }, () => 0),
  }; // prettier-ignore
}

export const newSchedState = (cpuCount: number): SchedState => ({
  runQueues: Array.from({ length: cpuCount }, (_, cpu) => newRunQueue(cpu)),
  loadAverages: [0, 0, 0],
  nextLoadNs: LOAD_INTERVAL_NS,
  forks: 0,
  blockedTasks: 0,
});

/** Linux samples the load every 5 s. */
export const LOAD_INTERVAL_NS = 5_000_000_000;

/** What a CPU ran without a break, as the live timeline shows it. */
export interface RanSlice {
  readonly cpu: number;
  readonly tid: number;
  readonly comm: string;
  readonly startNs: number;
  readonly durationNs: number;
  /** The task's state as it left. */
  readonly left: string;
}
