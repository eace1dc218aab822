/**
 * Hands out blocks from the front of the disk to its end, in runs that step over the groups' own tables.
 * A run is at most 32768 blocks, the longest that one extent can name.
 */
import type { Layout } from './layout.ts';

export interface Run {
  readonly first: number;
  readonly count: number;
}

export interface Allocator {
  readonly layout: Layout;
  next: number;
}

const MAX_EXTENT_BLOCKS = 32768;

export function newAllocator(layout: Layout): Allocator {
  return { layout, next: layout.groups[0]?.firstData ?? 0 };
}

export function allocate(allocator: Allocator, blockCount: number): Run[] {
  const runs: Run[] = [];
  let left = blockCount;
  while (left > 0) {
    const group = allocator.layout.groups.find((g) => allocator.next < g.firstBlock + g.blockCount);
    if (group === undefined) throw new Error('The files do not fit on a disk of this size.');
    allocator.next = Math.max(allocator.next, group.firstData);
    const count = Math.min(left, group.firstBlock + group.blockCount - allocator.next, MAX_EXTENT_BLOCKS);
    runs.push({ first: allocator.next, count });
    allocator.next += count;
    left -= count;
  }
  return runs;
}

/** Whether a block is taken, by a group's tables or by a file. */
export function isAllocated(allocator: Allocator, block: number): boolean {
  if (block < allocator.next) return true;
  return allocator.layout.groups.some((g) => block >= g.firstBlock && block < g.firstData);
}
