// The free lists of the buddy system: taking blocks with splitting, giving them back with merging. What counts as free
// memory and who may have it is decided above (buddy.ts, reservation.ts).
import { addFirst, addLast, firstOf, freeList, unlinkFrame } from './frame-lists.ts';
import { MAX_ORDER, OWNER, PG, type MemoryState } from './memory-state.ts';
import { setOwner } from './owners.ts';

/** Takes a free block off the lists without handing it out: for reservations. -1 when there is none. */
export function takeBlock(memory: MemoryState, order: number): number {
  const { freeBlocks } = memory;
  for (let current = order; current <= MAX_ORDER; current++) {
    if (freeBlocks[current] === 0) continue;
    const frame = firstOf(memory, freeList(current));
    removeFree(memory, frame, current);
    for (let upper = current - 1; upper >= order; upper--)
      insertFree(memory, frame + (1 << upper), upper, 'first');
    return frame;
  }
  return -1;
}

/** Takes one given block, aligned to its size, when it is free in the lists; false when it is not. */
export function takeBlockAt(memory: MemoryState, wanted: number, wantedOrder: number): boolean {
  if (wanted < 0 || wanted >= memory.frameCount) return false;
  for (let order = wantedOrder; order <= MAX_ORDER; order++) {
    const head = wanted & ~((1 << order) - 1);
    if (((memory.flags[head] ?? 0) & PG.buddy) === 0 || memory.order[head] !== order) continue;
    removeFree(memory, head, order);
    for (let upper = order - 1, from = head; upper >= wantedOrder; upper--) {
      const half = 1 << upper;
      const wantsUpper = wanted >= from + half;
      insertFree(memory, wantsUpper ? from : from + half, upper, 'first');
      if (wantsUpper) from += half;
    }
    return true;
  }
  return false;
}

/** Sets the struct pages of a block that goes to its user. */
export function handOut(memory: MemoryState, frame: number, order: number, owner: number): void {
  if (order === 0) {
    memory.flags[frame] = 0;
    memory.refCount[frame] = 1;
  } else {
    const end = frame + (1 << order);
    memory.flags.fill(0, frame, end);
    memory.refCount.fill(1, frame, end);
  }
  setOwner(memory, frame, order, owner);
  memory.counters.pgalloc_dma32 += 1 << order;
}

/** Puts a block on the free lists, merging it with free buddies. Does not count it. */
export function freeBlock(memory: MemoryState, block: number, blockOrder: number): void {
  const { flags, mapping } = memory;
  setOwner(memory, block, blockOrder, OWNER.free);
  if (blockOrder === 0) {
    flags[block] = 0;
    mapping[block] = 0;
  } else {
    const end = block + (1 << blockOrder);
    flags.fill(0, block, end);
    mapping.fill(0, block, end);
  }
  let frame = block;
  let order = blockOrder;
  for (; order < MAX_ORDER; order++) {
    const buddy = frame ^ (1 << order);
    if (((flags[buddy] ?? 0) & PG.buddy) === 0 || memory.order[buddy] !== order) break;
    removeFree(memory, buddy, order);
    if (buddy < frame) frame = buddy;
  }
  insertFree(memory, frame, order, 'first');
}

export function insertFree(memory: MemoryState, frame: number, order: number, place: 'first' | 'last'): void {
  memory.flags[frame] = PG.buddy;
  memory.order[frame] = order;
  memory.freeBlocks[order] = (memory.freeBlocks[order] ?? 0) + 1;
  if (place === 'first') addFirst(memory, freeList(order), frame);
  else addLast(memory, freeList(order), frame);
}

function removeFree(memory: MemoryState, frame: number, order: number): void {
  memory.flags[frame] = 0;
  memory.order[frame] = 0;
  memory.freeBlocks[order] = (memory.freeBlocks[order] ?? 0) - 1;
  unlinkFrame(memory, frame);
}
