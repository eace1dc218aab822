// Sleeping in mm: on a page that is read or written, or for free memory. It is always the current task that sleeps, whoever's
// memory is touched. Outside of any task (boot, host commands) nothing can wait: EIO.
import { EIO, ENOMEM, type Failure } from '../abi/errno.ts';
import type { Kernel } from '../state.ts';
import type { Task } from '../sched/task.ts';
import { newWaitQueue, sleepUninterruptible, wakeUp } from '../sched/wait-queue.ts';
import { enterMemoryStall } from './psi.ts';

export function currentTask(kernel: Kernel): Task | null {
  return kernel.sched.runQueues[kernel.cpu]?.current ?? null;
}

/** Sleeps until the frame's lock or write-back ends. */
export function waitOnPage(kernel: Kernel, frame: number, why: 'read' | 'write-back' | 'memory'): Failure {
  const task = currentTask(kernel);
  if (task === null) return EIO;
  let queue = kernel.memory.pageWaits.get(frame);
  if (queue === undefined) kernel.memory.pageWaits.set(frame, (queue = newWaitQueue()));
  if (why === 'memory') enterMemoryStall(kernel, task);
  return sleepUninterruptible(
    kernel,
    task,
    queue,
    why === 'write-back' ? 'folio_wait_writeback' : 'folio_wait_bit_common',
  );
}

export function wakePage(kernel: Kernel, frame: number): void {
  const queue = kernel.memory.pageWaits.get(frame);
  if (queue === undefined) return;
  kernel.memory.pageWaits.delete(frame);
  wakeUp(kernel, queue);
}

/** Sleeps until memory has been freed. */
export function waitForMemory(kernel: Kernel): Failure {
  const task = currentTask(kernel);
  if (task === null) return ENOMEM;
  enterMemoryStall(kernel, task);
  return sleepUninterruptible(kernel, task, kernel.memory.freeWait, 'throttle_direct_reclaim');
}
