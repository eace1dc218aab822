// RLIMIT_FSIZE: how far a task may write, and the signal it gets beyond (man 2 getrlimit).
import { EFBIG, type Failure } from '../../abi/errno.ts';
import { RLIMIT } from '../../abi/open-flags.ts';
import { signalTask } from '../../signal/send.ts';
import type { Kernel } from '../../state.ts';
import type { Task } from '../../sched/task.ts';
import type { Inode } from './inode.ts';
import { superBlockOf } from './inode-cache.ts';

const SIGXFSZ = 25;
const SI_KERNEL = 0x80;

export function raiseFileSizeSignal(kernel: Kernel, task: Task): void {
  signalTask(kernel, task, {
    signal: SIGXFSZ, code: SI_KERNEL, errno: 0, pid: 0, uid: 0, status: 0, address: 0, value: 0n,
  }); // prettier-ignore
}

/** How many of `length` bytes may be written at `position`; EFBIG (and SIGXFSZ) when none. */
export function writableLength(
  kernel: Kernel,
  task: Task,
  inode: Inode,
  position: number,
  length: number,
): number | Failure {
  if (length === 0) return 0;
  const limit = task.process.rlimits[RLIMIT.FSIZE]?.current ?? Infinity;
  if (position >= limit) {
    raiseFileSizeSignal(kernel, task);
    return EFBIG;
  }
  const end = Math.min(limit, superBlockOf(kernel, inode).maxFileBytes);
  return position >= end ? EFBIG : Math.min(length, end - position);
}
