// Writing pages to swap: giving a page a slot and a place in the swap cache, starting its write, and what happens when the
// device is done.
import { failed } from '../abi/errno.ts';
import type { Kernel } from '../state.ts';
import { wakeUp } from '../sched/wait-queue.ts';
import { pageIoCompletions, swapBackends } from './page-io.ts';
import { activatePage } from './lru.ts';
import { PG } from './memory-state.ts';
import {
  addToSwapCache,
  allocateSlot,
  areaOf,
  removeFromSwapCache,
  slotOf,
  swapCount,
  swapEntryOf,
} from './swap.ts';
import { wakePage } from './waiting.ts';

/** Gives the page a slot (unless it has one) and makes it dirty in the swap cache. False when swap is full. */
export function giveSlot(kernel: Kernel, frame: number): boolean {
  const { memory } = kernel;
  if (((memory.flags[frame] ?? 0) & PG.swapCache) !== 0) return true;
  const entry = allocateSlot(memory);
  if (entry < 0) return false;
  addToSwapCache(memory, frame, entry);
  memory.flags[frame] = (memory.flags[frame] ?? 0) | PG.dirty;
  return true;
}

/** Starts writing a dirty page of the swap cache. False when the device refuses. */
export function writeToSwap(kernel: Kernel, frame: number): boolean {
  const { memory } = kernel;
  const entry = swapEntryOf(memory, frame);
  const area = areaOf(memory, entry);
  const backend = swapBackends['block'];
  if (area === null || backend === undefined) return false;
  const { device, firstBlock } = area;
  const io = {
    device,
    write: true,
    block: firstBlock + slotOf(entry),
    frame,
    done: 'swap-write',
    tag: entry,
  };
  // The device may be done before submitPageIo returns.
  memory.flags[frame] = ((memory.flags[frame] ?? 0) & ~PG.dirty) | PG.writeback | PG.reclaim;
  memory.writebackPages++;
  if (failed(backend.submitPageIo(kernel, io))) {
    memory.writebackPages--;
    memory.flags[frame] = ((memory.flags[frame] ?? 0) & ~(PG.writeback | PG.reclaim)) | PG.dirty;
    return false;
  }
  memory.counters.pswpout++;
  memory.counters.nr_vmscan_write++;
  return true;
}

pageIoCompletions['swap-write'] = (kernel, io, ok) => {
  const { memory } = kernel;
  const { frame, tag: entry } = io;
  const flags = memory.flags[frame] ?? 0;
  memory.flags[frame] = flags & ~(PG.writeback | PG.reclaim);
  memory.writebackPages--;
  if (!ok) {
    // As Linux: the page stays in memory, dirty; it will be tried again.
    memory.flags[frame] = (memory.flags[frame] ?? 0) | PG.dirty;
    activatePage(memory, frame);
  } else if ((memory.mapCount[frame] ?? 0) === 0 && ((memory.flags[frame] ?? 0) & PG.dirty) === 0) {
    if ((flags & PG.reclaim) !== 0 || swapCount(memory, entry) === 0) {
      noteEviction(kernel, entry);
      removeFromSwapCache(kernel, frame);
      // Linux frees it when kswapd comes by again.
      memory.counters.pgsteal_kswapd++;
      memory.counters.pgsteal_anon++;
    }
  } else if (swapCount(memory, entry) === 0) {
    removeFromSwapCache(kernel, frame);
  }
  wakePage(kernel, frame);
  if (memory.freePages > memory.watermarks.min && memory.freeWait.waiters.size > 0)
    wakeUp(kernel, memory.freeWait);
  const isShort =
    (memory.freePages < memory.watermarks.high || memory.leavingMm !== 0) && memory.writebackPages < 32;
  if (isShort && memory.kswapdWait.waiters.size > 0) wakeUp(kernel, memory.kswapdWait);
};

/** Leaves a shadow, so that a fault which comes soon is seen as thrashing (mm/workingset.c). */
export function noteEviction(kernel: Kernel, entry: number): void {
  const { memory } = kernel;
  if (swapCount(memory, entry) > 0) memory.swap.shadows.set(entry, memory.evictionClock++);
}
