// On the way to user mode: what the pending signals do (kernel/signal.c get_signal, arch_do_signal_or_restart), and what
// becomes of a call that a signal interrupted. The task's registers are live in the CPU.
//
//   interrupted call, no handler runs      it starts again: RIP back on SYSCALL, RAX its number, its progress kept
//   handler runs, ERESTARTSYS+SA_RESTART   it starts again after the handler, from the beginning
//   handler runs, otherwise                it returns EINTR
import { BLOCKED, EINTR, ERESTARTNOHAND, ERESTARTSYS, failed } from '../abi/errno.ts';
import { SA, SIGKILL, SIGSEGV, SIGSTOP, SIG_DFL, SI_KERNEL, defaultAction } from '../abi/signal.ts';
import { killedStatus } from '../abi/wait.ts';
import { REGISTER, readRegister, readRegisterSigned, writeRegister } from '../machine/index.ts';
import { endCall } from '../sched/call-progress.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { charge } from '../time/clock.ts';
import { emit, isOn } from '../trace/tracepoint.ts';
import { signalDeliver } from './events.ts';
import { blockForHandler, enterHandler } from './frame.ts';
import { isOrphanedGroup } from './groups.ts';
import { beginStop, stopThread } from './job-control.ts';
import { dequeueSignal, nextSignal, peekInfo } from './pending.ts';
import { forceSignal, isIgnoredByHandler } from './send.ts';
import { newSignalInfo, type SignalAction, type SignalInfo } from './state.ts';
import { ways } from './ways.ts';

/** Handles every signal that is pending for the running task. It may end, stop, or sleep: then its state says so. */
export function deliverSignals(kernel: Kernel, task: Task): void {
  for (;;) {
    const outcome = deliverOne(kernel, task);
    if (outcome === 'delivered') continue;
    if (outcome === 'away') {
      // The interrupted call is settled when the task comes back, even if no signal is left by then.
      if (interruptedWith(kernel, task) !== 0) task.flags.restarting = true;
      return;
    }
    break;
  }
  restartWithoutHandler(kernel, task);
  if (task.signals.savedMask === null) return;
  task.signals.blocked = task.signals.savedMask;
  task.signals.savedMask = null;
  deliverSignals(kernel, task); // what the temporary mask had blocked
}

/** 'delivered': look again; 'none': nothing pending; 'away': the task cannot go on. */
function deliverOne(kernel: Kernel, task: Task): 'delivered' | 'none' | 'away' {
  const { process } = task;
  if (process.groupExit !== null || process.execTask !== 0) {
    const dying = process.groupExit !== null || process.execTask !== task.tid;
    if (dying) {
      ways.endThread(kernel, task, process.groupExit?.status ?? 0);
      return 'away';
    }
  }
  if (process.stopPending) {
    stopThread(kernel, task);
    return 'away';
  }
  const next = nextSignal(task, task.signals.blocked);
  if (next === null) return 'none';
  const { signal, from } = next;
  const action = task.sighand.actions[signal];
  if (action === undefined || (isIgnoredByHandler(task, signal) && signal !== SIGKILL)) {
    dequeueSignal(from, signal);
    return 'delivered';
  }
  const take = (): SignalInfo => dequeueSignal(from, signal);
  if (action.handler === SIG_DFL) return takeDefault(kernel, task, signal, take);
  return runHandler(kernel, task, peekInfo(from, signal), action, take);
}

/** SIG_DFL: the signal ends the process or stops it. */
function takeDefault(
  kernel: Kernel,
  task: Task,
  signal: number,
  take: () => SignalInfo,
): 'delivered' | 'away' {
  const { process } = task;
  const kind = defaultAction(signal);
  traceDelivery(kernel, signal, 0, SIG_DFL, 0);
  if (kind === 'stop') {
    take();
    if (signal !== SIGSTOP && isOrphanedGroup(kernel, process.pgid)) return 'delivered';
    beginStop(kernel, task, signal);
    return 'away';
  }
  let dumped = false;
  if (kind === 'core') {
    const result = ways.dumpCore(kernel, task, signal);
    if (result === BLOCKED) return 'away';
    dumped = result === true;
  }
  take();
  process.groupExit ??= { status: killedStatus(signal, dumped) };
  ways.endProcess(kernel, task, process.groupExit.status);
  return 'away';
}

function runHandler(
  kernel: Kernel,
  task: Task,
  info: SignalInfo,
  action: SignalAction,
  take: () => SignalInfo,
): 'delivered' | 'away' {
  const before = settleForHandler(kernel, task, action);
  const entered = enterHandler(kernel, task, info, action);
  if (entered === BLOCKED) {
    before.undo();
    return 'away';
  }
  take();
  endCall(kernel, task);
  task.origRax = -1;
  if (failed(entered)) {
    failedFrame(kernel, task, info.signal);
    return 'delivered';
  }
  traceDelivery(kernel, info.signal, info.code, action.handler, action.flags);
  charge(kernel, 'signalDelivery');
  const { handler, flags, mask } = action;
  if ((flags & SA.RESETHAND) !== 0) action.handler = SIG_DFL;
  blockForHandler(task, info.signal, { handler, flags, mask, restorer: action.restorer });
  return 'delivered';
}

/** No room for a frame (force_sigsegv): SIGSEGV, and when that is the one that failed, without a handler. */
function failedFrame(kernel: Kernel, task: Task, signal: number): void {
  const action = task.sighand.actions[SIGSEGV];
  if (signal === SIGSEGV && action !== undefined) action.handler = SIG_DFL;
  forceSignal(kernel, task, newSignalInfo(SIGSEGV, SI_KERNEL));
}

/** 0, or the reason for which the call whose result stands in RAX was given up. */
function interruptedWith(kernel: Kernel, task: Task): number {
  if (task.origRax < 0) return 0;
  const result = readRegisterSigned(kernel.machine, kernel.cpu, REGISTER.rax);
  return result === ERESTARTSYS || result === ERESTARTNOHAND ? result : 0;
}

/** Puts EINTR or the restart into the registers that the frame will save. */
function settleForHandler(kernel: Kernel, task: Task, action: SignalAction): { undo(): void } {
  const { machine, cpu } = kernel;
  const reason = interruptedWith(kernel, task);
  if (reason === 0) return { undo: () => undefined };
  const rip = readRegister(machine, cpu, REGISTER.rip);
  const undo = (): void => {
    writeRegister(machine, cpu, REGISTER.rax, reason);
    writeRegister(machine, cpu, REGISTER.rip, rip);
  };
  if (reason === ERESTARTSYS && (action.flags & SA.RESTART) !== 0) backToSyscall(kernel, task, rip);
  else writeRegister(machine, cpu, REGISTER.rax, EINTR);
  return { undo };
}

function restartWithoutHandler(kernel: Kernel, task: Task): void {
  if (interruptedWith(kernel, task) === 0) return;
  backToSyscall(kernel, task, readRegister(kernel.machine, kernel.cpu, REGISTER.rip));
  task.origRax = -1;
}

/** SYSCALL is two bytes long. */
function backToSyscall(kernel: Kernel, task: Task, rip: number): void {
  writeRegister(kernel.machine, kernel.cpu, REGISTER.rax, task.origRax);
  writeRegister(kernel.machine, kernel.cpu, REGISTER.rip, rip - 2);
}

function traceDelivery(kernel: Kernel, signal: number, code: number, handler: number, flags: number): void {
  if (!isOn(kernel, signalDeliver)) return;
  emit(kernel, signalDeliver, { sig: signal, errno: 0, code, sa_handler: handler, sa_flags: flags });
}
