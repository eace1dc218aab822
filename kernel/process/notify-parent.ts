// A process has ended: its parent gets the exit signal and wakes from wait, unless it declared that it does not care for
// its children (kernel/signal.c do_notify_parent).
import {
  CLD_DUMPED, CLD_EXITED, CLD_KILLED, SA, SIGCHLD, SIG_IGN,
} from '../abi/signal.ts'; // prettier-ignore
import { endingSignal, exitCode, hasDumped, hasExited } from '../abi/wait.ts';
import { wakeUp } from '../sched/wait-queue.ts';
import { findProcess } from '../signal/groups.ts';
import { signalProcess } from '../signal/send.ts';
import { newSignalInfo } from '../signal/state.ts';
import type { Kernel } from '../state.ts';
import type { Process } from './process.ts';

/** si_code and si_status of a wait status. */
export function childCode(status: number): { readonly code: number; readonly status: number } {
  if (hasExited(status)) return { code: CLD_EXITED, status: exitCode(status) };
  return { code: hasDumped(status) ? CLD_DUMPED : CLD_KILLED, status: endingSignal(status) };
}

/** 'reap': nobody will wait for it. */
export function notifyParent(kernel: Kernel, process: Process): 'reap' | 'zombie' {
  const parent = findProcess(kernel, process.parent);
  if (parent === undefined || parent.dead) return 'reap';
  const leader = kernel.tasks.get(parent.pid);
  if (leader?.flags.kernel === true) return 'reap'; // kthreadd
  let signal = process.exitSignal;
  let fate: 'reap' | 'zombie' = 'zombie';
  const action = leader?.sighand.actions[SIGCHLD];
  if (signal === SIGCHLD && action !== undefined) {
    if (action.handler === SIG_IGN || (action.flags & SA.NOCLDWAIT) !== 0) fate = 'reap';
    if (action.handler === SIG_IGN) signal = 0;
  }
  if (signal !== 0) {
    const { code, status } = childCode(process.exitStatus);
    const uid = kernel.tasks.get(process.pid)?.credentials.uid ?? 0;
    const { userNs, systemNs } = process.goneUsage;
    signalProcess(
      kernel,
      parent,
      newSignalInfo(signal, code, { pid: process.pid, uid, status, userNs, systemNs }),
    );
  }
  wakeUp(kernel, parent.childExit);
  return fate;
}
