// Stopping a whole process for job control (kernel/signal.c: do_signal_stop). While a process is to stop or is stopped,
// `stopPending` holds, so that every thread of it comes to deliverSignals and stays there; send.ts ends that on SIGCONT.
import { CLD_STOPPED } from '../abi/signal.ts';
import type { Process } from '../process/process.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { notifyStopOrContinue, threadsOf, wakeForSignal } from './send.ts';

/** A stop signal has been taken: all threads are to stop; the one that took it stops now. */
export function beginStop(kernel: Kernel, task: Task, signal: number): void {
  const { process } = task;
  process.stopSignal = signal;
  process.stopPending = true;
  for (const thread of threadsOf(kernel, process)) {
    if (thread !== task) wakeForSignal(kernel, thread, false);
  }
  stopThread(kernel, task);
}

/** Stops the running thread; the last one to stop makes the process stopped and tells the parent. */
export function stopThread(kernel: Kernel, task: Task): void {
  task.state = 'stopped';
  finishStop(kernel, task.process);
}

/** Looks whether every living thread has stopped; also called when a thread ends during a stop. */
export function finishStop(kernel: Kernel, process: Process): void {
  if (!process.stopPending || process.stopped !== null) return;
  const living = threadsOf(kernel, process).filter(({ state }) => state !== 'zombie' && state !== 'dead');
  if (living.length === 0 || living.some(({ state }) => state !== 'stopped')) return;
  process.stopped = { signal: process.stopSignal, reported: false };
  process.continued = false;
  notifyStopOrContinue(kernel, process, CLD_STOPPED, process.stopSignal);
}
