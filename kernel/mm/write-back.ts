// Write-back: dirty pages go to disk in clusters – when they are old, when there are too many, or when somebody asks (fsync).
// Dirty pages of maps are write-protected first, so that later writes are noticed. A writer who goes over dirty_ratio
// sleeps until the flusher has caught up.
import { BLOCKED, EIO, failed, type Failure } from '../abi/errno.ts';
import { wakeUp } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { now } from '../time/clock.ts';
import { addTimer, timerActions } from '../time/timers.ts';
import { emit, isOn, tracepoint, U64 } from '../trace/tracepoint.ts';
import { sleepUninterruptible } from '../sched/wait-queue.ts';
import { addressSpaceOperations, type AddressSpace } from './address-space.ts';
import { clearDirty, setDirty } from './cache-pages.ts';
import { moveOnLru } from './lru.ts';
import { LRU, PG, type MemoryState } from './memory-state.ts';
import { flushCpus } from './physical.ts';
import { cleanMappings } from './rmap.ts';
import { currentTask, waitOnPage, wakePage } from './waiting.ts';

const writebackStart = tracepoint('writeback', 'writeback_start', { nr_pages: U64, reason: 'text' });
const writebackWritten = tracepoint('writeback', 'writeback_written', { nr_pages: U64, reason: 'text' });
const balanceDirty = tracepoint('writeback', 'balance_dirty_pages', {
  limit: U64,
  dirty: U64,
  bdi_dirty: U64,
});

const CLUSTER_PAGES = 256;

/** Pages that may be dirty before the flusher starts, and before writers are stopped. */
export function dirtyLimits(memory: MemoryState): { background: number; limit: number } {
  const { tunables, lruPages } = memory;
  const dirtyable = Math.max(
    1,
    memory.freePages + (lruPages[LRU.inactiveFile] ?? 0) + (lruPages[LRU.activeFile] ?? 0),
  );
  const share = (bytes: number, ratio: number): number =>
    bytes > 0 ? Math.ceil(bytes / 4096) : Math.floor((dirtyable * ratio) / 100);
  const limit = share(tunables.dirtyBytes, tunables.dirtyRatio);
  const background = share(tunables.dirtyBackgroundBytes, tunables.dirtyBackgroundRatio);
  return { background: background >= limit ? limit >> 1 : background, limit };
}

/** balance_dirty_pages: 0, or BLOCKED when the task must wait for the flusher. */
export function throttleWriter(kernel: Kernel): number | Failure {
  const { memory } = kernel;
  const dirty = memory.dirtyPages + memory.writebackPages;
  if (dirty < 256) return 0;
  const { background, limit } = dirtyLimits(memory);
  if (memory.dirtyPages > background) wakeUp(kernel, memory.flusherWait);
  if (dirty <= limit) return 0;
  const task = currentTask(kernel);
  if (task === null || task.mm === null) return 0;
  if (isOn(kernel, balanceDirty)) emit(kernel, balanceDirty, { limit, dirty, bdi_dirty: memory.dirtyPages });
  return sleepUninterruptible(kernel, task, memory.dirtyWait, 'balance_dirty_pages');
}

/** There are dirty pages: the flusher looks at them after dirty_writeback_centisecs. */
export function armFlusher(kernel: Kernel): void {
  const { memory } = kernel;
  if (memory.flusherTimer !== 0 || memory.tunables.dirtyWritebackCentisecs === 0) return;
  memory.flusherTimer = addTimer(kernel, now(kernel) + memory.tunables.dirtyWritebackCentisecs * 1e7, {
    kind: 'write-back',
  });
}

/** Reclaim met dirty file pages: what is dirty now is written, however young. */
export function flushSoon(kernel: Kernel): void {
  kernel.memory.flushAllUntilNs = now(kernel);
  wakeUp(kernel, kernel.memory.flusherWait);
}

timerActions['write-back'] = (kernel) => {
  kernel.memory.flusherTimer = 0;
  wakeUp(kernel, kernel.memory.flusherWait);
};

/**
 * Writes what is dirty in a space. With `wait`, BLOCKED until everything is on the device, then the error that a write met.
 * Without, it gives 0 when the writes are started. BLOCKED also when the file system must read metadata first.
 */
export function writeBackSpace(
  kernel: Kernel,
  space: AddressSpace,
  { wait }: { readonly wait: boolean },
): number | Failure {
  const started = startWriteBack(kernel, space, Infinity);
  if (failed(started)) return started;
  if (!wait) return 0;
  for (const index of space.writeback) {
    const frame = space.pages.get(index);
    if (frame !== undefined) return waitOnPage(kernel, frame, 'write-back');
  }
  if (space.dirty.size > 0) return writeBackSpace(kernel, space, { wait });
  return takeError(space);
}

/** The write error since the last look, once (EIO). */
function takeError(space: AddressSpace): number | Failure {
  const had = space.error !== 0;
  space.error = 0;
  return had ? EIO : 0;
}

/** Starts writing up to `most` dirty pages, in order of index and in clusters; gives how many. */
export function startWriteBack(kernel: Kernel, space: AddressSpace, most: number): number | Failure {
  const operations = addressSpaceOperations[space.operations];
  if (space.dirty.size === 0 || operations === undefined) return 0;
  const indexes = [...space.dirty].filter((index) => !space.writeback.has(index)).sort((a, b) => a - b);
  if (isOn(kernel, writebackStart))
    emit(kernel, writebackStart, { nr_pages: indexes.length, reason: 'sync' });
  let started = 0;
  for (let at = 0; at < indexes.length && started < most;) {
    let count = 1;
    while (count < CLUSTER_PAGES && indexes[at + count] === (indexes[at] ?? 0) + count) count++;
    const cluster = indexes.slice(at, at + count);
    const result = writeCluster(kernel, space, cluster);
    if (result === BLOCKED) return result;
    at += count;
    started += count;
  }
  if (isOn(kernel, writebackWritten)) emit(kernel, writebackWritten, { nr_pages: started, reason: 'sync' });
  return started;
}

function writeCluster(kernel: Kernel, space: AddressSpace, cluster: readonly number[]): number | Failure {
  const { memory } = kernel;
  let cpuMask = 0;
  for (const index of cluster) {
    const frame = space.pages.get(index) ?? 0;
    cpuMask |= cleanMappings(kernel, frame).cpuMask;
    clearDirty(memory, space, index, frame);
    space.writeback.add(index);
    memory.flags[frame] = (memory.flags[frame] ?? 0) | PG.writeback;
    memory.writebackPages++;
  }
  if (cpuMask !== 0) flushCpus(kernel, cpuMask);
  const result = addressSpaceOperations[space.operations]?.writePages(kernel, space, cluster) ?? 0;
  if (!failed(result)) return result;
  // It did not start: BLOCKED leaves the pages dirty; an error is reported at the next fsync and the data is given up.
  for (const index of cluster) {
    if (!space.writeback.has(index)) continue;
    finishWrite(kernel, space, index, result === BLOCKED);
    const frame = space.pages.get(index);
    if (result === BLOCKED && frame !== undefined) setDirty(memory, space, index, frame, space.dirtiedNs);
    memory.counters.nr_written--;
  }
  return result;
}

/** A write that writePages started is over. */
export function finishWrite(kernel: Kernel, space: AddressSpace, index: number, ok: boolean): void {
  const { memory } = kernel;
  if (!space.writeback.delete(index)) return;
  memory.writebackPages--;
  memory.counters.nr_written++;
  memory.counters.pgpgout += 4;
  if (!ok) space.error = EIO;
  const frame = space.pages.get(index);
  if (frame !== undefined) {
    const flags = memory.flags[frame] ?? 0;
    memory.flags[frame] = flags & ~(PG.writeback | PG.reclaim);
    // Reclaim wants it: to the end of the inactive list, from where it goes first.
    if ((flags & PG.reclaim) !== 0 && (flags & PG.active) === 0) {
      memory.counters.pgrotated++;
      rotateToEnd(memory, frame);
    }
    wakePage(kernel, frame);
  }
  if (memory.freeWait.waiters.size > 0) wakeUp(kernel, memory.freeWait);
  const isShort = memory.freePages < memory.watermarks.high && memory.writebackPages < 32;
  if (isShort && memory.kswapdWait.waiters.size > 0) wakeUp(kernel, memory.kswapdWait);
  if (memory.dirtyWait.waiters.size > 0) {
    const { background, limit } = dirtyLimits(memory);
    if (memory.dirtyPages + memory.writebackPages <= (background + limit) >> 1)
      wakeUp(kernel, memory.dirtyWait);
  }
}

function rotateToEnd(memory: MemoryState, frame: number): void {
  moveOnLru(memory, frame, 0, PG.referenced);
}

/** Whether a space has been dirty for dirty_expire_centisecs. */
export function isExpired(kernel: Kernel, space: AddressSpace): boolean {
  return now(kernel) - space.dirtiedNs >= kernel.memory.tunables.dirtyExpireCentisecs * 1e7;
}
