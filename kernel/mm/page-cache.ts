// The page cache: pages of files, block devices and shared memory, found by (address space, index). readPage and grabPage
// give frames to be used at once, before the kernel does anything that could wait; nobody needs to hold a reference.
// Both may give BLOCKED: then the current task sleeps and the caller starts over.
import { BLOCKED, EIO, failed, type Failure } from '../abi/errno.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import { leaveQueues } from '../sched/leave-queues.ts';
import type { Kernel } from '../state.ts';
import { charge, now } from '../time/clock.ts';
import { addressSpaceOperations, type AddressSpace, type AddressSpaceOperations } from './address-space.ts';
import { allocateUserFrame } from './allocate.ts';
import { allocateFrames, putFrame } from './buddy.ts';
import {
  insertPage,
  isSwapBacked,
  registerSpace,
  removePage,
  setDirty,
  unregisterIfIdle,
} from './cache-pages.ts';
import { markAccessed } from './lru.ts';
import { OWNER, PG, type MemoryState } from './memory-state.ts';
import { flushCpus, zeroFrame } from './physical.ts';
import { leaveMemoryStall } from './psi.ts';
import { setOwner } from './owners.ts';
import { takeKeptFrame } from './reservation.ts';
import { nextWindow, windowFor, type ReadWindow } from './read-ahead.ts';
import { unmapEverywhere } from './rmap.ts';
import { dropSwap } from './swap.ts';
import { swapIn, takeFromSwapCache } from './swap-in.ts';
import { currentTask, waitOnPage, wakePage } from './waiting.ts';
import { checkRefault } from './workingset.ts';
import { armFlusher, throttleWriter } from './write-back.ts';

export { finishWrite } from './write-back.ts';

type ReadAhead = OpenFile['readAhead'];
/** 'around': a fault in a map without a reading history. */
export type ReadHint = ReadAhead | 'around' | undefined;

function operationsOf(space: AddressSpace): AddressSpaceOperations {
  const operations = addressSpaceOperations[space.operations];
  if (operations === undefined)
    throw new Error(`Broken invariant: there are address space operations ${space.operations}`);
  return operations;
}

/** The page's frame, uptodate. BLOCKED while the disk reads; EIO once after a read error. */
export function readPage(
  kernel: Kernel,
  space: AddressSpace,
  index: number,
  readAhead?: ReadHint,
): number | Failure {
  const { memory } = kernel;
  charge(kernel, 'pageCacheLookup');
  const frame = space.pages.get(index);
  if (frame === undefined) return fillPage(kernel, space, index, readAhead);
  const flags = memory.flags[frame] ?? 0;
  if ((flags & PG.locked) !== 0)
    return waitOnPage(kernel, frame, (flags & PG.workingset) !== 0 ? 'memory' : 'read');
  if ((flags & PG.uptodate) === 0) {
    if ((memory.mapCount[frame] ?? 0) === 0) removePage(kernel, space, index, frame);
    return EIO;
  }
  if ((flags & PG.readAhead) !== 0) {
    memory.flags[frame] = flags & ~PG.readAhead;
    if (typeof readAhead === 'object') readOn(kernel, space, readAhead);
  }
  if (typeof readAhead === 'object') readAhead.previous = index;
  markAccessed(memory, frame);
  remember(memory, frame);
  return frame;
}

/** The page in memory, whatever its state: for mincore and the fault path's look around. */
export function findPage(kernel: Kernel, space: AddressSpace, index: number): number {
  const frame = space.pages.get(index);
  if (frame === undefined) return -1;
  return ((kernel.memory.flags[frame] ?? 0) & (PG.uptodate | PG.locked)) === PG.uptodate ? frame : -1;
}

/** Keeps a frame from being reclaimed until 16 others were given out. */
function remember(memory: MemoryState, frame: number): void {
  memory.recent[memory.recentNext] = frame;
  memory.recentNext = (memory.recentNext + 1) & 15;
}

function fillPage(kernel: Kernel, space: AddressSpace, index: number, readAhead: ReadHint): number | Failure {
  const { memory } = kernel;
  const entry = space.swapped.get(index);
  if (entry !== undefined) return bringBack(kernel, space, index, entry);
  const size = operationsOf(space).sizeOf(kernel, space);
  const pageLimit = Math.max(index + 1, Math.ceil(size / 4096));
  const window = windowFor(memory, index, readAhead, pageLimit);
  const started = startWindow(kernel, space, window, index);
  if (failed(started)) return started;
  if (typeof readAhead === 'object') {
    readAhead.start = window.first;
    readAhead.size = window.count;
    readAhead.async = window.async;
    readAhead.previous = index;
  }
  const frame = space.pages.get(index);
  if (frame === undefined) return EIO;
  const flags = memory.flags[frame] ?? 0;
  if ((flags & PG.locked) !== 0)
    return waitOnPage(kernel, frame, (flags & PG.workingset) !== 0 ? 'memory' : 'read');
  if ((flags & PG.uptodate) === 0) {
    removePage(kernel, space, index, frame);
    return EIO;
  }
  markAccessed(memory, frame);
  remember(memory, frame);
  return frame;
}

/** Shared memory: the page comes back from swap. */
function bringBack(kernel: Kernel, space: AddressSpace, index: number, entry: number): number | Failure {
  const { memory } = kernel;
  const frame = swapIn(kernel, entry, () => noteMajor(kernel));
  if (failed(frame)) return frame;
  if (((memory.flags[frame] ?? 0) & PG.writeback) !== 0) return waitOnPage(kernel, frame, 'memory');
  takeFromSwapCache(kernel, frame);
  // It is on an LRU list already, so it moves by hand rather than through insertPage.
  memory.mapping[frame] = space.id;
  memory.index[frame] = index;
  setOwner(memory, frame, 0, OWNER.shmem);
  memory.flags[frame] = (memory.flags[frame] ?? 0) | PG.dirty;
  space.pages.set(index, frame);
  space.swapped.delete(index);
  dropSwap(kernel, entry);
  markAccessed(memory, frame);
  remember(memory, frame);
  return frame;
}

/** The task's fault or read waits for the disk: it is a major fault if it came from a fault (fault.ts counts it). */
export function noteMajor(kernel: Kernel): void {
  const task = currentTask(kernel);
  if (task !== null) kernel.memory.majorFaulters.add(task.tid);
}

/** Reads the next window in the background; whatever goes wrong is left to the read that needs the page. */
function readOn(kernel: Kernel, space: AddressSpace, readAhead: ReadAhead): void {
  const { memory } = kernel;
  if (memory.freePages <= memory.watermarks.low) return;
  const pageLimit = Math.ceil(operationsOf(space).sizeOf(kernel, space) / 4096);
  const window = nextWindow(memory, readAhead, pageLimit);
  if (window.count <= 0) return;
  readAhead.start = window.first;
  readAhead.size = window.count;
  readAhead.async = window.async;
  startWindow(kernel, space, window, -1);
}

function takeKeptRun(kernel: Kernel, space: AddressSpace, first: number, count: number, frames: number[]) {
  const { memory } = kernel;
  const pages = Math.ceil(operationsOf(space).sizeOf(kernel, space) / 4096);
  registerSpace(memory, space);
  const range = { first: 0, end: pages, grows: false };
  while (frames.length < count) {
    const frame = takeKeptFrame(memory, 'space', space, first + frames.length, range);
    if (frame < 0) return;
    frames.push(frame);
  }
}

/** Starts reading the missing pages of a window. `needed` (or -1) is the page whose failure counts. */
function startWindow(
  kernel: Kernel,
  space: AddressSpace,
  window: ReadWindow,
  needed: number,
): number | Failure {
  const end = window.first + window.count;
  let result: number | Failure = 0;
  for (let first = window.first; first < end;) {
    if (space.pages.has(first) || space.swapped.has(first)) {
      first++;
      continue;
    }
    let count = 1;
    while (first + count < end && !space.pages.has(first + count) && !space.swapped.has(first + count))
      count++;
    const isNeeded = needed >= first && needed < first + count;
    const started = startRun(kernel, space, first, count, isNeeded ? needed : -1, window);
    if (failed(started) && isNeeded) return started;
    if (failed(started)) {
      if (started === BLOCKED) stayAwake(kernel);
      result = 0;
    }
    first += count;
  }
  return result;
}

/** Optional reading could not start without waiting: the task goes on as if nothing had been tried. */
function stayAwake(kernel: Kernel): void {
  const task = currentTask(kernel);
  if (task === null) return;
  leaveQueues(task);
  task.state = 'running';
  leaveMemoryStall(kernel, task);
}

function startRun(
  kernel: Kernel,
  space: AddressSpace,
  first: number,
  count: number,
  needed: number,
  window: ReadWindow,
): number | Failure {
  const { memory } = kernel;
  const frames: number[] = [];
  let start = first;
  if (memory.freePages > memory.watermarks.low + count) takeRun(kernel, space, first, count, frames);
  if (frames.length < count) {
    // Memory is short: only the page that is needed.
    for (const frame of frames.splice(0)) giveBackFrame(kernel, frame);
    if (needed < 0) return 0;
    const frame = allocateUserFrame(kernel, operationsOf(space).owner ?? 'file');
    if (failed(frame)) return frame;
    frames.push(frame);
    start = needed;
  }
  for (const [offset, frame] of frames.entries()) {
    const index = start + offset;
    insertPage(kernel, space, index, frame, PG.locked);
    checkRefault(kernel, space, index, frame);
    if (index === window.marker) memory.flags[frame] = (memory.flags[frame] ?? 0) | PG.readAhead;
  }
  const started = operationsOf(space).readPages(kernel, space, start, frames);
  if (!failed(started)) {
    if (needed >= 0 && !isDone(memory, frames[needed - start])) noteMajor(kernel);
    return 0;
  }
  for (const [offset, frame] of frames.entries()) {
    memory.flags[frame] = (memory.flags[frame] ?? 0) & ~PG.locked;
    removePage(kernel, space, start + offset, frame);
    wakePage(kernel, frame);
  }
  return started;
}

const isDone = (memory: MemoryState, frame: number | undefined): boolean =>
  frame === undefined || ((memory.flags[frame] ?? 0) & PG.locked) === 0;

/** Frames for a run of pages, side by side as far as free blocks allow; those of a mapped file at their place in it. */
function takeRun(kernel: Kernel, space: AddressSpace, first: number, count: number, frames: number[]): void {
  if (space.mappers.size > 0 && !isSwapBacked(space)) takeKeptRun(kernel, space, first, count, frames);
  let left = count - frames.length;
  for (let order = Math.min(5, 31 - Math.clz32(left)); left > 0 && order >= 0;) {
    if (1 << order > left) {
      order--;
      continue;
    }
    const frame = allocateFrames(kernel, order, 'file');
    if (failed(frame)) {
      order--;
      continue;
    }
    for (let i = 0; i < 1 << order; i++) frames.push(frame + i);
    left -= 1 << order;
  }
}

function giveBackFrame(kernel: Kernel, frame: number): void {
  kernel.memory.refCount[frame] = 1;
  putFrame(kernel, frame);
}

/** A read that readPages started is over. */
export function finishRead(kernel: Kernel, space: AddressSpace, index: number, ok: boolean): void {
  const { memory } = kernel;
  const frame = space.pages.get(index);
  if (frame === undefined) return;
  memory.flags[frame] = ((memory.flags[frame] ?? 0) & ~PG.locked) | (ok ? PG.uptodate : PG.error);
  if (!isSwapBacked(space)) memory.counters.pgpgin += 4;
  wakePage(kernel, frame);
}

export interface GrabOptions {
  /** The caller will fill the whole page: nothing is read. */
  readonly overwrite: boolean;
}

/** The page's frame for writing: uptodate, or fresh and zeroed. Slows down who dirties too much (BLOCKED). */
export function grabPage(
  kernel: Kernel,
  space: AddressSpace,
  index: number,
  { overwrite }: GrabOptions,
): number | Failure {
  const { memory } = kernel;
  if (!isSwapBacked(space)) {
    const throttled = throttleWriter(kernel);
    if (failed(throttled)) return throttled;
  }
  if (space.pages.has(index) || space.swapped.has(index)) return readPage(kernel, space, index);
  const isNew = overwrite || index * 4096 >= operationsOf(space).sizeOf(kernel, space);
  if (!isNew) return readPage(kernel, space, index);
  const frame = allocateUserFrame(kernel, operationsOf(space).owner ?? 'file');
  if (failed(frame)) return frame;
  zeroFrame(kernel, frame);
  insertPage(kernel, space, index, frame, PG.uptodate);
  remember(memory, frame);
  return frame;
}

/** The page's content differs from the disk's; the flusher will write it. */
export function markDirty(kernel: Kernel, space: AddressSpace, index: number): void {
  const frame = space.pages.get(index);
  if (frame === undefined) return;
  markAccessed(kernel.memory, frame);
  if (setDirty(kernel.memory, space, index, frame, now(kernel)) && !isSwapBacked(space)) armFlusher(kernel);
}

/**
 * Throws pages away from an index on (up to before `end`), dirty or not, out of all maps too: the file has become shorter,
 * or is gone. BLOCKED, with nothing changed, while one of them is being read or written.
 */
export function truncatePages(
  kernel: Kernel,
  space: AddressSpace,
  fromIndex: number,
  end = Infinity,
): number | Failure {
  const { memory } = kernel;
  const doomed: [number, number][] = [];
  for (const entry of space.pages) if (entry[0] >= fromIndex && entry[0] < end) doomed.push(entry);
  for (const [, frame] of doomed) {
    const flags = memory.flags[frame] ?? 0;
    if ((flags & PG.locked) !== 0) return waitOnPage(kernel, frame, 'read');
    if ((flags & PG.writeback) !== 0) return waitOnPage(kernel, frame, 'write-back');
  }
  let cpuMask = 0;
  for (const [index, frame] of doomed) {
    if ((memory.mapCount[frame] ?? 0) > 0) cpuMask |= unmapEverywhere(kernel, frame, -1).cpuMask;
    removePage(kernel, space, index, frame);
  }
  if (cpuMask !== 0) flushCpus(kernel, cpuMask);
  for (const [index, entry] of [...space.swapped]) {
    if (index < fromIndex || index >= end) continue;
    space.swapped.delete(index);
    dropSwap(kernel, entry);
  }
  unregisterIfIdle(memory, space);
  return 0;
}

/** Drops clean pages that nobody maps or uses (drop_caches, fadvise DONTNEED); gives how many. */
export function dropPages(kernel: Kernel, space: AddressSpace, fromIndex = 0, end = Infinity): number {
  const { memory } = kernel;
  let dropped = 0;
  if (isSwapBacked(space)) return 0;
  for (const [index, frame] of [...space.pages]) {
    if (index < fromIndex || index >= end) continue;
    if (((memory.flags[frame] ?? 0) & (PG.locked | PG.writeback | PG.dirty | PG.fixed)) !== 0) continue;
    if ((memory.refCount[frame] ?? 0) !== 1) continue;
    removePage(kernel, space, index, frame);
    dropped++;
  }
  return dropped;
}

/** /proc/sys/vm/drop_caches, bit 0: every clean page of every file. */
export function dropAllPages(kernel: Kernel): number {
  let dropped = 0;
  for (const space of [...kernel.memory.spaces.values()]) dropped += dropPages(kernel, space);
  kernel.memory.counters.drop_pagecache++;
  return dropped;
}
