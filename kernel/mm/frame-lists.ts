// Rings of frames through memory.next and memory.prev. A list's head is the node frameCount + list number. A frame is on at
// most one list: a free list of the buddy system or an LRU list.
import { LRU_COUNT, type MemoryState } from './memory-state.ts';

export const freeList = (order: number): number => LRU_COUNT + order;

export function addFirst(memory: MemoryState, list: number, frame: number): void {
  const { next, prev } = memory;
  const head = memory.frameCount + list;
  const first = next[head] ?? head;
  next[frame] = first;
  prev[frame] = head;
  prev[first] = frame;
  next[head] = frame;
}

export function addLast(memory: MemoryState, list: number, frame: number): void {
  const { next, prev } = memory;
  const head = memory.frameCount + list;
  const last = prev[head] ?? head;
  prev[frame] = last;
  next[frame] = head;
  next[last] = frame;
  prev[head] = frame;
}

export function unlinkFrame(memory: MemoryState, frame: number): void {
  const { next, prev } = memory;
  const after = next[frame] ?? 0;
  const before = prev[frame] ?? 0;
  next[before] = after;
  prev[after] = before;
}

/** The list's first frame, or -1. */
export function firstOf(memory: MemoryState, list: number): number {
  const frame = memory.next[memory.frameCount + list] ?? -1;
  return frame < memory.frameCount ? frame : -1;
}

/** The list's last frame, or -1. */
export function lastOf(memory: MemoryState, list: number): number {
  const frame = memory.prev[memory.frameCount + list] ?? -1;
  return frame < memory.frameCount ? frame : -1;
}
