// mremap: shrinking, growing in place, moving. A page that fork shares is copied rather than moved, for anonymous pages are
// found again by their address (rmap.ts).
import { EAGAIN, EFAULT, EINVAL, ENOMEM, failed, type Failure } from '../abi/errno.ts';
import { MREMAP, PAGE_BYTES, RLIMIT, USER_END, pageCeil } from '../abi/mman.ts';
import type { Rlimit } from '../process/process.ts';
import type { Kernel } from '../state.ts';
import { allocateFrames, putFrame } from './buddy.ts';
import { addToLru } from './lru.ts';
import { findGap, hasCommitRoom, unmapMemory } from './map.ts';
import { PG } from './memory-state.ts';
import type { Mm, Vma } from './mm.ts';
import {
  entryFor,
  frameOf,
  freeEmptyTables,
  highFor,
  makePte,
  SWAPPED,
  visitPtes,
  writePte,
} from './page-table.ts';
import { copyFrame, flushMm, loadWord } from './physical.ts';
import { populateRange } from './populate.ts';
import { dropReservations } from './reservation.ts';
import { addMapping, dropMapping, makeAnonymous } from './rmap.ts';
import {
  accountVma,
  fileReferences,
  findVma,
  hasVmaIn,
  insertVma,
  isDataVma,
  isolateRange,
  mergeAround,
} from './vma.ts';

export interface RemapRequest {
  readonly address: number;
  readonly oldLength: number;
  readonly newLength: number;
  /** MREMAP bits. */
  readonly flags: number;
  readonly newAddress: number;
  readonly limits?: readonly Rlimit[];
}

const limitOf = (limits: readonly Rlimit[] | undefined, which: number): number =>
  limits?.[which]?.current ?? Infinity;

/** Gives the map's address, new or old. */
export function remapMemory(kernel: Kernel, mm: Mm, request: RemapRequest): number | Failure {
  const { address, flags, limits } = request;
  const known = MREMAP.mayMove | MREMAP.fixed | MREMAP.dontUnmap;
  if ((flags & ~known) !== 0) return EINVAL;
  if ((flags & MREMAP.fixed) !== 0 && (flags & MREMAP.mayMove) === 0) return EINVAL;
  const keepsOld = (flags & MREMAP.dontUnmap) !== 0;
  if (
    keepsOld &&
    ((flags & MREMAP.mayMove) === 0 || pageCeil(request.oldLength) !== pageCeil(request.newLength))
  )
    return EINVAL;
  if (address % PAGE_BYTES !== 0) return EINVAL;
  const oldLength = pageCeil(request.oldLength);
  const newLength = pageCeil(request.newLength);
  if (newLength === 0 || newLength > USER_END) return newLength === 0 ? EINVAL : ENOMEM;
  const vma = findVma(mm, address);
  if (vma === undefined) return EFAULT;
  if ((flags & (MREMAP.fixed | MREMAP.dontUnmap)) !== 0) {
    return moveTo(kernel, mm, request, oldLength, newLength);
  }
  if (oldLength >= newLength) {
    if (oldLength === newLength) return address;
    const removed = unmapMemory(kernel, mm, address + newLength, oldLength - newLength);
    return failed(removed) ? removed : address;
  }
  // Length 0 duplicates a shared map; Linux allows it for those only.
  if (oldLength === 0 && !vma.flags.shared) return EINVAL;
  if (oldLength > vma.end - address) return EFAULT;
  const room = checkRoom(kernel, mm, vma, (newLength - oldLength) / PAGE_BYTES, limits);
  if (failed(room)) return room;
  if (oldLength > 0 && vma.end === address + oldLength && canGrow(mm, vma, newLength - oldLength)) {
    grow(kernel, mm, vma, newLength - oldLength);
    return address;
  }
  if ((flags & MREMAP.mayMove) === 0) return ENOMEM;
  const target = findGap(mm, newLength);
  if (failed(target)) return target;
  return moveVma(kernel, mm, vma, address, oldLength, target, newLength, false);
}

function checkRoom(
  kernel: Kernel,
  mm: Mm,
  vma: Vma,
  pages: number,
  limits: readonly Rlimit[] | undefined,
): number | Failure {
  if ((mm.totalPages + pages) * PAGE_BYTES > limitOf(limits, RLIMIT.as)) return ENOMEM;
  if (isDataVma(vma.flags) && (mm.dataPages + pages) * PAGE_BYTES > limitOf(limits, RLIMIT.data))
    return ENOMEM;
  if (vma.flags.locked && (mm.lockedPages + pages) * PAGE_BYTES > limitOf(limits, RLIMIT.memlock))
    return EAGAIN;
  if (vma.flags.accounted && !hasCommitRoom(kernel, pages)) return ENOMEM;
  return 0;
}

function canGrow(mm: Mm, vma: Vma, bytes: number): boolean {
  const end = vma.end + bytes;
  if (end > USER_END || hasVmaIn(mm, vma.end, end)) return false;
  const next = mm.vmas[mm.vmas.indexOf(vma) + 1];
  return next === undefined || !next.flags.growsDown || end <= next.start - 256 * PAGE_BYTES;
}

function grow(kernel: Kernel, mm: Mm, vma: Vma, bytes: number): void {
  const from = vma.end;
  accountVma(mm, vma, -1);
  vma.end += bytes;
  accountVma(mm, vma, 1);
  if (vma.flags.accounted) kernel.memory.committedPages += bytes / PAGE_BYTES;
  const { locked } = vma.flags;
  mergeAround(kernel, mm, vma.start, vma.end);
  if (locked) populateRange(kernel, mm, from, from + bytes);
}

/** MREMAP_FIXED and MREMAP_DONTUNMAP. */
function moveTo(
  kernel: Kernel,
  mm: Mm,
  request: RemapRequest,
  oldLength: number,
  newLength: number,
): number | Failure {
  const { address, flags, limits } = request;
  const isFixed = (flags & MREMAP.fixed) !== 0;
  let target = request.newAddress;
  if (isFixed) {
    if (target % PAGE_BYTES !== 0 || target + newLength > USER_END) return EINVAL;
    if (target < address + oldLength && address < target + newLength) return EINVAL;
    const cleared = unmapMemory(kernel, mm, target, newLength);
    if (failed(cleared)) return cleared;
  }
  let moved = oldLength;
  if (oldLength > newLength) {
    const cut = unmapMemory(kernel, mm, address + newLength, oldLength - newLength);
    if (failed(cut)) return cut;
    moved = newLength;
  }
  const vma = findVma(mm, address);
  if (vma === undefined || moved > vma.end - address) return EFAULT;
  const room = checkRoom(kernel, mm, vma, (newLength - moved) / PAGE_BYTES, limits);
  if (failed(room)) return room;
  if (!isFixed) {
    const gap = findGap(mm, newLength);
    if (failed(gap)) return gap;
    target = gap;
  }
  return moveVma(kernel, mm, vma, address, moved, target, newLength, (flags & MREMAP.dontUnmap) !== 0);
}

function moveVma(
  kernel: Kernel, mm: Mm, vma: Vma, from: number, oldLength: number, to: number, newLength: number, keepsOld: boolean,
): number | Failure {
  if (mm.vmas.length >= kernel.memory.tunables.maxMapCount - 3) return ENOMEM;
  // Everything that can fail comes first: tables for the new place, copies of shared pages.
  for (let at = to; at < to + oldLength; at = (Math.floor(at / 0x20_0000) + 1) * 0x20_0000) {
    const table = makePte(kernel, mm, at);
    if (failed(table)) return table;
  }
  const unshared = unshareRange(kernel, mm, vma, from, from + oldLength);
  if (failed(unshared)) return unshared;
  const copy: Vma = { ...vma, start: to, end: to + newLength, flags: { ...vma.flags }, offset: vma.offset };
  if (vma.space !== null || vma.file !== null) copy.offset = vma.offset + (from - vma.start);
  if (copy.file !== null) fileReferences.get(kernel, copy.file);
  insertVma(kernel, mm, copy);
  if (copy.flags.accounted) kernel.memory.committedPages += newLength / PAGE_BYTES;
  visitPtes(kernel, mm, from, from + oldLength, (pte, low, address) => {
    const target = makePte(kernel, mm, address - from + to);
    if (failed(target)) return; // its table was made above
    const high = loadWord(kernel, pte + 4);
    writePte(kernel, pte, 0, 0);
    writePte(kernel, target, low, high);
    const frame = frameOf(low);
    const isAnon = (low & SWAPPED) === 0 && ((kernel.memory.flags[frame] ?? 0) & PG.anon) !== 0;
    if (isAnon) kernel.memory.index[frame] = (address - from + to) / PAGE_BYTES;
  });
  const { locked } = copy.flags;
  if (keepsOld) {
    for (const part of isolateRange(kernel, mm, from, from + oldLength)) part.hasAnon = false;
  } else if (oldLength > 0) {
    unmapMemory(kernel, mm, from, oldLength);
  }
  freeEmptyTables(kernel, mm, from, from + Math.max(oldLength, PAGE_BYTES));
  dropReservations(kernel.memory, mm, from / PAGE_BYTES, (from + oldLength) / PAGE_BYTES);
  flushMm(kernel, mm);
  mergeAround(kernel, mm, to, to + newLength);
  if (locked) populateRange(kernel, mm, to, to + newLength);
  return to;
} // prettier-ignore

/** Gives the mm copies of its own of anonymous pages that others map too. */
function unshareRange(kernel: Kernel, mm: Mm, vma: Vma, start: number, end: number): number | Failure {
  const { memory } = kernel;
  let result: number | Failure = 0;
  visitPtes(kernel, mm, start, end, (pte, low, address) => {
    const frame = frameOf(low);
    if (failed(result) || (low & SWAPPED) !== 0) return;
    if (((memory.flags[frame] ?? 0) & PG.anon) === 0 || memory.mapCount[frame] === 1) return;
    const copy = allocateFrames(kernel, 0, 'anon');
    if (failed(copy)) {
      result = copy;
      return;
    }
    copyFrame(kernel, copy, frame);
    writePte(kernel, pte, 0, 0);
    dropMapping(kernel, mm, frame);
    putFrame(kernel, frame);
    makeAnonymous(kernel, mm, copy, address);
    writePte(kernel, pte, entryFor(copy, vma, 'dirty'), highFor(vma));
    addMapping(kernel, mm, copy);
    addToLru(memory, copy);
  });
  return result;
}
