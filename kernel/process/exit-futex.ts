// What a thread owes its fellows when it ends (kernel/futex/core.c exit_robust_list, kernel/fork.c mm_release): locks on its
// robust list are marked "owner died", and the word of CLONE_CHILD_CLEARTID is cleared and its waiter woken.
import { BLOCKED, failed, type Failure } from '../abi/errno.ts';
import {
  FUTEX_OWNER_DIED,
  FUTEX_TID_MASK,
  FUTEX_WAITERS,
  ROBUST_LIST_HEAD_BYTES,
  ROBUST_LIST_LIMIT,
} from '../abi/futex.ts';
import { get64, getSigned64 } from '../lib/bytes.ts';
import { loadUser32, readUser, storeUser32 } from '../mm/user-memory.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { futexKey, futexWake } from './futex.ts';

/** Gives 0, or BLOCKED when a page must be read first: call again, nothing is done twice. */
export function settleFutexes(kernel: Kernel, task: Task): 0 | Failure {
  if (task.robustList !== 0) {
    if (walkRobustList(kernel, task) === BLOCKED) return BLOCKED;
    task.robustList = 0;
  }
  const address = task.clearChildTid;
  if (address === 0) return 0;
  if ((task.mm?.users ?? 0) > 1) {
    const stored = storeUser32(kernel, task, address, 0);
    if (stored === BLOCKED) return BLOCKED;
    const key = futexKey(kernel, task, address, 'shared');
    if (!failed(key)) futexWake(kernel, key, 1);
  }
  task.clearChildTid = 0;
  return 0;
}

function walkRobustList(kernel: Kernel, task: Task): number | Failure {
  const head = readUser(kernel, task, task.robustList, ROBUST_LIST_HEAD_BYTES);
  if (failed(head)) return head;
  const offset = getSigned64(head, 8);
  const pending = get64(head, 16);
  let entry = get64(head, 0);
  for (let count = 0; count < ROBUST_LIST_LIMIT; count++) {
    const { address } = lockOf(entry);
    if (address === task.robustList) break;
    const next = readUser(kernel, task, address, 8);
    if (next === BLOCKED) return BLOCKED;
    if (entry !== pending) {
      const ended = ownerDied(kernel, task, address + offset, 'on list');
      if (failed(ended)) return ended;
    }
    if (failed(next)) return next;
    entry = get64(next, 0);
  }
  return pending === 0 ? 0 : ownerDied(kernel, task, lockOf(pending).address + offset, 'pending');
}

/** Bit 0 of an entry says that the lock inherits priorities. */
const lockOf = (entry: number): { address: number; inherits: boolean } => ({
  address: entry - (entry % 2),
  inherits: entry % 2 === 1,
});

function ownerDied(
  kernel: Kernel,
  task: Task,
  address: number,
  place: 'on list' | 'pending',
): number | Failure {
  const word = loadUser32(kernel, task, address);
  if (failed(word)) return word;
  const owner = word & FUTEX_TID_MASK;
  // An unlock that was interrupted between clearing the word and waking somebody.
  if (owner === 0 && place === 'pending') return wakeOne(kernel, task, address);
  if (owner !== task.tid) return 0;
  const stored = storeUser32(kernel, task, address, ((word & FUTEX_WAITERS) | FUTEX_OWNER_DIED) >>> 0);
  if (failed(stored)) return stored;
  return (word & FUTEX_WAITERS) === 0 ? 0 : wakeOne(kernel, task, address);
}

function wakeOne(kernel: Kernel, task: Task, address: number): number | Failure {
  const key = futexKey(kernel, task, address, 'shared');
  return failed(key) ? 0 : futexWake(kernel, key, 1);
}
