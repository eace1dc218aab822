// Who may do what to an inode: mode bits, groups, capabilities, mount rules (man 7 path_resolution, credentials).
import { EACCES, EPERM, EROFS, type Failure } from '../../abi/errno.ts';
import { FS_CAPABILITY, MS } from '../../abi/open-flags.ts';
import { S_ISVTX } from '../../abi/stat.ts';
import type { Kernel } from '../../state.ts';
import type { Task } from '../../sched/task.ts';
import { inodeOperations, type Inode } from './inode.ts';
import { superBlockOf } from './inode-cache.ts';
import type { Path } from './path.ts';

export const MAY_EXEC = 1;
export const MAY_WRITE = 2;
export const MAY_READ = 4;

export interface Actor {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly capabilities: bigint;
}

/** A task as the file system sees it. */
export function actorOf(task: Task): Actor {
  const { fsuid, fsgid, groups, effective } = task.credentials;
  return { uid: fsuid, gid: fsgid, groups, capabilities: effective };
}

/** access(2) asks for the real user; root's capabilities then count only if it really is root. */
export function realActorOf(task: Task): Actor {
  const { uid, gid, groups, permitted } = task.credentials;
  return { uid, gid, groups, capabilities: uid === 0 ? permitted : 0n };
}

export function hasCapability(task: Task, capability: number): boolean {
  return ((task.credentials.effective >> BigInt(capability)) & 1n) === 1n;
}

const can = (actor: Actor, capability: number): boolean =>
  ((actor.capabilities >> BigInt(capability)) & 1n) === 1n;

export const inGroup = (actor: Actor, gid: number): boolean =>
  actor.gid === gid || actor.groups.includes(gid);

/** Whether the actor may access the inode in all the ways of `mask`. */
export function permits(actor: Actor, inode: Inode, mask: number): boolean {
  const shift = actor.uid === inode.uid ? 6 : inGroup(actor, inode.gid) ? 3 : 0;
  if (((inode.mode >> shift) & mask) === mask) return true;
  if (inode.kind === 'directory') {
    if (can(actor, FS_CAPABILITY.DAC_OVERRIDE)) return true;
    return (mask & MAY_WRITE) === 0 && can(actor, FS_CAPABILITY.DAC_READ_SEARCH);
  }
  const isExecutable = (inode.mode & 0o111) !== 0;
  if (can(actor, FS_CAPABILITY.DAC_OVERRIDE) && ((mask & MAY_EXEC) === 0 || isExecutable)) return true;
  return mask === MAY_READ && can(actor, FS_CAPABILITY.DAC_READ_SEARCH);
}

/** 0 or EACCES for the task. */
export function checkPermission(kernel: Kernel, task: Task, inode: Inode, mask: number): number | Failure {
  const own = inodeOperations[inode.fs]?.permission;
  if (own !== undefined) return own(kernel, task, inode, mask);
  return permits(actorOf(task), inode, mask) ? 0 : EACCES;
}

export function isReadOnly(kernel: Kernel, path: Path): boolean {
  if (((kernel.vfs.mounts.get(path.mount)?.flags ?? 0) & MS.RDONLY) !== 0) return true;
  return path.dentry.inode !== null && superBlockOf(kernel, path.dentry.inode).readOnly;
}

/** 0 when the tree at `path` may be changed, else EROFS. */
export function checkWritable(kernel: Kernel, path: Path): number | Failure {
  return isReadOnly(kernel, path) ? EROFS : 0;
}

export function ownsOrMay(task: Task, inode: Inode): boolean {
  return task.credentials.fsuid === inode.uid || hasCapability(task, FS_CAPABILITY.FOWNER);
}

/** Whether a name may be taken out of a directory: write and search permission, and the sticky rule. */
export function checkDelete(kernel: Kernel, task: Task, directory: Inode, victim: Inode): number | Failure {
  const allowed = checkPermission(kernel, task, directory, MAY_WRITE | MAY_EXEC);
  if (allowed < 0) return allowed;
  if ((directory.mode & S_ISVTX) === 0) return 0;
  const { fsuid } = task.credentials;
  const mayAnyway =
    fsuid === victim.uid || fsuid === directory.uid || hasCapability(task, FS_CAPABILITY.FOWNER);
  return mayAnyway ? 0 : EPERM;
}
