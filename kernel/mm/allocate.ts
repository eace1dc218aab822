// Memory for what users cause: page faults, the page cache. Below the low watermark kswapd is woken, below min the task
// itself reclaims, and if that frees nothing at once it sleeps until pages come back from the disk. When nothing can
// be freed any more, the OOM killer runs.
import { ENOMEM, failed, type Failure } from '../abi/errno.ts';
import { PAGE_BYTES } from '../abi/mman.ts';
import { fatalSignalPending } from '../signal/send.ts';
import type { Kernel } from '../state.ts';
import { emit, isOn, tracepoint } from '../trace/tracepoint.ts';
import { wakeUp } from '../sched/wait-queue.ts';
import { allocateFrames } from './buddy.ts';
import type { Mm, Vma } from './mm.ts';
import { outOfMemory } from './oom.ts';
import { newScan, shrinkLists } from './reclaim.ts';
import { takeKeptFrame, type PageRange } from './reservation.ts';
import type { OwnerKind } from './memory-state.ts';
import { vmaIndex } from './vma.ts';
import { currentTask, waitForMemory } from './waiting.ts';
import { flushSoon } from './write-back.ts';

const directBegin = tracepoint('vmscan', 'mm_vmscan_direct_reclaim_begin', {
  order: 's32',
  gfp_flags: 'text',
});
const directEnd = tracepoint('vmscan', 'mm_vmscan_direct_reclaim_end', { nr_reclaimed: 'u64' });
const wakeKswapdEvent = tracepoint('vmscan', 'mm_vmscan_wakeup_kswapd', {
  nid: 's32',
  zid: 's32',
  order: 's32',
});

const DIRECT_TARGET = 32;

/** A frame, or BLOCKED (the task sleeps until there is memory), or ENOMEM (it is being killed, or nobody can be). */
export function allocateUserFrame(kernel: Kernel, owner: OwnerKind): number | Failure {
  const { memory } = kernel;
  if (memory.freePages <= memory.watermarks.low) {
    const ready = makeRoom(kernel);
    if (failed(ready)) return ready;
  }
  return allocateFrames(kernel, 0, owner);
}

/** As allocateUserFrame, for an anonymous page of a vma: side by side with at most so many neighbours when possible. */
export function allocateAnonFrame(
  kernel: Kernel,
  mm: Mm,
  vma: Vma,
  address: number,
  mostPages = Infinity,
): number | Failure {
  const { memory } = kernel;
  if (memory.freePages <= memory.watermarks.low) {
    const ready = makeRoom(kernel);
    if (failed(ready)) return ready;
  }
  const kept = takeKeptFrame(memory, 'mm', mm, address / PAGE_BYTES, rangeOf(mm, vma, address, mostPages));
  return kept >= 0 ? kept : allocateFrames(kernel, 0, 'anon');
}

const HEAP_PAGES = 512;

/** The vma and those that touch it and have anonymous pages, too: data, what is read-only after relocation, bss. */
function rangeOf(mm: Mm, vma: Vma, address: number, mostPages: number): PageRange {
  const { vmas } = mm;
  let { start, end } = vma;
  const index = vmaIndex(mm, address);
  for (let i = index - 1, below = vmas[i]; below?.end === start && hasAnonPages(below); below = vmas[--i]) start = below.start; // prettier-ignore
  for (let i = index + 1, above = vmas[i]; above?.start === end && hasAnonPages(above); above = vmas[++i]) end = above.end; // prettier-ignore
  const isHeap = vma.start <= mm.brk && vma.end >= mm.startBrk && mm.brk !== mm.startBrk;
  const range = { first: start / PAGE_BYTES, end: end / PAGE_BYTES, grows: isHeap };
  if (range.end - range.first > mostPages) {
    const page = address / PAGE_BYTES;
    range.first = Math.max(range.first, page - (page % mostPages));
    range.end = Math.min(range.end, range.first + mostPages);
    return { ...range, grows: false };
  }
  // Most heaps grow soon
  if (isHeap && mostPages >= HEAP_PAGES) range.end = Math.max(range.end, range.first + HEAP_PAGES);
  return range;
}

const hasAnonPages = ({ flags, hasAnon }: Vma): boolean => !flags.shared && (flags.write || hasAnon);

export function wakeKswapd(kernel: Kernel): void {
  if (kernel.memory.kswapdWait.waiters.size === 0) return;
  if (isOn(kernel, wakeKswapdEvent)) emit(kernel, wakeKswapdEvent, { nid: 0, zid: 1, order: 0 });
  wakeUp(kernel, kernel.memory.kswapdWait);
}

/** 0 when the caller may take a frame. */
function makeRoom(kernel: Kernel): number | Failure {
  const { memory } = kernel;
  wakeKswapd(kernel);
  if (memory.freePages > memory.watermarks.min) return 0;
  const task = currentTask(kernel);
  // Kernel threads free memory, and who is being killed will: they may use the reserve.
  if (task === null || task.mm === null || fatalSignalPending(task) || task.flags.exiting)
    return memory.freePages > 0 ? 0 : ENOMEM;
  if (directReclaim(kernel) && memory.freePages > 0) return 0;
  if (memory.freePages > memory.watermarks.min) return 0;
  if (memory.writebackPages > 0 || memory.dirtyPages > 0) {
    if (memory.dirtyPages > 0) flushSoon(kernel);
    if (memory.writebackPages > 0 || memory.dirtyPages > memory.watermarks.min) return waitForMemory(kernel);
  }
  const verdict = outOfMemory(kernel, task);
  if (fatalSignalPending(task)) return memory.freePages > 0 ? 0 : ENOMEM;
  return verdict === 'nobody' ? ENOMEM : waitForMemory(kernel);
}

/** Reclaims on the task's own time, harder from pass to pass. True when it freed pages. */
function directReclaim(kernel: Kernel): boolean {
  const { memory } = kernel;
  memory.counters.allocstall_movable++;
  if (isOn(kernel, directBegin)) emit(kernel, directBegin, { order: 0, gfp_flags: 'GFP_HIGHUSER_MOVABLE' });
  const scan = newScan('direct');
  for (let priority = 12; priority >= 0 && scan.reclaimed < DIRECT_TARGET; priority--) {
    shrinkLists(kernel, scan, priority, DIRECT_TARGET);
    // Pages are on their way out: to look harder would only push out what is in use.
    if (scan.reclaimed + scan.writing >= 2 * DIRECT_TARGET) break;
  }
  if (isOn(kernel, directEnd)) emit(kernel, directEnd, { nr_reclaimed: scan.reclaimed });
  return scan.reclaimed > 0;
}
