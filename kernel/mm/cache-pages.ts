// Putting pages into address spaces and taking them out: the bookkeeping under the page cache. A cached page's first
// reference belongs to its space.
import { assert } from '../lib/assert.ts';
import type { Kernel } from '../state.ts';
import { putFrame } from './buddy.ts';
import { emit, isOn, tracepoint, U64 } from '../trace/tracepoint.ts';
import { addressSpaceOperations, type AddressSpace } from './address-space.ts';
import { addToLru } from './lru.ts';
import { OWNER, PG, type MemoryState } from './memory-state.ts';
import { setOwner } from './owners.ts';
import { dropReservations } from './reservation.ts';

const addToPageCache = tracepoint('filemap', 'mm_filemap_add_to_page_cache', {
  pfn: U64,
  i_ino: U64,
  index: U64,
  s_dev: U64,
});
const deleteFromPageCache = tracepoint('filemap', 'mm_filemap_delete_from_page_cache', {
  pfn: U64,
  i_ino: U64,
  index: U64,
  s_dev: U64,
});

export const isSwapBacked = (space: AddressSpace): boolean =>
  addressSpaceOperations[space.operations]?.swapBacked === true;

/** Gives the space a number, by which frames name it. */
export function registerSpace(memory: MemoryState, space: AddressSpace): void {
  if (space.id !== 0) return;
  space.id = ++memory.lastSpaceId;
  memory.spaces.set(space.id, space);
}

/** Forgets a space that nothing refers to by number any more. */
export function unregisterIfIdle(memory: MemoryState, space: AddressSpace): void {
  if (space.id === 0 || space.pages.size > 0 || space.mappers.size > 0 || space.swapped.size > 0) return;
  dropReservations(memory, space, 0, Infinity);
  memory.spaces.delete(space.id);
  memory.dirtySpaces.delete(space.id);
  space.id = 0;
}

export function spaceOfFrame(memory: MemoryState, frame: number): AddressSpace | undefined {
  if (((memory.flags[frame] ?? 0) & PG.anon) !== 0) return undefined;
  return memory.spaces.get(memory.mapping[frame] ?? 0);
}

/** Inserts a fresh frame, whose one reference goes to the space. `flags` are PG flags to start with. */
export function insertPage(
  kernel: Kernel,
  space: AddressSpace,
  index: number,
  frame: number,
  flags: number,
): void {
  const { memory } = kernel;
  assert(!space.pages.has(index), 'a page is inserted where there is none');
  registerSpace(memory, space);
  space.pages.set(index, frame);
  memory.mapping[frame] = space.id;
  memory.index[frame] = index;
  const operations = addressSpaceOperations[space.operations];
  const swapBacked = operations?.swapBacked === true ? PG.swapBacked : 0;
  memory.flags[frame] = flags | swapBacked;
  setOwner(memory, frame, 0, OWNER[operations?.owner ?? (swapBacked === 0 ? 'file' : 'shmem')]);
  if ((flags & PG.fixed) === 0) addToLru(memory, frame);
  if (isOn(kernel, addToPageCache)) emit(kernel, addToPageCache, traceOf(kernel, space, index, frame));
}

/** Takes a page out of its space, clean or not, and drops the space's reference. No page-table entry may map it. */
export function removePage(kernel: Kernel, space: AddressSpace, index: number, frame: number): void {
  if (isOn(kernel, deleteFromPageCache))
    emit(kernel, deleteFromPageCache, traceOf(kernel, space, index, frame));
  detachPage(kernel, space, index, frame);
  putFrame(kernel, frame);
}

/** As removePage, but the reference stays with the caller. */
export function detachPage(kernel: Kernel, space: AddressSpace, index: number, frame: number): void {
  const { memory } = kernel;
  space.pages.delete(index);
  clearDirty(memory, space, index, frame);
  memory.mapping[frame] = 0;
  unregisterIfIdle(memory, space);
}

/** The page is dirty from now on; false when it was. */
export function setDirty(
  memory: MemoryState,
  space: AddressSpace,
  index: number,
  frame: number,
  nowNs: number,
): boolean {
  const flags = memory.flags[frame] ?? 0;
  if ((flags & PG.dirty) !== 0) return false;
  memory.flags[frame] = flags | PG.dirty;
  if (isSwapBacked(space)) return true; // never written back, so not counted
  if (space.dirty.size === 0) {
    space.dirtiedNs = nowNs;
    memory.dirtySpaces.add(space.id);
  }
  space.dirty.add(index);
  memory.dirtyPages++;
  memory.counters.nr_dirtied++;
  return true;
}

export function clearDirty(memory: MemoryState, space: AddressSpace, index: number, frame: number): void {
  memory.flags[frame] = (memory.flags[frame] ?? 0) & ~PG.dirty;
  if (!space.dirty.delete(index)) return;
  memory.dirtyPages--;
  if (space.dirty.size === 0) memory.dirtySpaces.delete(space.id);
}

function traceOf(_kernel: Kernel, space: AddressSpace, index: number, frame: number) {
  const { host } = space;
  const isInode =
    typeof host === 'object' && host !== null && 'number' in host && typeof host.number === 'number';
  const inode = isInode ? Number(host.number) : 0;
  const device =
    typeof host === 'object' && host !== null && 'superBlock' in host ? Number(host.superBlock) : 0;
  return { pfn: frame, i_ino: inode, index, s_dev: device };
}
