// kswapd0 (mm/vmscan.c): woken when free memory falls below the low watermark, it reclaims until the high one is reached.
// One step is one pass over a part of the lists.
import type { Task } from '../sched/task.ts';
import { kernelThreads } from '../sched/kernel-thread.ts';
import { sleepOn, wakeUp } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { emit, isOn, tracepoint } from '../trace/tracepoint.ts';
import { isSwappingOut, swapOutNext } from './process-swap.ts';
import { newScan, shrinkLists, shrinkObjects } from './reclaim.ts';
import { shrinkSlabs } from './slab.ts';

const kswapdWake = tracepoint('vmscan', 'mm_vmscan_kswapd_wake', { nid: 's32', order: 's32' });
const kswapdSleep = tracepoint('vmscan', 'mm_vmscan_kswapd_sleep', { nid: 's32' });

const DEF_PRIORITY = 12;
const STEP_PAGES = 128;
const FAILURES_MAX = 16; // MAX_RECLAIM_RETRIES

interface KswapdData {
  priority: number;
  awake: boolean;
}

function dataOf(task: Task): KswapdData {
  const thread = task.kernelThread;
  if (thread === null) return { priority: DEF_PRIORITY, awake: false };
  thread.data ??= { priority: DEF_PRIORITY, awake: false };
  return thread.data as KswapdData; // made here only
}

kernelThreads['kswapd'] = (kernel, task) => {
  const { memory } = kernel;
  const data = dataOf(task);
  const isDone = memory.freePages >= memory.watermarks.high && !isSwappingOut(kernel);
  if (isDone || memory.kswapdFailures >= FAILURES_MAX) return rest(kernel, task, data);
  if (!data.awake) {
    data.awake = true;
    memory.counters.pageoutrun++;
    if (isOn(kernel, kswapdWake)) emit(kernel, kswapdWake, { nid: 0, order: 0 });
  }
  const scan = newScan('kswapd');
  const takesProcesses =
    (memory.tunables.processSwapping !== 0 || isSwappingOut(kernel)) && swapOutNext(kernel, scan);
  if (!takesProcesses)
    shrinkLists(kernel, scan, data.priority, Math.min(STEP_PAGES, memory.watermarks.high - memory.freePages));
  const before = memory.freePages;
  shrinkObjects(kernel, data.priority);
  shrinkSlabs(kernel);
  const freed = scan.reclaimed + memory.freePages - before;
  if (memory.freePages > memory.watermarks.min && memory.freeWait.waiters.size > 0)
    wakeUp(kernel, memory.freeWait);
  if (freed > 0) {
    data.priority = Math.min(DEF_PRIORITY, data.priority + 1);
    memory.kswapdFailures = 0;
    return 0;
  }
  // What is being written will free memory when it is done, and wakes us if that is not enough.
  if (memory.writebackPages > 0) return sleepOn(kernel, task, memory.kswapdWait, 'kswapd');
  if (data.priority > 0) {
    data.priority--;
    return 0;
  }
  memory.kswapdFailures++;
  data.priority = DEF_PRIORITY;
  return 0;
};

function rest(kernel: Kernel, task: Task, data: KswapdData): number {
  const { memory } = kernel;
  data.priority = DEF_PRIORITY;
  if (data.awake) {
    data.awake = false;
    if (isOn(kernel, kswapdSleep)) emit(kernel, kswapdSleep, { nid: 0 });
  }
  memory.kswapdFailures = 0;
  if (memory.freeWait.waiters.size > 0) wakeUp(kernel, memory.freeWait);
  return sleepOn(kernel, task, memory.kswapdWait, 'kswapd');
}
