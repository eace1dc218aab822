// Who a kill reaches (kernel/signal.c kill_something_info, check_kill_permission): one process, a group, or everybody.
import { EINVAL, EPERM, ESRCH, failed, type Failure } from '../abi/errno.ts';
import { SIGCONT, SIGNAL_COUNT } from '../abi/signal.ts';
import type { Task } from '../sched/task.ts';
import { findProcess, groupMembers, processes } from '../signal/groups.ts';
import { signalProcess } from '../signal/send.ts';
import type { SignalInfo } from '../signal/state.ts';
import type { Kernel } from '../state.ts';
import { maySignal } from './credentials.ts';
import type { Process } from './process.ts';

export const isSignalNumber = (signal: number): boolean => signal >= 0 && signal <= SIGNAL_COUNT;

/** 0, EPERM or EINVAL. SIGCONT is allowed within a session. */
export function checkSend(kernel: Kernel, sender: Task, target: Task, signal: number): number | Failure {
  if (!isSignalNumber(signal)) return EINVAL;
  if (maySignal(sender, target)) return 0;
  return signal === SIGCONT && sender.process.sid === target.process.sid && kernel.tasks.has(target.tid)
    ? 0
    : EPERM;
}

/** Signal 0 only checks. */
function sendTo(kernel: Kernel, sender: Task, process: Process, info: SignalInfo): number | Failure {
  const leader = kernel.tasks.get(process.pid);
  if (leader === undefined) return ESRCH;
  const allowed = checkSend(kernel, sender, leader, info.signal);
  if (failed(allowed) || info.signal === 0) return allowed;
  return signalProcess(kernel, process, info);
}

/** kill(2) with pid > 0. A thread's tid names its process. */
export function killOne(kernel: Kernel, sender: Task, pid: number, info: SignalInfo): number | Failure {
  const process = findProcess(kernel, pid) ?? kernel.tasks.get(pid)?.process;
  return process === undefined ? ESRCH : sendTo(kernel, sender, process, info);
}

/** A process group: success when at least one member could be told. */
export function killGroup(kernel: Kernel, sender: Task, pgid: number, info: SignalInfo): number | Failure {
  return killAll(kernel, sender, groupMembers(kernel, pgid), info);
}

/** kill(-1): every process but init and the sender's own. */
export function killEverybody(kernel: Kernel, sender: Task, info: SignalInfo): number | Failure {
  const others = [...processes(kernel)].filter((process) => process.pid > 1 && process !== sender.process);
  if (others.length === 0) return ESRCH;
  let result: number | Failure = ESRCH;
  for (const process of others) {
    const sent = sendTo(kernel, sender, process, info);
    if (sent !== EPERM) result = sent;
  }
  return result === ESRCH ? 0 : result;
}

function killAll(
  kernel: Kernel,
  sender: Task,
  members: readonly Process[],
  info: SignalInfo,
): number | Failure {
  let result: number | Failure = ESRCH;
  let reached = false;
  for (const process of members) {
    const sent = sendTo(kernel, sender, process, info);
    if (failed(sent)) result = sent;
    else reached = true;
  }
  return reached ? 0 : result;
}
