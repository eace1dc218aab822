// mlock and its relatives: locked vmas, whose pages go to the unevictable list (Documentation/mm/unevictable-lru.rst).
import { EINVAL, ENOMEM, EPERM, type Failure } from '../abi/errno.ts';
import { MCL, PAGE_BYTES, RLIMIT, pageCeil, pageFloor } from '../abi/mman.ts';
import type { Rlimit } from '../process/process.ts';
import type { Kernel } from '../state.ts';
import { moveOnLru } from './lru.ts';
import { PG } from './memory-state.ts';
import type { Mm, Vma } from './mm.ts';
import { frameOf, isMapped, visitPtes } from './page-table.ts';
import { populateRange } from './populate.ts';
import { rescuePage } from './reclaim.ts';
import { accountVma, isolateRange, mergeAround, vmaIndex } from './vma.ts';

export interface LockRights {
  readonly limits?: readonly Rlimit[];
  /** CAP_IPC_LOCK. */
  readonly mayLock: boolean;
}

function checkLimit(mm: Mm, pages: number, { limits, mayLock }: LockRights): number | Failure {
  const limit = limits?.[RLIMIT.memlock]?.current ?? Infinity;
  if (mayLock) return 0;
  if (limit === 0) return EPERM;
  return (mm.lockedPages + pages) * PAGE_BYTES > limit ? ENOMEM : 0;
}

/** mlock, mlock2. */
export function lockRange(
  kernel: Kernel,
  mm: Mm,
  address: number,
  length: number,
  populate: boolean,
  rights: LockRights,
): number | Failure {
  const start = pageFloor(address);
  const end = pageCeil(address + length);
  if (end < start) return EINVAL;
  const allowed = checkLimit(mm, (end - start) / PAGE_BYTES, rights);
  if (allowed !== 0) return allowed;
  if (start === end) return 0;
  const hasHole = changeLock(kernel, mm, start, end, true);
  if (hasHole) return ENOMEM;
  if (populate) populateRange(kernel, mm, start, end);
  return 0;
}

export function unlockRange(kernel: Kernel, mm: Mm, address: number, length: number): number | Failure {
  const start = pageFloor(address);
  const end = pageCeil(address + length);
  if (end < start) return EINVAL;
  return changeLock(kernel, mm, start, end, false) ? ENOMEM : 0;
}

export function lockAll(kernel: Kernel, mm: Mm, flags: number, rights: LockRights): number | Failure {
  if (flags === 0 || (flags & ~(MCL.current | MCL.future | MCL.onFault)) !== 0 || flags === MCL.onFault)
    return EINVAL;
  const allowed = checkLimit(mm, (flags & MCL.current) !== 0 ? mm.totalPages - mm.lockedPages : 0, rights);
  if (allowed !== 0) return allowed;
  mm.lockFuture = (flags & MCL.future) !== 0;
  if ((flags & MCL.current) === 0) return 0;
  for (const vma of [...mm.vmas]) {
    setLocked(kernel, mm, vma, true);
    if ((flags & MCL.onFault) === 0) populateRange(kernel, mm, vma.start, vma.end);
  }
  return 0;
}

export function unlockAll(kernel: Kernel, mm: Mm): number {
  mm.lockFuture = false;
  for (const vma of [...mm.vmas]) setLocked(kernel, mm, vma, false);
  mergeAround(kernel, mm, 0, Infinity);
  return 0;
}

/** True when the range has a hole; what lies before it is changed, as on Linux. */
function changeLock(kernel: Kernel, mm: Mm, start: number, end: number, locked: boolean): boolean {
  let at = start;
  for (let index = vmaIndex(mm, start); at < end; index++) {
    const vma = mm.vmas[index];
    if (vma === undefined || vma.start > at) break;
    at = vma.end;
  }
  for (const vma of isolateRange(kernel, mm, start, Math.min(at, end))) setLocked(kernel, mm, vma, locked);
  mergeAround(kernel, mm, start, end);
  return at < end;
}

function setLocked(kernel: Kernel, mm: Mm, vma: Vma, locked: boolean): void {
  const { memory } = kernel;
  if (vma.flags.locked === locked) return;
  accountVma(mm, vma, -1);
  vma.flags.locked = locked;
  accountVma(mm, vma, 1);
  visitPtes(kernel, mm, vma.start, vma.end, (_pte, low) => {
    const frame = frameOf(low);
    if (!isMapped(low) || ((memory.flags[frame] ?? 0) & PG.lru) === 0) return;
    if (locked) {
      moveOnLru(memory, frame, PG.unevictable, PG.active);
      memory.counters.unevictable_pgs_mlocked++;
    } else {
      rescuePage(memory, frame);
      memory.counters.unevictable_pgs_munlocked++;
    }
  });
}
