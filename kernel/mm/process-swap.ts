// Swapping whole processes, the scheme of early Unix, beside paging: with vm.process_swapping set, kswapd does not look for
// pages but for a process – the one that has slept longest – and writes all its anonymous memory to swap. At its next
// touch of memory everything is read back at once.
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { USER_END } from '../abi/mman.ts';
import type { Mm } from './mm.ts';
import { frameOf, isMapped, SWAPPED, visitPtes } from './page-table.ts';
import { flushCpus, loadWord } from './physical.ts';
import { PG } from './memory-state.ts';
import { reclaimFrame, type Scan } from './reclaim.ts';
import { readEntries } from './swap-in.ts';

/** Pages that one step starts to write. */
const STEP_PAGES = 256;
/** A process below this is not worth the trouble. */
const SMALLEST_PAGES = 16;

/** Whether a process is on its way out: kswapd then goes on though memory is no longer short. */
export const isSwappingOut = (kernel: Kernel): boolean => kernel.memory.leavingMm !== 0;

/** Puts the process out that should go next, or goes on with the one that is going. False when there is none. */
export function swapOutNext(kernel: Kernel, scan: Scan): boolean {
  const { memory } = kernel;
  const victim = memory.mms.get(memory.leavingMm) ?? chooseMm(kernel);
  memory.leavingMm = 0;
  if (victim === undefined || memory.swap.freeSlots === 0) return false;
  const frames: number[] = [];
  visitPtes(kernel, victim, 0, USER_END, (_pte, low) => {
    const frame = frameOf(low);
    const isAnon = isMapped(low) && ((memory.flags[frame] ?? 0) & (PG.anon | PG.lru)) === (PG.anon | PG.lru);
    if (isAnon && frames.length < STEP_PAGES && memory.mapCount[frame] === 1) frames.push(frame);
  });
  const before = victim.rss.anon;
  for (const frame of frames) if (reclaimFrame(kernel, frame, scan)) scan.reclaimed++;
  if (scan.cpuMask !== 0) flushCpus(kernel, scan.cpuMask);
  scan.cpuMask = 0;
  victim.swappedOut = true;
  if (victim.rss.anon < before || memory.writebackPages > 0)
    memory.leavingMm = frames.length > 0 ? victim.id : 0;
  return frames.length > 0;
}

/** Of the processes that sleep, the one that ran longest ago. */
function chooseMm(kernel: Kernel): Mm | undefined {
  const lastRan = new Map<Mm, number>();
  for (const task of kernel.tasks.values()) {
    if (task.mm === null || task.process.pid === 1) continue;
    lastRan.set(
      task.mm,
      Math.max(lastRan.get(task.mm) ?? 0, isAsleep(task) ? task.sched.lastRanNs : Infinity),
    );
  }
  let best: Mm | undefined;
  let oldest = Infinity;
  for (const [mm, ns] of lastRan) {
    if (mm.swappedOut || mm.rss.anon < SMALLEST_PAGES || ns >= oldest) continue;
    [best, oldest] = [mm, ns];
  }
  return best;
}

const isAsleep = (task: Task): boolean => task.state === 'sleeping' || task.state === 'stopped';

/** The process wants to run again: starts reading everything it has in swap, as far as memory goes. */
export function swapInProcess(kernel: Kernel, mm: Mm): void {
  mm.swappedOut = false;
  const entries: number[] = [];
  visitPtes(kernel, mm, 0, USER_END, (pte, low) => {
    if ((low & SWAPPED) !== 0) entries.push(loadWord(kernel, pte + 4) >>> 0);
  });
  readEntries(kernel, entries);
}
