// Futexes: waiting on a word of user memory (kernel/futex). A word is known by its key: address space and offset for shared
// memory, mm and address for private memory. Whoever waits is listed by tid; to be off the list means to be woken.
import {
  EAGAIN, EDEADLK, EFAULT, EINVAL, EPERM, ERESTARTNOHAND, ERESTARTSYS, ESRCH, ETIMEDOUT, failed, type Failure,
} from '../abi/errno.ts'; // prettier-ignore
import { FUTEX_BITSET_MATCH_ANY, FUTEX_TID_MASK, FUTEX_WAITERS } from '../abi/futex.ts';
import type { AddressSpace } from '../mm/address-space.ts';
import { loadUser32, storeUser32 } from '../mm/user-memory.ts';
import { findVma } from '../mm/vma.ts';
import { callData, callDeadlineAt, deadlinePassed } from '../sched/call-progress.ts';
import { wakeTask } from '../sched/core.ts';
import { signalPending } from '../sched/signal-pending.ts';
import type { Task, Tid } from '../sched/task.ts';
import { sleepOnAll } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';

export interface FutexWaiter {
  key: string;
  readonly bitset: number;
  /** Waits for a priority-inheriting lock: only its unlock wakes it. */
  readonly locks: boolean;
}

export interface FutexState {
  /** Who waits at a key, in order of arrival. */
  queues: Map<string, Tid[]>;
  waiters: Map<Tid, FutexWaiter>;
  /** Numbers for address spaces with waiters. */
  spaces: Map<AddressSpace, number>;
  lastSpace: number;
}

export const newFutexState = (): FutexState => ({
  queues: new Map(), waiters: new Map(), spaces: new Map(), lastSpace: 0,
}); // prettier-ignore

export type FutexSharing = 'private' | 'shared';

/** What identifies the word at an address. */
export function futexKey(
  kernel: Kernel,
  task: Task,
  address: number,
  sharing: FutexSharing,
): string | Failure {
  if (address % 4 !== 0) return EINVAL;
  const { mm } = task;
  if (mm === null) return EFAULT;
  if (sharing === 'private') return `p${mm.id}:${address}`;
  const vma = findVma(mm, address);
  if (vma === undefined) return EFAULT;
  if (!vma.flags.shared || vma.space === null) return `p${mm.id}:${address}`;
  return `s${spaceNumber(kernel.process.futexes, vma.space)}:${address - vma.start + vma.offset}`;
}

function spaceNumber(state: FutexState, space: AddressSpace): number {
  let number = state.spaces.get(space);
  if (number === undefined) state.spaces.set(space, (number = ++state.lastSpace));
  return number;
}

function enqueue(kernel: Kernel, tid: Tid, waiter: FutexWaiter): void {
  const { queues, waiters } = kernel.process.futexes;
  const queue = queues.get(waiter.key);
  if (queue === undefined) queues.set(waiter.key, [tid]);
  else queue.push(tid);
  waiters.set(tid, waiter);
}

/** Takes a task off the futex that it waits for; also called when it ends. */
export function leaveFutex(kernel: Kernel, tid: Tid): void {
  const state = kernel.process.futexes;
  const waiter = state.waiters.get(tid);
  if (waiter === undefined) return;
  state.waiters.delete(tid);
  const queue = state.queues.get(waiter.key);
  queue?.splice(queue.indexOf(tid), 1);
  if (queue?.length === 0) state.queues.delete(waiter.key);
  if (state.waiters.size === 0) state.spaces.clear();
}

interface WaitData {
  queued: boolean;
}

/**
 * FUTEX_WAIT: sleeps while the word holds `value`. 0 when woken, EAGAIN when the word differs, ETIMEDOUT, or
 * BLOCKED/ERESTART*. `deadlineNs` is absolute; Infinity for none.
 */
export function futexWait(
  kernel: Kernel,
  task: Task,
  address: number,
  sharing: FutexSharing,
  value: number,
  bitset: number,
  deadlineNs: number,
): number | Failure {
  if (bitset === 0) return EINVAL;
  const data = callData<WaitData>(task, () => ({ queued: false }));
  if (data.queued) {
    if (!kernel.process.futexes.waiters.has(task.tid)) return 0;
    if (deadlinePassed(kernel, task)) return giveUp(kernel, task, data, ETIMEDOUT);
    if (signalPending(task))
      return giveUp(kernel, task, data, deadlineNs === Infinity ? ERESTARTSYS : ERESTARTNOHAND);
    return sleepOnAll(kernel, task, [], 'futex_wait_queue');
  }
  const key = futexKey(kernel, task, address, sharing);
  if (failed(key)) return key;
  const word = loadUser32(kernel, task, address);
  if (failed(word)) return word;
  if (word !== value) return EAGAIN;
  if (signalPending(task)) return deadlineNs === Infinity ? ERESTARTSYS : ERESTARTNOHAND;
  callDeadlineAt(kernel, task, deadlineNs);
  if (deadlinePassed(kernel, task)) return ETIMEDOUT;
  enqueue(kernel, task.tid, { key, bitset, locks: false });
  data.queued = true;
  return sleepOnAll(kernel, task, [], 'futex_wait_queue');
}

function giveUp(kernel: Kernel, task: Task, data: WaitData, reason: Failure): Failure {
  leaveFutex(kernel, task.tid);
  data.queued = false;
  return reason;
}

/** Wakes at most `count` waiters whose bitset meets ours; gives how many. */
export function futexWake(
  kernel: Kernel,
  key: string,
  count: number,
  bitset = FUTEX_BITSET_MATCH_ANY,
): number | Failure {
  const state = kernel.process.futexes;
  let woken = 0;
  for (const tid of [...(state.queues.get(key) ?? [])]) {
    if (woken >= count) break;
    const waiter = state.waiters.get(tid);
    if (waiter === undefined) continue;
    if (waiter.locks) return EINVAL;
    if ((waiter.bitset & bitset) === 0) continue;
    wakeWaiter(kernel, tid);
    woken++;
  }
  return woken;
}

function wakeWaiter(kernel: Kernel, tid: Tid): void {
  leaveFutex(kernel, tid);
  const task = kernel.tasks.get(tid);
  if (task !== undefined && task.state === 'sleeping') wakeTask(kernel, task);
}

/** FUTEX_REQUEUE: wakes some and moves others to a second word; gives woken plus moved. */
export function futexRequeue(
  kernel: Kernel,
  from: string,
  to: string,
  wake: number,
  move: number,
): number | Failure {
  const state = kernel.process.futexes;
  const woken = futexWake(kernel, from, wake);
  if (failed(woken)) return woken;
  let moved = 0;
  for (const tid of [...(state.queues.get(from) ?? [])]) {
    if (moved >= move) break;
    const waiter = state.waiters.get(tid);
    if (waiter === undefined || waiter.locks) continue;
    moved++;
    if (from === to) continue;
    leaveFutex(kernel, tid);
    enqueue(kernel, tid, { ...waiter, key: to });
  }
  return woken + moved;
}

/** FUTEX_LOCK_PI and TRYLOCK_PI: the word holds the owner's tid; the kernel hands the lock on. */
export function futexLock(
  kernel: Kernel,
  task: Task,
  address: number,
  sharing: FutexSharing,
  deadlineNs: number,
  tryOnly: boolean,
): number | Failure {
  const data = callData<WaitData>(task, () => ({ queued: false }));
  if (data.queued) {
    if (!kernel.process.futexes.waiters.has(task.tid)) return 0; // unlock has put our tid there
    if (deadlinePassed(kernel, task)) return giveUp(kernel, task, data, ETIMEDOUT);
    if (signalPending(task)) return giveUp(kernel, task, data, ERESTARTSYS);
    return sleepOnAll(kernel, task, [], 'futex_lock_pi');
  }
  const key = futexKey(kernel, task, address, sharing);
  if (failed(key)) return key;
  const word = loadUser32(kernel, task, address);
  if (failed(word)) return word;
  const owner = word & FUTEX_TID_MASK;
  if (owner === task.tid) return EDEADLK;
  if (owner === 0) {
    const stored = storeUser32(kernel, task, address, ((word & ~FUTEX_TID_MASK) | task.tid) >>> 0);
    return failed(stored) ? stored : 0;
  }
  if (tryOnly) return EAGAIN;
  if (!kernel.tasks.has(owner)) return ESRCH;
  const stored = storeUser32(kernel, task, address, (word | FUTEX_WAITERS) >>> 0);
  if (failed(stored)) return stored;
  if (signalPending(task)) return ERESTARTSYS;
  callDeadlineAt(kernel, task, deadlineNs);
  if (deadlinePassed(kernel, task)) return ETIMEDOUT;
  enqueue(kernel, task.tid, { key, bitset: FUTEX_BITSET_MATCH_ANY, locks: true });
  data.queued = true;
  return sleepOnAll(kernel, task, [], 'futex_lock_pi');
}

/** FUTEX_UNLOCK_PI: the first waiter becomes the owner. */
export function futexUnlock(
  kernel: Kernel,
  task: Task,
  address: number,
  sharing: FutexSharing,
): number | Failure {
  const key = futexKey(kernel, task, address, sharing);
  if (failed(key)) return key;
  const word = loadUser32(kernel, task, address);
  if (failed(word)) return word;
  if ((word & FUTEX_TID_MASK) !== task.tid) return EPERM;
  const { queues, waiters } = kernel.process.futexes;
  const queue = queues.get(key) ?? [];
  const next = queue.find((tid) => waiters.get(tid)?.locks === true);
  const others = queue.some((tid) => tid !== next);
  const stored = storeUser32(kernel, task, address, ((next ?? 0) | (others ? FUTEX_WAITERS : 0)) >>> 0);
  if (failed(stored)) return stored;
  if (next !== undefined) wakeWaiter(kernel, next);
  return 0;
}
