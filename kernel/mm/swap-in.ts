// Getting pages back from swap: through the swap cache, with read-ahead of the slots around (they were mostly written
// together).
import { EIO, failed, type Failure } from '../abi/errno.ts';
import type { Kernel } from '../state.ts';
import { allocateUserFrame } from './allocate.ts';
import { allocateFrames } from './buddy.ts';
import { activatePage, addToLru } from './lru.ts';
import { pageIoCompletions, swapBackends } from './page-io.ts';
import { LRU, OWNER, PG, type MemoryState } from './memory-state.ts';
import { setOwner } from './owners.ts';
import { addToSwapCache, areaOf, removeFromSwapCache, slotOf, swapCount, swapIsFull } from './swap.ts';
import { BAD_SLOT, SLOTS_PER_AREA } from './swap-state.ts';
import { waitOnPage, wakePage } from './waiting.ts';

/**
 * The frame that holds a swapped page, uptodate, in the swap cache. BLOCKED while the device reads, EIO after a read error.
 * `onRead` is called once when a read was started (a major fault).
 */
export function swapIn(kernel: Kernel, entry: number, onRead: () => void): number | Failure {
  const { memory } = kernel;
  const cached = memory.swap.cache.get(entry);
  if (cached !== undefined) {
    const flags = memory.flags[cached] ?? 0;
    if ((flags & PG.locked) !== 0) return waitOnPage(kernel, cached, 'memory');
    if ((flags & PG.uptodate) === 0) {
      removeFromSwapCache(kernel, cached);
      return EIO;
    }
    if ((flags & PG.readAhead) !== 0) {
      memory.flags[cached] = flags & ~PG.readAhead;
      memory.counters.swap_ra_hit++;
      memory.swap.hits++;
    }
    return cached;
  }
  const frame = allocateUserFrame(kernel, 'anon');
  if (failed(frame)) return frame;
  onRead();
  const started = startRead(kernel, entry, frame);
  if (failed(started)) return started;
  readAround(kernel, entry);
  const flags = memory.flags[frame] ?? 0;
  if ((flags & PG.locked) !== 0) return waitOnPage(kernel, frame, 'memory');
  return (flags & PG.uptodate) === 0 ? EIO : frame;
}

function startRead(kernel: Kernel, entry: number, frame: number): number | Failure {
  const { memory } = kernel;
  const area = areaOf(memory, entry);
  const backend = swapBackends['block'];
  memory.flags[frame] = PG.swapBacked | PG.locked;
  memory.mapping[frame] = 0;
  addToSwapCache(memory, frame, entry);
  memory.refCount[frame] = (memory.refCount[frame] ?? 0) - 1; // the cache's is the only reference now
  addToLru(memory, frame);
  takeShadow(memory, entry, frame);
  if (area === null || backend === undefined) return giveUp(kernel, frame);
  const { device, firstBlock } = area;
  const io = {
    device,
    write: false,
    block: firstBlock + slotOf(entry),
    frame,
    done: 'swap-read',
    tag: entry,
  };
  memory.counters.pswpin++;
  return failed(backend.submitPageIo(kernel, io)) ? giveUp(kernel, frame) : 0;
}

function giveUp(kernel: Kernel, frame: number): Failure {
  kernel.memory.flags[frame] = (kernel.memory.flags[frame] ?? 0) & ~PG.locked;
  removeFromSwapCache(kernel, frame);
  return EIO;
}

/** A page that was evicted not long ago belongs to the working set: it starts on the active list. */
function takeShadow(memory: MemoryState, entry: number, frame: number): void {
  const evictedAt = memory.swap.shadows.get(entry);
  if (evictedAt === undefined) return;
  memory.swap.shadows.delete(entry);
  memory.counters.workingset_refault_anon++;
  const { lruPages } = memory;
  const file = (lruPages[LRU.activeFile] ?? 0) + (lruPages[LRU.inactiveFile] ?? 0);
  if (memory.evictionClock - evictedAt > file + (lruPages[LRU.activeAnon] ?? 0)) return;
  memory.counters.workingset_activate_anon++;
  memory.flags[frame] = (memory.flags[frame] ?? 0) | PG.workingset;
  activatePage(memory, frame);
}

/** Reads other used slots around the entry, while memory is not short: as many as read-ahead has lately been worth. */
function readAround(kernel: Kernel, entry: number): void {
  const { memory } = kernel;
  const area = areaOf(memory, entry);
  const window = windowSize(memory, entry);
  if (area === null || window <= 1) return;
  const slot = slotOf(entry);
  const first = slot - (slot % window);
  const around: number[] = [];
  for (let other = Math.max(1, first); other < Math.min(first + window, area.slots); other++) {
    if (other !== slot && area.map[other] !== BAD_SLOT) around.push(area.index * SLOTS_PER_AREA + other);
  }
  readEntries(kernel, around);
}

/** swapin_nr_pages: grows with the hits since the last read, shrinks by half when there were none, 1 for random access. */
function windowSize(memory: MemoryState, entry: number): number {
  const { swap } = memory;
  const most = 1 << memory.tunables.pageCluster;
  if (most <= 1) return 1;
  let pages = swap.hits + 2;
  if (pages === 2) {
    if (Math.abs(entry - swap.lastEntry) !== 1) pages = 1;
  } else {
    let rounded = 4;
    while (rounded < pages) rounded *= 2;
    pages = rounded;
  }
  pages = Math.max(Math.min(pages, most), swap.lastWindow >> 1);
  swap.hits = 0;
  swap.lastEntry = entry;
  swap.lastWindow = pages;
  return pages;
}

/** Starts reading slots that are not in the cache, while memory is not short. */
export function readEntries(kernel: Kernel, entries: readonly number[]): void {
  const { memory } = kernel;
  for (const entry of entries) {
    if (memory.freePages <= memory.watermarks.low) return;
    if (memory.swap.cache.has(entry) || swapCount(memory, entry) === 0) continue;
    const frame = allocateFrames(kernel, 0, 'anon');
    if (failed(frame) || failed(startRead(kernel, entry, frame))) return;
    memory.flags[frame] = (memory.flags[frame] ?? 0) | PG.readAhead;
    memory.counters.swap_ra++;
  }
}

pageIoCompletions['swap-read'] = (kernel, io, ok) => {
  const { memory } = kernel;
  const { frame, tag: entry } = io;
  memory.flags[frame] = ((memory.flags[frame] ?? 0) & ~PG.locked) | (ok ? PG.uptodate : PG.error);
  wakePage(kernel, frame);
  if (swapCount(memory, entry) === 0) removeFromSwapCache(kernel, frame);
};

/** After the last entry was mapped: a slot that nobody names any more is given back when swap is short or the page changes. */
export function tryFreeSlot(kernel: Kernel, frame: number, willWrite: boolean): boolean {
  const { memory } = kernel;
  if (((memory.flags[frame] ?? 0) & PG.swapCache) === 0) return true;
  const entry = (memory.swapEntry[frame] ?? 0) - 1;
  if (swapCount(memory, entry) > 0 || ((memory.flags[frame] ?? 0) & PG.writeback) !== 0) return false;
  if (!willWrite && !swapIsFull(memory)) return false;
  memory.flags[frame] = (memory.flags[frame] ?? 0) | PG.dirty;
  removeFromSwapCache(kernel, frame);
  return true;
}

/** Makes a page of the swap cache the cache's of shared memory again: ENOMEM never, the frame changes hands. */
export function takeFromSwapCache(kernel: Kernel, frame: number): void {
  const { memory } = kernel;
  memory.refCount[frame] = (memory.refCount[frame] ?? 0) + 1;
  setOwner(memory, frame, 0, OWNER.shmem);
  removeFromSwapCache(kernel, frame);
}
