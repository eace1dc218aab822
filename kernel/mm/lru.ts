// The LRU lists: inactive and active, for anonymous (swap-backed) and file pages, and the unevictable ones. New pages go to
// the front; reclaim takes from the back. A page that is used twice moves to the active list (second chance).
import { addFirst, unlinkFrame } from './frame-lists.ts';
import { LRU, PG, type MemoryState } from './memory-state.ts';

function lruOf(flags: number): number {
  if ((flags & PG.unevictable) !== 0) return LRU.unevictable;
  if ((flags & PG.swapBacked) !== 0) return (flags & PG.active) !== 0 ? LRU.activeAnon : LRU.inactiveAnon;
  return (flags & PG.active) !== 0 ? LRU.activeFile : LRU.inactiveFile;
}

export function addToLru(memory: MemoryState, frame: number): void {
  const flags = (memory.flags[frame] ?? 0) | PG.lru;
  memory.flags[frame] = flags;
  const list = lruOf(flags);
  memory.lruPages[list] = (memory.lruPages[list] ?? 0) + 1;
  addFirst(memory, list, frame);
}

export function removeFromLru(memory: MemoryState, frame: number): void {
  const flags = memory.flags[frame] ?? 0;
  const list = lruOf(flags);
  memory.lruPages[list] = (memory.lruPages[list] ?? 0) - 1;
  unlinkFrame(memory, frame);
  memory.flags[frame] = flags & ~PG.lru;
}

/** Moves the page to the front of the list that its flags, changed by `set` and `clear`, put it on. */
export function moveOnLru(memory: MemoryState, frame: number, set: number, clear: number): void {
  if (((memory.flags[frame] ?? 0) & PG.lru) === 0) {
    memory.flags[frame] = ((memory.flags[frame] ?? 0) | set) & ~clear;
    return;
  }
  removeFromLru(memory, frame);
  memory.flags[frame] = ((memory.flags[frame] ?? 0) | set) & ~clear;
  addToLru(memory, frame);
}

export function activatePage(memory: MemoryState, frame: number): void {
  moveOnLru(memory, frame, PG.active, PG.referenced);
  memory.counters.pgactivate++;
}

/** mark_page_accessed: inactive → referenced → active. */
export function markAccessed(memory: MemoryState, frame: number): void {
  const flags = memory.flags[frame] ?? 0;
  if ((flags & PG.referenced) === 0) memory.flags[frame] = flags | PG.referenced;
  else if ((flags & (PG.active | PG.unevictable)) === 0 && (flags & PG.lru) !== 0) activatePage(memory, frame); // prettier-ignore
}
