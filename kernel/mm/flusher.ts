// The flusher thread (fs/fs-writeback.c): writes files that have been dirty for dirty_expire_centisecs, files that reclaim
// waits for, and, when dirty memory is over the background limit, the oldest ones until it is below.
import { BLOCKED, failed } from '../abi/errno.ts';
import type { Task } from '../sched/task.ts';
import { kernelThreads } from '../sched/kernel-thread.ts';
import { sleepOn, wakeUp } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { armFlusher, dirtyLimits, isExpired, startWriteBack } from './write-back.ts';

/** What file systems do at each periodic flush (inodes, superblocks). 0, or BLOCKED to be called again. */
export const flushHooks: Record<string, (kernel: Kernel, task: Task) => number> = {};

const STEP_PAGES = 1024; // MAX_WRITEBACK_PAGES

kernelThreads['flusher'] = (kernel, task) => {
  const { memory } = kernel;
  for (const hook of Object.values(flushHooks)) {
    if (hook(kernel, task) === BLOCKED) return BLOCKED;
  }
  for (const id of memory.dirtySpaces) {
    const space = memory.spaces.get(id);
    if (space === undefined) continue;
    const isOver = memory.dirtyPages > dirtyLimits(memory).background;
    if (!isOver && !isExpired(kernel, space) && space.dirtiedNs > memory.flushAllUntilNs) continue;
    const started = startWriteBack(kernel, space, STEP_PAGES);
    if (started === BLOCKED) return BLOCKED;
    if (!failed(started) && started > 0) return 0; // one file a step, then whoever else wants to run
  }
  const { background, limit } = dirtyLimits(memory);
  if (
    memory.dirtyWait.waiters.size > 0 &&
    memory.dirtyPages + memory.writebackPages <= (background + limit) >> 1
  ) {
    wakeUp(kernel, memory.dirtyWait);
  }
  if (memory.dirtyPages > 0) armFlusher(kernel);
  return sleepOn(kernel, task, memory.flusherWait, 'wb_workfn');
};
