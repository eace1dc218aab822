// An address space: the cached pages of one file, block device or shared-memory object, and how its pages are read and
// written. A page is named by its index (file offset / 4096). Behaviour is found by name: folders above mm add theirs.
import type { Failure } from '../abi/errno.ts';
import type { Kernel } from '../state.ts';
import type { Reservation } from './reservation.ts';

export interface AddressSpace {
  /** Name of the entry in addressSpaceOperations. */
  readonly operations: string;
  /** The owner's key, known to the operations: an inode, a device name, a swap area's index. Plain data. */
  readonly host: unknown;
  /** Page index → frame number. */
  pages: Map<number, number>;
  /** Indexes of dirty pages. */
  dirty: Set<number>;
  /** Indexes under write-back. */
  writeback: Set<number>;
  /** An I/O error to report at the next fsync (0: none). */
  error: number;
  /** Vmas that map it. */
  mapCount: number;
  /** Number in kernel.memory.spaces; 0 until it has a page or a map. */
  id: number;
  /** Mm id → count of its vmas that map this space: where rmap looks. */
  mappers: Map<number, number>;
  /** When its oldest dirty page became dirty (virtual ns). */
  dirtiedNs: number;
  /** Pages of shared memory that are in swap: index → swap entry. */
  swapped: Map<number, number>;
  /** Frames kept for pages of a mapped file (reservation.ts), by index / 512. */
  reservations: Map<number, Reservation[]>;
  /** Evicted pages: index → eviction clock, for workingset detection. */
  shadows: Map<number, number>;
}

export interface AddressSpaceOperations {
  /**
   * Starts filling locked, not-yet-uptodate frames for `count` pages from `first`. The I/O's completion calls
   * finishRead(kernel, space, index, ok) of mm/page-cache for each. Gives 0 when started or done at once, or a Failure
   * (EIO), or BLOCKED when it must first read its own metadata (the caller sleeps and starts over).
   */
  readPages(kernel: Kernel, space: AddressSpace, first: number, frames: readonly number[]): number | Failure;
  /** Starts writing dirty pages (marked writeback by the caller); completion calls finishWrite. Same results as readPages. */
  writePages(kernel: Kernel, space: AddressSpace, indexes: readonly number[]): number | Failure;
  /** Size in bytes, to bound read-ahead; Infinity for none. */
  sizeOf(kernel: Kernel, space: AddressSpace): number;
  /** Its pages live in memory and swap only (tmpfs, shared memory): they are never written back. */
  readonly swapBacked?: boolean;
  /** What the frame map and meminfo call its pages; 'file' when missing. 'buffers' for block devices. */
  readonly owner?: 'file' | 'buffers' | 'shmem';
  /**
   * A shared map is about to write to a page that was read-only in it (page_mkwrite): the file system makes room for it on
   * disk. 0, a Failure (ENOSPC gives SIGBUS), or BLOCKED.
   */
  makeWritable?(kernel: Kernel, space: AddressSpace, index: number): number | Failure;
  /** The last vma that mapped it is gone. */
  unmapped?(kernel: Kernel, space: AddressSpace): void;
}

export const addressSpaceOperations: Record<string, AddressSpaceOperations> = {};

export const newAddressSpace = (operations: string, host: unknown): AddressSpace => ({
  operations, host, pages: new Map(), dirty: new Set(), writeback: new Set(), error: 0, mapCount: 0,
  id: 0, mappers: new Map(), dirtiedNs: 0, swapped: new Map(), reservations: new Map(), shadows: new Map(),
}); // prettier-ignore
