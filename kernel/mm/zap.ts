// Taking pages out of an mm: what munmap, MADV_DONTNEED and exit do with page-table entries.
import { USER_END } from '../abi/mman.ts';
import { PTE } from '../machine/index.ts';
import type { Kernel } from '../state.ts';
import { putFrame } from './buddy.ts';
import { markAccessed } from './lru.ts';
import { PG } from './memory-state.ts';
import type { Mm } from './mm.ts';
import { frameOf, SWAPPED, visitPtes, writePte } from './page-table.ts';
import { flushRange, loadWord } from './physical.ts';
import { dropMapping } from './rmap.ts';
import { dropSwap, removeFromSwapCache, swapCount, swapEntryOf } from './swap.ts';

/** Empties every entry from `start` to before `end`. Tables stay; freeEmptyTables frees them. */
export function zapRange(kernel: Kernel, mm: Mm, start: number, end: number): void {
  let first = -1;
  let last = 0;
  visitPtes(kernel, mm, start, end, (pte, low, address) => {
    zapEntry(kernel, mm, pte, low);
    if ((low & CACHED) !== CACHED) return;
    if (first < 0) first = address;
    last = address;
  });
  if (first >= 0) flushRange(kernel, mm, first, last);
}

/** As zapRange, for an mm that no CPU will run in again: no TLB needs to know. */
export function zapAll(kernel: Kernel, mm: Mm): void {
  visitPtes(kernel, mm, 0, USER_END, (pte, low) => zapEntry(kernel, mm, pte, low));
}

/** Only an entry with both bits can be in a TLB. */
const CACHED = PTE.present | PTE.accessed;

function zapEntry(kernel: Kernel, mm: Mm, pte: number, low: number): void {
  const { memory } = kernel;
  if ((low & SWAPPED) !== 0) {
    const entry = loadWord(kernel, pte + 4) >>> 0;
    writePte(kernel, pte, 0, 0);
    mm.rss.swap--;
    dropSwap(kernel, entry);
    return;
  }
  const frame = frameOf(low);
  writePte(kernel, pte, 0, 0);
  dropMapping(kernel, mm, frame);
  const flags = memory.flags[frame] ?? 0;
  if ((flags & PG.anon) === 0) {
    if ((low & PTE.accessed) !== 0) markAccessed(memory, frame);
  } else if ((flags & PG.swapCache) !== 0 && memory.mapCount[frame] === 0) {
    // Nobody maps it and nobody's entry names its slot: the swap cache need not keep it.
    const isBusy = (flags & (PG.locked | PG.writeback)) !== 0;
    if (!isBusy && swapCount(memory, swapEntryOf(memory, frame)) === 0) removeFromSwapCache(kernel, frame);
    else if ((low & PTE.dirty) !== 0) memory.flags[frame] = (memory.flags[frame] ?? 0) | PG.dirty; // prettier-ignore
  }
  putFrame(kernel, frame);
}
