// The life of an mm: made at exec, copied at fork with copy-on-write page tables, freed with its last user.
import { ENOMEM, failed, type Failure } from '../abi/errno.ts';
import { PAGE_BYTES, USER_END } from '../abi/mman.ts';
import { PTE } from '../machine/index.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import type { Kernel } from '../state.ts';
import { freeFrames } from './buddy.ts';
import { PG } from './memory-state.ts';
import type { Mm, Vma } from './mm.ts';
import {
  countEntries,
  frameOf,
  freeEmptyTables,
  makePte,
  newRoot,
  SWAPPED,
  visitTables,
} from './page-table.ts';
import { flushMm, ramWords, storeWord } from './physical.ts';
import { dropReservations } from './reservation.ts';
import { addMapping } from './rmap.ts';
import { slabAllocate, slabFree } from './slab.ts';
import { duplicateSwap } from './swap.ts';
import { accountVma, fileReferences, linkSpace, releaseVma } from './vma.ts';
import { zapAll } from './zap.ts';

/** Where mmap starts to look downwards when nobody has set it: 128 MiB and a gap below the top. */
const DEFAULT_MMAP_BASE = 0x7fff_f7ff_f000;

/** An empty address space with one user. */
export function newMm(kernel: Kernel): Mm | Failure {
  const slot = slabAllocate(kernel, 'mm_struct');
  if (failed(slot)) return slot;
  const root = newRoot(kernel);
  if (failed(root)) {
    slabFree(kernel, 'mm_struct', slot);
    return root;
  }
  const { memory } = kernel;
  const id = ++memory.lastMmId;
  const mm: Mm = {
    id, users: 1, root, vmas: [], startCode: 0, endCode: 0, startData: 0, endData: 0, startBrk: 0, brk: 0, startStack: 0,
    argStart: 0, argEnd: 0, envStart: 0, envEnd: 0, mmapBase: DEFAULT_MMAP_BASE, auxv: new Uint8Array(0), exe: null,
    rss: { anon: 0, file: 0, shmem: 0, swap: 0 }, peakRssPages: 0, peakVmPages: 0, pageTablePages: 0, lockedPages: 0,
    cpuMask: 0, dumpable: true, family: id, totalPages: 0, dataPages: 0, stackPages: 0, execPages: 0, lockFuture: false,
    reservations: new Map(), swappedOut: false, slot,
  }; // prettier-ignore
  memory.mms.set(id, mm);
  memory.families.set(id, new Set([id]));
  return mm;
}

/** Which file runs in it (set_mm_exe_file). As long as one does, nobody may write to it; who calls knows that nobody does. */
export function setExe(kernel: Kernel, mm: Mm, file: OpenFile | null): void {
  const old = mm.exe;
  if (file !== null) {
    fileReferences.get(kernel, file);
    fileReferences.denyWrite(file);
  }
  mm.exe = file;
  if (old === null) return;
  fileReferences.allowWrite(old);
  fileReferences.put(kernel, old);
}

/** A copy for a child: the same vmas, the same pages, private ones write-protected in both. */
export function forkMm(kernel: Kernel, parent: Mm): Mm | Failure {
  const child = newMm(kernel);
  if (failed(child)) return child;
  const { memory } = kernel;
  memory.families.delete(child.id);
  const {
    startCode,
    endCode,
    startData,
    endData,
    startBrk,
    brk,
    startStack,
    argStart,
    argEnd,
    envStart,
    envEnd,
  } = parent;
  Object.assign(child, {
    family: parent.family, startCode, endCode, startData, endData, startBrk, brk, startStack, argStart, argEnd, envStart,
    envEnd, mmapBase: parent.mmapBase, auxv: parent.auxv, dumpable: parent.dumpable,
  }); // prettier-ignore
  child.family = parent.family;
  memory.families.get(parent.family)?.add(child.id);
  setExe(kernel, child, parent.exe);
  let protectedAny = false;
  for (const vma of parent.vmas) {
    if (vma.flags.dontFork) continue;
    const copy: Vma = { ...vma, flags: { ...vma.flags, locked: false } };
    child.vmas.push(copy);
    accountVma(child, copy, 1);
    if (copy.flags.accounted) memory.committedPages += (copy.end - copy.start) / PAGE_BYTES;
    if (copy.file !== null) fileReferences.get(kernel, copy.file);
    if (copy.space !== null) linkSpace(kernel, child, copy.space);
    // Pages of files are found again by faults; only what exists nowhere else must be copied (copy_page_range).
    if (vma.flags.wipeOnFork || (!vma.hasAnon && vma.space !== null)) continue;
    if (!copyEntries(kernel, parent, child, vma)) {
      flushMm(kernel, parent);
      putMm(kernel, child);
      return ENOMEM;
    }
    protectedAny = true;
  }
  if (protectedAny) flushMm(kernel, parent);
  return child;
}

function copyEntries(kernel: Kernel, parent: Mm, child: Mm, vma: Vma): boolean {
  let ok = true;
  visitTables(kernel, parent, vma.start, vma.end, (leaf, base, first, last) => {
    if (ok) ok = copyTable(kernel, child, vma, leaf, base, first, last);
  });
  return ok;
}

/** Entries `first` to `last` of one of the parent's last-level tables; false when there is no memory for the child's. */
function copyTable(
  kernel: Kernel,
  child: Mm,
  vma: Vma,
  leaf: number,
  base: number,
  first: number,
  last: number,
): boolean {
  const { memory } = kernel;
  const { flags, refCount } = memory;
  const isCow = !vma.flags.shared && vma.flags.mayWrite;
  const words = ramWords(kernel);
  let left = memory.mapCount[leaf >>> 12] ?? 0;
  let table = 0; // the child's, made when there is something to put into it
  let copied = 0;
  for (let index = first; index <= last && left > 0; index++) {
    const word = (leaf >>> 2) + index * 2;
    const low = words[word] ?? 0;
    if (low === 0) continue;
    left--;
    if (table === 0) {
      const pte = makePte(kernel, child, base + index * PAGE_BYTES);
      if (failed(pte)) return false;
      table = pte - index * 8;
    }
    const to = table + index * 8;
    const high = words[word + 1] ?? 0;
    copied++;
    storeWord(kernel, to + 4, high);
    if ((low & SWAPPED) !== 0) {
      storeWord(kernel, to, low);
      duplicateSwap(memory, high);
      child.rss.swap++;
      continue;
    }
    const frame = frameOf(low);
    let shared = low;
    if (isCow && (low & PTE.write) !== 0) {
      shared = (low & ~PTE.write) >>> 0;
      storeWord(kernel, leaf + index * 8, shared);
    }
    const isAnon = ((flags[frame] ?? 0) & PG.anon) !== 0;
    refCount[frame] = (refCount[frame] ?? 0) + 1;
    storeWord(kernel, to, isAnon ? shared : (shared & ~PTE.dirty) >>> 0);
    addMapping(kernel, child, frame);
  }
  if (copied > 0) countEntries(kernel, table, copied);
  return true;
}

/** Drops a user; the last one frees pages, tables and vmas. No CPU may run in it then. */
export function putMm(kernel: Kernel, mm: Mm): void {
  if (--mm.users > 0) return;
  const { memory } = kernel;
  zapAll(kernel, mm);
  dropReservations(memory, mm, 0, Infinity);
  freeEmptyTables(kernel, mm, 0, USER_END);
  for (const vma of mm.vmas) {
    if (vma.flags.accounted) memory.committedPages -= (vma.end - vma.start) / PAGE_BYTES;
    releaseVma(kernel, mm, vma);
  }
  mm.vmas.length = 0;
  setExe(kernel, mm, null);
  freeFrames(kernel, mm.root / PAGE_BYTES, 0);
  mm.root = 0;
  slabFree(kernel, 'mm_struct', mm.slot);
  memory.mms.delete(mm.id);
  const family = memory.families.get(mm.family);
  family?.delete(mm.id);
  if (family?.size === 0) memory.families.delete(mm.family);
}
