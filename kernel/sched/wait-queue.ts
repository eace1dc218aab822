// Waiting: a task that cannot go on puts itself on queues and returns BLOCKED; whoever changes what it waits for wakes
// the queue; the call then runs again from the start. A needless wake-up is harmless.
import { BLOCKED, ERESTARTSYS, type Failure } from '../abi/errno.ts';
import type { Kernel } from '../state.ts';
import { wakeTask } from './core.ts';
import { signalPending } from './signal-pending.ts';
import type { Task, Tid } from './task.ts';

export interface WaitQueue {
  waiters: Set<Tid>;
}

export const newWaitQueue = (): WaitQueue => ({ waiters: new Set() });

/**
 * Puts the task to sleep on a queue (state S) and gives BLOCKED, or ERESTARTSYS when a signal is waiting for it.
 * Call it last: nothing may have changed before.
 */
export function sleepOn(kernel: Kernel, task: Task, queue: WaitQueue, wchan = ''): Failure {
  return sleepOnAll(kernel, task, [queue], wchan);
}

/** As sleepOn, for several queues at once (poll, select, epoll). With no queue only a signal or a timer wakes it. */
export function sleepOnAll(_kernel: Kernel, task: Task, queues: readonly WaitQueue[], wchan = ''): Failure {
  if (signalPending(task)) return ERESTARTSYS;
  return sleepIn(task, queues, 'sleeping', wchan);
}

/** Waits for a disk or for memory: state D, signals do not end it. */
export function sleepUninterruptible(_kernel: Kernel, task: Task, queue: WaitQueue, wchan = ''): Failure {
  return sleepIn(task, [queue], 'disk-sleep', wchan);
}

function sleepIn(
  task: Task,
  queues: readonly WaitQueue[],
  state: 'sleeping' | 'disk-sleep',
  wchan: string,
): Failure {
  for (const queue of queues) {
    queue.waiters.add(task.tid);
    if (!task.waitingOn.includes(queue)) task.waitingOn.push(queue);
  }
  task.state = state;
  task.wchan = wchan;
  return BLOCKED;
}

/** Wakes every waiter, or the first `count` of them (in the order in which they came). */
export function wakeUp(kernel: Kernel, queue: WaitQueue, count = Infinity): number {
  if (queue.waiters.size === 0) return 0;
  let woken = 0;
  for (const tid of queue.waiters) {
    if (woken >= count) break;
    const task = kernel.tasks.get(tid);
    queue.waiters.delete(tid);
    if (task === undefined) continue;
    wakeTask(kernel, task);
    woken++;
  }
  return woken;
}
