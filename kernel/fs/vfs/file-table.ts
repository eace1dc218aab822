// The descriptor table (Linux's files_struct), shared with CLONE_FILES.
import { EBADF, EMFILE, type Failure } from '../../abi/errno.ts';
import { O, RLIMIT } from '../../abi/open-flags.ts';
import type { Task } from '../../sched/task.ts';
import type { Kernel } from '../../state.ts';
import { dropRecordLocks } from './locks.ts';
import { getFile, putFile, type OpenFile } from './open-file.ts';

export interface FileTable {
  users: number;
  /** Sparse by descriptor. */
  open: (OpenFile | null)[];
  /** FD_CLOEXEC by descriptor. */
  closeOnExec: boolean[];
}

export const newFileTable = (): FileTable => ({ users: 1, open: [], closeOnExec: [] });

/** fork: the same open files under the same descriptors. */
export function copyFileTable(_kernel: Kernel, table: FileTable): FileTable {
  for (const file of table.open) if (file) getFile(file);
  return { users: 1, open: [...table.open], closeOnExec: [...table.closeOnExec] };
}

/** Drops a task's share; the last one closes everything. */
export function putFileTable(kernel: Kernel, table: FileTable, pid = 0): void {
  if (--table.users > 0) return;
  table.open.forEach((file) => {
    if (!file) return;
    if (pid !== 0) dropRecordLocks(kernel, file.inode, `p${pid}`);
    putFile(kernel, file);
  });
  table.open.length = 0;
}

/** exec: closes what is marked FD_CLOEXEC. */
export function closeOnExecFiles(kernel: Kernel, task: Task): void {
  const { files } = task;
  for (let fd = 0; fd < files.open.length; fd++)
    if (files.closeOnExec[fd] === true) closeDescriptor(kernel, task, fd);
}

/** The open file of a descriptor; EBADF also for O_PATH files. */
export function fileOf(task: Task, fd: number): OpenFile | Failure {
  const file = task.files.open[fd];
  return !file || (file.flags & O.PATH) !== 0 ? EBADF : file;
}

/** As fileOf, for calls that accept O_PATH files too (fstat, *at, dup). */
export function anyFileOf(task: Task, fd: number): OpenFile | Failure {
  return task.files.open[fd] ?? EBADF;
}

/** Puts an open file under the lowest free descriptor from `lowest` on; the table takes over the reference. */
export function installFile(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  closeOnExec: boolean,
  lowest = 0,
): number | Failure {
  const fd = freeDescriptor(kernel, task, lowest);
  if (fd < 0) return EMFILE;
  place(task.files, fd, file, closeOnExec);
  return fd;
}

/** Tables have no holes: free descriptors hold null. */
function place(table: FileTable, fd: number, file: OpenFile, closeOnExec: boolean): void {
  while (table.open.length <= fd) {
    table.open.push(null);
    table.closeOnExec.push(false);
  }
  table.open[fd] = file;
  table.closeOnExec[fd] = closeOnExec;
}

/** The lowest free descriptor from `lowest` on, or -1 when RLIMIT_NOFILE is reached. */
export function freeDescriptor(kernel: Kernel, task: Task, lowest = 0): number {
  const { open } = task.files;
  let fd = lowest;
  while (open[fd]) fd++;
  return fd < descriptorLimit(kernel, task) ? fd : -1;
}

export function descriptorLimit(kernel: Kernel, task: Task): number {
  return Math.min(task.process.rlimits[RLIMIT.NOFILE]?.current ?? 1024, kernel.vfs.maxDescriptors);
}

/** dup2: puts a file under a given descriptor and closes what was there. The table takes over the reference. */
export function replaceDescriptor(
  kernel: Kernel,
  task: Task,
  fd: number,
  file: OpenFile,
  closeOnExec: boolean,
): void {
  if (task.files.open[fd]) closeDescriptor(kernel, task, fd);
  place(task.files, fd, file, closeOnExec);
}

/** close(2): frees the descriptor, drops the process's record locks on the file and the reference. */
export function closeDescriptor(kernel: Kernel, task: Task, fd: number): number | Failure {
  const { files } = task;
  const file = files.open[fd];
  if (!file) return EBADF;
  files.open[fd] = null;
  files.closeOnExec[fd] = false;
  while (files.open.length > 0 && files.open[files.open.length - 1] === null) {
    files.open.pop();
    files.closeOnExec.length = files.open.length;
  }
  dropRecordLocks(kernel, file.inode, `p${task.process.pid}`);
  putFile(kernel, file);
  return 0;
}
