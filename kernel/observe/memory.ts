// What holds the memory, as it stands.
import { LRU, ownerNames } from '../mm/memory-state.ts';
import { pagesByOwner } from '../mm/owners.ts';
import { buddyInfo, memoryInfo, slabInfo } from '../mm/statistics.ts';
import type { VmCounters } from '../mm/vmstat.ts';
import type { Kernel } from '../state.ts';

const PAGE = 4096;

export interface MemoryView {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly anonymousBytes: number;
  readonly pageCacheBytes: number;
  readonly slabBytes: number;
  readonly pageTableBytes: number;
  readonly kernelBytes: number;
  readonly minimumBytes: number;
  readonly lowBytes: number;
  readonly highBytes: number;
  readonly dirtyBytes: number;
  readonly writebackBytes: number;
  readonly activeAnonymousBytes: number;
  readonly inactiveAnonymousBytes: number;
  readonly activeFileBytes: number;
  readonly inactiveFileBytes: number;
  readonly buddy: readonly number[];
  readonly slabs: readonly SlabView[];
}

export interface SlabView {
  readonly name: string;
  readonly objects: number;
  readonly objectsTotal: number;
  readonly objectBytes: number;
  readonly slabs: number;
  readonly pagesPerSlab: number;
}

export function viewMemory(kernel: Kernel): MemoryView {
  const { memory } = kernel;
  const owned = pagesByOwner(memory);
  const lru = (list: number): number => (memory.lruPages[list] ?? 0) * PAGE;
  const anonymousBytes = owned.anon * PAGE;
  const pageCacheBytes = (owned.file + owned.shmem + owned.buffers) * PAGE;
  const slabBytes = owned.slab * PAGE;
  const pageTableBytes = owned.pageTable * PAGE;
  const freeBytes = memory.freePages * PAGE;
  const totalBytes = memory.frameCount * PAGE;
  return {
    totalBytes, freeBytes, anonymousBytes, pageCacheBytes, slabBytes, pageTableBytes,
    kernelBytes: Math.max(0, totalBytes - freeBytes - anonymousBytes - pageCacheBytes - slabBytes - pageTableBytes),
    minimumBytes: memory.watermarks.min * PAGE, lowBytes: memory.watermarks.low * PAGE, highBytes: memory.watermarks.high * PAGE,
    dirtyBytes: memory.dirtyPages * PAGE, writebackBytes: memory.writebackPages * PAGE,
    activeAnonymousBytes: lru(LRU.activeAnon), inactiveAnonymousBytes: lru(LRU.inactiveAnon),
    activeFileBytes: lru(LRU.activeFile), inactiveFileBytes: lru(LRU.inactiveFile),
    buddy: buddyInfo(kernel)[0]?.free ?? [],
    slabs: slabInfo(kernel).map(({ name, activeObjects, objects, objectBytes, slabs, pagesPerSlab }) => ({
      name, objects: activeObjects, objectsTotal: objects, objectBytes, slabs, pagesPerSlab,
    })),
  }; // prettier-ignore
}

export const viewVm = (kernel: Kernel): VmCounters => kernel.memory.counters;

const SWAP_CELLS = 1024;

export function viewSwapUse(kernel: Kernel): { totalBytes: number; usedBytes: number } {
  const { totalSlots, freeSlots } = kernel.memory.swap;
  return { totalBytes: totalSlots * PAGE, usedBytes: (totalSlots - freeSlots) * PAGE };
}

/** Swap as a whole, and its slots in equal parts: 0 free to 255 all used. */
export function viewSwap(kernel: Kernel): { totalBytes: number; usedBytes: number; map: Uint8Array } {
  const areas = kernel.memory.swap.areas.filter((area) => area !== null);
  const slots = areas.reduce((sum, area) => sum + area.slots - 1, 0);
  const cells = Math.min(SWAP_CELLS, slots);
  const counts = new Float64Array(cells);
  let at = 0;
  for (const area of areas) {
    for (let slot = 1; slot < area.slots; slot++, at++) {
      if ((area.map[slot] ?? 0) === 0) continue;
      const cell = Math.floor((at * cells) / slots);
      counts[cell] = (counts[cell] ?? 0) + 1;
    }
  }
  const map = Uint8Array.from(counts, (count) => Math.min(255, Math.ceil((count * 255 * cells) / slots)));
  return { ...viewSwapUse(kernel), map };
}

/** Averages and totals as they were last brought up to date. */
export function viewMemoryPressure(kernel: Kernel): {
  some10: number;
  some60: number;
  someNs: number;
  full10: number;
  full60: number;
  fullNs: number;
} {
  const { some, full } = kernel.memory.psi;
  return {
    some10: some.averages[0], some60: some.averages[1], someNs: some.totalNs,
    full10: full.averages[0], full60: full.averages[1], fullNs: full.totalNs,
  }; // prettier-ignore
}

/** What owns the frames, in at most `cells` equal parts: the most frequent owner of each, an index into `owners`. */
export function frameMap(
  kernel: Kernel,
  cells: number,
): { framesPerCell: number; owners: string[]; map: Uint8Array } {
  const { owner, frameCount } = kernel.memory;
  const framesPerCell = Math.max(1, Math.ceil(frameCount / cells));
  const map = new Uint8Array(Math.ceil(frameCount / framesPerCell));
  const counts = new Uint32Array(ownerNames.length);
  for (let cell = 0; cell < map.length; cell++) {
    counts.fill(0);
    const end = Math.min(frameCount, (cell + 1) * framesPerCell);
    for (let frame = cell * framesPerCell; frame < end; frame++) {
      const kind = owner[frame] ?? 0;
      counts[kind] = (counts[kind] ?? 0) + 1;
    }
    map[cell] = counts.indexOf(Math.max(...counts));
  }
  return { framesPerCell, owners: [...ownerNames], map };
}

/** Files with cached pages, most first. Paths are what the dentry cache knows. */
export function cachedFiles(
  kernel: Kernel,
  limit: number,
): { path: string; sizeBytes: number; cachedPages: number; dirtyPages: number; writebackPages: number }[] {
  const rows = [];
  for (const dentry of kernel.vfs.dentries) {
    const { inode } = dentry;
    if (inode?.pages == null || inode.pages.pages.size === 0) continue;
    const { pages, dirty, writeback } = inode.pages;
    rows.push({
      dentry,
      sizeBytes: inode.size,
      cachedPages: pages.size,
      dirtyPages: dirty.size,
      writebackPages: writeback.size,
    });
  }
  rows.sort((a, b) => b.cachedPages - a.cachedPages);
  return rows.slice(0, limit).map(({ dentry, ...row }) => {
    let path = '';
    for (let at: typeof dentry | null = dentry; at !== null && at.parent !== null; at = at.parent)
      path = `/${at.name}${path}`;
    return { path: path === '' ? '/' : path, ...row };
  });
}

/** The figures of /proc/meminfo that are memory, in bytes, and every counter of /proc/vmstat that counts events. */
export function memoryCounters(kernel: Kernel): {
  meminfo: { name: string; bytes: number }[];
  vmstat: { name: string; value: number }[];
} {
  const info = memoryInfo(kernel);
  return {
    meminfo: MEMINFO_SHOWN.map((name) => ({ name, bytes: (info[name] ?? 0) * 1024 })),
    vmstat: Object.entries(kernel.memory.counters).map(([name, value]) => ({ name, value })),
  };
}

const MEMINFO_SHOWN = [
  'MemTotal', 'MemFree', 'MemAvailable', 'Buffers', 'Cached', 'AnonPages', 'Slab', 'PageTables', 'Dirty', 'Writeback', 'SwapTotal',
  'SwapFree',
]; // prettier-ignore
