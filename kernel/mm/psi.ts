// Pressure stall information for memory (Documentation/accounting/psi.rst): the time in which some task, or every task that
// wants to run, waits for memory: for reclaim, for swap-in, for a page that was evicted too early. Averages are brought up
// to date every 2 s with the kernel's fixed-point decay factors.
import { now } from '../time/clock.ts';
import type { Kernel } from '../state.ts';
import type { Task } from '../sched/task.ts';
import type { PsiLine } from './psi-state.ts';

const PERIOD_NS = 2_000_000_000;
/** exp(-2/10), exp(-2/60), exp(-2/300) as 11-bit fixed point (kernel/sched/psi.c). */
const DECAY = [1677, 1981, 2034];
const ONE = 2048;

/** The task begins to wait for memory. */
export function enterMemoryStall(kernel: Kernel, task: Task): void {
  const { psi } = kernel.memory;
  if (psi.stalled.has(task.tid)) return;
  settle(kernel);
  psi.stalled.add(task.tid);
  psi.wasFull = nobodyRuns(kernel, task);
}

/** The task goes on. Cheap when it did not stall. */
export function leaveMemoryStall(kernel: Kernel, task: Task): void {
  const { psi } = kernel.memory;
  if (psi.stalled.size === 0 || !psi.stalled.has(task.tid)) return;
  settle(kernel);
  psi.stalled.delete(task.tid);
  psi.wasFull = false;
}

/** /proc/pressure/memory: averages in percent and totals in µs. */
export function memoryPressure(
  kernel: Kernel,
): { line: 'some' | 'full'; averages: readonly number[]; totalUs: number }[] {
  settle(kernel);
  const { some, full } = kernel.memory.psi;
  return [
    { line: 'some', averages: some.averages, totalUs: Math.floor(some.totalNs / 1000) },
    { line: 'full', averages: full.averages, totalUs: Math.floor(full.totalNs / 1000) },
  ];
}

/** Adds the time since the last change to the totals and moves the averages on. */
function settle(kernel: Kernel): void {
  const { psi } = kernel.memory;
  const ns = now(kernel);
  dropDead(kernel);
  if (psi.stalled.size > 0 && ns > psi.sinceNs) {
    psi.some.totalNs += ns - psi.sinceNs;
    if (psi.wasFull) psi.full.totalNs += ns - psi.sinceNs;
  }
  psi.sinceNs = Math.max(psi.sinceNs, ns);
  const periods = Math.floor((ns - psi.updatedNs) / PERIOD_NS);
  if (periods <= 0) return;
  psi.updatedNs += periods * PERIOD_NS;
  for (const line of [psi.some, psi.full]) averageOver(line, periods);
}

/** A task that was killed while it waited no longer counts. */
function dropDead(kernel: Kernel): void {
  const { stalled } = kernel.memory.psi;
  for (const tid of stalled) if (!kernel.tasks.has(tid)) stalled.delete(tid);
}

function averageOver(line: PsiLine, periods: number): void {
  const percent = Math.min(100, ((line.totalNs - line.updatedTotalNs) * 100) / (periods * PERIOD_NS));
  line.updatedTotalNs = line.totalNs;
  for (let i = 0; i < 3; i++) {
    const decay = (DECAY[i] ?? ONE) / ONE;
    let average = line.averages[i] ?? 0;
    for (let n = Math.min(periods, 4096); n > 0; n--) average = average * decay + percent * (1 - decay);
    line.averages[i] = average;
  }
}

/** True when no task but those that stall is runnable. */
function nobodyRuns(kernel: Kernel, except: Task): boolean {
  for (const queue of kernel.sched.runQueues) {
    if (queue.waiting > 0) return false;
    if (queue.current !== null && queue.current !== except && queue.current.mm !== null) return false;
  }
  return true;
}
