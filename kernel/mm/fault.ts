// Page faults: demand zero, file pages with fault-around, copy-on-write, swap-in, stack growth. A fault that must wait gives
// BLOCKED, and the instruction – or the kernel's access to user memory – is tried again.
//
//   0        try again                     EACCES   the vma forbids it (SEGV_ACCERR)
//   BLOCKED  the task sleeps               EIO      behind the end of the file, or a read error (SIGBUS)
//   EFAULT   no vma (SEGV_MAPERR)          ENOMEM   no memory, and nobody left to kill for it
import { EACCES, EFAULT, EIO, ENOMEM, BLOCKED, failed, type Failure } from '../abi/errno.ts';
import { PAGE_BYTES, RLIMIT, USER_END, pageFloor } from '../abi/mman.ts';
import { PAGE_FAULT, PTE } from '../machine/index.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { charge } from '../time/clock.ts';
import { ADDRESS, emit, isOn, tracepoint } from '../trace/tracepoint.ts';
import { addressSpaceOperations, type AddressSpace } from './address-space.ts';
import { allocateAnonFrame } from './allocate.ts';
import { putFrame } from './buddy.ts';
import { isSwapBacked } from './cache-pages.ts';
import { addToLru, markAccessed } from './lru.ts';
import { PG } from './memory-state.ts';
import type { Mm, Vma } from './mm.ts';
import { findPage, markDirty, noteMajor, readPage } from './page-cache.ts';
import {
  entryFor, findPte, frameOf, highFor, makePte, NO_ACCESS, SWAPPED, writePte, type EntryAccess,
} from './page-table.ts'; // prettier-ignore
import { copyFrame, flushPage, loadWord, storeWord, zeroFrame } from './physical.ts';
import { swapInProcess } from './process-swap.ts';
import { leaveMemoryStall } from './psi.ts';
import { addMapping, dropMapping, makeAnonymous } from './rmap.ts';
import { dropSwap, swapCount } from './swap.ts';
import { swapIn, tryFreeSlot } from './swap-in.ts';
import { accountVma, vmaIndex } from './vma.ts';
import { currentTask } from './waiting.ts';

const pageFaultUser = tracepoint('exceptions', 'page_fault_user', {
  address: ADDRESS,
  ip: ADDRESS,
  error_code: 'u32',
});

/** 'force' writes to private memory even where the vma forbids it (ptrace). */
export type Access = 'read' | 'write' | 'execute' | 'force';

const STACK_GUARD_BYTES = 256 * PAGE_BYTES;
const AROUND_PAGES = 16; // fault_around_bytes
/** After a fork few pages are copied, and the child often ends soon: long runs would be kept in vain. */
const COPIED_RUN_PAGES = 16;

/** A page fault of the CPU in user mode. */
export function handlePageFault(
  kernel: Kernel,
  task: Task,
  address: number,
  errorCode: number,
): number | Failure {
  if (task.mm === null) return EFAULT;
  if (isOn(kernel, pageFaultUser)) emit(kernel, pageFaultUser, { address, ip: 0, error_code: errorCode });
  charge(kernel, 'minorFault');
  if ((errorCode & PAGE_FAULT.reserved) !== 0) return EFAULT;
  const access =
    (errorCode & PAGE_FAULT.write) !== 0
      ? 'write'
      : (errorCode & PAGE_FAULT.instruction) !== 0
        ? 'execute'
        : 'read';
  return faultPage(kernel, task, task.mm, address, access);
}

/** Makes one page accessible, or says why not. `task` is whose memory it is, for its limits. */
export function faultPage(
  kernel: Kernel,
  task: Task | null,
  mm: Mm,
  address: number,
  access: Access,
): number | Failure {
  const { memory } = kernel;
  const current = currentTask(kernel); // whose time it takes, so whose fault it is, even in another's memory
  if (current !== null) leaveMemoryStall(kernel, current);
  if (!(address >= 0 && address < USER_END)) return EFAULT;
  const vma = vmaFor(kernel, task, mm, address);
  if (vma === undefined) return EFAULT;
  if (!allows(vma, access)) return EACCES;
  const result = resolve(kernel, mm, vma, pageFloor(address), access);
  if (result === BLOCKED) return result;
  if (failed(result)) {
    if (current !== null) memory.majorFaulters.delete(current.tid);
    return result;
  }
  memory.counters.pgfault++;
  if (current === null) return 0;
  if (memory.majorFaulters.size > 0 && memory.majorFaulters.delete(current.tid)) {
    memory.counters.pgmajfault++;
    current.majorFaults++;
  } else {
    current.minorFaults++;
  }
  return 0;
}

function allows(vma: Vma, access: Access): boolean {
  const { read, write, execute, shared, mayWrite } = vma.flags;
  if (access === 'write') return write;
  if (access === 'execute') return execute;
  if (access === 'force') return write || (!shared && mayWrite);
  return read || write || execute; // x86: what may be written or executed can be read
}

/** The vma that holds the address, after a stack above it has grown down to it. */
function vmaFor(kernel: Kernel, task: Task | null, mm: Mm, address: number): Vma | undefined {
  const index = vmaIndex(mm, address);
  const vma = mm.vmas[index];
  if (vma === undefined || vma.start <= address) return vma;
  if (!vma.flags.growsDown) return undefined;
  const start = pageFloor(address);
  const below = mm.vmas[index - 1];
  const belowIsOpen = below !== undefined && (below.flags.read || below.flags.write || below.flags.execute);
  if (belowIsOpen && !below.flags.growsDown && start - below.end < STACK_GUARD_BYTES) return undefined;
  if (below !== undefined && start < below.end) return undefined;
  if (start < kernel.memory.tunables.mmapMinAddr) return undefined;
  const limits = task?.process.rlimits;
  if (vma.end - start > (limits?.[RLIMIT.stack]?.current ?? Infinity)) return undefined;
  const growth = (vma.start - start) / PAGE_BYTES;
  if ((mm.totalPages + growth) * PAGE_BYTES > (limits?.[RLIMIT.as]?.current ?? Infinity)) return undefined;
  if (
    vma.flags.locked &&
    (mm.lockedPages + growth) * PAGE_BYTES > (limits?.[RLIMIT.memlock]?.current ?? Infinity)
  )
    return undefined;
  accountVma(mm, vma, -1);
  if (vma.file !== null || vma.space !== null) vma.offset -= vma.start - start;
  vma.start = start;
  accountVma(mm, vma, 1);
  if (vma.flags.accounted) kernel.memory.committedPages += growth;
  return vma;
}

function resolve(kernel: Kernel, mm: Mm, vma: Vma, address: number, access: Access): number | Failure {
  const pte = makePte(kernel, mm, address);
  if (failed(pte)) return pte;
  const low = loadWord(kernel, pte) >>> 0;
  const writes = access === 'write' || access === 'force';
  if (low === 0)
    return vma.space === null
      ? fillAnonymous(kernel, mm, vma, address, pte)
      : fillFromSpace(kernel, mm, vma, vma.space, address, pte, writes);
  if ((low & SWAPPED) !== 0) return fillFromSwap(kernel, mm, vma, address, pte, writes);
  if (writes && (low & PTE.write) === 0) {
    if (vma.space !== null && vma.flags.shared)
      return makeSharedWritable(kernel, vma, vma.space, address, pte, low);
    return copyOnWrite(kernel, mm, vma, address, pte, low);
  }
  // Another CPU was faster, or a TLB is behind.
  if ((low & NO_ACCESS) !== 0) writePte(kernel, pte, entryFor(frameOf(low), vma, 'read-only'), highFor(vma));
  flushPage(kernel, mm, address);
  return 0;
}

function fillAnonymous(kernel: Kernel, mm: Mm, vma: Vma, address: number, pte: number): number | Failure {
  const frame = allocateAnonFrame(kernel, mm, vma, address);
  if (failed(frame)) return frame;
  zeroFrame(kernel, frame);
  charge(kernel, 'zeroPage');
  mapAnonymous(kernel, mm, vma, address, pte, frame);
  return 0;
}

/** Maps a fresh frame, writable if the vma is; its one reference goes to the entry. */
function mapAnonymous(kernel: Kernel, mm: Mm, vma: Vma, address: number, pte: number, frame: number): void {
  const { memory } = kernel;
  vma.hasAnon = true;
  makeAnonymous(kernel, mm, frame, address);
  if (vma.flags.locked) memory.flags[frame] = (memory.flags[frame] ?? 0) | PG.unevictable;
  writePte(kernel, pte, entryFor(frame, vma, 'dirty'), highFor(vma));
  addMapping(kernel, mm, frame);
  addToLru(memory, frame);
}

const indexIn = (vma: Vma, address: number): number => (vma.offset + address - vma.start) / PAGE_BYTES;

function fillFromSpace(
  kernel: Kernel,
  mm: Mm,
  vma: Vma,
  space: AddressSpace,
  address: number,
  pte: number,
  writes: boolean,
): number | Failure {
  const { memory } = kernel;
  const index = indexIn(vma, address);
  const operations = addressSpaceOperations[space.operations];
  if (operations === undefined || index * PAGE_BYTES >= operations.sizeOf(kernel, space)) return EIO;
  const frame = readPage(kernel, space, index, hintFor(vma));
  if (failed(frame)) return frame === ENOMEM || frame === BLOCKED ? frame : EIO;
  if (writes && !vma.flags.shared) return copyInto(kernel, mm, vma, address, pte, 0, frame);
  let entryAccess: EntryAccess = vma.flags.shared && isSwapBacked(space) ? 'writable' : 'read-only';
  if (writes) {
    const allowed = allowWrite(kernel, space, index);
    if (failed(allowed)) return allowed;
    entryAccess = 'dirty';
  }
  memory.refCount[frame] = (memory.refCount[frame] ?? 0) + 1;
  writePte(kernel, pte, entryFor(frame, vma, entryAccess), highFor(vma));
  addMapping(kernel, mm, frame);
  if (!writes) mapAround(kernel, mm, vma, space, address);
  return 0;
}

const hintFor = (vma: Vma) =>
  vma.flags.advice === 'random'
    ? undefined
    : vma.flags.advice === 'sequential'
      ? vma.file?.readAhead
      : 'around';

/** page_mkwrite: the file system makes room, and the page is dirty from now on. */
function allowWrite(kernel: Kernel, space: AddressSpace, index: number): number | Failure {
  const allowed = addressSpaceOperations[space.operations]?.makeWritable?.(kernel, space, index) ?? 0;
  if (failed(allowed)) return allowed === BLOCKED || allowed === ENOMEM ? allowed : EIO;
  markDirty(kernel, space, index);
  return 0;
}

function makeSharedWritable(
  kernel: Kernel,
  vma: Vma,
  space: AddressSpace,
  address: number,
  pte: number,
  low: number,
): number | Failure {
  const allowed = allowWrite(kernel, space, indexIn(vma, address));
  if (failed(allowed)) return allowed;
  if (loadWord(kernel, pte) >>> 0 !== low) return 0; // reclaimed meanwhile: the fault comes again
  storeWord(kernel, pte, entryFor(frameOf(low), vma, 'dirty')); // more is allowed: no TLB is wrong (SDM 3A 4.10.4.3)
  return 0;
}

/** Maps the cached pages around a read fault, as long as they are there (do_fault_around). */
function mapAround(kernel: Kernel, mm: Mm, vma: Vma, space: AddressSpace, address: number): void {
  const { memory } = kernel;
  const block = AROUND_PAGES * PAGE_BYTES;
  const first = Math.max(vma.start, address - (address % block));
  const end = Math.min(vma.end, address - (address % block) + block);
  let at = findPte(kernel, mm.root, first); // the block lies in one table
  for (let page = first; page < end; page += PAGE_BYTES, at += 8) {
    if (page === address || loadWord(kernel, at) !== 0) continue;
    const frame = findPage(kernel, space, indexIn(vma, page));
    if (frame < 0) continue;
    memory.refCount[frame] = (memory.refCount[frame] ?? 0) + 1;
    writePte(kernel, at, entryFor(frame, vma, 'read-only'), highFor(vma));
    addMapping(kernel, mm, frame);
  }
}

/** A write to a private page that is mapped read-only. */
function copyOnWrite(
  kernel: Kernel,
  mm: Mm,
  vma: Vma,
  address: number,
  pte: number,
  low: number,
): number | Failure {
  const { memory } = kernel;
  const frame = frameOf(low);
  const flags = memory.flags[frame] ?? 0;
  if (
    (flags & PG.anon) !== 0 &&
    memory.mapCount[frame] === 1 &&
    tryFreeSlot(kernel, frame, true) &&
    memory.refCount[frame] === 1
  ) {
    // The last user takes the page over.
    memory.counters.pgreuse++;
    makeAnonymous(kernel, mm, frame, address);
    writePte(kernel, pte, entryFor(frame, vma, 'dirty'), highFor(vma)); // as there, nothing to flush
    return 0;
  }
  return copyInto(kernel, mm, vma, address, pte, low, frame);
}

/** Gives the page a private copy of a frame. `low` is the entry that the copy replaces (0: none). */
function copyInto(
  kernel: Kernel,
  mm: Mm,
  vma: Vma,
  address: number,
  pte: number,
  low: number,
  source: number,
): number | Failure {
  const { memory } = kernel;
  memory.refCount[source] = (memory.refCount[source] ?? 0) + 1; // making room must not free it
  const isForked = ((memory.flags[source] ?? 0) & PG.anon) !== 0;
  const copy = allocateAnonFrame(kernel, mm, vma, address, isForked ? COPIED_RUN_PAGES : Infinity);
  if (failed(copy) || loadWord(kernel, pte) >>> 0 !== low) {
    putFrame(kernel, source);
    if (failed(copy)) return copy;
    putFrame(kernel, copy);
    return 0; // the entry changed while memory was made: the fault comes again
  }
  copyFrame(kernel, copy, source);
  charge(kernel, 'copyPage');
  if (low !== 0) {
    writePte(kernel, pte, 0, 0);
    dropMapping(kernel, mm, source);
    putFrame(kernel, source);
  }
  mapAnonymous(kernel, mm, vma, address, pte, copy);
  if (low !== 0) flushPage(kernel, mm, address); // a missing entry is in no TLB
  putFrame(kernel, source);
  return 0;
}

function fillFromSwap(
  kernel: Kernel,
  mm: Mm,
  vma: Vma,
  address: number,
  pte: number,
  writes: boolean,
): number | Failure {
  const { memory } = kernel;
  if (mm.swappedOut) {
    swapInProcess(kernel, mm);
    noteMajor(kernel);
  }
  const entry = loadWord(kernel, pte + 4) >>> 0;
  const frame = swapIn(kernel, entry, () => noteMajor(kernel));
  if (failed(frame)) return frame;
  const index = address / PAGE_BYTES;
  const isElsewhere =
    (memory.mapCount[frame] ?? 0) > 0 &&
    (memory.mapping[frame] !== mm.family || memory.index[frame] !== index);
  if (isElsewhere) return copyFromSwapCache(kernel, mm, vma, address, pte, frame, entry);
  makeAnonymous(kernel, mm, frame, address);
  memory.refCount[frame] = (memory.refCount[frame] ?? 0) + 1;
  mm.rss.swap--;
  addMapping(kernel, mm, frame);
  vma.hasAnon = true;
  const left = swapCount(memory, entry) - 1;
  const isOnlyUser = left === 0 && memory.mapCount[frame] === 1;
  const entryAccess = !isOnlyUser ? 'read-only' : writes ? 'dirty' : 'writable';
  writePte(kernel, pte, entryFor(frame, vma, entryAccess), highFor(vma));
  dropSwap(kernel, entry);
  if (isOnlyUser) tryFreeSlot(kernel, frame, writes);
  markAccessed(memory, frame);
  return 0;
}

/** The frame is mapped by others under another address: this one gets a copy of its own. */
function copyFromSwapCache(
  kernel: Kernel,
  mm: Mm,
  vma: Vma,
  address: number,
  pte: number,
  frame: number,
  entry: number,
): number | Failure {
  const { memory } = kernel;
  memory.refCount[frame] = (memory.refCount[frame] ?? 0) + 1;
  const copy = allocateAnonFrame(kernel, mm, vma, address);
  if (!failed(copy)) {
    copyFrame(kernel, copy, frame);
    mm.rss.swap--;
    mapAnonymous(kernel, mm, vma, address, pte, copy);
    dropSwap(kernel, entry);
  }
  putFrame(kernel, frame);
  return failed(copy) ? copy : 0;
}

/** swapoff brings a page back that nobody has touched. */
export function restoreSwapped(
  kernel: Kernel,
  mm: Mm,
  vma: Vma,
  address: number,
  pte: number,
): number | Failure {
  return fillFromSwap(kernel, mm, vma, address, pte, false);
}
