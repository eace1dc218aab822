// timerfd_create(2): a timer whose expirations are read from a file.
import { EAGAIN, ECANCELED, EINVAL, failed, type Failure } from '../abi/errno.ts';
import { O } from '../abi/open-flags.ts';
import { POLLIN } from '../abi/poll.ts';
import { CLOCK } from '../abi/time.ts';
import { fileOperations } from '../fs/vfs/inode.ts';
import { newAnonymousFile, type OpenFile } from '../fs/vfs/open-file.ts';
import { moveToUser, transferLength } from '../fs/vfs/transfer.ts';
import { put64 } from '../lib/bytes.ts';
import { newWaitQueue, sleepOn, wakeUp, type WaitQueue } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { now } from '../time/clock.ts';
import { addTimer, cancelTimer, timerActions } from '../time/timers.ts';

export interface TimerFile {
  readonly clock: number;
  /** Virtual time of the next expiration that has not been counted; 0: disarmed. */
  nextNs: number;
  intervalNs: number;
  /** Expirations not yet read. */
  count: number;
  /** Id in time/timers, 0 for none. */
  timer: number;
  /** TFD_TIMER_CANCEL_ON_SET: the wall clock's base when it was set; -1 without. */
  wallBaseNs: number;
  settimeFlags: number;
  expired: WaitQueue;
}

export const timerFileOf = (file: OpenFile): TimerFile => file.data as TimerFile;

export const isWallClock = (clock: number): boolean =>
  clock === CLOCK.REALTIME || clock === CLOCK.REALTIME_ALARM;

export function newTimerFile(kernel: Kernel, clock: number, flags: number): OpenFile | Failure {
  const data: TimerFile = {
    clock, nextNs: 0, intervalNs: 0, count: 0, timer: 0, wallBaseNs: -1, settimeFlags: 0, expired: newWaitQueue(),
  }; // prettier-ignore
  return newAnonymousFile(kernel, 'timerfd', data, O.RDWR | flags, 'file', '[timerfd]');
}

/** Counts what has expired up to now. */
function catchUp(kernel: Kernel, timer: TimerFile): void {
  const nowNs = now(kernel);
  if (timer.nextNs === 0 || nowNs < timer.nextNs) return;
  if (timer.intervalNs === 0) {
    timer.count++;
    timer.nextNs = 0;
    return;
  }
  const passed = 1 + Math.floor((nowNs - timer.nextNs) / timer.intervalNs);
  timer.count += passed;
  timer.nextNs += passed * timer.intervalNs;
}

function arm(kernel: Kernel, timer: TimerFile): void {
  if (timer.timer !== 0) cancelTimer(kernel, timer.timer);
  timer.timer = timer.nextNs === 0 ? 0 : addTimer(kernel, timer.nextNs, { kind: 'timerfd', of: timer });
}

timerActions['timerfd'] = (kernel, action) => {
  const timer = action['of'] as TimerFile;
  timer.timer = 0;
  catchUp(kernel, timer);
  wakeUp(kernel, timer.expired);
  // A periodic timer that nobody reads still wakes at each period, so that edge-triggered waiters see every one.
  if (timer.nextNs !== 0) arm(kernel, timer);
};

/** timerfd_settime: an absolute virtual time (0 disarms) and a period. */
export function setTimerFile(
  kernel: Kernel,
  timer: TimerFile,
  nextNs: number,
  intervalNs: number,
  flags: number,
  cancelOnSet: boolean,
): void {
  timer.nextNs = nextNs;
  timer.intervalNs = intervalNs;
  timer.count = 0;
  timer.settimeFlags = flags;
  timer.wallBaseNs = cancelOnSet ? kernel.time.wallBaseNs : -1;
  arm(kernel, timer);
}

/** What is left to the next expiration, 0 when disarmed. */
export function timerFileLeft(kernel: Kernel, timer: TimerFile): number {
  catchUp(kernel, timer);
  return timer.nextNs === 0 ? 0 : timer.nextNs - now(kernel);
}

const wasCancelled = (kernel: Kernel, timer: TimerFile): boolean =>
  timer.wallBaseNs >= 0 && timer.wallBaseNs !== kernel.time.wallBaseNs;

fileOperations['timerfd'] = {
  stream: true,
  read(kernel, task, file, into) {
    const timer = timerFileOf(file);
    if (transferLength(into) < 8) return EINVAL;
    if (wasCancelled(kernel, timer)) {
      timer.wallBaseNs = kernel.time.wallBaseNs;
      return ECANCELED;
    }
    catchUp(kernel, timer);
    if (timer.count === 0)
      return file.flags & O.NONBLOCK ? EAGAIN : sleepOn(kernel, task, timer.expired, 'timerfd_read');
    const bytes = new Uint8Array(8);
    put64(bytes, 0, timer.count);
    const moved = moveToUser(kernel, into, 0, bytes);
    if (failed(moved)) return moved;
    timer.count = 0;
    return 8;
  },
  poll(kernel, file) {
    const timer = timerFileOf(file);
    catchUp(kernel, timer);
    return { events: timer.count > 0 || wasCancelled(kernel, timer) ? POLLIN : 0, queues: [timer.expired] };
  },
  release(kernel, file) {
    const timer = timerFileOf(file);
    if (timer.timer !== 0) cancelTimer(kernel, timer.timer);
    timer.timer = 0;
  },
};
