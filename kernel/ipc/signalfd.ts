// signalfd(2): pending signals of the reader as records of 128 bytes. The signals must be blocked, or they are handled
// before anyone can read them.
import { EAGAIN, EINVAL, failed, type Failure } from '../abi/errno.ts';
import { O } from '../abi/open-flags.ts';
import { POLLIN } from '../abi/poll.ts';
import { CLD_CONTINUED, CLD_EXITED, SIGCHLD, SI_TIMER, UNBLOCKABLE } from '../abi/signal.ts';
import { fileOperations } from '../fs/vfs/inode.ts';
import { newAnonymousFile, type OpenFile } from '../fs/vfs/open-file.ts';
import { moveToUser, transferLength } from '../fs/vfs/transfer.ts';
import { put32, put64, putBig64 } from '../lib/bytes.ts';
import { dequeueSignal, nextSignal, peekInfo } from '../signal/pending.ts';
import type { SignalInfo } from '../signal/state.ts';
import type { Task } from '../sched/task.ts';
import { sleepOn } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';

export interface SignalFile {
  mask: bigint;
}

const RECORD_BYTES = 128;
export const signalFileOf = (file: OpenFile): SignalFile => file.data as SignalFile;

export function newSignalFile(kernel: Kernel, mask: bigint, flags: number): OpenFile | Failure {
  const data: SignalFile = { mask: mask & ~UNBLOCKABLE };
  return newAnonymousFile(kernel, 'signalfd', data, O.RDWR | flags, 'file', '[signalfd]');
}

/** struct signalfd_siginfo; which fields count follows from the code, as in fs/signalfd.c. */
function recordOf(info: SignalInfo): Uint8Array {
  const bytes = new Uint8Array(RECORD_BYTES);
  put32(bytes, 0, info.signal);
  put32(bytes, 4, info.errno);
  put32(bytes, 8, info.code);
  put32(bytes, 12, info.pid);
  put32(bytes, 16, info.uid);
  if (info.code === SI_TIMER) {
    put32(bytes, 12, 0);
    put32(bytes, 16, 0);
    put32(bytes, 24, info.timer ?? 0);
    put32(bytes, 32, info.overrun ?? 0);
  }
  if (info.signal === SIGCHLD && info.code >= CLD_EXITED && info.code <= CLD_CONTINUED) {
    put32(bytes, 40, info.status);
    put64(bytes, 56, Math.floor((info.userNs ?? 0) / 10_000_000));
    put64(bytes, 64, Math.floor((info.systemNs ?? 0) / 10_000_000));
  }
  if (info.code < 0) {
    put32(bytes, 44, Number(BigInt.asIntN(32, info.value)));
    putBig64(bytes, 48, info.value);
  }
  if (info.address !== 0) put64(bytes, 72, info.address);
  return bytes;
}

const currentTask = (kernel: Kernel): Task | null => kernel.sched.runQueues[kernel.cpu]?.current ?? null;

fileOperations['signalfd'] = {
  stream: true,
  read(kernel, task, file, into) {
    const { mask } = signalFileOf(file);
    const room = Math.floor(transferLength(into) / RECORD_BYTES);
    if (room === 0) return EINVAL;
    let done = 0;
    for (; done < room; done++) {
      const next = nextSignal(task, ~mask);
      if (next === null) break;
      const moved = moveToUser(kernel, into, done * RECORD_BYTES, recordOf(peekInfo(next.from, next.signal)));
      if (failed(moved)) {
        if (done > 0) break;
        return moved;
      }
      dequeueSignal(next.from, next.signal);
    }
    if (done > 0) return done * RECORD_BYTES;
    return file.flags & O.NONBLOCK
      ? EAGAIN
      : sleepOn(kernel, task, task.process.shared.arrived, 'signalfd_dequeue');
  },
  /** Whose signals count is the one who asks, not the one who made the file. */
  poll(kernel, file) {
    const task = currentTask(kernel);
    if (task === null) return { events: 0, queues: [] };
    const ready = nextSignal(task, ~signalFileOf(file).mask) !== null;
    return { events: ready ? POLLIN : 0, queues: [task.process.shared.arrived] };
  },
};
