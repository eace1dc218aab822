// Extended attributes: get, set, list, remove; by path, by link, by descriptor.
import {
  E2BIG,
  EINVAL,
  ENAMETOOLONG,
  ENODATA,
  ENOENT,
  EOPNOTSUPP,
  EPERM,
  ERANGE,
  failed,
  type Failure,
} from '../abi/errno.ts';
import { AT, AT_FDCWD, FS_CAPABILITY, XATTR_CREATE, XATTR_REPLACE } from '../abi/open-flags.ts';
import { fileOf } from '../fs/vfs/file-table.ts';
import { inodeOperations, type Inode } from '../fs/vfs/inode.ts';
import { IN, notify } from '../fs/vfs/inotify.ts';
import type { Path } from '../fs/vfs/path.ts';
import { checkPermission, checkWritable, hasCapability, MAY_READ, MAY_WRITE } from '../fs/vfs/permission.ts';
import { bytesOfLatin1 } from '../lib/bytes.ts';
import { readUser, readUserString, writeUser } from '../mm/user-memory.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { FD, INT, PATH, POINTER, SIZE, syscall, userBuffer } from './declare.ts';
import { placeOf, walkAt } from './path-arguments.ts';

const NAME_BYTES = 256;
const MAX_VALUE = 65_536;

const byPath = (kernel: Kernel, task: Task, path: number): Path | Failure =>
  walkAt(kernel, task, AT_FDCWD, path, 0);
const byLink = (kernel: Kernel, task: Task, path: number): Path | Failure =>
  walkAt(kernel, task, AT_FDCWD, path, AT.SYMLINK_NOFOLLOW);
function byFd(task: Task, fd: number): Path | Failure {
  const file = fileOf(task, fd);
  return failed(file) ? file : placeOf(file);
}

function readName(kernel: Kernel, task: Task, address: number): string | Failure {
  const name = readUserString(kernel, task, address, NAME_BYTES);
  if (failed(name)) return name === ENAMETOOLONG ? ERANGE : name;
  return name === '' ? ERANGE : name;
}

/** Who may touch a name (fs/xattr.c, xattr_permission). */
function mayTouch(kernel: Kernel, task: Task, inode: Inode, name: string, mask: number): number | Failure {
  if (name.startsWith('security.') || name.startsWith('system.')) return 0;
  if (name.startsWith('trusted.'))
    return hasCapability(task, FS_CAPABILITY.SYS_ADMIN) ? 0 : mask === MAY_WRITE ? EPERM : ENODATA;
  if (!name.startsWith('user.')) return EOPNOTSUPP;
  if (inode.kind !== 'file' && inode.kind !== 'directory') return mask === MAY_WRITE ? EPERM : ENODATA;
  return checkPermission(kernel, task, inode, mask);
}

function set(
  kernel: Kernel,
  task: Task,
  place: Path | Failure,
  nameAt: number,
  valueAt: number,
  size: number,
  flags: number,
): number | Failure {
  // prettier-ignore
  if (failed(place)) return place;
  if ((flags & ~(XATTR_CREATE | XATTR_REPLACE)) !== 0) return EINVAL;
  const name = readName(kernel, task, nameAt);
  if (failed(name)) return name;
  if (size > MAX_VALUE) return E2BIG;
  const value = size === 0 ? new Uint8Array(0) : readUser(kernel, task, valueAt, size);
  return failed(value) ? value : change(kernel, task, place, name, value.slice(), flags);
}

function change(
  kernel: Kernel,
  task: Task,
  place: Path,
  name: string,
  value: Uint8Array | null,
  flags: number,
): number | Failure {
  const { inode } = place.dentry;
  if (inode === null) return ENOENT;
  const writable = checkWritable(kernel, place);
  if (failed(writable)) return writable;
  const allowed = mayTouch(kernel, task, inode, name, MAY_WRITE);
  if (failed(allowed)) return allowed;
  const result = inodeOperations[inode.fs]?.setXattr?.(kernel, inode, name, value, flags) ?? EOPNOTSUPP;
  if (!failed(result)) notify(kernel, inode, IN.ATTRIB, '', place.dentry);
  return result;
}

function get(
  kernel: Kernel,
  task: Task,
  place: Path | Failure,
  nameAt: number,
  valueAt: number,
  size: number,
): number | Failure {
  if (failed(place)) return place;
  const name = readName(kernel, task, nameAt);
  if (failed(name)) return name;
  const { inode } = place.dentry;
  if (inode === null) return ENOENT;
  const allowed = mayTouch(kernel, task, inode, name, MAY_READ);
  if (failed(allowed)) return allowed;
  const value = inodeOperations[inode.fs]?.getXattr?.(kernel, inode, name) ?? EOPNOTSUPP;
  if (failed(value)) return value;
  return answer(kernel, task, valueAt, size, value);
}

function answer(
  kernel: Kernel,
  task: Task,
  address: number,
  size: number,
  bytes: Uint8Array,
): number | Failure {
  if (size === 0) return bytes.length;
  if (bytes.length > size) return ERANGE;
  const written = writeUser(kernel, task, address, bytes);
  return failed(written) ? written : bytes.length;
}

function list(
  kernel: Kernel,
  task: Task,
  place: Path | Failure,
  address: number,
  size: number,
): number | Failure {
  if (failed(place)) return place;
  const { inode } = place.dentry;
  if (inode === null) return ENOENT;
  const names = inodeOperations[inode.fs]?.listXattr?.(kernel, inode) ?? [];
  if (failed(names)) return names;
  const isAdmin = hasCapability(task, FS_CAPABILITY.SYS_ADMIN);
  const shown = names.filter((name) => isAdmin || !name.startsWith('trusted.'));
  return answer(kernel, task, address, size, bytesOfLatin1(shown.map((name) => `${name}\0`).join('')));
}

function remove(kernel: Kernel, task: Task, place: Path | Failure, nameAt: number): number | Failure {
  if (failed(place)) return place;
  const name = readName(kernel, task, nameAt);
  return failed(name) ? name : change(kernel, task, place, name, null, 0);
}

const SET = { name: POINTER, value: userBuffer('in', 'size'), size: SIZE, flags: INT } as const;
const GET = { name: POINTER, value: userBuffer('out', 'size'), size: SIZE } as const;
const LIST = { list: userBuffer('out', 'size'), size: SIZE } as const;

export const setxattr = syscall({
  number: 188,
  name: 'setxattr',
  args: { path: PATH, ...SET },
  run: (kernel, task, { path, name, value, size, flags }) =>
    set(kernel, task, byPath(kernel, task, path), name, value, size, flags),
});
export const lsetxattr = syscall({
  number: 189,
  name: 'lsetxattr',
  args: { path: PATH, ...SET },
  run: (kernel, task, { path, name, value, size, flags }) =>
    set(kernel, task, byLink(kernel, task, path), name, value, size, flags),
});
export const fsetxattr = syscall({
  number: 190,
  name: 'fsetxattr',
  args: { fd: FD, ...SET },
  run: (kernel, task, { fd, name, value, size, flags }) =>
    set(kernel, task, byFd(task, fd), name, value, size, flags),
});
export const getxattr = syscall({
  number: 191,
  name: 'getxattr',
  args: { path: PATH, ...GET },
  run: (kernel, task, { path, name, value, size }) =>
    get(kernel, task, byPath(kernel, task, path), name, value, size),
});
export const lgetxattr = syscall({
  number: 192,
  name: 'lgetxattr',
  args: { path: PATH, ...GET },
  run: (kernel, task, { path, name, value, size }) =>
    get(kernel, task, byLink(kernel, task, path), name, value, size),
});
export const fgetxattr = syscall({
  number: 193,
  name: 'fgetxattr',
  args: { fd: FD, ...GET },
  run: (kernel, task, { fd, name, value, size }) => get(kernel, task, byFd(task, fd), name, value, size),
});
export const listxattr = syscall({
  number: 194,
  name: 'listxattr',
  args: { path: PATH, ...LIST },
  run: (kernel, task, { path, list: address, size }) =>
    list(kernel, task, byPath(kernel, task, path), address, size),
});
export const llistxattr = syscall({
  number: 195,
  name: 'llistxattr',
  args: { path: PATH, ...LIST },
  run: (kernel, task, { path, list: address, size }) =>
    list(kernel, task, byLink(kernel, task, path), address, size),
});
export const flistxattr = syscall({
  number: 196,
  name: 'flistxattr',
  args: { fd: FD, ...LIST },
  run: (kernel, task, { fd, list: address, size }) => list(kernel, task, byFd(task, fd), address, size),
});
export const removexattr = syscall({
  number: 197,
  name: 'removexattr',
  args: { path: PATH, name: POINTER },
  run: (kernel, task, { path, name }) => remove(kernel, task, byPath(kernel, task, path), name),
});
export const lremovexattr = syscall({
  number: 198,
  name: 'lremovexattr',
  args: { path: PATH, name: POINTER },
  run: (kernel, task, { path, name }) => remove(kernel, task, byLink(kernel, task, path), name),
});
export const fremovexattr = syscall({
  number: 199,
  name: 'fremovexattr',
  args: { fd: FD, name: POINTER },
  run: (kernel, task, { fd, name }) => remove(kernel, task, byFd(task, fd), name),
});
