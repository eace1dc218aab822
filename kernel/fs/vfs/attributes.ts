// Changing what stat(2) shows: size, mode, owner, times. The rules are those of man 2 truncate, chmod, chown, utimensat.
import {
  EACCES,
  EFBIG,
  EINVAL,
  EISDIR,
  EPERM,
  ETXTBSY,
  EROFS,
  failed,
  type Failure,
} from '../../abi/errno.ts';
import { FS_CAPABILITY, RLIMIT } from '../../abi/open-flags.ts';
import { S_ISGID, S_ISUID, fileTypeBits, type Stat } from '../../abi/stat.ts';
import { truncatePages } from '../../mm/page-cache.ts';
import type { Kernel } from '../../state.ts';
import type { Task } from '../../sched/task.ts';
import { raiseFileSizeSignal } from './file-limits.ts';
import { inodeOperations, type Inode } from './inode.ts';
import { markInodeDirty, superBlockOf } from './inode-cache.ts';
import { IN, notify } from './inotify.ts';
import type { Path } from './path.ts';
import {
  actorOf,
  checkPermission,
  checkWritable,
  hasCapability,
  inGroup,
  isReadOnly,
  MAY_WRITE,
  ownsOrMay,
} from './permission.ts';
import { fileTimeNow, touchModified } from './times.ts';

/** Sets the size of a regular file; the file system frees or the tail becomes a hole. May give BLOCKED. */
export function truncateInode(kernel: Kernel, inode: Inode, size: number): number | Failure {
  const truncate = inodeOperations[inode.fs]?.truncate;
  if (truncate === undefined) return EINVAL;
  const result = truncate(kernel, inode, size);
  if (failed(result)) return result;
  touchModified(kernel, inode);
  dropPrivileges(kernel, inode);
  return 0;
}

/** Takes the pages behind `size` out of the cache; the rest of the last page is the file system's to clear. */
export function dropPagesBehind(kernel: Kernel, inode: Inode, size: number): number | Failure {
  if (inode.pages === null) return 0;
  return truncatePages(kernel, inode.pages, Math.ceil(size / 4096));
}

/** truncate(2) and ftruncate(2) after their checks of the descriptor or the path. */
export function truncateFile(kernel: Kernel, task: Task, inode: Inode, size: number): number | Failure {
  if (size > superBlockOf(kernel, inode).maxFileBytes) return EFBIG;
  if (size > inode.size && size > (task.process.rlimits[RLIMIT.FSIZE]?.current ?? Infinity)) {
    raiseFileSizeSignal(kernel, task);
    return EFBIG;
  }
  if (inode.writers < 0) return ETXTBSY;
  const result = truncateInode(kernel, inode, size);
  if (!failed(result)) notify(kernel, inode, IN.MODIFY);
  return result;
}

export function truncatePath(kernel: Kernel, task: Task, path: Path, size: number): number | Failure {
  const { inode } = path.dentry;
  if (inode === null || size < 0) return EINVAL;
  if (inode.kind === 'directory') return EISDIR;
  if (inode.kind !== 'file') return EINVAL;
  if (isReadOnly(kernel, path)) return EROFS;
  const allowed = checkPermission(kernel, task, inode, MAY_WRITE);
  if (failed(allowed)) return allowed;
  return truncateFile(kernel, task, inode, size);
}

/** A write or a change of owner by somebody without privileges takes setuid and setgid away. */
function dropPrivileges(kernel: Kernel, inode: Inode): void {
  if (inode.kind !== 'file') return;
  const drops = S_ISUID | ((inode.mode & 0o10) !== 0 ? S_ISGID : 0);
  if ((inode.mode & drops) === 0) return;
  inode.mode &= ~drops;
  markInodeDirty(kernel, inode);
}

/** As dropPrivileges, for a write by `task`: CAP_FSETID keeps them. */
export function dropPrivilegesOnWrite(kernel: Kernel, task: Task, inode: Inode): void {
  if ((inode.mode & (S_ISUID | S_ISGID)) === 0 || hasCapability(task, FS_CAPABILITY.FSETID)) return;
  dropPrivileges(kernel, inode);
}

/** Writes the changed attributes to the file system, or notes that they are to be written. */
function attributesChanged(kernel: Kernel, path: Path, inode: Inode): number | Failure {
  inode.ctimeNs = fileTimeNow(kernel);
  markInodeDirty(kernel, inode);
  const result = inodeOperations[inode.fs]?.setAttributes?.(kernel, inode) ?? 0;
  notify(kernel, inode, IN.ATTRIB, '', path.dentry);
  return result;
}

export function changeMode(kernel: Kernel, task: Task, path: Path, mode: number): number | Failure {
  const { inode } = path.dentry;
  if (inode === null) return EINVAL;
  const writable = checkWritable(kernel, path);
  if (failed(writable)) return writable;
  if (!ownsOrMay(task, inode)) return EPERM;
  let bits = mode & 0o7777;
  if (!inGroup(actorOf(task), inode.gid) && !hasCapability(task, FS_CAPABILITY.FSETID)) bits &= ~S_ISGID;
  inode.mode = bits;
  return attributesChanged(kernel, path, inode);
}

/** -1 leaves the user or the group as it is. */
export function changeOwner(
  kernel: Kernel,
  task: Task,
  path: Path,
  uid: number,
  gid: number,
): number | Failure {
  const { inode } = path.dentry;
  if (inode === null) return EINVAL;
  const writable = checkWritable(kernel, path);
  if (failed(writable)) return writable;
  const wantsUid = uid !== -1;
  const wantsGid = gid !== -1;
  const may = hasCapability(task, FS_CAPABILITY.CHOWN);
  const isOwner = task.credentials.fsuid === inode.uid;
  if (wantsUid && !may && !(isOwner && uid >>> 0 === inode.uid)) return EPERM;
  const gidAllowed = isOwner && (inGroup(actorOf(task), gid >>> 0) || gid >>> 0 === inode.gid);
  if (wantsGid && !may && !gidAllowed) return EPERM;
  if (wantsUid) inode.uid = uid >>> 0;
  if (wantsGid) inode.gid = gid >>> 0;
  if (inode.kind === 'file' && (wantsUid || wantsGid)) dropPrivileges(kernel, inode);
  return attributesChanged(kernel, path, inode);
}

/** A time of utimensat: null leaves it (UTIME_OMIT), 'now' needs only write permission. */
export type NewTime = number | 'now' | null;

export function changeTimes(
  kernel: Kernel,
  task: Task,
  path: Path,
  atime: NewTime,
  mtime: NewTime,
): number | Failure {
  const { inode } = path.dentry;
  if (inode === null) return EINVAL;
  if (atime === null && mtime === null) return 0;
  const writable = checkWritable(kernel, path);
  if (failed(writable)) return writable;
  if (!ownsOrMay(task, inode)) {
    if (atime !== 'now' || mtime !== 'now') return EPERM;
    if (failed(checkPermission(kernel, task, inode, MAY_WRITE))) return EACCES;
  }
  const nowNs = fileTimeNow(kernel);
  if (atime !== null) inode.atimeNs = atime === 'now' ? nowNs : atime;
  if (mtime !== null) inode.mtimeNs = mtime === 'now' ? nowNs : mtime;
  return attributesChanged(kernel, path, inode);
}

/** What stat(2) shows of an inode. */
export function statOf(kernel: Kernel, inode: Inode): Stat {
  inodeOperations[inode.fs]?.refresh?.(kernel, inode);
  const superBlock = superBlockOf(kernel, inode);
  return {
    device: superBlock.deviceNumber, inode: inode.number, mode: inode.mode | fileTypeBits[inode.kind],
    linkCount: inode.linkCount, uid: inode.uid, gid: inode.gid, rdev: inode.device, size: inode.size,
    blockSize: superBlock.blockSize, blocks: inode.blocks, atimeNs: inode.atimeNs, mtimeNs: inode.mtimeNs,
    ctimeNs: inode.ctimeNs, btimeNs: inode.btimeNs,
  }; // prettier-ignore
}
