// Starting kernel threads: children of kthreadd (pid 2) without user memory, whose step is found by name in `kernelThreads`.
import { assert } from '../lib/assert.ts';
import { failed } from '../abi/errno.ts';
import { newFileTable } from '../fs/vfs/file-table.ts';
import { copyFsContext } from '../fs/vfs/fs-context.ts';
import type { FsContext } from '../fs/vfs/fs-context.ts';
import { newContext } from '../machine/index.ts';
import { wakeTask } from '../sched/core.ts';
import type { Task } from '../sched/task.ts';
import { newPendingSignals, newSignalHandlers } from '../signal/state.ts';
import type { Kernel } from '../state.ts';
import { now } from '../time/clock.ts';
import { rootCredentials } from './credentials.ts';
import { allocateKernelStack } from './kernel-stack.ts';
import { newTask } from './new-task.ts';
import { allocatePid } from './pids.ts';
import { newProcess } from './process.ts';

/** Pid of the parent of all kernel threads. */
export const KTHREADD = 2;

/** Starts a kernel thread: `name` is its entry in kernelThreads, `comm` what ps shows. */
export function startKernelThread(kernel: Kernel, name: string, comm: string, data: unknown): Task {
  const parent = kernel.tasks.has(KTHREADD) ? KTHREADD : 0;
  const fs = kernel.tasks.get(KTHREADD)?.fs ?? kernel.tasks.get(kernel.process.initPid)?.fs;
  assert(fs !== undefined, 'init and kthreadd exist before other kernel threads');
  return makeKernelThread(kernel, name, comm, data, parent, copyFsContext(kernel, fs));
}

/** As startKernelThread, for the first tasks, which have no parent to take things from. */
export function makeKernelThread(
  kernel: Kernel,
  name: string,
  comm: string,
  data: unknown,
  parent: number,
  fs: FsContext,
): Task {
  const tid = allocatePid(kernel);
  assert(!failed(tid), 'there is a pid for a kernel thread');
  assert(!failed(allocateKernelStack(kernel, tid)), 'there is memory for a kernel thread');
  const process = newProcess(tid, parent, null, now(kernel));
  kernel.tasks.get(parent)?.process.children.add(tid);
  const task = newTask(kernel, null, {
    tid, comm: comm.slice(0, 15), process, mm: null, files: newFileTable(), fs, credentials: rootCredentials(),
    sighand: newSignalHandlers(), signals: newPendingSignals(0n), context: newContext(),
    kernelThread: { name, data }, exitSignal: 0,
  }); // prettier-ignore
  wakeTask(kernel, task);
  return task;
}
