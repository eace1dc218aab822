// Sending signals (kernel/signal.c: send_signal_locked, complete_signal, force_sig_info). Who may send to whom is decided by
// the caller; here a signal is ignored, merged, queued, and whoever must act on it is woken.
import { EAGAIN, type Failure } from '../abi/errno.ts';
import { RLIMIT } from '../abi/resource.ts';
import {
  CLD_CONTINUED, SA, SIGCHLD, SIGCONT, SIGKILL, SIGRTMIN, SIG_DFL, SIG_IGN, SI_KERNEL, SI_USER, STOP_SIGNALS, UNBLOCKABLE,
  defaultAction, signalBit,
} from '../abi/signal.ts'; // prettier-ignore
import type { Kernel } from '../state.ts';
import type { Process } from '../process/process.ts';
import { setNeedResched, wakeTask } from '../sched/core.ts';
import { signalPending } from '../sched/signal-pending.ts';
import type { Task, Tid } from '../sched/task.ts';
import { wakeUp } from '../sched/wait-queue.ts';
import { emit, isOn } from '../trace/tracepoint.ts';
import { signalGenerate } from './events.ts';
import { findProcess, groupMembers } from './groups.ts';
import { flushSignals } from './pending.ts';
import { newSignalInfo, type SignalInfo } from './state.ts';

const DELIVERED = 0;
const IGNORED = 1;
const ALREADY_PENDING = 2;

/** Threads of a process that exist, in order of creation. */
export function threadsOf(kernel: Kernel, process: Process): Task[] {
  const threads: Task[] = [];
  for (const tid of process.threads) {
    const task = kernel.tasks.get(tid);
    if (task !== undefined) threads.push(task);
  }
  return threads;
}

/** kill(2): any thread of the process may take it. */
export function signalProcess(kernel: Kernel, process: Process, info: SignalInfo): number | Failure {
  const leader = kernel.tasks.get(process.pid);
  if (leader === undefined) return 0;
  return send(kernel, leader, info, 'process');
}

/** tgkill(2): this thread only. */
export function signalTask(kernel: Kernel, task: Task, info: SignalInfo): number | Failure {
  return send(kernel, task, info, 'thread');
}

/** Every process of a group; gives how many there are. */
export function signalGroup(kernel: Kernel, pgid: Tid, info: SignalInfo): number {
  const members = groupMembers(kernel, pgid);
  for (const process of members) signalProcess(kernel, process, info);
  return members.length;
}

/** A signal that the task cannot escape, for faults: a blocked or ignored one gets its default action. */
export function forceSignal(kernel: Kernel, task: Task, info: SignalInfo): void {
  const action = task.sighand.actions[info.signal];
  const bit = signalBit(info.signal);
  const blocked = (task.signals.blocked & bit) !== 0n;
  if (action !== undefined && (blocked || action.handler === SIG_IGN)) {
    action.handler = SIG_DFL;
    task.signals.blocked &= ~bit;
  }
  if (action?.handler === SIG_DFL) task.process.unkillable = false;
  send(kernel, task, info, 'thread');
}

function send(kernel: Kernel, task: Task, info: SignalInfo, scope: 'process' | 'thread'): number | Failure {
  const { signal } = info;
  const { process } = task;
  if (!prepare(kernel, task, signal)) return trace(kernel, task, info, scope, IGNORED);
  const pending = scope === 'process' ? process.shared : task.signals;
  const bit = signalBit(signal);
  if (signal < SIGRTMIN && (pending.pendingMask & bit) !== 0n)
    return trace(kernel, task, info, scope, ALREADY_PENDING);
  if (signal !== SIGKILL) {
    const full = signal >= SIGRTMIN && pending.queue.length >= queueLimit(process);
    const queued = info.code !== SI_USER && info.code !== SI_KERNEL;
    if (full && queued && info.code < 0) return EAGAIN;
    if (!full) pending.queue.push(info);
  }
  pending.pendingMask |= bit;
  wakeUp(kernel, process.shared.arrived);
  complete(kernel, task, signal, scope);
  return trace(kernel, task, info, scope, DELIVERED);
}

const queueLimit = (process: Process): number => process.rlimits[RLIMIT.SIGPENDING]?.current ?? Infinity;

function trace(
  kernel: Kernel,
  task: Task,
  info: SignalInfo,
  scope: 'process' | 'thread',
  result: number,
): number {
  if (!isOn(kernel, signalGenerate)) return 0;
  emit(kernel, signalGenerate, {
    sig: info.signal, errno: info.errno, code: info.code, comm: task.comm, pid: task.tid,
    group: scope === 'process' ? 1 : 0, result,
  }); // prettier-ignore
  return 0;
}

/** Stop and continue cancel each other even when they are ignored or blocked. Gives whether the signal goes on. */
function prepare(kernel: Kernel, task: Task, signal: number): boolean {
  const { process } = task;
  if (process.groupExit !== null) return signal === SIGKILL;
  if ((STOP_SIGNALS & signalBit(signal)) !== 0n) flushEverywhere(kernel, process, signalBit(SIGCONT));
  if (signal === SIGCONT) {
    flushEverywhere(kernel, process, STOP_SIGNALS);
    continueProcess(kernel, process);
  }
  return !isIgnored(task, signal);
}

function flushEverywhere(kernel: Kernel, process: Process, set: bigint): void {
  flushSignals(process.shared, set);
  for (const thread of threadsOf(kernel, process)) flushSignals(thread.signals, set);
}

/** Whether sending it has no effect; a blocked signal is kept, for its handler may change before it is unblocked. */
export function isIgnored(task: Task, signal: number): boolean {
  if (task.flags.kernel) return true;
  if ((task.signals.blocked & signalBit(signal)) !== 0n) return false;
  return isIgnoredByHandler(task, signal);
}

/** Whether the program catches the signal: then the log says nothing about it. */
export function hasHandler(task: Task, signal: number): boolean {
  const handler = task.sighand.actions[signal]?.handler ?? SIG_DFL;
  return handler !== SIG_DFL && handler !== SIG_IGN;
}

export function isIgnoredByHandler(task: Task, signal: number): boolean {
  const handler = task.sighand.actions[signal]?.handler ?? SIG_DFL;
  if (handler === SIG_IGN) return true;
  if (handler !== SIG_DFL) return false;
  if (task.process.unkillable) return true;
  const action = defaultAction(signal);
  return action === 'ignore' || action === 'continue';
}

function complete(kernel: Kernel, task: Task, signal: number, scope: 'process' | 'thread'): void {
  const { process } = task;
  const taker = scope === 'thread' ? task : threadThatWants(kernel, task, signal);
  if (taker === undefined || !wants(taker, signal)) return;
  const handler = taker.sighand.actions[signal]?.handler ?? SIG_DFL;
  if (handler === SIG_DFL && defaultAction(signal) === 'terminate' && !process.unkillable) {
    process.groupExit = { status: signal };
    for (const thread of threadsOf(kernel, process)) killThread(kernel, thread);
    return;
  }
  wakeForSignal(kernel, taker, signal === SIGKILL);
}

function threadThatWants(kernel: Kernel, leader: Task, signal: number): Task | undefined {
  if (wants(leader, signal)) return leader;
  return threadsOf(kernel, leader.process).find((thread) => wants(thread, signal));
}

function wants(task: Task, signal: number): boolean {
  if ((task.signals.blocked & signalBit(signal) & ~UNBLOCKABLE) !== 0n) return false;
  if (task.flags.exiting || task.state === 'zombie' || task.state === 'dead') return false;
  return signal === SIGKILL || task.state !== 'stopped'; // a stopped thread looks at others once it is continued
}

/** Makes a thread end at its next way to user mode. */
export function killThread(kernel: Kernel, thread: Task): void {
  if (thread.state === 'zombie' || thread.state === 'dead') return;
  thread.signals.pendingMask |= signalBit(SIGKILL);
  wakeForSignal(kernel, thread, true);
}

/**
 * Gets a thread to look at its signals. A killing one also wakes stopped threads and disk sleeps: those start over and
 * sleep again unless their call gives up for a kill.
 */
export function wakeForSignal(kernel: Kernel, task: Task, killing: boolean): void {
  if (task.state === 'running') {
    if (task.sched.onCpu) setNeedResched(kernel, task);
    return;
  }
  if (task.state === 'sleeping' || killing) wakeTask(kernel, task);
}

/** Whether a signal that ends the task is pending: what killable sleeps ask. */
export function fatalSignalPending(task: Task): boolean {
  return (task.signals.pendingMask & signalBit(SIGKILL)) !== 0n || task.process.groupExit !== null;
}

/** After the blocked mask has changed: shared signals that nobody wanted may now have a taker. */
export function recheckSignals(kernel: Kernel, task: Task): void {
  for (const thread of threadsOf(kernel, task.process)) {
    if (thread !== task && signalPending(thread)) wakeForSignal(kernel, thread, false);
  }
}

/** SIGCONT, whatever its action: the process goes on, and its parent hears of it if it had stopped. */
function continueProcess(kernel: Kernel, process: Process): void {
  if (!process.stopPending) return;
  const wasStopped = process.stopped !== null;
  process.stopPending = false;
  process.stopped = null;
  if (wasStopped) process.continued = true;
  for (const thread of threadsOf(kernel, process)) {
    if (thread.state === 'stopped') wakeTask(kernel, thread);
  }
  if (wasStopped) notifyStopOrContinue(kernel, process, CLD_CONTINUED, SIGCONT);
}

/** Tells the parent that a child has stopped or goes on (do_notify_parent_cldstop). */
export function notifyStopOrContinue(kernel: Kernel, process: Process, code: number, status: number): void {
  const parent = findProcess(kernel, process.parent);
  if (parent === undefined) return;
  const action = kernel.tasks.get(parent.pid)?.sighand.actions[SIGCHLD];
  const quiet = action?.handler === SIG_IGN || ((action?.flags ?? 0) & SA.NOCLDSTOP) !== 0;
  if (!quiet) {
    const uid = kernel.tasks.get(process.pid)?.credentials.uid ?? 0;
    signalProcess(kernel, parent, newSignalInfo(SIGCHLD, code, { pid: process.pid, uid, status }));
  }
  wakeUp(kernel, parent.childExit);
}
