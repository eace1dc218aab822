// Numbers of mmap(2) and its relatives: include/uapi/asm-generic/mman*.h, linux/mman.h, and the user half of the address space.

export const PAGE_BYTES = 4096;
/** One past the last user address (4-level paging, TASK_SIZE_MAX). */
export const USER_END = 0x7fff_ffff_f000;

export const PROT = {
  none: 0,
  read: 1,
  write: 2,
  execute: 4,
  sem: 8,
  growsDown: 0x0100_0000,
  growsUp: 0x0200_0000,
} as const;

export const MAP = {
  shared: 0x01, private: 0x02, sharedValidate: 0x03, type: 0x0f, fixed: 0x10, anonymous: 0x20, growsDown: 0x100,
  denyWrite: 0x800, executable: 0x1000, locked: 0x2000, noReserve: 0x4000, populate: 0x8000, nonBlock: 0x1_0000,
  stack: 0x2_0000, hugeTlb: 0x4_0000, sync: 0x8_0000, fixedNoReplace: 0x10_0000, uninitialized: 0x400_0000,
} as const; // prettier-ignore

export const MREMAP = { mayMove: 1, fixed: 2, dontUnmap: 4 } as const;
export const MS = { async: 1, invalidate: 2, sync: 4 } as const;
export const MCL = { current: 1, future: 2, onFault: 4 } as const;
export const MLOCK_ONFAULT = 1;

export const MADV = {
  normal: 0, random: 1, sequential: 2, willNeed: 3, dontNeed: 4, free: 8, remove: 9, dontFork: 10, doFork: 11,
  mergeable: 12, unmergeable: 13, hugePage: 14, noHugePage: 15, dontDump: 16, doDump: 17, wipeOnFork: 18,
  keepOnFork: 19, cold: 20, pageOut: 21, populateRead: 22, populateWrite: 23, dontNeedLocked: 24, collapse: 25,
} as const; // prettier-ignore

/** Index into Process.rlimits, include/uapi/asm-generic/resource.h. */
export const RLIMIT = { data: 2, stack: 3, memlock: 8, as: 9 } as const;

/** swapon(2). */
export const SWAP_FLAG = { prefer: 0x8000, priorityMask: 0x7fff, discard: 0x1_0000 } as const;

export const pageFloor = (address: number): number => address - (address % PAGE_BYTES);
export const pageCeil = (address: number): number => pageFloor(address + PAGE_BYTES - 1);
