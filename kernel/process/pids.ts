// Pids: the next free number above the last one, wrapping at pid_max (kernel/pid.c). A number is taken while a task, a
// process group or a session bears it.
import { EAGAIN, type Failure } from '../abi/errno.ts';
import type { Tid } from '../sched/task.ts';
import { processes } from '../signal/groups.ts';
import type { Kernel } from '../state.ts';

/** After a wrap the numbers below are left to those that had them. */
const RESERVED_PIDS = 300;

export function allocatePid(kernel: Kernel): Tid | Failure {
  const state = kernel.process;
  if (kernel.tasks.size >= state.pidMax - RESERVED_PIDS) return EAGAIN;
  let pid = state.lastPid;
  for (let tries = 0; tries < state.pidMax; tries++) {
    pid++;
    if (pid >= state.pidMax) pid = RESERVED_PIDS;
    if (isFree(kernel, pid)) {
      state.lastPid = pid;
      return pid;
    }
  }
  return EAGAIN;
}

function isFree(kernel: Kernel, pid: Tid): boolean {
  if (kernel.tasks.has(pid)) return false;
  // before the first wrap no group can outlive its leader's number
  if (pid > kernel.process.highestPid) {
    kernel.process.highestPid = pid;
    return true;
  }
  for (const process of processes(kernel)) {
    if (process.pgid === pid || process.sid === pid) return false;
  }
  return true;
}
