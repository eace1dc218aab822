// Workingset detection for file pages (mm/workingset.c): an evicted page leaves a shadow, the age clock at its eviction. If it
// comes back before as many evictions have passed as there are pages that compete with it, it belonged to the working set and
// starts active.
import type { Kernel } from '../state.ts';
import type { AddressSpace } from './address-space.ts';
import { activatePage } from './lru.ts';
import { LRU, PG } from './memory-state.ts';

/** Shadows of one file; beyond that the oldest half is forgotten. */
const SHADOWS_PER_SPACE = 65_536;

export function leaveShadow(kernel: Kernel, space: AddressSpace, index: number): void {
  const { memory } = kernel;
  if (space.shadows.size >= SHADOWS_PER_SPACE) {
    let left = SHADOWS_PER_SPACE / 2;
    for (const old of space.shadows.keys()) {
      if (left-- <= 0) break;
      space.shadows.delete(old);
    }
  }
  space.shadows.set(index, memory.evictionClock++);
}

/** A page was read in: was it evicted too early? */
export function checkRefault(kernel: Kernel, space: AddressSpace, index: number, frame: number): void {
  const { memory } = kernel;
  const evictedAt = space.shadows.get(index);
  if (evictedAt === undefined) return;
  space.shadows.delete(index);
  memory.counters.workingset_refault_file++;
  const distance = memory.evictionClock - evictedAt;
  const { lruPages, swap } = memory;
  const anon = swap.freeSlots > 0 ? (lruPages[LRU.activeAnon] ?? 0) + (lruPages[LRU.inactiveAnon] ?? 0) : 0;
  if (distance > (lruPages[LRU.activeFile] ?? 0) + anon) return;
  memory.counters.workingset_activate_file++;
  memory.flags[frame] = (memory.flags[frame] ?? 0) | PG.workingset;
  activatePage(memory, frame);
}
