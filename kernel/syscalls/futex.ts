// futex and the robust lists.
import { EAGAIN, EINVAL, ENOSYS, EPERM, ESRCH, failed, type Failure } from '../abi/errno.ts';
import {
  FUTEX, FUTEX_BITSET_MATCH_ANY, FUTEX_CLOCK_REALTIME, FUTEX_PRIVATE_FLAG, ROBUST_LIST_HEAD_BYTES,
} from '../abi/futex.ts'; // prettier-ignore
import { TIMESPEC_BYTES, readTimespec } from '../abi/time.ts';
import { loadUser32, readUser, storeUser32, storeUserBig } from '../mm/user-memory.ts';
import { maySignal } from '../process/credentials.ts';
import {
  futexKey, futexLock, futexRequeue, futexUnlock, futexWait, futexWake, type FutexSharing,
} from '../process/futex.ts'; // prettier-ignore
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { now } from '../time/clock.ts';
import { INT, POINTER, SIZE, UINT, syscall } from './declare.ts';

/** The absolute power-on time at which a wait ends; Infinity without a timeout. */
function deadlineOf(
  kernel: Kernel,
  task: Task,
  address: number,
  kind: 'relative' | 'monotonic' | 'realtime',
): number | Failure {
  if (address === 0) return Infinity;
  const bytes = readUser(kernel, task, address, TIMESPEC_BYTES);
  if (failed(bytes)) return bytes;
  const ns = readTimespec(bytes);
  if (ns === null) return EINVAL;
  if (kind === 'relative') return now(kernel) + ns;
  return kind === 'realtime' ? Math.max(0, ns - kernel.time.wallBaseNs) : ns;
}

export const futex = syscall({
  number: 202,
  name: 'futex',
  args: { address: POINTER, operation: INT, value: UINT, timeout: POINTER, address2: POINTER, value3: UINT },
  missing: 'priority boosting by LOCK_PI, FUTEX_WAIT_REQUEUE_PI, FUTEX_CMP_REQUEUE_PI',
  run(kernel, task, { address, operation, value, timeout, address2, value3 }) {
    const sharing: FutexSharing = (operation & FUTEX_PRIVATE_FLAG) === 0 ? 'shared' : 'private';
    const realtime = (operation & FUTEX_CLOCK_REALTIME) !== 0;
    const command = operation & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
    const takesRealtime =
      command === FUTEX.WAIT_BITSET || command === FUTEX.WAIT || command === FUTEX.LOCK_PI2;
    if (realtime && !takesRealtime) return ENOSYS;
    const count2 = timeout | 0; // REQUEUE and WAKE_OP pass a count in its place
    switch (command) {
      case FUTEX.WAIT: {
        const deadline = deadlineOf(kernel, task, timeout, 'relative');
        if (failed(deadline)) return deadline;
        return futexWait(kernel, task, address, sharing, value, FUTEX_BITSET_MATCH_ANY, deadline);
      }
      case FUTEX.WAIT_BITSET: {
        const deadline = deadlineOf(kernel, task, timeout, realtime ? 'realtime' : 'monotonic');
        if (failed(deadline)) return deadline;
        return futexWait(kernel, task, address, sharing, value, value3, deadline);
      }
      case FUTEX.WAKE:
        return wake(kernel, task, address, sharing, value, FUTEX_BITSET_MATCH_ANY);
      case FUTEX.WAKE_BITSET:
        return wake(kernel, task, address, sharing, value, value3);
      case FUTEX.REQUEUE:
        return requeue(kernel, task, address, address2, sharing, value, count2, null);
      case FUTEX.CMP_REQUEUE:
        return requeue(kernel, task, address, address2, sharing, value, count2, value3);
      case FUTEX.WAKE_OP:
        return wakeOp(kernel, task, address, address2, sharing, value, count2, value3);
      case FUTEX.LOCK_PI:
      case FUTEX.LOCK_PI2: {
        const kind = command === FUTEX.LOCK_PI || realtime ? 'realtime' : 'monotonic';
        const deadline = deadlineOf(kernel, task, timeout, kind);
        if (failed(deadline)) return deadline;
        return futexLock(kernel, task, address, sharing, deadline, false);
      }
      case FUTEX.TRYLOCK_PI:
        return futexLock(kernel, task, address, sharing, Infinity, true);
      case FUTEX.UNLOCK_PI:
        return futexUnlock(kernel, task, address, sharing);
      default:
        return ENOSYS;
    }
  },
});

function wake(
  kernel: Kernel,
  task: Task,
  address: number,
  sharing: FutexSharing,
  count: number,
  bitset: number,
): number | Failure {
  if (bitset === 0) return EINVAL;
  const key = futexKey(kernel, task, address, sharing);
  if (failed(key)) return key;
  return futexWake(kernel, key, Math.max(1, count | 0), bitset); // Linux wakes one for a count of 0 too
}

function requeue(
  kernel: Kernel,
  task: Task,
  address: number,
  address2: number,
  sharing: FutexSharing,
  wakeCount: number,
  moveCount: number,
  expected: number | null,
): number | Failure {
  if ((wakeCount | 0) < 0 || moveCount < 0) return EINVAL;
  const from = futexKey(kernel, task, address, sharing);
  if (failed(from)) return from;
  const to = futexKey(kernel, task, address2, sharing);
  if (failed(to)) return to;
  if (expected !== null) {
    const word = loadUser32(kernel, task, address);
    if (failed(word)) return word;
    if (word !== expected) return EAGAIN;
  }
  return futexRequeue(kernel, from, to, wakeCount, moveCount);
}

/** FUTEX_WAKE_OP: changes the second word, wakes at the first, and at the second if its old value compares. */
function wakeOp(
  kernel: Kernel,
  task: Task,
  address: number,
  address2: number,
  sharing: FutexSharing,
  count: number,
  count2: number,
  encoded: number,
): number | Failure {
  const from = futexKey(kernel, task, address, sharing);
  if (failed(from)) return from;
  const to = futexKey(kernel, task, address2, sharing);
  if (failed(to)) return to;
  const old = loadUser32(kernel, task, address2);
  if (failed(old)) return old;
  const changed = applyOp(encoded, old);
  if (failed(changed)) return changed;
  if (compare(encoded, old) === null) return ENOSYS;
  const stored = storeUser32(kernel, task, address2, changed);
  if (failed(stored)) return stored;
  const woken = futexWake(kernel, from, Math.max(1, count | 0));
  if (failed(woken) || compare(encoded, old) !== true) return woken;
  const more = futexWake(kernel, to, Math.max(1, count2));
  return failed(more) ? more : woken + more;
}

/** Bits 28–31 operation (bit 31: operand is a shift), 24–27 comparison, 12–23 operand, 0–11 comparand; both signed. */
function applyOp(encoded: number, old: number): number | Failure {
  const signed = (encoded << 8) >> 20;
  const operand = encoded >>> 31 === 1 ? 1 << (signed & 31) : signed;
  switch ((encoded >>> 28) & 7) {
    case 0:
      return operand >>> 0;
    case 1:
      return (old + operand) >>> 0;
    case 2:
      return (old | operand) >>> 0;
    case 3:
      return (old & ~operand) >>> 0;
    case 4:
      return (old ^ operand) >>> 0;
    default:
      return ENOSYS;
  }
}

function compare(encoded: number, word: number): boolean | null {
  const comparand = (encoded << 20) >> 20;
  const old = word | 0;
  switch ((encoded >>> 24) & 15) {
    case 0:
      return old === comparand;
    case 1:
      return old !== comparand;
    case 2:
      return old < comparand;
    case 3:
      return old <= comparand;
    case 4:
      return old > comparand;
    case 5:
      return old >= comparand;
    default:
      return null;
  }
}

export const set_robust_list = syscall({
  number: 273,
  name: 'set_robust_list',
  args: { head: POINTER, length: SIZE },
  run(_kernel, task, { head, length }) {
    if (length !== ROBUST_LIST_HEAD_BYTES) return EINVAL;
    task.robustList = head;
    return 0;
  },
});

export const get_robust_list = syscall({
  number: 274,
  name: 'get_robust_list',
  args: { pid: INT, head: POINTER, length: POINTER },
  run(kernel, task, { pid, head, length }) {
    const target = pid === 0 ? task : kernel.tasks.get(pid);
    if (target === undefined) return ESRCH;
    if (target !== task && !maySignal(task, target)) return EPERM;
    const stored = storeUserBig(kernel, task, length, BigInt(ROBUST_LIST_HEAD_BYTES));
    if (failed(stored)) return stored;
    const told = storeUserBig(kernel, task, head, BigInt(target.robustList));
    return failed(told) ? told : 0;
  },
});
