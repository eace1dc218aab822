// pidfds: an open file that stands for a process; readable when the process has ended (pidfd_open(2)).
import { EBADF, failed, type Failure } from '../abi/errno.ts';
import { O } from '../abi/open-flags.ts';
import { POLLIN, POLLRDNORM } from '../abi/poll.ts';
import { fileOf, installFile } from '../fs/vfs/file-table.ts';
import { fileOperations } from '../fs/vfs/inode.ts';
import { newAnonymousFile, putFile, type OpenFile } from '../fs/vfs/open-file.ts';
import { storeUser32 } from '../mm/user-memory.ts';
import type { Task, Tid } from '../sched/task.ts';
import { findProcess } from '../signal/groups.ts';
import type { Kernel } from '../state.ts';
import type { Process } from './process.ts';

const NAME = 'pidfd';

/** The record itself is kept, so that a reused pid is never mistaken for the process. */
interface PidfdData {
  readonly process: Process;
}

const isPidfdData = (data: unknown): data is PidfdData =>
  typeof data === 'object' && data !== null && 'process' in data;

fileOperations[NAME] = {
  poll(_kernel, file) {
    const process = processBehind(file);
    if (process === undefined) return { events: 0, queues: [] };
    return { events: process.dead ? POLLIN | POLLRDNORM : 0, queues: [process.shared.arrived] };
  },
  stream: true,
};

function processBehind(file: OpenFile): Process | undefined {
  return file.operations === NAME && isPidfdData(file.data) ? file.data.process : undefined;
}

/** The process that a descriptor stands for, also when it has been waited for. */
export function processOfPidfd(task: Task, fd: number): Process | Failure {
  const file = fileOf(task, fd);
  if (failed(file)) return file;
  return processBehind(file) ?? EBADF;
}

export function openPidfd(
  kernel: Kernel,
  task: Task,
  process: Process,
  nonBlocking: boolean,
): number | Failure {
  const flags = O.RDWR | (nonBlocking ? O.NONBLOCK : 0);
  const file = newAnonymousFile(kernel, NAME, { process }, flags);
  if (failed(file)) return file;
  const fd = installFile(kernel, task, file, true);
  if (failed(fd)) putFile(kernel, file);
  return fd;
}

/** CLONE_PIDFD: a descriptor for the new child, its number stored for the parent. */
export function installPidfd(kernel: Kernel, task: Task, child: Tid, address: number): void {
  const process = findProcess(kernel, child);
  if (process === undefined) return;
  const fd = openPidfd(kernel, task, process, false);
  if (!failed(fd)) storeUser32(kernel, task, address, fd);
}
