// Clocks, sleeping, alarms and timers (kernel/time).
import { EAGAIN, EINVAL, EOPNOTSUPP, EPERM, ERESTARTNOHAND, failed, type Failure } from '../abi/errno.ts';
import { CAP } from '../abi/capability.ts';
import { SIGALRM, SIGEVENT_BYTES, SIGNAL_COUNT } from '../abi/signal.ts';
import {
  CLOCK, ITIMERVAL_BYTES, NS_PER_SECOND, TIMER_ABSTIME, TIMESPEC_BYTES, putTimespec, putTimeval, readTimespec, readTimeval,
  writeTimespec,
} from '../abi/time.ts'; // prettier-ignore
import { get32, getBig64, getSigned32, put32, put64 } from '../lib/bytes.ts';
import { readUser, storeUser32, storeUserBig, writeUser } from '../mm/user-memory.ts';
import { clockBase, clockResolutionNs, monotonicWhen, readClock } from '../process/clocks.ts';
import { capable } from '../process/credentials.ts';
import { getItimer, setItimer, type ItimerKind, type TimerSetting } from '../process/itimers.ts';
import { deletePosixTimer, setPosixTimer, timerSetting, type PosixTimer } from '../process/posix-timers.ts';
import { usageOfProcess } from '../process/usage.ts';
import { setWallClock } from '../process/vdso.ts';
import { callDeadlineAt, deadlinePassed } from '../sched/call-progress.ts';
import { signalPending } from '../sched/signal-pending.ts';
import type { Task } from '../sched/task.ts';
import { sleepOnAll } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { now, wallNow } from '../time/clock.ts';
import { FLAGS, INT, POINTER, UINT, syscall } from './declare.ts';

const CLOCK_TICK_NS = 10_000_000; // USER_HZ: 100 a second

const done = (result: number | Failure): number | Failure => (failed(result) ? result : 0);

export const clock_gettime = syscall({
  number: 228,
  name: 'clock_gettime',
  args: { clock: INT, time: POINTER },
  run(kernel, task, { clock, time }) {
    const ns = readClock(kernel, task, clock);
    return failed(ns) ? ns : done(writeUser(kernel, task, time, writeTimespec(ns)));
  },
});

export const clock_getres = syscall({
  number: 229,
  name: 'clock_getres',
  args: { clock: INT, resolution: POINTER },
  run(kernel, task, { clock, resolution }) {
    const base = clockBase(clock);
    if (failed(base)) return base;
    return resolution === 0
      ? 0
      : done(writeUser(kernel, task, resolution, writeTimespec(clockResolutionNs(clock))));
  },
});

/** Not before power-on, and 30 years before the clock overflows (timespec64_valid_settod). */
const isSettable = (kernel: Kernel, ns: number): boolean =>
  ns >= now(kernel) && ns < 8_276_292_036 * NS_PER_SECOND;

export const clock_settime = syscall({
  number: 227,
  name: 'clock_settime',
  args: { clock: INT, time: POINTER },
  run(kernel, task, { clock, time }) {
    const base = clockBase(clock);
    if (failed(base)) return base;
    const bytes = readUser(kernel, task, time, TIMESPEC_BYTES);
    if (failed(bytes)) return bytes;
    const ns = readTimespec(bytes);
    if (clock !== CLOCK.REALTIME || ns === null || !isSettable(kernel, ns)) return EINVAL;
    if (!capable(task, CAP.SYS_TIME)) return EPERM;
    setWallClock(kernel, ns - now(kernel));
    return 0;
  },
});

export const gettimeofday = syscall({
  number: 96,
  name: 'gettimeofday',
  args: { time: POINTER, zone: POINTER },
  run(kernel, task, { time, zone }) {
    if (time !== 0) {
      const bytes = new Uint8Array(16);
      putTimeval(bytes, 0, Math.floor(wallNow(kernel) / 1000) * 1000);
      const written = writeUser(kernel, task, time, bytes);
      if (failed(written)) return written;
    }
    return zone === 0 ? 0 : done(writeUser(kernel, task, zone, new Uint8Array(8)));
  },
});

export const settimeofday = syscall({
  number: 164,
  name: 'settimeofday',
  args: { time: POINTER, zone: POINTER },
  run(kernel, task, { time }) {
    if (time === 0) return capable(task, CAP.SYS_TIME) ? 0 : EPERM;
    const bytes = readUser(kernel, task, time, 16);
    if (failed(bytes)) return bytes;
    const ns = readTimeval(bytes);
    if (ns === null || !isSettable(kernel, ns)) return EINVAL;
    if (!capable(task, CAP.SYS_TIME)) return EPERM;
    setWallClock(kernel, ns - now(kernel));
    return 0;
  },
});

export const time = syscall({
  number: 201,
  name: 'time',
  args: { time: POINTER },
  run(kernel, task, { time: address }) {
    const seconds = Math.floor(wallNow(kernel) / NS_PER_SECOND);
    const stored = address === 0 ? 0 : storeUserBig(kernel, task, address, BigInt(seconds));
    return failed(stored) ? stored : seconds;
  },
});

const ADJUST_BYTES = 208; // struct timex

/** Reads only: the clock of the machine needs no discipline. */
function adjustClock(kernel: Kernel, task: Task, address: number): number | Failure {
  const bytes = readUser(kernel, task, address, ADJUST_BYTES);
  if (failed(bytes)) return bytes;
  if (get32(bytes, 0) !== 0) return capable(task, CAP.SYS_TIME) ? EOPNOTSUPP : EPERM;
  const answer = new Uint8Array(ADJUST_BYTES);
  put64(answer, 24, 16_000_000); // maxerror, esterror: 16 s, as an unsynchronised clock has
  put64(answer, 32, 16_000_000);
  put32(answer, 40, 0x40); // STA_UNSYNC
  put64(answer, 48, 2); // constant
  put64(answer, 56, 1); // precision
  put64(answer, 64, 32_768_000); // tolerance
  putTimeval(answer, 72, Math.floor(wallNow(kernel) / 1000) * 1000);
  put64(answer, 88, 10_000); // tick
  const written = writeUser(kernel, task, address, answer);
  return failed(written) ? written : 5; // TIME_ERROR: not synchronised
}

export const adjtimex = syscall({
  number: 159,
  name: 'adjtimex',
  args: { timex: POINTER },
  missing: 'changing anything',
  run: (kernel, task, { timex }) => adjustClock(kernel, task, timex),
});

export const clock_adjtime = syscall({
  number: 305,
  name: 'clock_adjtime',
  args: { clock: INT, timex: POINTER },
  missing: 'changing anything',
  run(kernel, task, { clock, timex }) {
    const base = clockBase(clock);
    if (failed(base)) return base;
    return clock === CLOCK.REALTIME ? adjustClock(kernel, task, timex) : EOPNOTSUPP;
  },
});

export const nanosleep = syscall({
  number: 35,
  name: 'nanosleep',
  args: { request: POINTER, remaining: POINTER },
  run(kernel, task, { request, remaining }) {
    const ns = readDuration(kernel, task, request);
    return failed(ns) ? ns : sleepUntil(kernel, task, now(kernel) + ns, remaining);
  },
});

export const clock_nanosleep = syscall({
  number: 230,
  name: 'clock_nanosleep',
  args: { clock: INT, flags: FLAGS, request: POINTER, remaining: POINTER },
  missing: 'CPU-time clocks',
  run(kernel, task, { clock, flags, request, remaining }) {
    const base = clockBase(clock);
    if (failed(base)) return base;
    if (base === 'cpu') return clock === CLOCK.THREAD_CPUTIME_ID ? EINVAL : EOPNOTSUPP;
    if (clock === CLOCK.MONOTONIC_RAW || clock === CLOCK.MONOTONIC_COARSE || clock === CLOCK.REALTIME_COARSE)
      return EOPNOTSUPP;
    const ns = readDuration(kernel, task, request);
    if (failed(ns)) return ns;
    if ((flags & TIMER_ABSTIME) === 0) return sleepUntil(kernel, task, now(kernel) + ns, remaining);
    return sleepUntil(kernel, task, Math.max(0, monotonicWhen(kernel, base, ns)), 0);
  },
});

function readDuration(kernel: Kernel, task: Task, address: number): number | Failure {
  const bytes = readUser(kernel, task, address, TIMESPEC_BYTES);
  if (failed(bytes)) return bytes;
  return readTimespec(bytes) ?? EINVAL;
}

/** Sleeps to an absolute time, which survives restarts; an interruption tells how much was left. */
function sleepUntil(kernel: Kernel, task: Task, atNs: number, remaining: number): number | Failure {
  const slack = task.sched.rtPriority > 0 ? 0 : task.process.timerSlackNs;
  const deadline = callDeadlineAt(kernel, task, atNs + slack);
  if (deadlinePassed(kernel, task)) return 0;
  if (!signalPending(task)) return sleepOnAll(kernel, task, [], 'hrtimer_nanosleep');
  if (remaining !== 0) {
    const written = writeUser(kernel, task, remaining, writeTimespec(Math.max(0, deadline - now(kernel))));
    if (failed(written)) return written;
  }
  return ERESTARTNOHAND;
}

export const times = syscall({
  number: 100,
  name: 'times',
  args: { buffer: POINTER },
  run(kernel, task, { buffer }) {
    const ticks = (ns: number): number => Math.floor(ns / CLOCK_TICK_NS);
    if (buffer !== 0) {
      const own = usageOfProcess(kernel, task.process);
      const { childrenUsage } = task.process;
      const bytes = new Uint8Array(32);
      [own.userNs, own.systemNs, childrenUsage.userNs, childrenUsage.systemNs].forEach((ns, i) =>
        put64(bytes, 8 * i, ticks(ns)),
      );
      const written = writeUser(kernel, task, buffer, bytes);
      if (failed(written)) return written;
    }
    return ticks(now(kernel)) + 4_294_937_296; // Linux's jiffies start 5 minutes before they wrap
  },
});

export const alarm = syscall({
  number: 37,
  name: 'alarm',
  args: { seconds: UINT },
  run(kernel, task, { seconds }) {
    const left = getItimer(kernel, task.process, 'real').valueNs;
    setItimer(kernel, task.process, 'real', {
      valueNs: Math.min(seconds, 0x7fff_ffff) * NS_PER_SECOND,
      intervalNs: 0,
    });
    if (left === 0) return 0;
    return Math.max(1, Math.round(left / NS_PER_SECOND));
  },
});

const ITIMERS: readonly ItimerKind[] = ['real', 'virtual', 'prof'];

function itimerval(setting: TimerSetting): Uint8Array {
  const bytes = new Uint8Array(ITIMERVAL_BYTES);
  putTimeval(bytes, 0, setting.intervalNs);
  putTimeval(bytes, 16, setting.valueNs);
  return bytes;
}

export const getitimer = syscall({
  number: 36,
  name: 'getitimer',
  args: { which: INT, value: POINTER },
  run(kernel, task, { which, value }) {
    const kind = ITIMERS[which];
    if (kind === undefined) return EINVAL;
    return done(writeUser(kernel, task, value, itimerval(getItimer(kernel, task.process, kind))));
  },
});

export const setitimer = syscall({
  number: 38,
  name: 'setitimer',
  args: { which: INT, value: POINTER, old: POINTER },
  run(kernel, task, { which, value, old }) {
    const bytes =
      value === 0 ? new Uint8Array(ITIMERVAL_BYTES) : readUser(kernel, task, value, ITIMERVAL_BYTES);
    if (failed(bytes)) return bytes;
    const intervalNs = readTimeval(bytes, 0);
    const valueNs = readTimeval(bytes, 16);
    const kind = ITIMERS[which];
    if (intervalNs === null || valueNs === null || kind === undefined) return EINVAL;
    const before = getItimer(kernel, task.process, kind);
    if (old !== 0) {
      const written = writeUser(kernel, task, old, itimerval(before));
      if (failed(written)) return written;
    }
    setItimer(kernel, task.process, kind, { valueNs, intervalNs });
    return 0;
  },
});

const SIGEV_SIGNAL = 0;
const SIGEV_NONE = 1;
const SIGEV_THREAD_ID = 4;

/** What a struct sigevent asks for; none given: SIGALRM to the process, with the timer's id. */
function targetOf(task: Task, kernel: Kernel, bytes: Uint8Array | null, id: number) {
  if (bytes === null) return { target: 'process', tid: 0, signal: SIGALRM, value: BigInt(id) } as const;
  const value = getBig64(bytes, 0);
  const signal = getSigned32(bytes, 8);
  const notify = getSigned32(bytes, 12);
  if (notify === SIGEV_NONE) return { target: 'none', tid: 0, signal: 0, value } as const;
  if ((notify & ~SIGEV_THREAD_ID) !== SIGEV_SIGNAL && notify !== 2) return EINVAL;
  if (signal < 1 || signal > SIGNAL_COUNT) return EINVAL;
  if ((notify & SIGEV_THREAD_ID) === 0) return { target: 'process', tid: 0, signal, value } as const;
  const tid = getSigned32(bytes, 16);
  return kernel.tasks.get(tid)?.process === task.process
    ? ({ target: 'thread', tid, signal, value } as const)
    : EINVAL;
}

export const timer_create = syscall({
  number: 222,
  name: 'timer_create',
  args: { clock: INT, event: POINTER, timer: POINTER },
  run(kernel, task, { clock, event, timer }) {
    const { process } = task;
    if (failed(clockBase(clock)) || clock === CLOCK.MONOTONIC_RAW) return EINVAL;
    if (clock === CLOCK.REALTIME_COARSE || clock === CLOCK.MONOTONIC_COARSE) return EOPNOTSUPP;
    const bytes = event === 0 ? null : readUser(kernel, task, event, SIGEVENT_BYTES);
    if (failed(bytes)) return bytes;
    const id = process.nextPosixTimer;
    const target = targetOf(task, kernel, bytes, id);
    if (failed(target)) return target;
    if (process.posixTimers.size >= 4096) return EAGAIN;
    const stored = storeUser32(kernel, task, timer, id);
    if (failed(stored)) return stored;
    process.nextPosixTimer++;
    process.posixTimers.set(id, {
      id,
      clock,
      ...target,
      atNs: 0,
      intervalNs: 0,
      timer: 0,
      overrun: 0,
      lastOverrun: 0,
    });
    return 0;
  },
});

const timerOf = (task: Task, id: number): PosixTimer | Failure => task.process.posixTimers.get(id) ?? EINVAL;

function itimerspec(setting: TimerSetting): Uint8Array {
  const bytes = new Uint8Array(ITIMERVAL_BYTES);
  putTimespec(bytes, 0, setting.intervalNs);
  putTimespec(bytes, 16, setting.valueNs);
  return bytes;
}

export const timer_settime = syscall({
  number: 223,
  name: 'timer_settime',
  args: { timer: INT, flags: FLAGS, value: POINTER, old: POINTER },
  run(kernel, task, { timer: id, flags, value, old }) {
    if (value === 0) return EINVAL;
    const bytes = readUser(kernel, task, value, ITIMERVAL_BYTES);
    if (failed(bytes)) return bytes;
    const intervalNs = readTimespec(bytes, 0);
    const valueNs = readTimespec(bytes, 16);
    if (intervalNs === null || valueNs === null) return EINVAL;
    const timer = timerOf(task, id);
    if (failed(timer)) return timer;
    if (old !== 0) {
      const written = writeUser(kernel, task, old, itimerspec(timerSetting(kernel, task, timer)));
      if (failed(written)) return written;
    }
    return setPosixTimer(kernel, task, timer, { valueNs, intervalNs }, (flags & TIMER_ABSTIME) !== 0);
  },
});

export const timer_gettime = syscall({
  number: 224,
  name: 'timer_gettime',
  args: { timer: INT, value: POINTER },
  run(kernel, task, { timer: id, value }) {
    const timer = timerOf(task, id);
    return failed(timer)
      ? timer
      : done(writeUser(kernel, task, value, itimerspec(timerSetting(kernel, task, timer))));
  },
});

export const timer_getoverrun = syscall({
  number: 225,
  name: 'timer_getoverrun',
  args: { timer: INT },
  run(_kernel, task, { timer: id }) {
    const timer = timerOf(task, id);
    return failed(timer) ? timer : timer.lastOverrun;
  },
});

export const timer_delete = syscall({
  number: 226,
  name: 'timer_delete',
  args: { timer: INT },
  run(kernel, task, { timer: id }) {
    const timer = timerOf(task, id);
    if (failed(timer)) return timer;
    deletePosixTimer(kernel, task.process, timer);
    return 0;
  },
});
