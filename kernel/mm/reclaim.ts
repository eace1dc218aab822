// Page reclaim (mm/vmscan.c): takes pages from the back of the inactive lists. Clean file pages are dropped, anonymous and
// shared-memory pages go to swap, used pages get a second chance. kswapd and tasks that find no memory (direct reclaim)
// both come here; the freed pages go to the buddy system, pages on their way to swap are freed when the write is done.
import { assert } from '../lib/assert.ts';
import type { Kernel } from '../state.ts';
import { charge, now } from '../time/clock.ts';
import { emit, isOn, tracepoint, U64 } from '../trace/tracepoint.ts';
import { detachPage, isSwapBacked, removePage, setDirty, spaceOfFrame } from './cache-pages.ts';
import { lastOf } from './frame-lists.ts';
import { activatePage, addToLru, moveOnLru, removeFromLru } from './lru.ts';
import { flushCpus } from './physical.ts';
import { mappingsOf, takeReferences, unmapEverywhere } from './rmap.ts';
import { LRU, PG, type MemoryState } from './memory-state.ts';
import {
  addToSwapCache,
  allocateSlot,
  duplicateSwap,
  removeFromSwapCache,
  swapCount,
  swapEntryOf,
} from './swap.ts';
import { giveSlot, noteEviction, writeToSwap } from './swap-out.ts';
import { leaveShadow } from './workingset.ts';
import { flushSoon } from './write-back.ts';

const shrinkInactiveEvent = tracepoint('vmscan', 'mm_vmscan_lru_shrink_inactive', {
  nid: 's32', nr_scanned: U64, nr_reclaimed: U64, nr_writeback: U64, priority: 's32', flags: 'text',
}); // prettier-ignore

/** Caches of objects that can be made again (dentries, inodes): fs puts its shrinkers here. */
export interface Shrinker {
  count(kernel: Kernel): number;
  /** Frees up to `wanted` objects that nobody uses and gives how many. Never blocks. */
  scan(kernel: Kernel, wanted: number): number;
}
export const shrinkers: Record<string, Shrinker> = {};

export interface Scan {
  readonly by: 'kswapd' | 'direct';
  scanned: number;
  reclaimed: number;
  /** Pages whose write to swap was started, or is going on. */
  writing: number;
  /** File pages that must be written by the flusher first. */
  dirty: number;
  cpuMask: number;
}

export const newScan = (by: Scan['by']): Scan => ({
  by,
  scanned: 0,
  reclaimed: 0,
  writing: 0,
  dirty: 0,
  cpuMask: 0,
});

const BATCH = 32; // SWAP_CLUSTER_MAX
/** Swap writes in flight; more would only fill the device's queue. */
const WRITES_MAX = 512;

/** One pass over the lists: a share of 1/2^priority of each, until `target` pages are free. */
export function shrinkLists(kernel: Kernel, scan: Scan, priority: number, target: number): void {
  const { memory } = kernel;
  const counts = scanCounts(memory, priority);
  balance(kernel, scan, LRU.activeAnon, LRU.inactiveAnon);
  balance(kernel, scan, LRU.activeFile, LRU.inactiveFile);
  while (counts.anon > 0 || counts.file > 0) {
    if (counts.file > 0) {
      shrinkInactive(kernel, LRU.inactiveFile, Math.min(BATCH, counts.file), scan, priority);
      counts.file -= BATCH;
    }
    if (memory.writebackPages >= WRITES_MAX) counts.anon = 0;
    if (counts.anon > 0) {
      shrinkInactive(kernel, LRU.inactiveAnon, Math.min(BATCH, counts.anon), scan, priority);
      counts.anon -= BATCH;
    }
    if (scan.reclaimed >= target) break;
  }
  if (scan.cpuMask !== 0) flushCpus(kernel, scan.cpuMask);
  scan.cpuMask = 0;
  if (scan.dirty > 0) flushSoon(kernel);
}

/** How many pages of each kind to look at (get_scan_count): by size and swappiness. */
function scanCounts(memory: MemoryState, priority: number): { anon: number; file: number } {
  const anon = memory.lruPages[LRU.inactiveAnon] ?? 0;
  const file = memory.lruPages[LRU.inactiveFile] ?? 0;
  const canSwap = memory.swap.freeSlots > 0 || memory.swap.cache.size > 0;
  const { swappiness } = memory.tunables;
  const share = (pages: number): number => Math.max(pages >> priority, Math.min(pages, BATCH));
  if (!canSwap) return { anon: 0, file: share(file) };
  const fileTotal = file + (memory.lruPages[LRU.activeFile] ?? 0);
  // Hardly any file pages left: they are not worth the reading again.
  if (fileTotal + memory.freePages <= memory.watermarks.high) return { anon: share(anon), file: share(file) };
  if (priority === 0) return { anon, file };
  if (swappiness === 0) return { anon: 0, file: share(file) };
  return {
    anon: Math.ceil((share(anon) * swappiness) / 200),
    file: Math.ceil((share(file) * (200 - swappiness)) / 200),
  };
}

/** Refills an inactive list that is shorter than its active one (shrink_active_list). */
function balance(kernel: Kernel, scan: Scan, active: number, inactive: number): void {
  const { memory } = kernel;
  const short = (memory.lruPages[active] ?? 0) - (memory.lruPages[inactive] ?? 0);
  for (let left = Math.min(short, 4 * BATCH); left > 0; left--) {
    const frame = lastOf(memory, active);
    if (frame < 0) return;
    memory.counters.pgrefill++;
    charge(kernel, 'pageScan');
    const references = takeReferences(kernel, frame);
    scan.cpuMask |= references.cpuMask;
    if (references.locked) {
      moveOnLru(memory, frame, PG.unevictable, PG.active);
    } else if (references.count > 0 && references.executable && active === LRU.activeFile) {
      moveOnLru(memory, frame, 0, 0); // code that runs stays
    } else {
      moveOnLru(memory, frame, PG.workingset, PG.active | PG.referenced);
      memory.counters.pgdeactivate++;
    }
  }
}

function shrinkInactive(kernel: Kernel, list: number, count: number, scan: Scan, priority: number): void {
  const { memory } = kernel;
  const before = scan.reclaimed;
  const writingBefore = scan.writing;
  const size = Math.min(count, memory.lruPages[list] ?? 0);
  for (let i = 0; i < size; i++) {
    const frame = lastOf(memory, list);
    if (frame < 0) break;
    scan.scanned++;
    memory.counters[scan.by === 'kswapd' ? 'pgscan_kswapd' : 'pgscan_direct']++;
    memory.counters[list === LRU.inactiveAnon ? 'pgscan_anon' : 'pgscan_file']++;
    if (!tryReclaim(kernel, frame, scan)) continue;
    scan.reclaimed++;
    memory.counters[scan.by === 'kswapd' ? 'pgsteal_kswapd' : 'pgsteal_direct']++;
    memory.counters[list === LRU.inactiveAnon ? 'pgsteal_anon' : 'pgsteal_file']++;
  }
  charge(kernel, 'pageScan', size);
  if (isOn(kernel, shrinkInactiveEvent)) {
    emit(kernel, shrinkInactiveEvent, {
      nid: 0, nr_scanned: size, nr_reclaimed: scan.reclaimed - before, nr_writeback: scan.writing - writingBefore, priority,
      flags: list === LRU.inactiveAnon ? 'RECLAIM_WB_ANON' : 'RECLAIM_WB_FILE',
    }); // prettier-ignore
  }
}

/** Looks at the last page of an inactive list. True when it was freed at once; else it is somewhere else now. */
function tryReclaim(kernel: Kernel, frame: number, scan: Scan): boolean {
  const { memory } = kernel;
  const keep = (): boolean => {
    moveOnLru(memory, frame, 0, 0);
    return false;
  };
  const flags = memory.flags[frame] ?? 0;
  if ((flags & PG.locked) !== 0 || isRecent(memory, frame)) return keep();
  if ((flags & PG.writeback) !== 0) {
    memory.flags[frame] = flags | PG.reclaim;
    scan.writing++;
    memory.counters.nr_vmscan_immediate_reclaim++;
    return keep();
  }
  const references = takeReferences(kernel, frame);
  scan.cpuMask |= references.cpuMask;
  if (references.locked) {
    moveOnLru(memory, frame, PG.unevictable, PG.active);
    memory.counters.unevictable_pgs_culled++;
    return false;
  }
  if (references.count > 0) {
    // Used through a page table: once more gets another round, twice or code becomes active.
    if (
      (flags & PG.referenced) !== 0 ||
      references.count > 1 ||
      (references.executable && (flags & PG.anon) === 0)
    ) {
      activatePage(memory, frame);
      return false;
    }
    memory.flags[frame] = (memory.flags[frame] ?? 0) | PG.referenced;
    return keep();
  }
  if ((flags & PG.swapBacked) !== 0) return reclaimSwapBacked(kernel, frame, scan);
  return reclaimFilePage(kernel, frame, scan);
}

/** Pushes one swap-backed page out, used or not (whole-process swapping). True when it was freed at once. */
export function reclaimFrame(kernel: Kernel, frame: number, scan: Scan): boolean {
  const { memory } = kernel;
  const flags = memory.flags[frame] ?? 0;
  const isBusy = (flags & (PG.locked | PG.writeback | PG.unevictable)) !== 0;
  if (isBusy || (flags & PG.swapBacked) === 0 || isRecent(memory, frame)) return false;
  scan.scanned++;
  return reclaimSwapBacked(kernel, frame, scan);
}

/** Frames that the page cache gave out last are in use by kernel code that holds no reference. */
function isRecent(memory: MemoryState, frame: number): boolean {
  return memory.recent.includes(frame);
}

function reclaimFilePage(kernel: Kernel, frame: number, scan: Scan): boolean {
  const { memory } = kernel;
  const space = spaceOfFrame(memory, frame);
  assert(space !== undefined, 'a file page on an LRU list belongs to a space');
  const index = memory.index[frame] ?? 0;
  const unmapped = unmapEverywhere(kernel, frame, -1);
  scan.cpuMask |= unmapped.cpuMask;
  if (unmapped.wasDirty) setDirty(memory, space, index, frame, now(kernel));
  const flags = memory.flags[frame] ?? 0;
  if ((flags & PG.dirty) !== 0) {
    scan.dirty++;
    memory.flags[frame] = flags | PG.reclaim;
    moveOnLru(memory, frame, 0, 0);
    return false;
  }
  if ((memory.refCount[frame] ?? 0) !== 1 || (memory.mapCount[frame] ?? 0) !== 0) {
    moveOnLru(memory, frame, 0, 0);
    return false;
  }
  leaveShadow(kernel, space, index);
  removePage(kernel, space, index, frame);
  return true;
}

/** An anonymous page, one of shared memory, or one that is only in the swap cache. */
function reclaimSwapBacked(kernel: Kernel, frame: number, scan: Scan): boolean {
  const { memory } = kernel;
  const stay = (): boolean => {
    activatePage(memory, frame);
    return false;
  };
  if (memory.writebackPages >= WRITES_MAX) {
    moveOnLru(memory, frame, 0, 0);
    scan.writing++;
    return false;
  }
  const space = spaceOfFrame(memory, frame);
  if (space !== undefined) return isSwapBacked(space) ? swapOutShared(kernel, frame, scan) : stay();
  const inCache = ((memory.flags[frame] ?? 0) & PG.swapCache) !== 0;
  if (inCache && swapCount(memory, swapEntryOf(memory, frame)) === 0 && (memory.mapCount[frame] ?? 0) === 0) {
    removeFromSwapCache(kernel, frame);
    return true;
  }
  if (!inCache) {
    // A pinned page (references beside its mappings) would be written for nothing.
    if ((memory.refCount[frame] ?? 0) !== (memory.mapCount[frame] ?? 0)) return stay();
    if (!giveSlot(kernel, frame)) return stay();
  }
  const entry = swapEntryOf(memory, frame);
  const mappings = mappingsOf(kernel, frame).length;
  assert(mappings === memory.mapCount[frame], 'rmap finds every entry that maps an anonymous page');
  for (let i = 0; i < mappings; i++) duplicateSwap(memory, entry);
  const unmapped = unmapEverywhere(kernel, frame, entry);
  scan.cpuMask |= unmapped.cpuMask;
  if (unmapped.wasDirty) memory.flags[frame] = (memory.flags[frame] ?? 0) | PG.dirty;
  return finishSwapOut(kernel, frame, entry, scan);
}

function finishSwapOut(kernel: Kernel, frame: number, entry: number, scan: Scan): boolean {
  const { memory } = kernel;
  if (((memory.flags[frame] ?? 0) & PG.dirty) === 0) {
    if ((memory.refCount[frame] ?? 0) !== 1) {
      moveOnLru(memory, frame, 0, 0);
      return false;
    }
    noteEviction(kernel, entry);
    removeFromSwapCache(kernel, frame);
    return true;
  }
  moveOnLru(memory, frame, 0, PG.active | PG.referenced);
  const wasFree = memory.freePages;
  if (writeToSwap(kernel, frame)) scan.writing++;
  else activatePage(memory, frame); // prettier-ignore
  return memory.freePages > wasFree; // a device without latency has freed it already
}

/** A page of tmpfs or shared memory leaves its space: the space keeps the swap entry instead. */
function swapOutShared(kernel: Kernel, frame: number, scan: Scan): boolean {
  const { memory } = kernel;
  const space = spaceOfFrame(memory, frame);
  const extra = (memory.refCount[frame] ?? 0) - (memory.mapCount[frame] ?? 0) - 1;
  const entry = space === undefined || extra !== 0 ? -1 : allocateSlot(memory);
  if (space === undefined || entry < 0) {
    activatePage(memory, frame);
    return false;
  }
  const index = memory.index[frame] ?? 0;
  scan.cpuMask |= unmapEverywhere(kernel, frame, -1).cpuMask;
  space.swapped.set(index, entry);
  addToSwapCache(memory, frame, entry);
  duplicateSwap(memory, entry);
  detachPage(kernel, space, index, frame);
  memory.refCount[frame] = (memory.refCount[frame] ?? 0) - 1;
  memory.flags[frame] = (memory.flags[frame] ?? 0) | PG.dirty;
  return finishSwapOut(kernel, frame, entry, scan);
}

/** Puts a page that reclaim set aside as unevictable back to where it can be reclaimed (munlock). */
export function rescuePage(memory: MemoryState, frame: number): void {
  if (((memory.flags[frame] ?? 0) & PG.unevictable) === 0) return;
  removeFromLru(memory, frame);
  memory.flags[frame] = (memory.flags[frame] ?? 0) & ~PG.unevictable;
  addToLru(memory, frame);
  memory.counters.unevictable_pgs_rescued++;
}

/** Frees objects of the shrinkers, a share of 1/2^priority. Only where no kernel path holds such objects: kswapd, drop_caches. */
export function shrinkObjects(kernel: Kernel, priority: number): number {
  let freed = 0;
  for (const shrinker of Object.values(shrinkers)) {
    const wanted = shrinker.count(kernel) >> priority;
    if (wanted === 0) continue;
    const done = shrinker.scan(kernel, wanted);
    kernel.memory.counters.slabs_scanned += wanted;
    freed += done;
  }
  return freed;
}
