// Reading the memory of a task, one's own or another's, for cmdline and environ.
import { EFAULT, failed, type Failure } from '../abi/errno.ts';
import { readMm } from '../mm/user-memory.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';

/** Bytes of a task's memory; the reader waits when they must come from disk. What is not mapped gives an empty answer. */
export function readTaskMemory(
  kernel: Kernel,
  reader: Task,
  task: Task,
  address: number,
  length: number,
): Uint8Array | Failure {
  if (task.mm === null || length <= 0) return new Uint8Array(0);
  const bytes = readMm(kernel, reader, task.mm, address, length);
  return failed(bytes) && bytes === EFAULT ? new Uint8Array(0) : bytes;
}
