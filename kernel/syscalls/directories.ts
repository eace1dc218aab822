// Names: listing directories, the working directory, making, linking, removing, renaming.
import { EINVAL, ENOENT, ENOTDIR, EPERM, ERANGE, failed, type Failure } from '../abi/errno.ts';
import { AT, AT_FDCWD, FS_CAPABILITY } from '../abi/open-flags.ts';
import { encodeDirent, encodeDirent64, kindOfMode } from '../abi/stat.ts';
import { fileOf, anyFileOf } from '../fs/vfs/file-table.ts';
import { setRoot, setWorkingDirectory } from '../fs/vfs/fs-context.ts';
import { inodeOperations } from '../fs/vfs/inode.ts';
import { IN, notify } from '../fs/vfs/inotify.ts';
import {
  makeDirectory, makeLink, makeNode, makeSymlink, removeDirectory, removeFile, renamePath,
} from '../fs/vfs/namespace.ts'; // prettier-ignore
import { operationsOf } from '../fs/vfs/open-file.ts';
import { pathText, type Path } from '../fs/vfs/path.ts';
import { checkPermission, hasCapability, MAY_EXEC } from '../fs/vfs/permission.ts';
import { touchAccessTime } from '../fs/vfs/times.ts';
import { bytesOfLatin1 } from '../lib/bytes.ts';
import { writeUser } from '../mm/user-memory.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { FD, FLAGS, INT, MODE, PATH, SIZE, syscall, UINT, userBuffer } from './declare.ts';
import { onlyFlags, placeOf, readAt, readPath, walkAt } from './path-arguments.ts';

/** Entries that are asked for at once; more would only be thrown away when the buffer is full. */
const BATCH = 256;
const SMALLEST_RECORD = 24;

function listEntries(
  kernel: Kernel,
  task: Task,
  fd: number,
  buffer: number,
  size: number,
  encode: typeof encodeDirent64,
): number | Failure {
  const file = fileOf(task, fd);
  if (failed(file)) return file;
  const list = operationsOf(file).readDirectory;
  if (file.inode.kind !== 'directory' || list === undefined) return ENOTDIR;
  const most = Math.min(BATCH, Math.ceil(size / SMALLEST_RECORD) + 1);
  const entries = list(kernel, file, file.position, most);
  if (failed(entries)) return entries;
  const bytes = new Uint8Array(Math.min(size, BATCH * 280));
  let used = 0;
  let position = file.position;
  for (const entry of entries) {
    const record = encode(entry.name, entry.inode, entry.kind, entry.next);
    if (used + record.length > bytes.length) break;
    bytes.set(record, used);
    used += record.length;
    position = entry.next;
  }
  if (used === 0) return entries.length === 0 ? 0 : EINVAL;
  const written = writeUser(kernel, task, buffer, bytes.subarray(0, used));
  if (failed(written)) return written;
  file.position = position;
  notify(kernel, file.inode, IN.ACCESS, '', file.dentry);
  return used;
}

export const getdents64 = syscall({
  number: 217,
  name: 'getdents64',
  args: { fd: FD, buffer: userBuffer('out', 'count'), count: UINT },
  run: (kernel, task, { fd, buffer, count }) => listEntries(kernel, task, fd, buffer, count, encodeDirent64),
});

export const getdents = syscall({
  number: 78,
  name: 'getdents',
  args: { fd: FD, buffer: userBuffer('out', 'count'), count: UINT },
  run: (kernel, task, { fd, buffer, count }) => listEntries(kernel, task, fd, buffer, count, encodeDirent),
});

export const getcwd = syscall({
  number: 79,
  name: 'getcwd',
  args: { buffer: userBuffer('out', 'size'), size: SIZE },
  run(kernel, task, { buffer, size }) {
    if (task.fs.cwd.dentry.unlinked) return ENOENT;
    const text =
      pathText(kernel, task.fs.cwd, task.fs.root) ??
      `(unreachable)${pathText(kernel, task.fs.cwd, rootOf(kernel, task)) ?? '/'}`;
    if (text.length + 1 > size) return ERANGE;
    const written = writeUser(kernel, task, buffer, bytesOfLatin1(`${text}\0`));
    return failed(written) ? written : text.length + 1;
  },
});

function rootOf(kernel: Kernel, task: Task): Path {
  const mount = kernel.vfs.mounts.get(kernel.vfs.rootMount);
  return mount === undefined ? task.fs.root : { mount: mount.id, dentry: mount.root };
}

/** A place that may become somebody's working directory or root. */
function enterable(kernel: Kernel, task: Task, place: Path | Failure): Path | Failure {
  if (failed(place)) return place;
  const { inode } = place.dentry;
  if (inode === null) return ENOENT;
  if (inode.kind !== 'directory') return ENOTDIR;
  const allowed = checkPermission(kernel, task, inode, MAY_EXEC);
  return failed(allowed) ? allowed : place;
}

export const chdir = syscall({
  number: 80,
  name: 'chdir',
  args: { path: PATH },
  run(kernel, task, { path }) {
    const place = enterable(kernel, task, walkAt(kernel, task, AT_FDCWD, path, 0));
    if (failed(place)) return place;
    setWorkingDirectory(kernel, task.fs, place);
    return 0;
  },
});

export const fchdir = syscall({
  number: 81,
  name: 'fchdir',
  args: { fd: FD },
  run(kernel, task, { fd }) {
    const file = anyFileOf(task, fd);
    const place = enterable(kernel, task, failed(file) ? file : placeOf(file));
    if (failed(place)) return place;
    setWorkingDirectory(kernel, task.fs, place);
    return 0;
  },
});

export const chroot = syscall({
  number: 161,
  name: 'chroot',
  args: { path: PATH },
  run(kernel, task, { path }) {
    const place = enterable(kernel, task, walkAt(kernel, task, AT_FDCWD, path, 0));
    if (failed(place)) return place;
    if (!hasCapability(task, FS_CAPABILITY.SYS_CHROOT)) return EPERM;
    setRoot(kernel, task.fs, place);
    return 0;
  },
});

function mkdirCall(
  kernel: Kernel,
  task: Task,
  directory: number,
  path: number,
  mode: number,
): number | Failure {
  const at = readAt(kernel, task, directory, path);
  return failed(at) ? at : makeDirectory(kernel, task, at.base, at.text, mode);
}

export const mkdir = syscall({
  number: 83,
  name: 'mkdir',
  args: { path: PATH, mode: MODE },
  run: (kernel, task, { path, mode }) => mkdirCall(kernel, task, AT_FDCWD, path, mode),
});

export const mkdirat = syscall({
  number: 258,
  name: 'mkdirat',
  args: { directory: FD, path: PATH, mode: MODE },
  run: (kernel, task, { directory, path, mode }) => mkdirCall(kernel, task, directory, path, mode),
});

function mknodCall(
  kernel: Kernel,
  task: Task,
  directory: number,
  path: number,
  mode: number,
  device: number,
): number | Failure {
  const kind = kindOfMode(mode);
  if (kind === 'directory') return EPERM;
  if (kind === undefined || kind === 'symlink') return EINVAL;
  const at = readAt(kernel, task, directory, path);
  return failed(at)
    ? at
    : makeNode(kernel, task, at.base, at.text, kind, mode, kind === 'char' || kind === 'block' ? device : 0);
}

export const mknod = syscall({
  number: 133,
  name: 'mknod',
  args: { path: PATH, mode: MODE, device: UINT },
  run: (kernel, task, { path, mode, device }) => mknodCall(kernel, task, AT_FDCWD, path, mode, device),
});

export const mknodat = syscall({
  number: 259,
  name: 'mknodat',
  args: { directory: FD, path: PATH, mode: MODE, device: UINT },
  run: (kernel, task, { directory, path, mode, device }) =>
    mknodCall(kernel, task, directory, path, mode, device),
});

function unlinkCall(
  kernel: Kernel,
  task: Task,
  directory: number,
  path: number,
  flags: number,
): number | Failure {
  const allowed = onlyFlags(flags, AT.REMOVEDIR);
  if (failed(allowed)) return allowed;
  const at = readAt(kernel, task, directory, path);
  if (failed(at)) return at;
  return flags === 0
    ? removeFile(kernel, task, at.base, at.text)
    : removeDirectory(kernel, task, at.base, at.text);
}

export const unlink = syscall({
  number: 87,
  name: 'unlink',
  args: { path: PATH },
  run: (kernel, task, { path }) => unlinkCall(kernel, task, AT_FDCWD, path, 0),
});

export const rmdir = syscall({
  number: 84,
  name: 'rmdir',
  args: { path: PATH },
  run: (kernel, task, { path }) => unlinkCall(kernel, task, AT_FDCWD, path, AT.REMOVEDIR),
});

export const unlinkat = syscall({
  number: 263,
  name: 'unlinkat',
  args: { directory: FD, path: PATH, flags: FLAGS },
  run: (kernel, task, { directory, path, flags }) => unlinkCall(kernel, task, directory, path, flags),
});

function linkCall(
  kernel: Kernel,
  task: Task,
  fromDirectory: number,
  from: number,
  toDirectory: number,
  to: number,
  flags: number,
): number | Failure {
  // prettier-ignore
  const allowed = onlyFlags(flags, AT.SYMLINK_FOLLOW | AT.EMPTY_PATH);
  if (failed(allowed)) return allowed;
  if ((flags & AT.EMPTY_PATH) !== 0 && !hasCapability(task, FS_CAPABILITY.DAC_READ_SEARCH)) return ENOENT;
  const follow = (flags & AT.SYMLINK_FOLLOW) !== 0 ? 0 : AT.SYMLINK_NOFOLLOW;
  const place = walkAt(kernel, task, fromDirectory, from, follow | (flags & AT.EMPTY_PATH));
  if (failed(place)) return place;
  const at = readAt(kernel, task, toDirectory, to);
  return failed(at) ? at : makeLink(kernel, task, place, at.base, at.text);
}

export const link = syscall({
  number: 86,
  name: 'link',
  args: { from: PATH, to: PATH },
  run: (kernel, task, { from, to }) => linkCall(kernel, task, AT_FDCWD, from, AT_FDCWD, to, 0),
});

export const linkat = syscall({
  number: 265,
  name: 'linkat',
  args: { fromDirectory: FD, from: PATH, toDirectory: FD, to: PATH, flags: FLAGS },
  run: (kernel, task, { fromDirectory, from, toDirectory, to, flags }) =>
    linkCall(kernel, task, fromDirectory, from, toDirectory, to, flags),
});

function symlinkCall(
  kernel: Kernel,
  task: Task,
  target: number,
  directory: number,
  path: number,
): number | Failure {
  const text = readPath(kernel, task, target);
  if (failed(text)) return text;
  const at = readAt(kernel, task, directory, path);
  return failed(at) ? at : makeSymlink(kernel, task, text, at.base, at.text);
}

export const symlink = syscall({
  number: 88,
  name: 'symlink',
  args: { target: PATH, path: PATH },
  run: (kernel, task, { target, path }) => symlinkCall(kernel, task, target, AT_FDCWD, path),
});

export const symlinkat = syscall({
  number: 266,
  name: 'symlinkat',
  args: { target: PATH, directory: FD, path: PATH },
  run: (kernel, task, { target, directory, path }) => symlinkCall(kernel, task, target, directory, path),
});

function readlinkCall(
  kernel: Kernel,
  task: Task,
  directory: number,
  path: number,
  buffer: number,
  size: number,
): number | Failure {
  if (size <= 0) return EINVAL;
  const place = walkAt(kernel, task, directory, path, AT.SYMLINK_NOFOLLOW | AT.EMPTY_PATH);
  if (failed(place)) return place;
  const { inode } = place.dentry;
  if (inode?.kind !== 'symlink') return EINVAL;
  const text = inodeOperations[inode.fs]?.readlink?.(kernel, inode) ?? EINVAL;
  if (failed(text)) return text;
  const written = writeUser(kernel, task, buffer, bytesOfLatin1(text.slice(0, size)));
  if (failed(written)) return written;
  touchAccessTime(kernel, inode, place.mount);
  return Math.min(size, text.length);
}

export const readlink = syscall({
  number: 89,
  name: 'readlink',
  args: { path: PATH, buffer: userBuffer('out', 'size'), size: INT },
  run(kernel, task, { path, buffer, size }) {
    const text = readPath(kernel, task, path);
    if (failed(text)) return text;
    if (text === '') return ENOENT;
    return readlinkCall(kernel, task, AT_FDCWD, path, buffer, size);
  },
});

export const readlinkat = syscall({
  number: 267,
  name: 'readlinkat',
  args: { directory: FD, path: PATH, buffer: userBuffer('out', 'size'), size: INT },
  run: (kernel, task, { directory, path, buffer, size }) =>
    readlinkCall(kernel, task, directory, path, buffer, size),
});

function renameCall(
  kernel: Kernel,
  task: Task,
  fromDirectory: number,
  from: number,
  toDirectory: number,
  to: number,
  flags: number,
): number | Failure {
  // prettier-ignore
  const source = readAt(kernel, task, fromDirectory, from);
  if (failed(source)) return source;
  const target = readAt(kernel, task, toDirectory, to);
  if (failed(target)) return target;
  return renamePath(kernel, task, source.base, source.text, target.base, target.text, flags);
}

export const rename = syscall({
  number: 82,
  name: 'rename',
  args: { from: PATH, to: PATH },
  run: (kernel, task, { from, to }) => renameCall(kernel, task, AT_FDCWD, from, AT_FDCWD, to, 0),
});

export const renameat = syscall({
  number: 264,
  name: 'renameat',
  args: { fromDirectory: FD, from: PATH, toDirectory: FD, to: PATH },
  run: (kernel, task, { fromDirectory, from, toDirectory, to }) =>
    renameCall(kernel, task, fromDirectory, from, toDirectory, to, 0),
});

export const renameat2 = syscall({
  number: 316,
  name: 'renameat2',
  args: { fromDirectory: FD, from: PATH, toDirectory: FD, to: PATH, flags: FLAGS },
  missing: 'RENAME_WHITEOUT gives EINVAL',
  run: (kernel, task, { fromDirectory, from, toDirectory, to, flags }) =>
    renameCall(kernel, task, fromDirectory, from, toDirectory, to, flags),
});
