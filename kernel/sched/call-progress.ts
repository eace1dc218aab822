// What a system call remembers from one start to the next: its deadline, the bytes it has moved, data of its own.
import { addTimer, cancelTimer, timerActions, type TimerAction } from '../time/timers.ts';
import { now } from '../time/clock.ts';
import type { Kernel } from '../state.ts';
import { wakeTask } from './core.ts';
import type { CallProgress, Task } from './task.ts';

/** The record of the call in progress, made at its first use. */
export function callProgress(task: Task): CallProgress {
  task.call ??= { number: task.origRax, deadlineNs: -1, timer: 0, done: 0, data: null };
  return task.call;
}

/**
 * The absolute virtual time at which the call's timeout ends, set at the first start; Infinity for null. A timer then
 * wakes the task. Call it just before sleeping.
 */
export function callDeadline(kernel: Kernel, task: Task, relativeNs: number | null): number {
  if (relativeNs === null) return Infinity;
  return callDeadlineAt(kernel, task, now(kernel) + relativeNs);
}

/** As callDeadline, for an absolute virtual time. */
export function callDeadlineAt(kernel: Kernel, task: Task, atNs: number): number {
  const call = callProgress(task);
  if (call.deadlineNs < 0) {
    call.deadlineNs = atNs;
    if (atNs !== Infinity) call.timer = addTimer(kernel, atNs, { kind: 'wake-task', tid: task.tid });
  }
  return call.deadlineNs;
}

/** Whether the call's timeout is over; false while none was set. */
export function deadlinePassed(kernel: Kernel, task: Task): boolean {
  const deadline = task.call?.deadlineNs ?? -1;
  return deadline >= 0 && now(kernel) >= deadline;
}

/** The call's own data, made once. The caller knows the shape that it made. */
export function callData<T>(task: Task, make: () => T): T {
  const call = callProgress(task);
  call.data ??= make();
  return call.data as T;
}

/** The call is over, or a signal ended it: forget its progress. */
export function endCall(kernel: Kernel, task: Task): void {
  if (task.call === null) return;
  if (task.call.timer !== 0) cancelTimer(kernel, task.call.timer);
  task.call = null;
}

timerActions['wake-task'] = (kernel: Kernel, action: TimerAction) => {
  const task = kernel.tasks.get(Number(action['tid']));
  if (task !== undefined && (task.state === 'sleeping' || task.state === 'disk-sleep'))
    wakeTask(kernel, task);
};
