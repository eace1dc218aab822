// MemoryState: all that mm keeps beside guest RAM. The struct page table is one typed array per field, indexed by frame;
// lists of frames (free lists of the buddy system, LRU lists) are rings through `next` and `prev`, their heads being the
// entries behind the last frame. There is one zone with memory: RAM ends below 4 GiB, so it is DMA32, as on Linux.
import type { BootConfig } from '../state.ts';
import { newWaitQueue, type WaitQueue } from '../sched/wait-queue.ts';
import type { AddressSpace } from './address-space.ts';
import type { Mm } from './mm.ts';
import { newPsi, type PsiState } from './psi-state.ts';
import type { Reservation } from './reservation.ts';
import type { SlabCache } from './slab-state.ts';
import type { SwapState } from './swap-state.ts';
import { newVmCounters, type VmCounters } from './vmstat.ts';

export const MAX_ORDER = 10;

/** Page flags, Linux's PG_*. */
export const PG = {
  locked: 1, referenced: 2, uptodate: 4, dirty: 8, lru: 0x10, active: 0x20, workingset: 0x40, error: 0x80,
  writeback: 0x100, swapCache: 0x200, swapBacked: 0x400, unevictable: 0x800, reclaim: 0x1000, readAhead: 0x2000,
  buddy: 0x4000, reservation: 0x8000, reserved: 0x1_0000, anon: 0x2_0000, fixed: 0x4_0000,
} as const; // prettier-ignore

/** What a frame is used for: colours the frame map on screen. */
export const OWNER = {
  free: 0, kernel: 1, pageTable: 2, slab: 3, anon: 4, file: 5, shmem: 6, buffers: 7, kernelStack: 8, pipe: 9, socket: 10,
  module: 11, kept: 12,
} as const; // prettier-ignore
export type OwnerKind = keyof typeof OWNER;
export const ownerNames: readonly OwnerKind[] = [
  'free', 'kernel', 'pageTable', 'slab', 'anon', 'file', 'shmem', 'buffers', 'kernelStack', 'pipe', 'socket', 'module', 'kept',
]; // prettier-ignore

/** LRU lists; the free list of order n is list LRU_COUNT + n. */
export const LRU = {
  inactiveAnon: 0,
  activeAnon: 1,
  inactiveFile: 2,
  activeFile: 3,
  unevictable: 4,
} as const;
export const LRU_COUNT = 5;
const LIST_COUNT = LRU_COUNT + MAX_ORDER + 1;

/** /proc/sys/vm. */
export interface MemoryTunables {
  overcommitMemory: number; // 0 heuristic, 1 always, 2 never
  overcommitRatio: number;
  overcommitKbytes: number;
  swappiness: number;
  dirtyRatio: number;
  dirtyBackgroundRatio: number;
  dirtyBytes: number;
  dirtyBackgroundBytes: number;
  dirtyWritebackCentisecs: number;
  dirtyExpireCentisecs: number;
  minFreeKbytes: number;
  watermarkScaleFactor: number;
  pageCluster: number;
  maxMapCount: number;
  vfsCachePressure: number;
  panicOnOom: number;
  oomKillAllocatingTask: number;
  oomDumpTasks: number;
  mmapMinAddr: number;
  /** Whole-process swapping as the other scheme beside paging. */
  processSwapping: number;
  /** Largest window of sequential read-ahead. */
  readAheadKbytes: number;
}

export interface MemoryState {
  readonly frameCount: number;
  /** Frames given to the kernel image at power-on. */
  reservedFrames: number;
  /** Frames that the buddy system manages. */
  managedPages: number;
  flags: Uint32Array;
  refCount: Int32Array;
  /** Page-table entries that map the frame; for a page-table frame the number of its entries in use. */
  mapCount: Int32Array;
  owner: Uint8Array;
  /** How many frames each owner has (owners.ts). */
  ownerPages: Int32Array;
  /** Frames that page-table entries map: NR_ANON_MAPPED and NR_FILE_MAPPED. */
  mapped: { anon: number; file: number };
  /** Order of a free block, at its first frame. */
  order: Uint8Array;
  next: Int32Array;
  prev: Int32Array;
  /** Id of the address space, or of the anonymous family (see rmap.ts), 0 for none. */
  mapping: Int32Array;
  /** Page index in the address space; for anonymous pages the linear page number in their vmas. */
  index: Float64Array;
  /** Swap entry + 1 of a page in the swap cache. */
  swapEntry: Int32Array;
  /** Free blocks by order. */
  freeBlocks: Int32Array;
  /** Free pages, those kept for a vma (reservation.ts) among them. */
  freePages: number;
  keptPages: number;
  lruPages: Int32Array;
  watermarks: { min: number; low: number; high: number };
  counters: VmCounters;
  tunables: MemoryTunables;
  slabs: Map<string, SlabCache>;
  reservations: Set<Reservation>;
  lastReservationId: number;
  mms: Map<number, Mm>;
  lastMmId: number;
  /** Address spaces that have pages, by id. */
  spaces: Map<number, AddressSpace>;
  lastSpaceId: number;
  /** Anonymous families: mms that may share anonymous pages after fork. */
  families: Map<number, Set<number>>;
  /** Tasks that wait for a page: frame → queue. */
  pageWaits: Map<number, WaitQueue>;
  /** Tasks that wait for free memory. */
  freeWait: WaitQueue;
  kswapdWait: WaitQueue;
  kswapdFailures: number;
  flusherWait: WaitQueue;
  /** Writers that are over the dirty limit. */
  dirtyWait: WaitQueue;
  flusherTimer: number;
  flushAllUntilNs: number;
  /** Ids of address spaces with dirty pages, oldest first. */
  dirtySpaces: Set<number>;
  dirtyPages: number;
  writebackPages: number;
  committedPages: number;
  lockedPages: number;
  /** Grows when reclaim unmaps a page: whoever holds physical addresses looks them up again. */
  unmapGeneration: number;
  /** Frames that page-cache calls gave out last: not reclaimed, for their users hold no reference. */
  recent: Int32Array;
  recentNext: number;
  /** Age clock of workingset detection: counts evictions and activations. */
  /** Tasks whose fault waits for the disk: when it is done it counts as major. */
  majorFaulters: Set<number>;
  evictionClock: number;
  swap: SwapState;
  psi: PsiState;
  /** The mm that whole-process swapping puts out at the moment, or 0. */
  leavingMm: number;
  oomKills: number;
  /** Process whose death the OOM killer waits for (0: none). */
  oomVictim: number;
}

/** The state at power-on: every frame free but those of the kernel image. buddy.ts must then fill the free lists. */
export function blankMemoryState(config: BootConfig): MemoryState {
  const frameCount = Math.floor(config.memoryBytes / 4096);
  const nodes = frameCount + LIST_COUNT;
  const state: MemoryState = {
    frameCount, reservedFrames: 0, managedPages: 0,
    flags: new Uint32Array(frameCount), refCount: new Int32Array(frameCount), mapCount: new Int32Array(frameCount),
    owner: new Uint8Array(frameCount), ownerPages: new Int32Array(ownerNames.length), mapped: { anon: 0, file: 0 }, order: new Uint8Array(frameCount),
    next: new Int32Array(nodes), prev: new Int32Array(nodes),
    mapping: new Int32Array(frameCount), index: new Float64Array(frameCount), swapEntry: new Int32Array(frameCount),
    freeBlocks: new Int32Array(MAX_ORDER + 1), freePages: 0, keptPages: 0, lruPages: new Int32Array(LRU_COUNT),
    watermarks: { min: 0, low: 0, high: 0 }, counters: newVmCounters(), tunables: newTunables(),
    slabs: new Map(), reservations: new Set(), lastReservationId: 0, mms: new Map(), lastMmId: 0, spaces: new Map(), lastSpaceId: 0,
    families: new Map(), pageWaits: new Map(), freeWait: newWaitQueue(), kswapdWait: newWaitQueue(), kswapdFailures: 0,
    flusherWait: newWaitQueue(), dirtyWait: newWaitQueue(), flusherTimer: 0, flushAllUntilNs: 0, dirtySpaces: new Set(),
    dirtyPages: 0, writebackPages: 0, committedPages: 0, lockedPages: 0, unmapGeneration: 0,
    recent: new Int32Array(16).fill(-1), recentNext: 0, majorFaulters: new Set(), evictionClock: 0,
    swap: { areas: [], cache: new Map(), freeSlots: 0, totalSlots: 0, shadows: new Map(), hits: 0, lastEntry: -1, lastWindow: 0 },
    psi: newPsi(), leavingMm: 0, oomKills: 0, oomVictim: 0,
  }; // prettier-ignore
  state.ownerPages[OWNER.free] = frameCount;
  for (let list = 0; list < LIST_COUNT; list++) {
    state.next[frameCount + list] = frameCount + list;
    state.prev[frameCount + list] = frameCount + list;
  }
  return state;
}

/** Defaults of Linux 6.1. */
const newTunables = (): MemoryTunables => ({
  overcommitMemory: 0, overcommitRatio: 50, overcommitKbytes: 0, swappiness: 60, dirtyRatio: 20, dirtyBackgroundRatio: 10,
  dirtyBytes: 0, dirtyBackgroundBytes: 0, dirtyWritebackCentisecs: 500, dirtyExpireCentisecs: 3000, minFreeKbytes: 0,
  watermarkScaleFactor: 10, pageCluster: 3, maxMapCount: 65_530, vfsCachePressure: 100, panicOnOom: 0,
  oomKillAllocatingTask: 0, oomDumpTasks: 1, mmapMinAddr: 65_536, processSwapping: 0, readAheadKbytes: 128,
}); // prettier-ignore
