// The buddy system: free page frames in blocks of 2^order, split on demand and merged with their buddies when freed
// (Understanding the Linux Kernel, ch. 8). Lists are taken from the front, so runs are the same every time, and a fresh
// machine hands out ascending, contiguous frames. Every frame that is handed out has a reference count of 1.
import { ENOMEM, type Failure } from '../abi/errno.ts';
import { assert } from '../lib/assert.ts';
import type { Kernel } from '../state.ts';
import { wakeUp } from '../sched/wait-queue.ts';
import { emit, isOn, tracepoint, U32, U64 } from '../trace/tracepoint.ts';
import { freeBlock, handOut, insertFree, takeBlock } from './free-blocks.ts';
import { removeFromLru } from './lru.ts';
import { breakReservations } from './reservation.ts';
import { MAX_ORDER, OWNER, PG, type MemoryState, type OwnerKind } from './memory-state.ts';
import { setWatermarks } from './watermarks.ts';

const mmPageAlloc = tracepoint('kmem', 'mm_page_alloc', {
  pfn: U64,
  order: U32,
  gfp_flags: 'text',
  migratetype: 's32',
});
const mmPageFree = tracepoint('kmem', 'mm_page_free', { pfn: U64, order: U32 });

/** What the kernel image, its data and the BIOS area take at the bottom of RAM. */
const KERNEL_IMAGE_FRAMES = 1024;

/** Gives all RAM but the kernel's own first MiBs to the free lists. Called once, at power-on. */
export function startBuddy(memory: MemoryState): void {
  memory.reservedFrames = Math.min(KERNEL_IMAGE_FRAMES, memory.frameCount >> 2);
  memory.flags.fill(PG.reserved, 0, memory.reservedFrames);
  memory.owner.fill(OWNER.kernel, 0, memory.reservedFrames);
  memory.ownerPages[OWNER.kernel] = memory.reservedFrames;
  memory.ownerPages[OWNER.free] = memory.frameCount - memory.reservedFrames;
  memory.refCount.fill(1, 0, memory.reservedFrames);
  for (let frame = memory.reservedFrames; frame < memory.frameCount;) {
    let order = MAX_ORDER;
    while (order > 0 && (frame & ((1 << order) - 1)) !== 0) order--;
    while (order > 0 && frame + (1 << order) > memory.frameCount) order--;
    insertFree(memory, frame, order, 'last');
    memory.freePages += 1 << order;
    frame += 1 << order;
  }
  memory.managedPages = memory.freePages;
  setWatermarks(memory);
}

/**
 * A block of 2^order frames for the kernel's own use, or ENOMEM. It may use all free memory, down to the last page: what
 * users cause is limited by allocateUserFrame (allocate.ts), which keeps the reserve below the low watermark.
 */
export function allocateFrames(kernel: Kernel, order: number, owner: OwnerKind): number | Failure {
  const { memory } = kernel;
  let frame = takeBlock(memory, order);
  if (frame < 0 && breakReservations(memory, order)) frame = takeBlock(memory, order);
  if (frame < 0) return ENOMEM;
  memory.freePages -= 1 << order;
  handOut(memory, frame, order, OWNER[owner]);
  if (isOn(kernel, mmPageAlloc)) {
    emit(kernel, mmPageAlloc, {
      pfn: frame,
      order,
      gfp_flags: owner === 'anon' ? 'GFP_HIGHUSER_MOVABLE' : 'GFP_KERNEL',
      migratetype: 1,
    });
  }
  return frame;
}

/** Gives back a block got from allocateFrames whose reference counts nobody else holds. */
export function freeFrames(kernel: Kernel, frame: number, order: number): void {
  const { memory } = kernel;
  if (isOn(kernel, mmPageFree)) emit(kernel, mmPageFree, { pfn: frame, order });
  if (order === 0) memory.refCount[frame] = 0;
  else memory.refCount.fill(0, frame, frame + (1 << order)); // prettier-ignore
  memory.counters.pgfree += 1 << order;
  memory.freePages += 1 << order;
  freeBlock(memory, frame, order);
}

export function getFrame(kernel: Kernel, frame: number): void {
  kernel.memory.refCount[frame] = (kernel.memory.refCount[frame] ?? 0) + 1;
}

/** Drops a reference; the last one takes the frame off its LRU list and frees it. */
export function putFrame(kernel: Kernel, frame: number): void {
  const { memory } = kernel;
  const count = (memory.refCount[frame] ?? 0) - 1;
  assert(count >= 0, 'a frame is put no more often than it was got');
  memory.refCount[frame] = count;
  if (count > 0) return;
  if (((memory.flags[frame] ?? 0) & PG.lru) !== 0) removeFromLru(memory, frame);
  freeFrames(kernel, frame, 0);
  if (memory.freeWait.waiters.size > 0 && memory.freePages > memory.watermarks.min)
    wakeUp(kernel, memory.freeWait);
}
