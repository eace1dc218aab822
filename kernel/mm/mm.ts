// The memory descriptor: a process's address space as vmas over page tables in guest RAM.
import type { OpenFile } from '../fs/vfs/open-file.ts';

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
}

export interface Vma {
  start: number;
  end: number;
  flags: VmaFlags;
  /** null: anonymous. The vma holds a reference (getFile/putFile of fs/vfs). */
  file: OpenFile | null;
  /** Byte offset in the file of `start`. */
  offset: number;
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
} // prettier-ignore
