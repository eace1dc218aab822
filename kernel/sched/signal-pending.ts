// Whether a signal waits to be handled: what sleeping calls ask. Signal numbers are 1 to 64; sets are bigint bit masks
// with bit n-1 for signal n.
import type { Task } from './task.ts';

/** True when an unblocked signal is pending for the task or its process, or its process is being killed or stopped. */
export function signalPending(task: Task): boolean {
  const pending = task.signals.pendingMask | task.process.shared.pendingMask;
  if ((pending & ~task.signals.blocked) !== 0n) return true;
  return task.process.groupExit !== null || task.process.stopPending;
}
