// The memory descriptor: a process's address space as vmas over page tables in guest RAM.
import type { OpenFile } from '../fs/vfs/open-file.ts';
import type { AddressSpace } from './address-space.ts';
import type { Reservation } from './reservation.ts';
import type { Site } from './sites.ts';

/** PROT_* of a vma plus how it behaves. */
export interface VmaFlags {
  read: boolean;
  write: boolean;
  execute: boolean;
  shared: boolean;
  growsDown: boolean;
  locked: boolean;
  dontFork: boolean;
  /** '' or '[heap]', '[stack]', '[vdso]', '[vvar]' … as /proc/PID/maps shows. */
  name: string;
  /** mprotect may add these (VM_MAYREAD, VM_MAYWRITE, VM_MAYEXEC). */
  mayRead: boolean;
  mayWrite: boolean;
  mayExecute: boolean;
  /** Counts against the commit limit. */
  accounted: boolean;
  noReserve: boolean;
  dontDump: boolean;
  wipeOnFork: boolean;
  /** madvise(MADV_RANDOM / MADV_SEQUENTIAL). */
  advice: '' | 'random' | 'sequential';
}

export interface Vma {
  start: number;
  end: number;
  flags: VmaFlags;
  /** null: anonymous. The vma holds a reference (getFile/putFile of fs/vfs). */
  file: OpenFile | null;
  /** Byte offset in the file of `start`. For anonymous memory the address where it was first mapped (/proc shows 0). */
  offset: number;
  /** The pages that it maps: the file's, or those of shared anonymous memory; null: private anonymous memory. */
  space: AddressSpace | null;
  /** Has private pages of its own (Linux's anon_vma). */
  hasAnon: boolean;
}

export interface Mm {
  readonly id: number;
  users: number; // tasks that share it
  /** Physical address of the top-level page table. */
  root: number;
  /** Sorted by start, never overlapping. */
  vmas: Vma[];
  startCode: number; endCode: number; startData: number; endData: number;
  startBrk: number; brk: number; startStack: number;
  argStart: number; argEnd: number; envStart: number; envEnd: number;
  mmapBase: number;
  /** The auxiliary vector as given at exec, for /proc/PID/auxv. */
  auxv: Uint8Array;
  exe: OpenFile | null;
  /** Resident pages by kind, and pages in swap. */
  rss: { anon: number; file: number; shmem: number; swap: number };
  peakRssPages: number;
  peakVmPages: number;
  pageTablePages: number;
  lockedPages: number;
  /** CPUs whose TLB may hold entries of this mm, bit i. */
  cpuMask: number;
  dumpable: boolean;
  /** Processes that came from each other by fork without exec share anonymous pages: they are one family. */
  family: number;
  /** VmSize in pages, and its parts: VmData, VmStk, VmExe+VmLib. */
  totalPages: number;
  dataPages: number;
  stackPages: number;
  execPages: number;
  /** mlockall(MCL_FUTURE). */
  lockFuture: boolean;
  /** Kept frames (reservation.ts) by virtual page number / 512. */
  reservations: Map<number, Reservation[]>;
  /** Where its large vmas are to lie (sites.ts). */
  sites?: Site[];
  /** Whole-process swapping: the process is out until it is swapped in again. */
  swappedOut: boolean;
  /** Its slot in the slab cache mm_struct. */
  readonly slot: number;
} // prettier-ignore
