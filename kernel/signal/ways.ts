// What signals need of folders that stand above: user memory (mm fills it) and the end of a task (process does). The
// folder above assigns its functions when it is loaded.
import type { Failure } from '../abi/errno.ts';
import type { Kernel } from '../state.ts';
import type { Task } from '../sched/task.ts';

export interface UpwardWays {
  /** Ends the running thread, or its whole process, with this wait status. May give BLOCKED: call again. */
  endThread(kernel: Kernel, task: Task, waitStatus: number): number | Failure;
  endProcess(kernel: Kernel, task: Task, waitStatus: number): number | Failure;
  /** Writes a core file where the limits allow one; gives whether it did, or BLOCKED. */
  dumpCore(kernel: Kernel, task: Task, signal: number): boolean | Failure;
  readUser(kernel: Kernel, task: Task, address: number, length: number): Uint8Array | Failure;
  writeUser(kernel: Kernel, task: Task, address: number, bytes: Uint8Array): number | Failure;
  faultInUser(
    kernel: Kernel,
    task: Task,
    address: number,
    length: number,
    access: 'read' | 'write',
  ): number | Failure;
}

const unset = (): never => {
  throw new Error('Broken invariant: process/ has filled the ways that signals need');
};

export const ways: UpwardWays = {
  endThread: unset,
  endProcess: unset,
  dumpCore: unset,
  readUser: unset,
  writeUser: unset,
  faultInUser: unset,
};
