// Signals: sending, masks, handlers, waiting for them, coming back from handlers (kernel/signal.c).
import {
  EAGAIN,
  EFAULT,
  EINVAL,
  ENOMEM,
  EPERM,
  ERESTARTNOHAND,
  ESRCH,
  EINTR,
  failed,
  type Failure,
} from '../abi/errno.ts';
import {
  MINSIGSTKSZ, SA, SA_KNOWN, SIGACTION_BYTES, SIGINFO_BYTES, SIGNAL_COUNT, SIGSEGV, SIG_BLOCK, SIG_SETMASK,
  SIG_UNBLOCK, SI_KERNEL, SI_TKILL, SI_USER, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK, STACK_T_BYTES, UNBLOCKABLE, readSigaction,
  readSiginfo, readStackT, signalBit, writeSigaction, writeSiginfo, writeStackT,
} from '../abi/signal.ts'; // prettier-ignore
import { TIMESPEC_BYTES, readTimespec } from '../abi/time.ts';
import { getBig64, putBig64 } from '../lib/bytes.ts';
import { REGISTER, readRegister } from '../machine/index.ts';
import { readUser, writeUser } from '../mm/user-memory.ts';
import { processOfPidfd } from '../process/pidfd.ts';
import { checkSend, isSignalNumber, killEverybody, killGroup, killOne } from '../process/signal-senders.ts';
import { callDeadline, deadlinePassed } from '../sched/call-progress.ts';
import { signalPending } from '../sched/signal-pending.ts';
import type { Task } from '../sched/task.ts';
import { sleepOn, sleepOnAll } from '../sched/wait-queue.ts';
import { altStackStatus, isOnAltStack } from '../signal/alt-stack.ts';
import { restoreFrame } from '../signal/frame.ts';
import { dequeueSignal, flushSignals, nextSignal, peekInfo } from '../signal/pending.ts';
import { forceSignal, isIgnoredByHandler, recheckSignals, signalTask, threadsOf } from '../signal/send.ts';
import { newSignalInfo, type SignalInfo } from '../signal/state.ts';
import type { Kernel } from '../state.ts';
import { FD, FLAGS, INT, POINTER, SIGNAL, SIZE, syscall } from './declare.ts';

const SIGSET_BYTES = 8;
const INT_MIN = -0x8000_0000;

const fromUser = (task: Task, signal: number, code: number): SignalInfo =>
  newSignalInfo(signal, code, { pid: task.process.pid, uid: task.credentials.uid });

export const kill = syscall({
  number: 62,
  name: 'kill',
  args: { pid: INT, signal: SIGNAL },
  run(kernel, task, { pid, signal }) {
    const info = fromUser(task, signal, SI_USER);
    if (pid > 0) return killOne(kernel, task, pid, info);
    if (pid === INT_MIN) return ESRCH;
    if (pid === -1) return isSignalNumber(signal) ? killEverybody(kernel, task, info) : EINVAL;
    return killGroup(kernel, task, pid === 0 ? task.process.pgid : -pid, info);
  },
});

/** tkill, tgkill, rt_tgsigqueueinfo: one thread. */
function killThread(
  kernel: Kernel,
  task: Task,
  pid: number | null,
  tid: number,
  info: SignalInfo,
): number | Failure {
  const target = kernel.tasks.get(tid);
  if (target === undefined || (pid !== null && target.process.pid !== pid)) return ESRCH;
  const allowed = checkSend(kernel, task, target, info.signal);
  if (failed(allowed) || info.signal === 0) return allowed;
  return signalTask(kernel, target, info);
}

export const tkill = syscall({
  number: 200,
  name: 'tkill',
  args: { tid: INT, signal: SIGNAL },
  run: (kernel, task, { tid, signal }) =>
    tid <= 0 ? EINVAL : killThread(kernel, task, null, tid, fromUser(task, signal, SI_TKILL)),
});

export const tgkill = syscall({
  number: 234,
  name: 'tgkill',
  args: { pid: INT, tid: INT, signal: SIGNAL },
  run: (kernel, task, { pid, tid, signal }) =>
    tid <= 0 || pid <= 0 ? EINVAL : killThread(kernel, task, pid, tid, fromUser(task, signal, SI_TKILL)),
});

/** A siginfo from user memory. Nobody may pretend to be the kernel or kill() towards others. */
function readInfo(
  kernel: Kernel,
  task: Task,
  address: number,
  signal: number,
  pid: number,
): SignalInfo | Failure {
  const bytes = readUser(kernel, task, address, SIGINFO_BYTES);
  if (failed(bytes)) return bytes;
  const info = { ...readSiginfo(bytes), signal };
  if ((info.code >= 0 || info.code === SI_TKILL) && pid !== task.process.pid) return EPERM;
  return info;
}

export const rt_sigqueueinfo = syscall({
  number: 129,
  name: 'rt_sigqueueinfo',
  args: { pid: INT, signal: SIGNAL, info: POINTER },
  run(kernel, task, { pid, signal, info: address }) {
    const info = readInfo(kernel, task, address, signal, pid);
    return failed(info) ? info : killOne(kernel, task, pid, info);
  },
});

export const rt_tgsigqueueinfo = syscall({
  number: 297,
  name: 'rt_tgsigqueueinfo',
  args: { pid: INT, tid: INT, signal: SIGNAL, info: POINTER },
  run(kernel, task, { pid, tid, signal, info: address }) {
    if (pid <= 0 || tid <= 0) return EINVAL;
    const info = readInfo(kernel, task, address, signal, pid);
    return failed(info) ? info : killThread(kernel, task, pid, tid, info);
  },
});

export const pidfd_send_signal = syscall({
  number: 424,
  name: 'pidfd_send_signal',
  args: { pidfd: FD, signal: SIGNAL, info: POINTER, flags: FLAGS },
  run(kernel, task, { pidfd, signal, info: address, flags }) {
    if (flags !== 0) return EINVAL;
    const process = processOfPidfd(task, pidfd);
    if (failed(process)) return process;
    const info =
      address === 0 ? fromUser(task, signal, SI_USER) : readInfo(kernel, task, address, signal, process.pid);
    if (failed(info)) return info;
    return kernel.tasks.get(process.pid)?.process === process
      ? killOne(kernel, task, process.pid, info)
      : ESRCH;
  },
});

export const rt_sigaction = syscall({
  number: 13,
  name: 'rt_sigaction',
  args: { signal: SIGNAL, action: POINTER, old: POINTER, size: SIZE },
  run(kernel, task, { signal, action, old, size }) {
    if (size !== SIGSET_BYTES) return EINVAL;
    const bytes = action === 0 ? null : readUser(kernel, task, action, SIGACTION_BYTES);
    if (failed(bytes)) return bytes;
    if (signal < 1 || signal > SIGNAL_COUNT) return EINVAL;
    if (bytes !== null && (UNBLOCKABLE & signalBit(signal)) !== 0n) return EINVAL;
    const current = task.sighand.actions[signal];
    if (current === undefined) return EINVAL;
    if (old !== 0) {
      const written = writeUser(kernel, task, old, writeSigaction(current));
      if (failed(written)) return written;
    }
    if (bytes === null) return 0;
    const wanted = readSigaction(bytes);
    current.handler = wanted.handler;
    current.flags = (wanted.flags & SA_KNOWN) >>> 0;
    current.restorer = (wanted.flags & SA.RESTORER) === 0 ? 0 : wanted.restorer;
    current.mask = wanted.mask & ~UNBLOCKABLE;
    // POSIX: pending signals that are now ignored are discarded, even blocked ones.
    if (isIgnoredByHandler(task, signal)) {
      flushSignals(task.process.shared, signalBit(signal));
      for (const thread of threadsOf(kernel, task.process)) flushSignals(thread.signals, signalBit(signal));
    }
    return 0;
  },
});

function readMask(kernel: Kernel, task: Task, address: number): bigint | Failure {
  const bytes = readUser(kernel, task, address, SIGSET_BYTES);
  return failed(bytes) ? bytes : getBig64(bytes, 0);
}

function setBlocked(kernel: Kernel, task: Task, mask: bigint): void {
  const newly = mask & ~task.signals.blocked;
  task.signals.blocked = mask & ~UNBLOCKABLE;
  if ((task.process.shared.pendingMask & newly) !== 0n) recheckSignals(kernel, task);
}

export const rt_sigprocmask = syscall({
  number: 14,
  name: 'rt_sigprocmask',
  args: { how: INT, set: POINTER, old: POINTER, size: SIZE },
  run(kernel, task, { how, set, old, size }) {
    if (size !== SIGSET_BYTES) return EINVAL;
    const before = task.signals.blocked;
    let after = before;
    if (set !== 0) {
      const mask = readMask(kernel, task, set);
      if (failed(mask)) return mask;
      if (how === SIG_BLOCK) after = before | mask;
      else if (how === SIG_UNBLOCK) after = before & ~mask;
      else if (how === SIG_SETMASK) after = mask;
      else return EINVAL;
    }
    if (old !== 0) {
      const bytes = new Uint8Array(SIGSET_BYTES);
      putBig64(bytes, 0, before);
      const written = writeUser(kernel, task, old, bytes);
      if (failed(written)) return written;
    }
    if (set !== 0) setBlocked(kernel, task, after);
    return 0;
  },
});

export const rt_sigpending = syscall({
  number: 127,
  name: 'rt_sigpending',
  args: { set: POINTER, size: SIZE },
  run(kernel, task, { set, size }) {
    if (size > SIGSET_BYTES) return EINVAL;
    const { signals, process } = task;
    const bytes = new Uint8Array(SIGSET_BYTES);
    putBig64(bytes, 0, (signals.pendingMask | process.shared.pendingMask) & signals.blocked);
    const written = writeUser(kernel, task, set, bytes.subarray(0, size));
    return failed(written) ? written : 0;
  },
});

export const rt_sigsuspend = syscall({
  number: 130,
  name: 'rt_sigsuspend',
  args: { set: POINTER, size: SIZE },
  run(kernel, task, { set, size }) {
    if (size !== SIGSET_BYTES) return EINVAL;
    if (task.signals.savedMask === null) {
      const mask = readMask(kernel, task, set);
      if (failed(mask)) return mask;
      task.signals.savedMask = task.signals.blocked;
      setBlocked(kernel, task, mask);
    }
    if (signalPending(task)) return ERESTARTNOHAND;
    return sleepOnAll(kernel, task, [], 'sigsuspend');
  },
});

export const pause = syscall({
  number: 34,
  name: 'pause',
  args: {},
  run: (kernel, task) => (signalPending(task) ? ERESTARTNOHAND : sleepOnAll(kernel, task, [], 'pause')),
});

export const rt_sigtimedwait = syscall({
  number: 128,
  name: 'rt_sigtimedwait',
  args: { set: POINTER, info: POINTER, timeout: POINTER, size: SIZE },
  run(kernel, task, { set, info: infoAddress, timeout, size }) {
    if (size !== SIGSET_BYTES) return EINVAL;
    const mask = readMask(kernel, task, set);
    if (failed(mask)) return mask;
    const wanted = mask & ~UNBLOCKABLE;
    const limit = timeout === 0 ? null : readTimeout(kernel, task, timeout);
    if (failed(limit)) return limit;
    const next = nextSignal(task, ~wanted);
    if (next !== null) {
      const info = peekInfo(next.from, next.signal);
      if (infoAddress !== 0) {
        const written = writeUser(kernel, task, infoAddress, writeSiginfo(info));
        if (failed(written)) return written;
      }
      dequeueSignal(next.from, next.signal);
      return next.signal;
    }
    if (limit === 0 || deadlinePassed(kernel, task)) return EAGAIN;
    if (signalPending(task)) return EINTR;
    callDeadline(kernel, task, limit);
    return sleepOn(kernel, task, task.process.shared.arrived, 'do_sigtimedwait');
  },
});

function readTimeout(kernel: Kernel, task: Task, address: number): number | Failure {
  const bytes = readUser(kernel, task, address, TIMESPEC_BYTES);
  if (failed(bytes)) return bytes;
  return readTimespec(bytes) ?? EINVAL;
}

export const sigaltstack = syscall({
  number: 131,
  name: 'sigaltstack',
  args: { stack: POINTER, old: POINTER },
  run(kernel, task, { stack, old }) {
    const { altStack } = task.signals;
    const sp = readRegister(kernel.machine, kernel.cpu, REGISTER.rsp);
    const bytes = stack === 0 ? null : readUser(kernel, task, stack, STACK_T_BYTES);
    if (failed(bytes)) return bytes;
    const wanted = bytes === null ? null : readStackT(bytes);
    const refused = wanted === null ? undefined : checkAltStack(task, wanted, sp);
    if (refused !== undefined) return refused;
    if (old !== 0) {
      const flags = (altStackStatus(altStack, sp) | (altStack.flags & SS_AUTODISARM)) >>> 0;
      const written = writeUser(kernel, task, old, writeStackT({ ...altStack, flags }));
      if (failed(written)) return written;
    }
    if (wanted === null) return 0;
    const disabled = wanted.flags % SS_AUTODISARM === SS_DISABLE;
    task.signals.altStack = disabled ? { address: 0, size: 0, flags: wanted.flags } : { ...wanted };
    return 0;
  },
});

function checkAltStack(task: Task, wanted: { flags: number; size: number }, sp: number): Failure | undefined {
  if (isOnAltStack(task.signals.altStack, sp)) return EPERM;
  const mode = wanted.flags % SS_AUTODISARM;
  if (mode !== SS_DISABLE && mode !== SS_ONSTACK && mode !== 0) return EINVAL;
  return mode !== SS_DISABLE && wanted.size < MINSIGSTKSZ ? ENOMEM : undefined;
}

export const rt_sigreturn = syscall({
  number: 15,
  name: 'rt_sigreturn',
  args: {},
  run(kernel, task) {
    const rax = restoreFrame(kernel, task);
    if (!failed(rax)) {
      task.origRax = -1; // what stands in RAX is the program's own, never an interrupted call's result
      recheckSignals(kernel, task);
      return rax;
    }
    if (rax === EFAULT) {
      forceSignal(kernel, task, newSignalInfo(SIGSEGV, SI_KERNEL));
      return 0;
    }
    return rax; // BLOCKED
  },
});
