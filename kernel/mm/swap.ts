// Swap slots and the swap cache. A slot's count is the number of page-table entries (and shared-memory indexes) that name
// it; HAS_CACHE says that a frame in the swap cache holds, or is getting, its content. A slot is free when both are gone.
import { assert } from '../lib/assert.ts';
import type { Kernel } from '../state.ts';
import { putFrame } from './buddy.ts';
import { PG, type MemoryState } from './memory-state.ts';
import { SLOTS_PER_AREA, type SwapArea } from './swap-state.ts';

const HAS_CACHE = 0x4000;
const COUNT = 0x3fff;

export const areaOf = (memory: MemoryState, entry: number): SwapArea | null =>
  memory.swap.areas[Math.floor(entry / SLOTS_PER_AREA)] ?? null;
export const slotOf = (entry: number): number => entry % SLOTS_PER_AREA;

/** Takes a slot of the area with the highest priority, next to the last one taken; -1 when swap is full. */
export function allocateSlot(memory: MemoryState): number {
  if (memory.swap.freeSlots === 0) return -1;
  let best: SwapArea | null = null;
  for (const area of memory.swap.areas) {
    if (area === null || !area.writable || area.used >= area.slots - 1) continue;
    if (best === null || area.priority > best.priority) best = area;
  }
  if (best === null) return -1;
  const { map, slots } = best;
  for (let tried = 0, slot = best.hint; tried < slots; tried++, slot++) {
    if (slot >= slots) slot = 1;
    if (map[slot] !== 0) continue;
    best.hint = slot + 1;
    best.used++;
    memory.swap.freeSlots--;
    return best.index * SLOTS_PER_AREA + slot;
  }
  return -1;
}

export function swapCount(memory: MemoryState, entry: number): number {
  return (areaOf(memory, entry)?.map[slotOf(entry)] ?? 0) & COUNT;
}

/** One more page-table entry names the slot. */
export function duplicateSwap(memory: MemoryState, entry: number): void {
  const area = areaOf(memory, entry);
  assert(area !== null, 'a swap entry names an area that is on');
  area.map[slotOf(entry)] = (area.map[slotOf(entry)] ?? 0) + 1;
}

/** One entry less names the slot. The last one frees it, together with an idle page of the swap cache. */
export function dropSwap(kernel: Kernel, entry: number): void {
  const { memory } = kernel;
  const area = areaOf(memory, entry);
  assert(area !== null, 'a swap entry names an area that is on');
  const slot = slotOf(entry);
  const value = (area.map[slot] ?? 0) - 1;
  assert((value & COUNT) !== COUNT, 'a swap slot is dropped no more often than it was named');
  area.map[slot] = value;
  if (value === 0) freeSlot(memory, area, slot, entry);
  if (value !== HAS_CACHE) return;
  const frame = memory.swap.cache.get(entry) ?? -1;
  if (frame >= 0 && isIdle(memory, frame)) removeFromSwapCache(kernel, frame);
}

const isIdle = (memory: MemoryState, frame: number): boolean =>
  ((memory.flags[frame] ?? 0) & (PG.locked | PG.writeback)) === 0 && (memory.mapCount[frame] ?? 0) === 0;

function freeSlot(memory: MemoryState, area: SwapArea, slot: number, entry: number): void {
  area.used--;
  if (area.writable) memory.swap.freeSlots++;
  memory.swap.shadows.delete(entry);
  if (slot < area.hint && area.used < area.slots >> 2) area.hint = Math.max(1, slot);
}

/** The cache takes a reference to the frame; the slot was just allocated, or has entries that name it. */
export function addToSwapCache(memory: MemoryState, frame: number, entry: number): void {
  const area = areaOf(memory, entry);
  assert(area !== null, 'a swap entry names an area that is on');
  memory.swap.cache.set(entry, frame);
  memory.swapEntry[frame] = entry + 1;
  memory.flags[frame] = (memory.flags[frame] ?? 0) | PG.swapCache;
  memory.refCount[frame] = (memory.refCount[frame] ?? 0) + 1;
  const slot = slotOf(entry);
  area.map[slot] = (area.map[slot] ?? 0) | HAS_CACHE;
}

export const swapEntryOf = (memory: MemoryState, frame: number): number => (memory.swapEntry[frame] ?? 0) - 1;

export function removeFromSwapCache(kernel: Kernel, frame: number): void {
  const { memory } = kernel;
  const entry = swapEntryOf(memory, frame);
  const area = areaOf(memory, entry);
  assert(area !== null, 'a page in the swap cache has a slot');
  memory.swap.cache.delete(entry);
  memory.swapEntry[frame] = 0;
  memory.flags[frame] = (memory.flags[frame] ?? 0) & ~PG.swapCache;
  const slot = slotOf(entry);
  const value = (area.map[slot] ?? 0) & ~HAS_CACHE;
  area.map[slot] = value;
  if (value === 0) freeSlot(memory, area, slot, entry);
  putFrame(kernel, frame);
}

/** Swap is more than half full: pages that come in give their slots back at once. */
export const swapIsFull = (memory: MemoryState): boolean =>
  memory.swap.freeSlots * 2 < memory.swap.totalSlots;
