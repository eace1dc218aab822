// eventfd(2), timerfd_create(2) and signalfd(2).
import { EINVAL, EPERM, failed, type Failure } from '../abi/errno.ts';
import { CAP, capabilityBit } from '../abi/capability.ts';
import { O } from '../abi/open-flags.ts';
import { CLOCK, putTimespec, readTimespec } from '../abi/time.ts';
import { UNBLOCKABLE } from '../abi/signal.ts';
import { fileOf, installFile } from '../fs/vfs/file-table.ts';
import { putFile, type OpenFile } from '../fs/vfs/open-file.ts';
import { newEventFile } from '../ipc/eventfd.ts';
import { newSignalFile, signalFileOf } from '../ipc/signalfd.ts';
import {
  isWallClock,
  newTimerFile,
  setTimerFile,
  timerFileLeft,
  timerFileOf,
  type TimerFile,
} from '../ipc/timerfd.ts';
import { getBig64 } from '../lib/bytes.ts';
import { readUser, writeUser } from '../mm/user-memory.ts';
import type { Task } from '../sched/task.ts';
import { wakeUp } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { now } from '../time/clock.ts';
import { FD, FLAGS, INT, POINTER, SIZE, syscall, UINT } from './declare.ts';

/** Puts a new file under a descriptor, or drops it. */
export function install(
  kernel: Kernel,
  task: Task,
  file: OpenFile | Failure,
  flags: number,
): number | Failure {
  if (failed(file)) return file;
  const fd = installFile(kernel, task, file, (flags & O.CLOEXEC) !== 0);
  if (failed(fd)) putFile(kernel, file);
  return fd;
}

const EFD_SEMAPHORE = 1;
const FD_FLAGS = O.CLOEXEC | O.NONBLOCK;

function makeEvent(kernel: Kernel, task: Task, count: number, flags: number): number | Failure {
  if (flags & ~(FD_FLAGS | EFD_SEMAPHORE)) return EINVAL;
  return install(
    kernel,
    task,
    newEventFile(kernel, count, (flags & EFD_SEMAPHORE) !== 0, flags & O.NONBLOCK),
    flags,
  );
}

export const eventfd = syscall({
  number: 284,
  name: 'eventfd',
  args: { count: UINT },
  run: (kernel, task, { count }) => makeEvent(kernel, task, count, 0),
});

export const eventfd2 = syscall({
  number: 290,
  name: 'eventfd2',
  args: { count: UINT, flags: FLAGS },
  run: (kernel, task, { count, flags }) => makeEvent(kernel, task, count, flags),
});

const TIMER_CLOCKS: readonly number[] = [
  CLOCK.REALTIME,
  CLOCK.MONOTONIC,
  CLOCK.BOOTTIME,
  CLOCK.REALTIME_ALARM,
  CLOCK.BOOTTIME_ALARM,
];
const TFD_TIMER_ABSTIME = 1;
const TFD_TIMER_CANCEL_ON_SET = 2;
const ITIMERSPEC_BYTES = 32;

export const timerfd_create = syscall({
  number: 283,
  name: 'timerfd_create',
  args: { clock: INT, flags: FLAGS },
  run(kernel, task, { clock, flags }) {
    if (flags & ~FD_FLAGS || !TIMER_CLOCKS.includes(clock)) return EINVAL;
    const isAlarm = clock === CLOCK.REALTIME_ALARM || clock === CLOCK.BOOTTIME_ALARM;
    if (isAlarm && (task.credentials.effective & capabilityBit(CAP.WAKE_ALARM)) === 0n) return EPERM;
    return install(kernel, task, newTimerFile(kernel, clock, flags & O.NONBLOCK), flags);
  },
});

function timerOf(task: Task, fd: number): TimerFile | Failure {
  const file = fileOf(task, fd);
  if (failed(file)) return file;
  return file.operations === 'timerfd' ? timerFileOf(file) : EINVAL;
}

/** struct itimerspec: period, then what is left. */
function itimerspec(kernel: Kernel, timer: TimerFile): Uint8Array {
  const bytes = new Uint8Array(ITIMERSPEC_BYTES);
  putTimespec(bytes, 0, timer.intervalNs);
  putTimespec(bytes, 16, timerFileLeft(kernel, timer));
  return bytes;
}

export const timerfd_settime = syscall({
  number: 286,
  name: 'timerfd_settime',
  args: { fd: FD, flags: FLAGS, value: POINTER, old: POINTER },
  run(kernel, task, { fd, flags, value, old }) {
    const bytes = readUser(kernel, task, value, ITIMERSPEC_BYTES);
    if (failed(bytes)) return bytes;
    const intervalNs = readTimespec(bytes, 0);
    const valueNs = readTimespec(bytes, 16);
    if (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) || intervalNs === null || valueNs === null)
      return EINVAL;
    const timer = timerOf(task, fd);
    if (failed(timer)) return timer;
    if (old !== 0) {
      const written = writeUser(kernel, task, old, itimerspec(kernel, timer));
      if (failed(written)) return written;
    }
    const isAbsolute = (flags & TFD_TIMER_ABSTIME) !== 0;
    const base = !isAbsolute ? now(kernel) : isWallClock(timer.clock) ? -kernel.time.wallBaseNs : 0;
    // An absolute time in the past expires at once; it must not look like a disarmed timer.
    const nextNs = valueNs === 0 ? 0 : Math.max(1, base + valueNs);
    const cancels = isAbsolute && isWallClock(timer.clock) && (flags & TFD_TIMER_CANCEL_ON_SET) !== 0;
    setTimerFile(kernel, timer, nextNs, intervalNs, flags, cancels);
    return 0;
  },
});

export const timerfd_gettime = syscall({
  number: 287,
  name: 'timerfd_gettime',
  args: { fd: FD, value: POINTER },
  run(kernel, task, { fd, value }) {
    const timer = timerOf(task, fd);
    if (failed(timer)) return timer;
    const written = writeUser(kernel, task, value, itimerspec(kernel, timer));
    return failed(written) ? written : 0;
  },
});

function makeSignalFile(
  kernel: Kernel,
  task: Task,
  fd: number,
  mask: number,
  size: number,
  flags: number,
): number | Failure {
  if (size !== 8 || flags & ~FD_FLAGS) return EINVAL;
  const bytes = readUser(kernel, task, mask, 8);
  if (failed(bytes)) return bytes;
  const set = getBig64(bytes, 0);
  if (fd === -1) return install(kernel, task, newSignalFile(kernel, set, flags & O.NONBLOCK), flags);
  const file = fileOf(task, fd);
  if (failed(file)) return file;
  if (file.operations !== 'signalfd') return EINVAL;
  signalFileOf(file).mask = set & ~UNBLOCKABLE;
  wakeUp(kernel, task.process.shared.arrived);
  return fd;
}

export const signalfd = syscall({
  number: 282,
  name: 'signalfd',
  args: { fd: FD, mask: POINTER, size: SIZE },
  run: (kernel, task, { fd, mask, size }) => makeSignalFile(kernel, task, fd, mask, size, 0),
});

export const signalfd4 = syscall({
  number: 289,
  name: 'signalfd4',
  args: { fd: FD, mask: POINTER, size: SIZE, flags: FLAGS },
  run: (kernel, task, { fd, mask, size, flags }) => makeSignalFile(kernel, task, fd, mask, size, flags),
});
