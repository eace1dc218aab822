// What /proc and the lab show of memory: figures computed from MemoryState, in Linux's words.
import type { Kernel } from '../state.ts';
import { commitLimit } from './map.ts';
import { LRU, MAX_ORDER, OWNER, PG } from './memory-state.ts';
import type { Mm, Vma } from './mm.ts';
import { pagesByOwner } from './owners.ts';
import { frameOf, isMapped, SWAPPED, visitPtes } from './page-table.ts';
import { swapCount } from './swap.ts';
import { loadWord } from './physical.ts';
import { PTE } from '../machine/index.ts';
import { dirtyLimits } from './write-back.ts';

const SLAB_RECLAIMABLE = /inode_cache|dentry|buffer_head|radix_tree|extent_status/;

function slabPages(kernel: Kernel): { reclaimable: number; unreclaimable: number } {
  let reclaimable = 0;
  let unreclaimable = 0;
  for (const cache of kernel.memory.slabs.values()) {
    const pages = cache.slabs.size << cache.order;
    if (SLAB_RECLAIMABLE.test(cache.name)) reclaimable += pages;
    else unreclaimable += pages; // prettier-ignore
  }
  return { reclaimable, unreclaimable };
}

/** /proc/meminfo, in KiB, in its order. */
export function memoryInfo(kernel: Kernel): Record<string, number> {
  const { memory } = kernel;
  const { lruPages, swap, watermarks } = memory;
  const lru = (list: number): number => lruPages[list] ?? 0;
  const owned = pagesByOwner(memory);
  const slab = slabPages(kernel);
  const swapCached = swap.cache.size;
  const cached = owned.file + owned.shmem;
  const fileLru = lru(LRU.activeFile) + lru(LRU.inactiveFile);
  const available =
    memory.freePages - watermarks.low + fileLru - Math.min(fileLru >> 1, watermarks.low) +
    slab.reclaimable - Math.min(slab.reclaimable >> 1, watermarks.low); // prettier-ignore
  const pages: Record<string, number> = {
    MemTotal: memory.managedPages,
    MemFree: memory.freePages,
    MemAvailable: Math.max(0, available),
    Buffers: owned.buffers,
    Cached: cached,
    SwapCached: swapCached,
    Active: lru(LRU.activeAnon) + lru(LRU.activeFile),
    Inactive: lru(LRU.inactiveAnon) + lru(LRU.inactiveFile),
    'Active(anon)': lru(LRU.activeAnon),
    'Inactive(anon)': lru(LRU.inactiveAnon),
    'Active(file)': lru(LRU.activeFile),
    'Inactive(file)': lru(LRU.inactiveFile),
    Unevictable: lru(LRU.unevictable),
    Mlocked: lru(LRU.unevictable),
    SwapTotal: swap.totalSlots,
    SwapFree: swap.freeSlots,
    Dirty: memory.dirtyPages,
    Writeback: memory.writebackPages,
    AnonPages: memory.mapped.anon,
    Mapped: memory.mapped.file,
    Shmem: owned.shmem,
    KReclaimable: slab.reclaimable,
    Slab: slab.reclaimable + slab.unreclaimable,
    SReclaimable: slab.reclaimable,
    SUnreclaim: slab.unreclaimable,
    KernelStack: owned.kernelStack,
    PageTables: owned.pageTable,
    NFS_Unstable: 0,
    Bounce: 0,
    WritebackTmp: 0,
    CommitLimit: commitLimit(kernel),
    Committed_AS: memory.committedPages,
  };
  const info: Record<string, number> = {};
  for (const [name, value] of Object.entries(pages)) info[name] = value * 4;
  info['VmallocTotal'] = 34_359_738_367;
  info['VmallocUsed'] = owned.module * 4;
  info['VmallocChunk'] = 0;
  info['Percpu'] = 0;
  return info;
}

/** /proc/vmstat: what is there now, then what has happened. */
export function vmStat(kernel: Kernel): Record<string, number> {
  const { memory } = kernel;
  const lru = (list: number): number => memory.lruPages[list] ?? 0;
  const owned = pagesByOwner(memory);
  const slab = slabPages(kernel);
  const limits = dirtyLimits(memory);
  return {
    nr_free_pages: memory.freePages,
    nr_zone_inactive_anon: lru(LRU.inactiveAnon),
    nr_zone_active_anon: lru(LRU.activeAnon),
    nr_zone_inactive_file: lru(LRU.inactiveFile),
    nr_zone_active_file: lru(LRU.activeFile),
    nr_zone_unevictable: lru(LRU.unevictable),
    nr_zone_write_pending: memory.dirtyPages + memory.writebackPages,
    nr_mlock: lru(LRU.unevictable),
    nr_inactive_anon: lru(LRU.inactiveAnon),
    nr_active_anon: lru(LRU.activeAnon),
    nr_inactive_file: lru(LRU.inactiveFile),
    nr_active_file: lru(LRU.activeFile),
    nr_unevictable: lru(LRU.unevictable),
    nr_slab_reclaimable: slab.reclaimable,
    nr_slab_unreclaimable: slab.unreclaimable,
    nr_anon_pages: memory.mapped.anon,
    nr_mapped: memory.mapped.file,
    nr_file_pages: owned.file + owned.buffers + owned.shmem + memory.swap.cache.size,
    nr_dirty: memory.dirtyPages,
    nr_writeback: memory.writebackPages,
    nr_shmem: owned.shmem,
    nr_kernel_stack: owned.kernelStack * 4,
    nr_page_table_pages: owned.pageTable,
    nr_swapcached: memory.swap.cache.size,
    nr_dirty_threshold: limits.limit,
    nr_dirty_background_threshold: limits.background,
    ...memory.counters,
  };
}

/** /proc/buddyinfo and pagetypeinfo: free blocks by order, of the one zone that has memory. */
export function buddyInfo(kernel: Kernel): { zone: string; free: number[] }[] {
  return [
    {
      zone: 'DMA32',
      free: Array.from({ length: MAX_ORDER + 1 }, (_, order) => kernel.memory.freeBlocks[order] ?? 0),
    },
  ];
}

export interface SlabInfo {
  readonly name: string;
  readonly activeObjects: number;
  readonly objects: number;
  readonly objectBytes: number;
  readonly objectsPerSlab: number;
  readonly pagesPerSlab: number;
  readonly activeSlabs: number;
  readonly slabs: number;
}

/** /proc/slabinfo. */
export function slabInfo(kernel: Kernel): SlabInfo[] {
  return [...kernel.memory.slabs.values()].map((cache) => ({
    name: cache.name,
    activeObjects: cache.activeObjects,
    objects: cache.slabs.size * cache.objectsPerSlab,
    objectBytes: cache.objectBytes,
    objectsPerSlab: cache.objectsPerSlab,
    pagesPerSlab: 1 << cache.order,
    activeSlabs: cache.slabs.size - cache.emptySlabs,
    slabs: cache.slabs.size,
  }));
}

/** /proc/zoneinfo. Normal has no memory: RAM ends below 4 GiB. */
export function zoneInfo(kernel: Kernel): {
  zone: string;
  free: number;
  min: number;
  low: number;
  high: number;
  spanned: number;
  present: number;
  managed: number;
  startPfn: number;
}[] {
  const { memory } = kernel;
  const { min, low, high } = memory.watermarks;
  const empty = {
    zone: 'Normal',
    free: 0,
    min: 0,
    low: 0,
    high: 0,
    spanned: 0,
    present: 0,
    managed: 0,
    startPfn: 0,
  };
  return [
    {
      zone: 'DMA32',
      free: memory.freePages,
      min,
      low,
      high,
      spanned: memory.frameCount,
      present: memory.frameCount,
      managed: memory.managedPages,
      startPfn: 0,
    },
    empty,
  ];
}

/** /proc/swaps. */
export function swapInfo(
  kernel: Kernel,
): { path: string; type: 'partition' | 'file'; sizeKb: number; usedKb: number; priority: number }[] {
  const areas = [];
  for (const area of kernel.memory.swap.areas) {
    if (area === null) continue;
    areas.push({
      path: area.path,
      type: 'partition' as const,
      sizeKb: (area.slots - 1) * 4,
      usedKb: area.used * 4,
      priority: area.priority,
    });
  }
  return areas;
}

export interface VmaUsage {
  readonly vma: Vma;
  /** KiB, by the names of /proc/PID/smaps. */
  readonly usage: Record<string, number>;
}

/** /proc/PID/smaps. */
export function smapsOf(kernel: Kernel, mm: Mm): VmaUsage[] {
  return mm.vmas.map((vma) => ({ vma, usage: usageOf(kernel, mm, vma) }));
}

function usageOf(kernel: Kernel, mm: Mm, vma: Vma): Record<string, number> {
  const { memory } = kernel;
  let rss = 0,
    pss = 0,
    pssDirty = 0,
    anon = 0,
    referenced = 0,
    swap = 0,
    swapPss = 0;
  let sharedClean = 0, sharedDirty = 0, privateClean = 0, privateDirty = 0; // prettier-ignore
  visitPtes(kernel, mm, vma.start, vma.end, (pte, low) => {
    if ((low & SWAPPED) !== 0) {
      swap++;
      swapPss += 1 / Math.max(1, swapCount(memory, loadWord(kernel, pte + 4) >>> 0));
      return;
    }
    if (!isMapped(low)) return;
    const frame = frameOf(low);
    const flags = memory.flags[frame] ?? 0;
    const users = memory.mapCount[frame] ?? 1;
    const isDirty = (low & PTE.dirty) !== 0 || (flags & PG.dirty) !== 0;
    rss++;
    pss += 1 / users;
    if (isDirty) pssDirty += 1 / users;
    if ((flags & PG.anon) !== 0) anon++;
    if ((low & PTE.accessed) !== 0 || (flags & PG.referenced) !== 0) referenced++;
    if (users > 1 && isDirty) sharedDirty++;
    else if (users > 1) sharedClean++;
    else if (isDirty) privateDirty++;
    else privateClean++;
  });
  const kb = (pages: number): number => Math.floor(pages * 4);
  return {
    Size: (vma.end - vma.start) / 1024, KernelPageSize: 4, MMUPageSize: 4, Rss: kb(rss), Pss: kb(pss),
    Pss_Dirty: kb(pssDirty), Shared_Clean: kb(sharedClean), Shared_Dirty: kb(sharedDirty),
    Private_Clean: kb(privateClean), Private_Dirty: kb(privateDirty), Referenced: kb(referenced), Anonymous: kb(anon),
    LazyFree: 0, AnonHugePages: 0, ShmemPmdMapped: 0, FilePmdMapped: 0, Shared_Hugetlb: 0, Private_Hugetlb: 0,
    Swap: kb(swap), SwapPss: kb(swapPss), Locked: vma.flags.locked ? kb(pss) : 0,
  }; // prettier-ignore
}

/** Whether a frame's content matters: a snapshot may leave out the others. */
export function isFrameInUse(kernel: Kernel, frame: number): boolean {
  const owner = kernel.memory.owner[frame] ?? 0;
  return owner !== OWNER.free && owner !== OWNER.kept;
}
