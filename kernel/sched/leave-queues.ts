// The end of a sleep, for the scheduler: below wait-queue.ts, which wakes tasks through it.
import type { Task } from './task.ts';

/** Takes the task off all queues; the scheduler calls it when the task is woken. */
export function leaveQueues(task: Task): void {
  for (const queue of task.waitingOn) queue.waiters.delete(task.tid);
  task.waitingOn.length = 0;
  task.wchan = '';
}
