// The mask that ppoll, pselect and epoll_pwait set for as long as they sleep. It must hold over every start of the call, and
// a signal's handler must still run under it: signal delivery puts savedMask back once the handler's frame is built.
import { ERESTARTNOHAND, ERESTARTSYS } from '../abi/errno.ts';
import { UNBLOCKABLE } from '../abi/signal.ts';
import { callProgress } from '../sched/call-progress.ts';
import type { Task } from '../sched/task.ts';

/** Sets the mask at the first start of the call. `null`: the call brings none. */
export function enterMask(task: Task, mask: bigint | null): void {
  if (mask === null || task.signals.savedMask !== null) return;
  callProgress(task);
  task.signals.savedMask = task.signals.blocked;
  task.signals.blocked = mask & ~UNBLOCKABLE;
}

/** Ends the call with this result: the old mask comes back, except where a handler is about to run. */
export function leaveMask(task: Task, mask: bigint | null, result: number): number {
  if (mask === null || result === ERESTARTNOHAND || result === ERESTARTSYS) return result;
  if (task.signals.savedMask !== null) task.signals.blocked = task.signals.savedMask;
  task.signals.savedMask = null;
  return result;
}
