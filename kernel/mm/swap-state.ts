// Records of swapping: areas with a use count per slot, and the swap cache. A swap entry is area * 2^26 + slot; slot 0 of
// an area is its header. swap.ts changes them.

export const SLOTS_PER_AREA = 0x400_0000;

export interface SwapArea {
  readonly index: number;
  /** As /proc/swaps shows it. */
  readonly path: string;
  /** Block device name, known to the swap backend. */
  readonly device: string;
  /** 4096-byte block number of a slot is firstBlock + slot. */
  readonly firstBlock: number;
  readonly slots: number;
  priority: number;
  /** Page-table entries (and shmem indexes) that name the slot; BAD_SLOT cannot be used. */
  map: Uint16Array;
  used: number;
  /** Where the search for a free slot goes on. */
  hint: number;
  /** False while swapoff empties it. */
  writable: boolean;
}

export const BAD_SLOT = 0xffff;

export interface SwapState {
  areas: (SwapArea | null)[];
  /** Swap entry → frame. */
  cache: Map<number, number>;
  freeSlots: number;
  totalSlots: number;
  /** Workingset shadows of evicted anonymous pages: entry → eviction clock. */
  shadows: Map<number, number>;
  /** Read-ahead: hits since the last read, the last entry read, the last window. */
  hits: number;
  lastEntry: number;
  lastWindow: number;
}
