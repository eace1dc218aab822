// Faulting a range in ahead of its use (MAP_POPULATE, mlock, MADV_POPULATE_*). It stops quietly where it would have to wait:
// the pages that are missing then come by faults.
import { failed } from '../abi/errno.ts';
import type { Failure } from '../abi/errno.ts';
import { leaveQueues } from '../sched/leave-queues.ts';
import type { Kernel } from '../state.ts';
import { faultPage, type Access } from './fault.ts';
import type { Mm } from './mm.ts';
import { findPte, isMapped } from './page-table.ts';
import { loadWord } from './physical.ts';
import { findVma } from './vma.ts';
import { currentTask } from './waiting.ts';

/** Best effort: what cannot be had at once is left out. */
export function populateRange(kernel: Kernel, mm: Mm, start: number, end: number): void {
  const result = populateOrBlock(kernel, mm, start, end, 'auto');
  const task = currentTask(kernel);
  if (!failed(result) || task === null) return;
  leaveQueues(task);
  if (task.state === 'disk-sleep') task.state = 'running';
}

/** Faults in every page of the range: 0, BLOCKED, or the first fault's failure. */
export function populateOrBlock(
  kernel: Kernel,
  mm: Mm,
  start: number,
  end: number,
  how: 'auto' | 'read' | 'write',
): number | Failure {
  const task = currentTask(kernel);
  for (let address = start; address < end; address += 4096) {
    const pte = findPte(kernel, mm.root, address);
    if (how !== 'write' && pte !== 0 && isMapped(loadWord(kernel, pte))) continue;
    const vma = findVma(mm, address);
    const { read = false, write = false, execute = false } = vma?.flags ?? {};
    if (how === 'auto' && !read && !write && !execute) continue;
    const access: Access = how === 'auto' ? (write && vma?.flags.shared !== true ? 'write' : 'read') : how;
    const result = faultPage(kernel, task, mm, address, access);
    if (failed(result)) return result;
  }
  return 0;
}
