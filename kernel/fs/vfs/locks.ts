// flock(2) and fcntl(2) record locks. flock locks belong to open files, fcntl locks to processes (F_SETLK) or open files
// (F_OFD_SETLK). A waiting fcntl lock that would close a circle of waiting processes gets EDEADLK.
import { EAGAIN, EDEADLK, type Failure } from '../../abi/errno.ts';
import type { Kernel } from '../../state.ts';
import type { Task } from '../../sched/task.ts';
import { newWaitQueue, sleepOn, wakeUp } from '../../sched/wait-queue.ts';
import type { Inode } from './inode.ts';
import type { FileLocks, RecordLock } from './lock-state.ts';
import type { OpenFile } from './open-file.ts';

function locksOf(inode: Inode): FileLocks {
  inode.locks ??= { flock: [], records: [], wait: newWaitQueue() };
  return inode.locks;
}

/** Takes, changes (`exclusive`) or drops (null) a flock lock. */
export function flockFile(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  exclusive: boolean | null,
  wait: boolean,
): number | Failure {
  const locks = locksOf(file.inode);
  const own = locks.flock.find((lock) => lock.file === file.id);
  if (exclusive === null) {
    if (own !== undefined) dropFlock(kernel, file);
    return 0;
  }
  if (own?.exclusive === exclusive) return 0;
  const conflicts = locks.flock.some((lock) => lock.file !== file.id && (exclusive || lock.exclusive));
  // Converting a lock first gives up the old one (man 2 flock).
  if (own !== undefined) dropFlock(kernel, file);
  if (conflicts) return wait ? sleepOn(kernel, task, locks.wait, 'flock_lock_inode_wait') : EAGAIN;
  locks.flock.push({ file: file.id, pid: task.process.pid, exclusive });
  return 0;
}

function dropFlock(kernel: Kernel, file: OpenFile): void {
  const { locks } = file.inode;
  if (locks === null) return;
  locks.flock = locks.flock.filter((lock) => lock.file !== file.id);
  wakeUp(kernel, locks.wait);
}

/** Last close of an open file: its flock and OFD locks go. */
export function dropLocksOfFile(kernel: Kernel, file: OpenFile): void {
  if (file.inode.locks === null) return;
  dropFlock(kernel, file);
  dropRecordLocks(kernel, file.inode, `f${file.id}`);
}

const overlaps = (a: RecordLock, b: { start: number; end: number }): boolean =>
  a.start <= b.end && b.start <= a.end;

/** The first lock of somebody else that stands in the way (F_GETLK). */
export function findConflict(inode: Inode, wanted: RecordLock): RecordLock | undefined {
  return inode.locks?.records.find(
    (lock) => lock.owner !== wanted.owner && overlaps(lock, wanted) && (lock.exclusive || wanted.exclusive),
  );
}

/** Sets a lock on a range, replacing what the owner had there. */
export function setRecordLock(
  kernel: Kernel,
  task: Task,
  inode: Inode,
  wanted: RecordLock,
  wait: boolean,
): number | Failure {
  const { lockWaits } = kernel.vfs;
  lockWaits.delete(wanted.owner);
  const conflict = findConflict(inode, wanted);
  if (conflict !== undefined) {
    if (!wait) return EAGAIN;
    if (wanted.owner.startsWith('p') && closesCircle(lockWaits, wanted.owner, conflict.owner)) return EDEADLK;
    const asleep = sleepOn(kernel, task, locksOf(inode).wait, 'fcntl_setlk');
    if (task.state === 'sleeping') lockWaits.set(wanted.owner, conflict.owner);
    return asleep;
  }
  clearRange(kernel, inode, wanted.owner, wanted.start, wanted.end);
  insertMerged(locksOf(inode), wanted);
  return 0;
}

function closesCircle(waits: ReadonlyMap<string, string>, owner: string, holder: string): boolean {
  let next: string | undefined = holder;
  for (let steps = 0; next !== undefined && steps < 1000; steps++) {
    if (next === owner) return true;
    next = waits.get(next);
  }
  return false;
}

/** Joins locks of the same owner and kind that touch, as F_GETLK shows them. */
function insertMerged(locks: FileLocks, wanted: RecordLock): void {
  let merged = wanted;
  const others: RecordLock[] = [];
  for (const lock of locks.records) {
    const joins = lock.owner === wanted.owner && lock.exclusive === wanted.exclusive;
    if (joins && lock.start <= merged.end + 1 && merged.start <= lock.end + 1) {
      merged = { ...merged, start: Math.min(lock.start, merged.start), end: Math.max(lock.end, merged.end) };
    } else others.push(lock);
  }
  locks.records = [...others, merged].sort((a, b) => a.start - b.start);
}

/** F_UNLCK: cuts a range out of the owner's locks. */
export function clearRange(kernel: Kernel, inode: Inode, owner: string, start: number, end: number): void {
  const { locks } = inode;
  if (locks === null) return;
  const kept: RecordLock[] = [];
  for (const lock of locks.records) {
    if (lock.owner !== owner || !overlaps(lock, { start, end })) {
      kept.push(lock);
      continue;
    }
    if (lock.start < start) kept.push({ ...lock, end: start - 1 });
    if (lock.end > end) kept.push({ ...lock, start: end + 1 });
  }
  locks.records = kept;
  wakeUp(kernel, locks.wait);
}

/** Drops every record lock of an owner on an inode: a process closes any descriptor of the file, or ends. */
export function dropRecordLocks(kernel: Kernel, inode: Inode, owner: string): void {
  kernel.vfs.lockWaits.delete(owner);
  if (inode.locks !== null && inode.locks.records.length > 0) clearRange(kernel, inode, owner, 0, Infinity);
}
