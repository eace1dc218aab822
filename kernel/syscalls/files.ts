// Opening and closing files, their size, and making them durable.
import { EBADF, EFBIG, EINVAL, EMFILE, ENODEV, EOPNOTSUPP, E2BIG, ESPIPE, failed, type Failure } from '../abi/errno.ts'; // prettier-ignore
import { AT_FDCWD, FALLOC, O, O_TMPFILE_BIT } from '../abi/open-flags.ts';
import { truncateFile, truncatePath } from '../fs/vfs/attributes.ts';
import { closeDescriptor, fileOf, freeDescriptor, installFile } from '../fs/vfs/file-table.ts';
import { syncFile } from '../fs/vfs/file-io.ts';
import { inodeOperations } from '../fs/vfs/inode.ts';
import { superBlockOf } from '../fs/vfs/inode-cache.ts';
import { IN, notify } from '../fs/vfs/inotify.ts';
import { openPath } from '../fs/vfs/open.ts';
import { operationsOf, putFile } from '../fs/vfs/open-file.ts';
import { fileSystemTypes } from '../fs/vfs/super-block.ts';
import { touchModified } from '../fs/vfs/times.ts';
import { walkPath } from '../fs/vfs/walk.ts';
import { get64 } from '../lib/bytes.ts';
import { dropPages } from '../mm/page-cache.ts';
import { readUser } from '../mm/user-memory.ts';
import { writeBackSpace } from '../mm/write-back.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { FD, FLAGS, INT, LONG, MODE, PATH, POINTER, SIZE, syscall, UINT } from './declare.ts';
import { baseOf, readPath } from './path-arguments.ts';

/** Flags that open(2) knows; it ignores others. */
const OPEN_FLAGS =
  O.ACCMODE | O.CREAT | O.EXCL | O.NOCTTY | O.TRUNC | O.APPEND | O.NONBLOCK | O.SYNC | O.ASYNC | O.DIRECT | O.LARGEFILE |
  O.DIRECTORY | O.NOFOLLOW | O.NOATIME | O.CLOEXEC | O.PATH | O_TMPFILE_BIT; // prettier-ignore

function openCall(
  kernel: Kernel,
  task: Task,
  directory: number,
  path: number,
  flags: number,
  mode: number,
): number | Failure {
  const text = readPath(kernel, task, path);
  if (failed(text)) return text;
  if (freeDescriptor(kernel, task) < 0) return EMFILE;
  const base = baseOf(task, directory, text);
  if (failed(base)) return base;
  const wanted = flags & OPEN_FLAGS;
  const file = openPath(kernel, task, base, text, wanted, mode & 0o7777);
  if (failed(file)) return file;
  const fd = installFile(kernel, task, file, (wanted & O.CLOEXEC) !== 0);
  if (failed(fd)) putFile(kernel, file);
  else file.flags &= ~O.CLOEXEC;
  return fd;
}

export const open = syscall({
  number: 2,
  name: 'open',
  args: { path: PATH, flags: FLAGS, mode: MODE },
  run: (kernel, task, { path, flags, mode }) => openCall(kernel, task, AT_FDCWD, path, flags, mode),
});

export const creat = syscall({
  number: 85,
  name: 'creat',
  args: { path: PATH, mode: MODE },
  run: (kernel, task, { path, mode }) =>
    openCall(kernel, task, AT_FDCWD, path, O.CREAT | O.WRONLY | O.TRUNC, mode),
});

export const openat = syscall({
  number: 257,
  name: 'openat',
  args: { directory: FD, path: PATH, flags: FLAGS, mode: MODE },
  run: (kernel, task, { directory, path, flags, mode }) =>
    openCall(kernel, task, directory, path, flags, mode),
});

export const openat2 = syscall({
  number: 437,
  name: 'openat2',
  args: { directory: FD, path: PATH, how: POINTER, size: SIZE },
  missing: 'resolve flags give EOPNOTSUPP',
  run(kernel, task, { directory, path, how, size }) {
    if (size < 24) return EINVAL;
    if (size > 4096) return E2BIG;
    const bytes = readUser(kernel, task, how, size);
    if (failed(bytes)) return bytes;
    if (bytes.subarray(24).some((byte) => byte !== 0)) return E2BIG;
    const flags = get64(bytes, 0);
    const mode = get64(bytes, 8);
    if (flags > 0xffff_ffff || (flags & ~OPEN_FLAGS) !== 0) return EINVAL;
    const creates = (flags & (O.CREAT | O_TMPFILE_BIT)) !== 0;
    if (mode > 0o7777 || (!creates && mode !== 0)) return EINVAL;
    if (get64(bytes, 16) !== 0) return EOPNOTSUPP;
    return openCall(kernel, task, directory, path, flags, mode);
  },
});

export const close = syscall({
  number: 3,
  name: 'close',
  args: { fd: FD },
  run: (kernel, task, { fd }) => closeDescriptor(kernel, task, fd),
});

const CLOSE_RANGE = { UNSHARE: 2, CLOEXEC: 4 } as const;

export const closeRange = syscall({
  number: 436,
  name: 'close_range',
  args: { first: UINT, last: UINT, flags: FLAGS },
  missing: 'CLOSE_RANGE_UNSHARE closes in the shared table',
  run(kernel, task, { first, last, flags }) {
    if ((flags & ~(CLOSE_RANGE.UNSHARE | CLOSE_RANGE.CLOEXEC)) !== 0 || first > last) return EINVAL;
    const end = Math.min(last, task.files.open.length - 1);
    for (let fd = first; fd <= end; fd++) {
      if ((flags & CLOSE_RANGE.CLOEXEC) === 0) closeDescriptor(kernel, task, fd);
      else if (task.files.open[fd]) task.files.closeOnExec[fd] = true;
    }
    return 0;
  },
});

export const truncate = syscall({
  number: 76,
  name: 'truncate',
  args: { path: PATH, length: LONG },
  run(kernel, task, { path, length }) {
    if (length < 0) return EINVAL;
    const text = readPath(kernel, task, path);
    if (failed(text)) return text;
    const place = walkPath(kernel, task, null, text, { follow: true });
    return failed(place) ? place : truncatePath(kernel, task, place, length);
  },
});

export const ftruncate = syscall({
  number: 77,
  name: 'ftruncate',
  args: { fd: FD, length: LONG },
  run(kernel, task, { fd, length }) {
    if (length < 0) return EINVAL;
    const file = fileOf(task, fd);
    if (failed(file)) return file;
    if (file.inode.kind !== 'file' || !file.writable) return EINVAL;
    return truncateFile(kernel, task, file.inode, length);
  },
});

export const fallocate = syscall({
  number: 285,
  name: 'fallocate',
  args: { fd: FD, mode: INT, offset: LONG, length: LONG },
  missing: 'COLLAPSE_RANGE, INSERT_RANGE and UNSHARE_RANGE give EOPNOTSUPP',
  run(kernel, task, { fd, mode, offset, length }) {
    const file = fileOf(task, fd);
    if (failed(file)) return file;
    if (offset < 0 || length <= 0) return EINVAL;
    if ((mode & FALLOC.PUNCH_HOLE) !== 0 && (mode & FALLOC.KEEP_SIZE) === 0) return EOPNOTSUPP;
    if ((mode & FALLOC.PUNCH_HOLE) !== 0 && (mode & FALLOC.ZERO_RANGE) !== 0) return EOPNOTSUPP;
    if (!file.writable) return EBADF;
    const { inode } = file;
    if (operationsOf(file).stream === true) return ESPIPE;
    if (inode.kind !== 'file') return ENODEV;
    if (offset + length > superBlockOf(kernel, inode).maxFileBytes) return EFBIG;
    const result = inodeOperations[inode.fs]?.fallocate?.(kernel, inode, mode, offset, length) ?? EOPNOTSUPP;
    if (failed(result)) return result;
    touchModified(kernel, inode);
    notify(kernel, inode, IN.MODIFY, '', file.dentry);
    return 0;
  },
});

function fsyncCall(kernel: Kernel, task: Task, fd: number, dataOnly: boolean): number | Failure {
  const file = fileOf(task, fd);
  return failed(file) ? file : syncFile(kernel, file, dataOnly);
}

export const fsync = syscall({
  number: 74,
  name: 'fsync',
  args: { fd: FD },
  run: (kernel, task, { fd }) => fsyncCall(kernel, task, fd, false),
});
export const fdatasync = syscall({
  number: 75,
  name: 'fdatasync',
  args: { fd: FD },
  run: (kernel, task, { fd }) => fsyncCall(kernel, task, fd, true),
});

export const sync = syscall({
  number: 162,
  name: 'sync',
  args: {},
  run(kernel, task) {
    for (const superBlock of kernel.vfs.superBlocks.values()) {
      if (superBlock.readOnly) continue;
      const synced = fileSystemTypes[superBlock.fs]?.sync?.(kernel, superBlock) ?? 0;
      if (failed(synced) && task.state !== 'running') return synced;
    }
    return 0;
  },
});

export const syncfs = syscall({
  number: 306,
  name: 'syncfs',
  args: { fd: FD },
  run(kernel, task, { fd }) {
    const file = fileOf(task, fd);
    if (failed(file)) return file;
    const superBlock = superBlockOf(kernel, file.inode);
    return superBlock.readOnly ? 0 : (fileSystemTypes[superBlock.fs]?.sync?.(kernel, superBlock) ?? 0);
  },
});

const SYNC_RANGE = { WAIT_BEFORE: 1, WRITE: 2, WAIT_AFTER: 4 } as const;

export const syncFileRange = syscall({
  number: 277,
  name: 'sync_file_range',
  args: { fd: FD, offset: LONG, length: LONG, flags: FLAGS },
  missing: 'writes the whole file',
  run(kernel, task, { fd, offset, length, flags }) {
    if ((flags & ~7) !== 0 || offset < 0 || length < 0) return EINVAL;
    const file = fileOf(task, fd);
    if (failed(file)) return file;
    if (file.inode.pages === null) return ESPIPE;
    if (flags === 0) return 0;
    return writeBackSpace(kernel, file.inode.pages, {
      wait: (flags & (SYNC_RANGE.WAIT_BEFORE | SYNC_RANGE.WAIT_AFTER)) !== 0,
    });
  },
});

const FADV_DONTNEED = 4;

export const fadvise64 = syscall({
  number: 221,
  name: 'fadvise64',
  args: { fd: FD, offset: LONG, length: LONG, advice: INT },
  missing: 'only POSIX_FADV_DONTNEED does something',
  run(kernel, task, { fd, offset, length, advice }) {
    const file = fileOf(task, fd);
    if (failed(file)) return file;
    if (operationsOf(file).stream === true) return ESPIPE;
    if (length < 0 || advice < 0 || advice > 5) return EINVAL;
    const { pages } = file.inode;
    if (advice !== FADV_DONTNEED || pages === null) return 0;
    const end = length === 0 ? Infinity : Math.floor((offset + length) / 4096);
    dropPages(kernel, pages, Math.ceil(offset / 4096), end);
    return 0;
  },
});

export const readahead = syscall({
  number: 187,
  name: 'readahead',
  args: { fd: FD, offset: LONG, count: SIZE },
  missing: 'reads nothing ahead',
  run(_kernel, task, { fd }) {
    const file = fileOf(task, fd);
    if (failed(file)) return file;
    return file.readable ? (file.inode.kind === 'file' ? 0 : EINVAL) : EBADF;
  },
});
