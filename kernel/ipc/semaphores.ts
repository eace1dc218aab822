// SysV semaphores (semget(2), semop(2)): sets of counters; a list of operations happens whole or not at all.
import {
  BLOCKED, EACCES, EAGAIN, EFBIG, EINTR, EINVAL, ENOSPC, ERANGE, ERESTARTSYS, failed, type Failure,
} from '../abi/errno.ts'; // prettier-ignore
import { IPC_NOWAIT, SEM, SEM_VALUE_MAX } from '../abi/sysv.ts';
import { callDeadline, callProgress, deadlinePassed } from '../sched/call-progress.ts';
import type { Task, Tid } from '../sched/task.ts';
import { newWaitQueue, sleepOn, wakeUp } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { wallNow } from '../time/clock.ts';
import { getObject, mayUse, objectOf } from './sysv.ts';
import type { Semaphore, SemaphoreSet } from './sysv-state.ts';

export interface SemaphoreOperation {
  readonly number: number;
  readonly change: number;
  readonly flags: number;
}

/** semget(2). */
export function getSet(
  kernel: Kernel,
  task: Task,
  key: number,
  count: number,
  flags: number,
): number | Failure {
  const { sets, sequences, semaphoreLimits } = kernel.ipc.sysv;
  if (count < 0 || count > semaphoreLimits.semmsl) return EINVAL;
  const fits = (set: SemaphoreSet): 0 | Failure => (count > set.semaphores.length ? EINVAL : 0);
  return getObject(
    task,
    sets,
    sequences,
    'sem',
    semaphoreLimits.semmni,
    key,
    flags,
    fits,
    (permissions): SemaphoreSet | Failure => {
      if (count === 0) return EINVAL;
      const used = [...sets.values()].reduce((sum, { semaphores }) => sum + semaphores.length, 0);
      if (used + count > semaphoreLimits.semmns) return ENOSPC;
      const semaphores = Array.from({ length: count }, (): Semaphore => ({
        value: 0,
        lastPid: 0,
        waitGrow: new Set(),
        waitZero: new Set(),
      }));
      return {
        permissions,
        semaphores,
        operationNs: 0,
        changeNs: wallNow(kernel),
        changed: newWaitQueue(),
        undo: new Map(),
      };
    },
  );
}

/** semop(2) and semtimedop(2). */
export function operate(
  kernel: Kernel, task: Task, id: number, operations: readonly SemaphoreOperation[], timeoutNs: number | null,
): number | Failure {
  const set = objectOf(task, kernel.ipc.sysv.sets, id);
  if (failed(set)) return set;
  const alters = operations.some(({ change }) => change !== 0);
  for (const { number } of operations) if (number >= set.semaphores.length) return EFBIG;
  if (!mayUse(task, set.permissions, alters ? 0o222 : 0o444)) return EACCES;
  leaveCounts(set, task.tid);
  const outcome = attempt(set, operations, task.process.pid);
  if (typeof outcome !== 'object') {
    if (failed(outcome)) return outcome;
    set.operationNs = wallNow(kernel);
    if (alters) wakeUp(kernel, set.changed);
    return 0;
  }
  if (outcome.flags & IPC_NOWAIT || timeoutNs === 0 || deadlinePassed(kernel, task)) return EAGAIN;
  const waits = sleepOn(kernel, task, set.changed, 'do_semtimedop');
  if (waits === ERESTARTSYS) return EINTR; // never starts again, even with SA_RESTART (signal(7))
  if (waits === BLOCKED) {
    callProgress(task);
    callDeadline(kernel, task, timeoutNs);
    const semaphore = set.semaphores[outcome.number];
    (outcome.change === 0 ? semaphore?.waitZero : semaphore?.waitGrow)?.add(task.tid);
  }
  return waits;
} // prettier-ignore

function leaveCounts(set: SemaphoreSet, tid: Tid): void {
  for (const { waitGrow, waitZero } of set.semaphores) {
    waitGrow.delete(tid);
    waitZero.delete(tid);
  }
}

/** Does all operations, or gives the one that must wait, or a Failure; then nothing has changed. */
function attempt(
  set: SemaphoreSet,
  operations: readonly SemaphoreOperation[],
  pid: number,
): SemaphoreOperation | Failure | 0 {
  const values = set.semaphores.map(({ value }) => value);
  const adjustments = (set.undo.get(pid) ?? values.map(() => 0)).slice();
  for (const operation of operations) {
    const { number, change, flags } = operation;
    const value = values[number] ?? 0;
    if (change === 0 ? value !== 0 : value + change < 0) return operation;
    if (value + change > SEM_VALUE_MAX) return ERANGE;
    values[number] = value + change;
    if (flags & SEM.UNDO) {
      const undo = (adjustments[number] ?? 0) - change;
      if (undo < -SEM_VALUE_MAX - 1 || undo > SEM_VALUE_MAX) return ERANGE;
      adjustments[number] = undo;
    }
  }
  if (operations.some(({ flags }) => (flags & SEM.UNDO) !== 0)) set.undo.set(pid, adjustments);
  for (const { number } of operations) {
    const semaphore = set.semaphores[number];
    if (semaphore === undefined) continue;
    semaphore.value = values[number] ?? 0;
    semaphore.lastPid = pid;
  }
  return 0;
}

/** SETVAL and SETALL: undo adjustments of the semaphore are forgotten. */
export function setValues(
  kernel: Kernel,
  task: Task,
  set: SemaphoreSet,
  values: ReadonlyMap<number, number>,
): 0 | Failure {
  for (const value of values.values()) if (value < 0 || value > SEM_VALUE_MAX) return ERANGE;
  for (const [number, value] of values) {
    const semaphore = set.semaphores[number];
    if (semaphore === undefined) continue;
    semaphore.value = value;
    semaphore.lastPid = task.process.pid;
    for (const adjustments of set.undo.values()) adjustments[number] = 0;
  }
  set.changeNs = wallNow(kernel);
  wakeUp(kernel, set.changed);
  return 0;
}

/** Tasks that wait now; those that were killed meanwhile do not count. */
export function waiterCount(kernel: Kernel, waiters: Set<Tid>): number {
  for (const tid of waiters) if (kernel.tasks.get(tid)?.state !== 'sleeping') waiters.delete(tid);
  return waiters.size;
}

export function removeSet(kernel: Kernel, set: SemaphoreSet): void {
  kernel.ipc.sysv.sets.delete(set.permissions.id);
  wakeUp(kernel, set.changed);
}

/** A process has ended: its SEM_UNDO adjustments are made, as far as values allow. */
export function undoSemaphores(kernel: Kernel, pid: Tid): void {
  for (const set of kernel.ipc.sysv.sets.values()) {
    const adjustments = set.undo.get(pid);
    if (adjustments === undefined) continue;
    set.undo.delete(pid);
    adjustments.forEach((adjustment, number) => {
      const semaphore = set.semaphores[number];
      if (semaphore === undefined || adjustment === 0) return;
      semaphore.value = Math.min(SEM_VALUE_MAX, Math.max(0, semaphore.value + adjustment));
      semaphore.lastPid = pid;
    });
    set.operationNs = wallNow(kernel);
    wakeUp(kernel, set.changed);
  }
}
