// Making, removing and protecting maps: what mmap, munmap, mprotect and brk do to an mm (mm/mmap.c, mm/mprotect.c). The
// caller has checked the file (mode, type); sizes, limits and overcommit are checked here.
import { EACCES, EAGAIN, EEXIST, EINVAL, ENOMEM, EPERM, failed, type Failure } from '../abi/errno.ts';
import { MAP, PAGE_BYTES, PROT, RLIMIT, USER_END, pageCeil, pageFloor } from '../abi/mman.ts';
import { PTE } from '../machine/index.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import type { Rlimit } from '../process/process.ts';
import type { Kernel } from '../state.ts';
import type { AddressSpace } from './address-space.ts';
import { PG } from './memory-state.ts';
import type { Mm, Vma, VmaFlags } from './mm.ts';
import { frameOf, freeEmptyTables, highFor, isMapped, NO_ACCESS, visitPtes, writePte } from './page-table.ts';
import { flushRange } from './physical.ts';
import { populateRange } from './populate.ts';
import { dropReservations } from './reservation.ts';
import { newSharedSpace } from './shared-memory.ts';
import {
  accountVma,
  fileReferences,
  hasVmaIn,
  insertVma,
  isDataVma,
  isolateRange,
  mergeAround,
  removeVma,
  vmaIndex,
} from './vma.ts';
import { zapRange } from './zap.ts';

const GUARD_BYTES = 256 * PAGE_BYTES; // stack_guard_gap
const LOWEST = 0x1_0000;

export interface MapRequest {
  /** A hint, or the place itself with MAP.fixed. */
  readonly address: number;
  readonly length: number;
  /** PROT bits. */
  readonly protection: number;
  /** MAP bits. */
  readonly flags: number;
  /** null for anonymous memory. The map takes a reference of its own. */
  readonly file?: OpenFile | null;
  /** Pages to map when there is no file, or other ones than the file's (SysV segments, vDSO, device memory). */
  readonly space?: AddressSpace | null;
  /** Byte offset in the file; a multiple of the page size. */
  readonly offset?: number;
  /** As /proc/PID/maps shows it. */
  readonly name?: string;
  /** rlimits of the process; none are checked without. */
  readonly limits?: readonly Rlimit[];
  /** CAP_IPC_LOCK: RLIMIT_MEMLOCK does not hold. */
  readonly mayLock?: boolean;
}

const limitOf = (limits: readonly Rlimit[] | undefined, which: number): number =>
  limits?.[which]?.current ?? Infinity;

/** Makes a map and gives its address. */
export function mapMemory(kernel: Kernel, mm: Mm, request: MapRequest): number | Failure {
  const { flags, limits, offset = 0, file = null } = request;
  if (request.length === 0) return EINVAL;
  const length = pageCeil(request.length);
  if (!(length > 0 && length <= USER_END)) return ENOMEM;
  if (offset % PAGE_BYTES !== 0) return EINVAL;
  const isShared = (flags & MAP.shared) !== 0;
  const address = placeFor(kernel, mm, request, length);
  if (failed(address)) return address;
  if (mm.vmas.length >= kernel.memory.tunables.maxMapCount) return ENOMEM;
  let space = request.space ?? file?.inode.pages ?? null;
  if (space === null && isShared) space = newSharedSpace(length);
  const vmaFlags = flagsFor(mm, request, file, isShared);
  const pages = length / PAGE_BYTES;
  const replaced = (flags & MAP.fixed) !== 0 ? pagesIn(mm, address, address + length) : 0;
  if ((mm.totalPages - replaced + pages) * PAGE_BYTES > limitOf(limits, RLIMIT.as)) return ENOMEM;
  if (isDataVma(vmaFlags) && (mm.dataPages + pages) * PAGE_BYTES > limitOf(limits, RLIMIT.data))
    return ENOMEM;
  if (vmaFlags.locked && request.mayLock !== true) {
    if (limitOf(limits, RLIMIT.memlock) === 0) return EPERM;
    if ((mm.lockedPages + pages) * PAGE_BYTES > limitOf(limits, RLIMIT.memlock)) return EAGAIN;
  }
  vmaFlags.accounted = isAccounted(kernel, vmaFlags, space, flags);
  if (vmaFlags.accounted && !hasCommitRoom(kernel, pages)) return ENOMEM;
  if (replaced > 0 || hasVmaIn(mm, address, address + length)) {
    const removed = unmapMemory(kernel, mm, address, length);
    if (failed(removed)) return removed;
  }
  if (vmaFlags.accounted) kernel.memory.committedPages += pages;
  if (file !== null) fileReferences.get(kernel, file);
  insertVma(kernel, mm, {
    start: address,
    end: address + length,
    flags: vmaFlags,
    file,
    offset: space === null ? 0 : offset,
    space,
    hasAnon: false,
  });
  mergeAround(kernel, mm, address, address + length);
  if (vmaFlags.locked || ((flags & MAP.populate) !== 0 && (flags & MAP.nonBlock) === 0))
    populateRange(kernel, mm, address, address + length);
  return address;
}

function flagsFor(mm: Mm, request: MapRequest, file: OpenFile | null, isShared: boolean): VmaFlags {
  const { protection, flags, name = '' } = request;
  const isSharedAnonymous = isShared && file === null && request.space == null;
  return {
    read: (protection & PROT.read) !== 0,
    write: (protection & PROT.write) !== 0,
    execute: (protection & PROT.execute) !== 0,
    shared: isShared,
    growsDown: (flags & MAP.growsDown) !== 0,
    locked: (flags & MAP.locked) !== 0 || mm.lockFuture,
    dontFork: false,
    name: name === '' && isSharedAnonymous ? '/dev/zero (deleted)' : name,
    mayRead: true,
    mayWrite: !(isShared && file !== null && !file.writable),
    mayExecute: true,
    accounted: false,
    noReserve: (flags & MAP.noReserve) !== 0,
    dontDump: false,
    wipeOnFork: false,
    advice: '',
  };
}

/** Counts against the commit limit: private and writable, or shared memory without a file. */
function isAccounted(kernel: Kernel, flags: VmaFlags, space: AddressSpace | null, mapFlags: number): boolean {
  const { overcommitMemory } = kernel.memory.tunables;
  if ((mapFlags & MAP.noReserve) !== 0 && overcommitMemory !== 2) return false;
  if (flags.shared) return space?.operations === 'shared-anonymous';
  return flags.write;
}

/** __vm_enough_memory. */
export function hasCommitRoom(kernel: Kernel, pages: number): boolean {
  const { memory } = kernel;
  const { overcommitMemory } = memory.tunables;
  if (overcommitMemory === 1) return true;
  if (overcommitMemory === 0) return pages <= memory.managedPages + memory.swap.totalSlots;
  return memory.committedPages + pages <= commitLimit(kernel);
}

/** CommitLimit of /proc/meminfo, in pages. */
export function commitLimit(kernel: Kernel): number {
  const { managedPages, swap, tunables } = kernel.memory;
  const share =
    tunables.overcommitKbytes > 0
      ? tunables.overcommitKbytes >> 2
      : Math.floor((managedPages * tunables.overcommitRatio) / 100);
  return share + swap.totalSlots;
}

function pagesIn(mm: Mm, start: number, end: number): number {
  let bytes = 0;
  for (let index = vmaIndex(mm, start); ; index++) {
    const vma = mm.vmas[index];
    if (vma === undefined || vma.start >= end) return bytes / PAGE_BYTES;
    bytes += Math.min(end, vma.end) - Math.max(start, vma.start);
  }
}

function placeFor(kernel: Kernel, mm: Mm, request: MapRequest, length: number): number | Failure {
  const { flags } = request;
  const isFixed = (flags & (MAP.fixed | MAP.fixedNoReplace)) !== 0;
  if (isFixed) {
    const { address } = request;
    if (address % PAGE_BYTES !== 0) return EINVAL;
    if (address + length > USER_END) return ENOMEM;
    if (address < kernel.memory.tunables.mmapMinAddr && request.limits !== undefined) return EPERM;
    if ((flags & MAP.fixedNoReplace) !== 0 && hasVmaIn(mm, address, address + length)) return EEXIST;
    return address;
  }
  const hint = pageFloor(request.address);
  if (hint >= LOWEST && hint + length <= USER_END && isFree(mm, hint, hint + length)) return hint;
  return findGap(mm, length);
}

/** Free, with the guard gap below a stack that could grow. */
function isFree(mm: Mm, start: number, end: number): boolean {
  const vma = mm.vmas[vmaIndex(mm, start)];
  return vma === undefined || end <= vma.start - (vma.flags.growsDown ? GUARD_BYTES : 0);
}

/** The highest gap below mmapBase, else the lowest above it. */
export function findGap(mm: Mm, length: number): number | Failure {
  let limit = mm.mmapBase;
  for (let index = vmaIndex(mm, mm.mmapBase - 1); index >= 0; index--) {
    const vma = mm.vmas[index];
    if (vma === undefined || vma.start >= limit) {
      if (vma !== undefined) limit = Math.min(limit, vma.start - (vma.flags.growsDown ? GUARD_BYTES : 0));
      continue;
    }
    if (limit - vma.end >= length) return limit - length;
    limit = vma.start - (vma.flags.growsDown ? GUARD_BYTES : 0);
  }
  if (limit - length >= LOWEST) return limit - length;
  let low = mm.mmapBase;
  for (let index = vmaIndex(mm, low); ; index++) {
    const vma = mm.vmas[index];
    const end = vma === undefined ? USER_END : vma.start - (vma.flags.growsDown ? GUARD_BYTES : 0);
    if (end - low >= length) return low;
    if (vma === undefined) return ENOMEM;
    low = Math.max(low, vma.end);
  }
}

/** Removes whatever is mapped in the range. */
export function unmapMemory(kernel: Kernel, mm: Mm, address: number, length: number): number | Failure {
  if (address % PAGE_BYTES !== 0 || length === 0 || !(address >= 0 && address + length <= USER_END))
    return EINVAL;
  const end = address + pageCeil(length);
  const first = mm.vmas[vmaIndex(mm, address)];
  if (first === undefined || first.start >= end) return 0;
  const splits = first.start < address && first.end > end;
  if (splits && mm.vmas.length >= kernel.memory.tunables.maxMapCount) return ENOMEM;
  const doomed = isolateRange(kernel, mm, address, end);
  zapRange(kernel, mm, address, end);
  for (const vma of doomed) {
    if (vma.flags.accounted) kernel.memory.committedPages -= (vma.end - vma.start) / PAGE_BYTES;
    removeVma(kernel, mm, vma);
  }
  dropReservations(kernel.memory, mm, address / PAGE_BYTES, end / PAGE_BYTES, (from, to) =>
    hasVmaIn(mm, from * PAGE_BYTES, to * PAGE_BYTES),
  );
  freeEmptyTables(kernel, mm, address, end); // their last entries were flushed when they were emptied
  return 0;
}

/** mprotect. Earlier vmas stay changed when a later one refuses, as on Linux. */
export function protectMemory(
  kernel: Kernel,
  mm: Mm,
  address: number,
  length: number,
  protection: number,
  limits?: readonly Rlimit[],
): number | Failure {
  if (address % PAGE_BYTES !== 0) return EINVAL;
  if (length === 0) return 0;
  const end = address + pageCeil(length);
  if (!(end > address && end <= USER_END)) return ENOMEM;
  const first = mm.vmas[vmaIndex(mm, address)];
  if (first === undefined || first.start > address) return ENOMEM;
  let start = address;
  if ((protection & PROT.growsDown) !== 0) {
    if (!first.flags.growsDown) return EINVAL;
    start = first.start;
  }
  const read = (protection & PROT.read) !== 0;
  const write = (protection & PROT.write) !== 0;
  const execute = (protection & PROT.execute) !== 0;
  for (let at = start; at < end;) {
    const vma = mm.vmas[vmaIndex(mm, at)];
    if (vma === undefined || vma.start > at) return finishProtect(kernel, mm, start, at, ENOMEM);
    const upTo = Math.min(end, vma.end);
    if (
      (read && !vma.flags.mayRead) ||
      (write && !vma.flags.mayWrite) ||
      (execute && !vma.flags.mayExecute)
    ) {
      return finishProtect(kernel, mm, start, at, EACCES);
    }
    if (vma.flags.read !== read || vma.flags.write !== write || vma.flags.execute !== execute) {
      const pages = (upTo - at) / PAGE_BYTES;
      const becomesData = write && !vma.flags.write && !vma.flags.shared && !vma.flags.growsDown;
      if (becomesData && (mm.dataPages + pages) * PAGE_BYTES > limitOf(limits, RLIMIT.data))
        return finishProtect(kernel, mm, start, at, ENOMEM);
      const accounts = becomesData && !vma.flags.accounted && !vma.flags.noReserve;
      if (accounts && !hasCommitRoom(kernel, pages)) return finishProtect(kernel, mm, start, at, ENOMEM);
      for (const part of isolateRange(kernel, mm, at, upTo)) {
        accountVma(mm, part, -1);
        part.flags.read = read;
        part.flags.write = write;
        part.flags.execute = execute;
        if (accounts) {
          part.flags.accounted = true;
          kernel.memory.committedPages += (part.end - part.start) / PAGE_BYTES;
        }
        accountVma(mm, part, 1);
        changeEntries(kernel, mm, part);
      }
    }
    at = upTo;
  }
  return finishProtect(kernel, mm, start, end, 0);
}

function finishProtect(
  kernel: Kernel,
  mm: Mm,
  start: number,
  end: number,
  result: number | Failure,
): number | Failure {
  if (end > start) {
    mergeAround(kernel, mm, start, end);
    flushRange(kernel, mm, start, end - PAGE_BYTES);
  }
  return result;
}

/** Brings the entries of a vma in line with its protection. */
function changeEntries(kernel: Kernel, mm: Mm, vma: Vma): void {
  const { memory } = kernel;
  const { read, write, execute } = vma.flags;
  const high = highFor(vma);
  visitPtes(kernel, mm, vma.start, vma.end, (pte, low) => {
    if (!isMapped(low)) return;
    const frame = frameOf(low);
    const kept = ((frame << 12) | (low & (PTE.accessed | PTE.dirty)) | PTE.user) >>> 0;
    if (!read && !write && !execute) {
      writePte(kernel, pte, (kept | NO_ACCESS) >>> 0, high);
      return;
    }
    // A page that nobody shares can be written at once; others fault first (copy-on-write, page_mkwrite).
    const isOwn =
      ((memory.flags[frame] ?? 0) & (PG.anon | PG.swapCache)) === PG.anon && memory.mapCount[frame] === 1;
    const writable = write && ((low & PTE.write) !== 0 || (isOwn && !vma.flags.shared));
    writePte(kernel, pte, (kept | PTE.present | (writable ? PTE.write : 0)) >>> 0, high);
  });
}

/** brk: gives the new end of the heap, or the old one when it cannot be. */
export function setBrk(kernel: Kernel, mm: Mm, wanted: number, limits?: readonly Rlimit[]): number {
  if (wanted < mm.startBrk) return mm.brk;
  const oldEnd = pageCeil(mm.brk);
  const newEnd = pageCeil(wanted);
  const dataBytes = wanted - mm.startBrk + (mm.endData - mm.startData);
  if (dataBytes > limitOf(limits, RLIMIT.data)) return mm.brk;
  if (newEnd < oldEnd) {
    if (failed(unmapMemory(kernel, mm, newEnd, oldEnd - newEnd))) return mm.brk;
  } else if (newEnd > oldEnd) {
    const next = mm.vmas[vmaIndex(mm, oldEnd)];
    if (next !== undefined && newEnd + PAGE_BYTES > next.start - (next.flags.growsDown ? GUARD_BYTES : 0))
      return mm.brk;
    const made = mapMemory(kernel, mm, {
      address: oldEnd, length: newEnd - oldEnd, protection: PROT.read | PROT.write,
      flags: MAP.private | MAP.anonymous | MAP.fixed, name: '[heap]', ...(limits === undefined ? {} : { limits }),
    }); // prettier-ignore
    if (failed(made)) return mm.brk;
  }
  mm.brk = wanted;
  return wanted;
}
