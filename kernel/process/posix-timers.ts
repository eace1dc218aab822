// POSIX timers (timer_create(2), kernel/time/posix-timers.c): each fires into a signal that stays queued once; what fires
// meanwhile is counted as overrun.
import { EINVAL, failed, type Failure } from '../abi/errno.ts';
import { SI_TIMER } from '../abi/signal.ts';
import type { Task, Tid } from '../sched/task.ts';
import { findProcess } from '../signal/groups.ts';
import { signalProcess, signalTask } from '../signal/send.ts';
import { newSignalInfo } from '../signal/state.ts';
import type { Kernel } from '../state.ts';
import { now } from '../time/clock.ts';
import { addTimer, cancelTimer, timerActions } from '../time/timers.ts';
import { clockBase, monotonicWhen, readClock } from './clocks.ts';
import type { TimerSetting } from './itimers.ts';
import type { Process } from './process.ts';

export interface PosixTimer {
  readonly id: number;
  readonly clock: number;
  /** Whom it tells: the process, one thread (SIGEV_THREAD_ID), or nobody (SIGEV_NONE). */
  readonly target: 'process' | 'thread' | 'none';
  readonly tid: Tid;
  readonly signal: number;
  readonly value: bigint;
  /** On the timer's clock; 0: off. For clocks on wall time a power-on time. */
  atNs: number;
  intervalNs: number;
  timer: number; // id in time/timers, 0 for CPU clocks
  overrun: number;
  lastOverrun: number;
}

/** What timer_gettime shows. */
export function timerSetting(kernel: Kernel, task: Task, timer: PosixTimer): TimerSetting {
  if (timer.atNs === 0) return { valueNs: 0, intervalNs: timer.intervalNs };
  return { valueNs: Math.max(1, timer.atNs - timerNow(kernel, task, timer)), intervalNs: timer.intervalNs };
}

function timerNow(kernel: Kernel, task: Task, timer: PosixTimer): number {
  if (clockBase(timer.clock) !== 'cpu') return now(kernel);
  const ns = readClock(kernel, task, timer.clock);
  return failed(ns) ? 0 : ns;
}

export function setPosixTimer(
  kernel: Kernel,
  task: Task,
  timer: PosixTimer,
  setting: TimerSetting,
  absolute: boolean,
): number | Failure {
  const base = clockBase(timer.clock);
  if (failed(base)) return EINVAL;
  if (timer.timer !== 0) cancelTimer(kernel, timer.timer);
  timer.timer = 0;
  timer.overrun = 0;
  timer.intervalNs = setting.intervalNs;
  timer.atNs = 0;
  if (setting.valueNs === 0) return 0;
  if (base === 'cpu') {
    timer.atNs = absolute ? setting.valueNs : timerNow(kernel, task, timer) + setting.valueNs;
    return 0;
  }
  timer.atNs = Math.max(
    1,
    absolute ? monotonicWhen(kernel, base, setting.valueNs) : now(kernel) + setting.valueNs,
  );
  if (timer.atNs !== Infinity) timer.timer = arm(kernel, task.process, timer);
  return 0;
}

const arm = (kernel: Kernel, process: Process, timer: PosixTimer): number =>
  addTimer(kernel, timer.atNs, { kind: 'posix-timer', pid: process.pid, id: timer.id });

timerActions['posix-timer'] = (kernel, action) => {
  const process = findProcess(kernel, Number(action['pid']));
  const timer = process?.posixTimers.get(Number(action['id']));
  if (process === undefined || timer === undefined || process.dead) return;
  timer.timer = 0;
  fire(kernel, process, timer, now(kernel));
  if (timer.atNs !== 0) timer.timer = arm(kernel, process, timer);
};

function fire(kernel: Kernel, process: Process, timer: PosixTimer, nowNs: number): void {
  let expirations = 1;
  if (timer.intervalNs > 0) {
    expirations += Math.floor(Math.max(0, nowNs - timer.atNs) / timer.intervalNs);
    timer.atNs += expirations * timer.intervalNs;
  } else {
    timer.atNs = 0;
  }
  if (timer.target === 'none') return;
  const thread = timer.target === 'thread' ? kernel.tasks.get(timer.tid) : undefined;
  const pending = thread?.signals ?? process.shared;
  const waiting = pending.queue.find((info) => info.code === SI_TIMER && info.timer === timer.id);
  if (waiting !== undefined) {
    timer.overrun += expirations;
    return;
  }
  timer.lastOverrun = expirations - 1;
  timer.overrun = 0;
  const { signal, value, id } = timer;
  const info = newSignalInfo(signal, SI_TIMER, { value, timer: id, overrun: timer.lastOverrun });
  if (thread !== undefined) signalTask(kernel, thread, info);
  else if (timer.target === 'process') signalProcess(kernel, process, info);
}

export function deletePosixTimer(kernel: Kernel, process: Process, timer: PosixTimer): void {
  if (timer.timer !== 0) cancelTimer(kernel, timer.timer);
  process.posixTimers.delete(timer.id);
}

export function deletePosixTimers(kernel: Kernel, process: Process): void {
  for (const timer of [...process.posixTimers.values()]) deletePosixTimer(kernel, process, timer);
}

/** The tick's part: timers on CPU time of the running process. */
export function checkCpuTimers(kernel: Kernel, task: Task): void {
  for (const timer of task.process.posixTimers.values()) {
    if (timer.atNs === 0 || clockBase(timer.clock) !== 'cpu') continue;
    const ns = timerNow(kernel, task, timer);
    if (ns >= timer.atNs) fire(kernel, task.process, timer, ns);
  }
}
