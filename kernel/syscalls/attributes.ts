// stat and its relatives, access, chmod, chown, times, umask, statfs.
import { EACCES, EFAULT, EINVAL, ENOENT, ENOSYS, EROFS, failed, type Failure } from '../abi/errno.ts';
import { AT, AT_FDCWD, MS } from '../abi/open-flags.ts';
import { encodeStat, encodeStatFs, encodeStatx } from '../abi/stat.ts';
import { changeMode, changeOwner, changeTimes, statOf, type NewTime } from '../fs/vfs/attributes.ts';
import { anyFileOf, fileOf } from '../fs/vfs/file-table.ts';
import { inodeOperations, type Inode } from '../fs/vfs/inode.ts';
import { superBlockOf } from '../fs/vfs/inode-cache.ts';
import type { Path } from '../fs/vfs/path.ts';
import { actorOf, isReadOnly, MAY_EXEC, MAY_WRITE, permits, realActorOf } from '../fs/vfs/permission.ts';
import { fileSystemTypes } from '../fs/vfs/super-block.ts';
import { walkPath } from '../fs/vfs/walk.ts';
import { getSigned64 } from '../lib/bytes.ts';
import { readUser, writeUser } from '../mm/user-memory.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { FD, FLAGS, INT, MODE, PATH, POINTER, syscall, UINT } from './declare.ts';
import { onlyFlags, placeOf, readPath, walkAt } from './path-arguments.ts';

function give(kernel: Kernel, task: Task, address: number, bytes: Uint8Array): number | Failure {
  const written = writeUser(kernel, task, address, bytes);
  return failed(written) ? written : 0;
}

function statAt(
  kernel: Kernel,
  task: Task,
  directory: number,
  path: number,
  buffer: number,
  flags: number,
): number | Failure {
  const inode = inodeAt(kernel, task, directory, path, flags);
  return failed(inode) ? inode : give(kernel, task, buffer, encodeStat(statOf(kernel, inode)));
}

/** The inode that an *at call means; descriptors of nameless files count with AT_EMPTY_PATH. */
function inodeAt(
  kernel: Kernel,
  task: Task,
  directory: number,
  path: number,
  flags: number,
): Inode | Failure {
  if ((flags & AT.EMPTY_PATH) !== 0 && directory >= 0) {
    const text = path === 0 ? '' : readPath(kernel, task, path);
    if (failed(text)) return text;
    const file = text === '' ? anyFileOf(task, directory) : null;
    if (failed(file)) return file;
    if (file !== null) return file.inode;
  }
  const place = walkAt(kernel, task, directory, path, flags);
  return failed(place) ? place : (place.dentry.inode ?? ENOENT);
}

export const stat = syscall({
  number: 4,
  name: 'stat',
  args: { path: PATH, buffer: POINTER },
  run: (kernel, task, { path, buffer }) => statAt(kernel, task, AT_FDCWD, path, buffer, 0),
});

export const lstat = syscall({
  number: 6,
  name: 'lstat',
  args: { path: PATH, buffer: POINTER },
  run: (kernel, task, { path, buffer }) => statAt(kernel, task, AT_FDCWD, path, buffer, AT.SYMLINK_NOFOLLOW),
});

export const fstat = syscall({
  number: 5,
  name: 'fstat',
  args: { fd: FD, buffer: POINTER },
  run(kernel, task, { fd, buffer }) {
    const file = anyFileOf(task, fd);
    return failed(file) ? file : give(kernel, task, buffer, encodeStat(statOf(kernel, file.inode)));
  },
});

const STAT_FLAGS = AT.SYMLINK_NOFOLLOW | AT.NO_AUTOMOUNT | AT.EMPTY_PATH;

export const newfstatat = syscall({
  number: 262,
  name: 'newfstatat',
  args: { directory: FD, path: PATH, buffer: POINTER, flags: FLAGS },
  run(kernel, task, { directory, path, buffer, flags }) {
    const allowed = onlyFlags(flags, STAT_FLAGS);
    return failed(allowed) ? allowed : statAt(kernel, task, directory, path, buffer, flags);
  },
});

const STATX_RESERVED = 0x8000_0000;

export const statx = syscall({
  number: 332,
  name: 'statx',
  args: { directory: FD, path: PATH, flags: FLAGS, mask: UINT, buffer: POINTER },
  run(kernel, task, { directory, path, flags, mask, buffer }) {
    if ((mask & STATX_RESERVED) !== 0 || (flags & AT.STATX_SYNC_TYPE) === AT.STATX_SYNC_TYPE) return EINVAL;
    const allowed = onlyFlags(flags, STAT_FLAGS | AT.STATX_SYNC_TYPE);
    if (failed(allowed)) return allowed;
    const inode = inodeAt(kernel, task, directory, path, flags);
    if (failed(inode)) return inode;
    return give(kernel, task, buffer, encodeStatx(statOf(kernel, inode), mountInfo(kernel, inode)));
  },
});

function mountInfo(kernel: Kernel, inode: Inode): { id: number; isRoot: boolean } {
  for (const mount of kernel.vfs.mounts.values()) {
    if (mount.superBlock === inode.superBlock) return { id: mount.id, isRoot: mount.root.inode === inode };
  }
  return { id: 0, isRoot: false };
}

function accessAt(
  kernel: Kernel,
  task: Task,
  directory: number,
  path: number,
  mode: number,
  flags: number,
): number | Failure {
  if ((mode & ~7) !== 0) return EINVAL;
  const allowed = onlyFlags(flags, AT.EACCESS | AT.SYMLINK_NOFOLLOW | AT.EMPTY_PATH);
  if (failed(allowed)) return allowed;
  const place = walkAt(kernel, task, directory, path, flags);
  if (failed(place)) return place;
  const { inode } = place.dentry;
  if (inode === null) return ENOENT;
  if (mode === 0) return 0;
  const mount = kernel.vfs.mounts.get(place.mount);
  if ((mode & MAY_EXEC) !== 0 && inode.kind === 'file' && ((mount?.flags ?? 0) & MS.NOEXEC) !== 0)
    return EACCES;
  const own = inodeOperations[inode.fs]?.permission;
  const actor = (flags & AT.EACCESS) !== 0 ? actorOf(task) : realActorOf(task);
  const permitted =
    own === undefined ? (permits(actor, inode, mode) ? 0 : EACCES) : own(kernel, task, inode, mode);
  if (failed(permitted)) return permitted;
  const isContent = inode.kind === 'file' || inode.kind === 'directory' || inode.kind === 'symlink';
  return (mode & MAY_WRITE) !== 0 && isContent && isReadOnly(kernel, place) ? EROFS : 0;
}

export const access = syscall({
  number: 21,
  name: 'access',
  args: { path: PATH, mode: INT },
  run: (kernel, task, { path, mode }) => accessAt(kernel, task, AT_FDCWD, path, mode, 0),
});

export const faccessat = syscall({
  number: 269,
  name: 'faccessat',
  args: { directory: FD, path: PATH, mode: INT },
  run: (kernel, task, { directory, path, mode }) => accessAt(kernel, task, directory, path, mode, 0),
});

export const faccessat2 = syscall({
  number: 439,
  name: 'faccessat2',
  args: { directory: FD, path: PATH, mode: INT, flags: FLAGS },
  run: (kernel, task, { directory, path, mode, flags }) =>
    accessAt(kernel, task, directory, path, mode, flags),
});

function chmodAt(
  kernel: Kernel,
  task: Task,
  directory: number,
  path: number,
  mode: number,
): number | Failure {
  const place = walkAt(kernel, task, directory, path, 0);
  return failed(place) ? place : changeMode(kernel, task, place, mode);
}

export const chmod = syscall({
  number: 90,
  name: 'chmod',
  args: { path: PATH, mode: MODE },
  run: (kernel, task, { path, mode }) => chmodAt(kernel, task, AT_FDCWD, path, mode),
});

export const fchmodat = syscall({
  number: 268,
  name: 'fchmodat',
  args: { directory: FD, path: PATH, mode: MODE },
  run: (kernel, task, { directory, path, mode }) => chmodAt(kernel, task, directory, path, mode),
});

/** The place of an open file, for calls that change it. */
function openPlace(task: Task, fd: number): Path | Failure {
  const file = fileOf(task, fd);
  return failed(file) ? file : placeOf(file);
}

export const fchmod = syscall({
  number: 91,
  name: 'fchmod',
  args: { fd: FD, mode: MODE },
  run(kernel, task, { fd, mode }) {
    const place = openPlace(task, fd);
    return failed(place) ? place : changeMode(kernel, task, place, mode);
  },
});

function chownAt(
  kernel: Kernel,
  task: Task,
  directory: number,
  path: number,
  uid: number,
  gid: number,
  flags: number,
): number | Failure {
  const allowed = onlyFlags(flags, AT.SYMLINK_NOFOLLOW | AT.EMPTY_PATH);
  if (failed(allowed)) return allowed;
  const place = walkAt(kernel, task, directory, path, flags);
  return failed(place) ? place : changeOwner(kernel, task, place, uid, gid);
}

export const chown = syscall({
  number: 92,
  name: 'chown',
  args: { path: PATH, uid: INT, gid: INT },
  run: (kernel, task, { path, uid, gid }) => chownAt(kernel, task, AT_FDCWD, path, uid, gid, 0),
});

export const lchown = syscall({
  number: 94,
  name: 'lchown',
  args: { path: PATH, uid: INT, gid: INT },
  run: (kernel, task, { path, uid, gid }) =>
    chownAt(kernel, task, AT_FDCWD, path, uid, gid, AT.SYMLINK_NOFOLLOW),
});

export const fchownat = syscall({
  number: 260,
  name: 'fchownat',
  args: { directory: FD, path: PATH, uid: INT, gid: INT, flags: FLAGS },
  run: (kernel, task, { directory, path, uid, gid, flags }) =>
    chownAt(kernel, task, directory, path, uid, gid, flags),
});

export const fchown = syscall({
  number: 93,
  name: 'fchown',
  args: { fd: FD, uid: INT, gid: INT },
  run(kernel, task, { fd, uid, gid }) {
    const place = openPlace(task, fd);
    return failed(place) ? place : changeOwner(kernel, task, place, uid, gid);
  },
});

export const umask = syscall({
  number: 95,
  name: 'umask',
  args: { mask: MODE },
  run(_kernel, task, { mask }) {
    const old = task.fs.umask;
    task.fs.umask = mask & 0o777;
    return old;
  },
});

const NS = 1_000_000_000;
const UTIME_NOW = 0x3fff_ffff;
const UTIME_OMIT = 0x3fff_fffe;

/** Two timespecs, or two timevals (`unitNs` 1000). */
function readTimes(
  kernel: Kernel,
  task: Task,
  address: number,
  unitNs: number,
): [NewTime, NewTime] | Failure {
  if (address === 0) return ['now', 'now'];
  const bytes = readUser(kernel, task, address, 32);
  if (failed(bytes)) return bytes;
  const times: NewTime[] = [];
  for (const at of [0, 16]) {
    const fraction = getSigned64(bytes, at + 8);
    if (unitNs === 1 && fraction === UTIME_NOW) times.push('now');
    else if (unitNs === 1 && fraction === UTIME_OMIT) times.push(null);
    else if (fraction < 0 || fraction * unitNs >= NS) return EINVAL;
    else times.push(getSigned64(bytes, at) * NS + fraction * unitNs);
  }
  return [times[0] ?? null, times[1] ?? null];
}

function setTimes(
  kernel: Kernel,
  task: Task,
  directory: number,
  path: number,
  times: [NewTime, NewTime] | Failure,
  flags: number,
): number | Failure {
  if (failed(times)) return times;
  const place =
    path === 0 && (flags & AT.EMPTY_PATH) === 0
      ? openPlace(task, directory)
      : walkAt(kernel, task, directory, path, flags);
  return failed(place) ? place : changeTimes(kernel, task, place, times[0], times[1]);
}

export const utimensat = syscall({
  number: 280,
  name: 'utimensat',
  args: { directory: FD, path: PATH, times: POINTER, flags: FLAGS },
  run(kernel, task, { directory, path, times, flags }) {
    const allowed = onlyFlags(flags, AT.SYMLINK_NOFOLLOW | AT.EMPTY_PATH);
    if (failed(allowed)) return allowed;
    if (path === 0 && directory === AT_FDCWD) return EFAULT;
    return setTimes(kernel, task, directory, path, readTimes(kernel, task, times, 1), flags);
  },
});

export const futimesat = syscall({
  number: 261,
  name: 'futimesat',
  args: { directory: FD, path: PATH, times: POINTER },
  run: (kernel, task, { directory, path, times }) =>
    setTimes(kernel, task, directory, path, readTimes(kernel, task, times, 1000), 0),
});

export const utimes = syscall({
  number: 235,
  name: 'utimes',
  args: { path: PATH, times: POINTER },
  run: (kernel, task, { path, times }) =>
    setTimes(kernel, task, AT_FDCWD, path, readTimes(kernel, task, times, 1000), 0),
});

export const utime = syscall({
  number: 132,
  name: 'utime',
  args: { path: PATH, times: POINTER },
  run(kernel, task, { path, times }) {
    if (times === 0) return setTimes(kernel, task, AT_FDCWD, path, ['now', 'now'], 0);
    const bytes = readUser(kernel, task, times, 16);
    if (failed(bytes)) return bytes;
    return setTimes(
      kernel,
      task,
      AT_FDCWD,
      path,
      [getSigned64(bytes, 0) * NS, getSigned64(bytes, 8) * NS],
      0,
    );
  },
});

const ST_VALID = 0x20;

function statfsOf(kernel: Kernel, task: Task, inode: Inode, mount: number, buffer: number): number | Failure {
  const superBlock = superBlockOf(kernel, inode);
  const type = fileSystemTypes[superBlock.fs];
  if (type === undefined) return ENOSYS;
  const found = type.statfs?.(kernel, superBlock) ?? {
    type: type.magic, blockSize: 4096, blocks: 0, free: 0, available: 0, files: 0, freeFiles: 0, nameLength: 255,
  }; // prettier-ignore
  if (failed(found)) return found;
  const flags = (kernel.vfs.mounts.get(mount)?.flags ?? 0) & 15;
  return give(
    kernel,
    task,
    buffer,
    encodeStatFs({ ...found, id: superBlock.deviceNumber, flags: flags | ST_VALID }),
  );
}

export const statfs = syscall({
  number: 137,
  name: 'statfs',
  args: { path: PATH, buffer: POINTER },
  run(kernel, task, { path, buffer }) {
    const text = readPath(kernel, task, path);
    if (failed(text)) return text;
    const place = walkPath(kernel, task, null, text, { follow: true });
    if (failed(place)) return place;
    return place.dentry.inode === null
      ? ENOENT
      : statfsOf(kernel, task, place.dentry.inode, place.mount, buffer);
  },
});

export const fstatfs = syscall({
  number: 138,
  name: 'fstatfs',
  args: { fd: FD, buffer: POINTER },
  run(kernel, task, { fd, buffer }) {
    const file = anyFileOf(task, fd);
    return failed(file) ? file : statfsOf(kernel, task, file.inode, file.mount, buffer);
  },
});
