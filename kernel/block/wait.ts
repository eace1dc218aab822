// The task on whose behalf the kernel runs, and waiting on its behalf where no caller names it (disk and journal waits).
import { EIO, type Failure } from '../abi/errno.ts';
import type { Kernel } from '../state.ts';
import type { Task } from '../sched/task.ts';
import { sleepUninterruptible, type WaitQueue } from '../sched/wait-queue.ts';

export function currentTask(kernel: Kernel): Task | null {
  return kernel.sched.runQueues[kernel.cpu]?.current ?? null;
}

/** Puts the current task to sleep (state D) and gives BLOCKED; outside of any task nothing can wait: EIO. */
export function waitFor(kernel: Kernel, queue: WaitQueue, wchan: string): Failure {
  const task = currentTask(kernel);
  return task === null ? EIO : sleepUninterruptible(kernel, task, queue, wchan);
}
