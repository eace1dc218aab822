// An address space: the cached pages of one file, block device or swap area, and how its pages are read and written.
// A page is named by its index (file offset / 4096). Behaviour is found by name: folders above mm add theirs.
import type { Failure } from '../abi/errno.ts';
import type { Kernel } from '../state.ts';

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
  /** Shared maps of this file, so that truncation and write protection find them: vmas are found through mm/rmap. */
  mapCount: number;
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
}

export const addressSpaceOperations: Record<string, AddressSpaceOperations> = {};

export const newAddressSpace = (operations: string, host: unknown): AddressSpace => ({
  operations, host, pages: new Map(), dirty: new Set(), writeback: new Set(), error: 0, mapCount: 0,
}); // prettier-ignore
