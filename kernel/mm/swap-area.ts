// Swap areas: swapon reads the header that mkswap wrote, swapoff brings everything back into memory.
import { BLOCKED, EBUSY, EINVAL, ENOMEM, EPERM, failed, type Failure } from '../abi/errno.ts';
import { SWAP_FLAG, USER_END } from '../abi/mman.ts';
import { get32, latin1 } from '../lib/bytes.ts';
import type { Kernel } from '../state.ts';
import { printk } from '../trace/printk.ts';
import { restoreSwapped } from './fault.ts';
import { hasCommitRoom } from './map.ts';
import { PG } from './memory-state.ts';
import type { Mm } from './mm.ts';
import { readPage } from './page-cache.ts';
import { SWAPPED, visitPtes } from './page-table.ts';
import { loadWord } from './physical.ts';
import { removeFromSwapCache, slotOf } from './swap.ts';
import { BAD_SLOT, SLOTS_PER_AREA, type SwapArea } from './swap-state.ts';
import { findVma } from './vma.ts';
import { waitOnPage } from './waiting.ts';

const AREAS_MAX = 28; // MAX_SWAPFILES of a kernel with migration, poisoned pages and device memory

/** What swapon found out about the file. */
export interface SwapSource {
  /** As /proc/swaps shows it. */
  readonly path: string;
  readonly device: string;
  readonly firstBlock: number;
  readonly blockCount: number;
  /** The area's first page. */
  readonly header: Uint8Array;
}

/** Starts swapping to an area; gives its number. */
export function swapOn(kernel: Kernel, source: SwapSource, flags: number): number | Failure {
  const { swap } = kernel.memory;
  if (
    swap.areas.some(
      (area) => area !== null && area.device === source.device && area.firstBlock === source.firstBlock,
    )
  )
    return EBUSY;
  const { header } = source;
  if (header.length < 4096 || latin1(header.subarray(4086, 4096)) !== 'SWAPSPACE2') {
    printk(kernel, 3, `Unable to find swap-space signature`);
    return EINVAL;
  }
  const lastPage = get32(header, 1028);
  const badPages = get32(header, 1032);
  if (get32(header, 1024) !== 1 || lastPage === 0 || badPages > 637) return EINVAL;
  const slots = Math.min(lastPage + 1, SLOTS_PER_AREA);
  if (slots > source.blockCount) {
    printk(kernel, 4, `Swap area shorter than signature indicates`);
    return EINVAL;
  }
  let index = swap.areas.indexOf(null);
  if (index < 0) index = swap.areas.length;
  if (index >= AREAS_MAX) return EPERM;
  const map = new Uint16Array(slots);
  map[0] = BAD_SLOT;
  let bad = 0;
  for (let i = 0; i < badPages; i++) {
    const slot = get32(header, 1536 + i * 4);
    if (slot === 0 || slot >= slots) return EINVAL;
    if (map[slot] !== BAD_SLOT) bad++;
    map[slot] = BAD_SLOT;
  }
  const lowest = Math.min(-1, ...swap.areas.map((area) => area?.priority ?? 0));
  const priority = (flags & SWAP_FLAG.prefer) !== 0 ? flags & SWAP_FLAG.priorityMask : lowest - 1;
  swap.areas[index] = {
    index, path: source.path, device: source.device, firstBlock: source.firstBlock, slots, priority, map, used: bad, hint: 1,
    writable: true,
  }; // prettier-ignore
  const usable = slots - 1 - bad;
  swap.freeSlots += usable;
  swap.totalSlots += usable;
  printk(
    kernel,
    6,
    `Adding ${usable * 4}k swap on ${source.path}.  Priority:${priority} extents:1 across:${usable * 4}k SS`,
  );
  return index;
}

const usableOf = (area: SwapArea): number => {
  let bad = 0;
  for (let slot = 1; slot < area.slots; slot++) if (area.map[slot] === BAD_SLOT) bad++;
  return area.slots - 1 - bad;
};

/** Stops swapping to an area. BLOCKED while pages come in: call again; it goes on where it was. */
export function swapOff(kernel: Kernel, index: number): number | Failure {
  const { swap } = kernel.memory;
  const area = swap.areas[index] ?? null;
  if (area === null) return EINVAL;
  const usable = usableOf(area);
  if (area.writable) {
    const bad = area.slots - 1 - usable;
    if (area.used - bad > 0 && !hasCommitRoom(kernel, area.used - bad)) return ENOMEM;
    area.writable = false;
    swap.freeSlots -= usable - (area.used - bad);
    swap.totalSlots -= usable;
  }
  const emptied = bringEverythingIn(kernel, area);
  if (emptied === BLOCKED) return emptied;
  if (failed(emptied)) {
    area.writable = true;
    swap.freeSlots += usable - (area.used - (area.slots - 1 - usable));
    swap.totalSlots += usable;
    return emptied;
  }
  swap.areas[index] = null;
  while (swap.areas.length > 0 && swap.areas.at(-1) === null) swap.areas.pop();
  return 0;
}

const isIn = (area: SwapArea, entry: number): boolean => Math.floor(entry / SLOTS_PER_AREA) === area.index;

function bringEverythingIn(kernel: Kernel, area: SwapArea): number | Failure {
  const { memory } = kernel;
  for (const mm of [...memory.mms.values()]) {
    if (mm.rss.swap === 0) continue;
    const result = bringMmIn(kernel, mm, area);
    if (failed(result)) return result;
  }
  for (const space of [...memory.spaces.values()]) {
    for (const [page, entry] of [...space.swapped]) {
      if (!isIn(area, entry)) continue;
      const frame = readPage(kernel, space, page);
      if (failed(frame)) return frame;
    }
  }
  for (const [entry, frame] of [...memory.swap.cache]) {
    if (!isIn(area, entry)) continue;
    const flags = memory.flags[frame] ?? 0;
    if ((flags & (PG.locked | PG.writeback)) !== 0) return waitOnPage(kernel, frame, 'read');
    if (((area.map[slotOf(entry)] ?? 0) & 0x3fff) !== 0) continue;
    memory.flags[frame] = flags | PG.dirty;
    removeFromSwapCache(kernel, frame);
  }
  return 0;
}

function bringMmIn(kernel: Kernel, mm: Mm, area: SwapArea): number | Failure {
  const found: { pte: number; address: number }[] = [];
  visitPtes(kernel, mm, 0, USER_END, (pte, low, address) => {
    if ((low & SWAPPED) !== 0 && isIn(area, loadWord(kernel, pte + 4) >>> 0)) found.push({ pte, address });
  });
  for (const { pte, address } of found) {
    const vma = findVma(mm, address);
    if (vma === undefined || (loadWord(kernel, pte) & SWAPPED) === 0) continue;
    const result = restoreSwapped(kernel, mm, vma, address, pte);
    if (failed(result)) return result;
  }
  return 0;
}
