// What file system calls share: paths from user memory, directory descriptors, and the place that an *at call means.
import { EBADF, EINVAL, ENOENT, failed, type Failure } from '../abi/errno.ts';
import { AT, AT_FDCWD, PATH_MAX } from '../abi/open-flags.ts';
import { anyFileOf } from '../fs/vfs/file-table.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import type { Path } from '../fs/vfs/path.ts';
import { walkPath } from '../fs/vfs/walk.ts';
import { readUserString } from '../mm/user-memory.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';

export function readPath(kernel: Kernel, task: Task, address: number): string | Failure {
  return readUserString(kernel, task, address, PATH_MAX);
}

/** Where a relative path starts: null for the working directory. An absolute path does not look at the descriptor. */
export function baseOf(task: Task, directory: number, text: string): Path | null | Failure {
  if (directory === AT_FDCWD || text.startsWith('/')) return null;
  const file = anyFileOf(task, directory);
  return failed(file) ? file : placeOf(file);
}

/** Where a file was opened. */
export function placeOf(file: OpenFile): Path | Failure {
  return file.dentry === null ? EBADF : { mount: file.mount, dentry: file.dentry };
}

/** Path and base of an *at call, read from user memory. */
export function readAt(
  kernel: Kernel,
  task: Task,
  directory: number,
  address: number,
): { base: Path | null; text: string } | Failure {
  const text = readPath(kernel, task, address);
  if (failed(text)) return text;
  const base = baseOf(task, directory, text);
  return failed(base) ? base : { base, text };
}

/** The place that an *at call names; with AT_EMPTY_PATH and an empty path, the descriptor's own. */
export function walkAt(
  kernel: Kernel,
  task: Task,
  directory: number,
  address: number,
  flags: number,
): Path | Failure {
  const empty = (flags & AT.EMPTY_PATH) !== 0;
  const text = address === 0 && empty ? '' : readPath(kernel, task, address);
  if (failed(text)) return text;
  if (text === '') {
    if (!empty) return ENOENT;
    if (directory === AT_FDCWD) return task.fs.cwd;
    const file = anyFileOf(task, directory);
    return failed(file) ? file : placeOf(file);
  }
  const base = baseOf(task, directory, text);
  if (failed(base)) return base;
  return walkPath(kernel, task, base, text, { follow: (flags & AT.SYMLINK_NOFOLLOW) === 0 });
}

export function onlyFlags(flags: number, allowed: number): number | Failure {
  return (flags & ~allowed) === 0 ? 0 : EINVAL;
}
