// The slab allocator: caches of equal objects in slabs of real frames. A kernel object that TypeScript keeps as a record
// owns a slot here, so that memory pressure, /proc/slabinfo and the frame map are real. A slot's number is the slab's
// first frame * 1024 + the object's index.
import { failed, type Failure } from '../abi/errno.ts';
import { assert } from '../lib/assert.ts';
import type { Kernel } from '../state.ts';
import { allocateFrames, freeFrames } from './buddy.ts';
import type { MemoryState } from './memory-state.ts';
import type { Slab, SlabCache } from './slab-state.ts';

const SLOTS_PER_FRAME = 1024;
/** Empty slabs that a cache keeps. */
const SPARE_SLABS = 2;

/** Object sizes and slab orders as Linux 6.1 shows them on x86-64 (SLUB, Debian's configuration). */
const cacheTable: readonly (readonly [name: string, objectBytes: number, order: number])[] = [
  ['task_struct', 9792, 3], ['mm_struct', 1472, 3], ['vm_area_struct', 152, 1], ['files_cache', 704, 2],
  ['fs_cache', 64, 0], ['signal_cache', 1152, 2], ['sighand_cache', 2112, 3], ['cred_jar', 192, 0], ['pid', 128, 0],
  ['anon_vma', 104, 0], ['anon_vma_chain', 64, 0], ['filp', 256, 1], ['dentry', 192, 1], ['inode_cache', 640, 2],
  ['ext4_inode_cache', 1176, 3], ['shmem_inode_cache', 776, 2], ['proc_inode_cache', 712, 2], ['sock_inode_cache', 832, 2],
  ['ext4_extent_status', 40, 0], ['jbd2_journal_head', 120, 0], ['jbd2_journal_handle', 56, 0], ['buffer_head', 104, 0],
  ['bio', 256, 1], ['blkdev_ioc', 88, 0], ['radix_tree_node', 584, 2], ['names_cache', 4096, 3], ['file_lock_cache', 232, 1],
  ['eventpoll_epi', 128, 0], ['eventpoll_pwq', 72, 0], ['inotify_inode_mark', 80, 0], ['UNIX', 1216, 3], ['TCP', 2432, 3],
  ['UDP', 1408, 3], ['skbuff_head_cache', 256, 1], ['sigqueue', 80, 0], ['posix_timers_cache', 264, 1],
  ['kmalloc-8k', 8192, 3], ['kmalloc-4k', 4096, 3], ['kmalloc-2k', 2048, 3], ['kmalloc-1k', 1024, 3], ['kmalloc-512', 512, 2],
  ['kmalloc-256', 256, 1], ['kmalloc-192', 192, 0], ['kmalloc-128', 128, 0], ['kmalloc-96', 96, 0], ['kmalloc-64', 64, 0],
  ['kmalloc-32', 32, 0], ['kmalloc-16', 16, 0], ['kmalloc-8', 8, 0],
]; // prettier-ignore

export function declareSlabCaches(memory: MemoryState): void {
  for (const [name, objectBytes, order] of cacheTable)
    memory.slabs.set(name, newCache(name, objectBytes, order));
}

const newCache = (name: string, objectBytes: number, order: number): SlabCache => ({
  name, objectBytes, order, objectsPerSlab: Math.min(SLOTS_PER_FRAME, Math.floor((4096 << order) / objectBytes)),
  slabs: new Map(), partial: new Set(), activeObjects: 0, emptySlabs: 0,
}); // prettier-ignore

/** A slot for one object, or ENOMEM. */
export function slabAllocate(kernel: Kernel, cacheName: string): number | Failure {
  const cache = cacheNamed(kernel, cacheName);
  for (const frame of cache.partial) return takeFrom(cache, frame);
  const frame = allocateFrames(kernel, cache.order, 'slab');
  if (failed(frame)) return frame;
  const free: number[] = [];
  for (let i = cache.objectsPerSlab - 1; i >= 0; i--) free.push(i);
  cache.slabs.set(frame, { frame, free });
  cache.partial.add(frame);
  cache.emptySlabs++;
  return takeFrom(cache, frame);
}

function takeFrom(cache: SlabCache, frame: number): number {
  const slab = slabAt(cache, frame);
  if (slab.free.length === cache.objectsPerSlab) cache.emptySlabs--;
  const index = slab.free.pop();
  assert(index !== undefined, 'a partial slab has a free object');
  if (slab.free.length === 0) cache.partial.delete(frame);
  cache.activeObjects++;
  return frame * SLOTS_PER_FRAME + index;
}

/** Gives a slot back; a slab that becomes empty goes back to the buddy system unless the cache keeps it as a spare. */
export function slabFree(kernel: Kernel, cacheName: string, slot: number): void {
  const cache = cacheNamed(kernel, cacheName);
  const frame = Math.floor(slot / SLOTS_PER_FRAME);
  const slab = slabAt(cache, frame);
  slab.free.push(slot % SLOTS_PER_FRAME);
  assert(slab.free.length <= cache.objectsPerSlab, 'a slot is freed once');
  if (slab.free.length === 1) cache.partial.add(frame);
  cache.activeObjects--;
  if (slab.free.length < cache.objectsPerSlab) return;
  if (cache.emptySlabs < SPARE_SLABS) cache.emptySlabs++;
  else releaseSlab(kernel, cache, slab); // prettier-ignore
}

function releaseSlab(kernel: Kernel, cache: SlabCache, slab: Slab): void {
  cache.slabs.delete(slab.frame);
  cache.partial.delete(slab.frame);
  freeFrames(kernel, slab.frame, cache.order);
}

/** Gives spare slabs back (reclaim, drop_caches). Returns the number of pages freed. */
export function shrinkSlabs(kernel: Kernel): number {
  let pages = 0;
  for (const cache of kernel.memory.slabs.values()) {
    for (const frame of [...cache.partial]) {
      const slab = slabAt(cache, frame);
      if (slab.free.length < cache.objectsPerSlab) continue;
      releaseSlab(kernel, cache, slab);
      cache.emptySlabs--;
      pages += 1 << cache.order;
    }
  }
  return pages;
}

function cacheNamed(kernel: Kernel, name: string): SlabCache {
  const cache = kernel.memory.slabs.get(name);
  assert(cache !== undefined, `there is a slab cache ${name}`);
  return cache;
}

function slabAt(cache: SlabCache, frame: number): Slab {
  const slab = cache.slabs.get(frame);
  assert(slab !== undefined, 'a slot belongs to a slab of its cache');
  return slab;
}
