// Whether a signal waits to be handled: what sleeping calls ask. Signal numbers are 1 to 64; sets are bigint bit masks
// with bit n-1 for signal n.
import type { Task } from './task.ts';

/** True when an unblocked signal is pending for the task or its process, or its process is being killed or stopped. */
export function signalPending(task: Task): boolean {
  const { signals, process } = task;
  // Asked at each entry to user mode: arithmetic with bigints makes new ones, a comparison with 0n does not.
  const own = signals.pendingMask;
  const shared = process.shared.pendingMask;
  if ((own !== 0n || shared !== 0n) && ((own | shared) & ~signals.blocked) !== 0n) return true;
  return process.groupExit !== null || process.stopPending;
}
