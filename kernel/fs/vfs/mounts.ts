// mount(2) and umount2(2): hanging trees over directories and taking them down.
import {
  EBUSY, EINVAL, ENODEV, ENOENT, ENOTBLK, ENOTDIR, ENXIO, EPERM, ELOOP, failed, BLOCKED, type Failure,
} from '../../abi/errno.ts'; // prettier-ignore
import { FS_CAPABILITY, MNT, MS, UMOUNT_NOFOLLOW } from '../../abi/open-flags.ts';
import { assert } from '../../lib/assert.ts';
import type { Kernel } from '../../state.ts';
import type { Task } from '../../sched/task.ts';
import { findBlockDevice } from './devices.ts';
import { getDentry, newRootDentry, pruneChildren, putDentry, type Dentry } from './dentry.ts';
import { forgetInode } from './inode-cache.ts';
import type { Mount } from './mount-state.ts';
import type { Path } from './path.ts';
import { hasCapability } from './permission.ts';
import { fileSystemTypes, type SuperBlock } from './super-block.ts';
import { crossMounts, walkPath } from './walk.ts';

/** Flags that belong to the mount, not to the super block. */
const MOUNT_FLAGS =
  MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC | MS.NOATIME | MS.NODIRATIME | MS.STRICTATIME | MS.NOSYMFOLLOW;
const PROPAGATION = MS.SHARED | MS.PRIVATE | MS.SLAVE | MS.UNBINDABLE;

function mountFlags(flags: number): number {
  const kept = flags & MOUNT_FLAGS;
  return (kept & (MS.NOATIME | MS.STRICTATIME)) === 0 ? kept | MS.RELATIME : kept;
}

function newMount(
  kernel: Kernel,
  superBlock: SuperBlock,
  root: Dentry,
  at: Path | null,
  source: string,
  flags: number,
): Mount {
  const id = ++kernel.vfs.lastMount;
  const mount: Mount = {
    id, parent: at?.mount ?? id, mountpoint: at?.dentry ?? root, root: getDentry(root), superBlock: superBlock.id, source,
    flags, users: 0,
  }; // prettier-ignore
  superBlock.mounts++;
  kernel.vfs.mounts.set(id, mount);
  if (at !== null) {
    getDentry(at.dentry).mounted++;
    const parent = kernel.vfs.mounts.get(at.mount);
    if (parent !== undefined) parent.users++;
  }
  return mount;
}

/** The root dentry of a super block, one for all its mounts. */
function rootDentryOf(kernel: Kernel, superBlock: SuperBlock): Dentry {
  for (const mount of kernel.vfs.mounts.values()) {
    if (mount.superBlock !== superBlock.id) continue;
    let top = mount.root;
    while (top.parent !== null) top = top.parent;
    return top;
  }
  assert(superBlock.root !== null, 'a mounted file system has a root');
  return newRootDentry(kernel, superBlock.root);
}

/** Mounts the root file system; may give BLOCKED (call again) or a Failure. */
export function mountRoot(
  kernel: Kernel,
  fs: string,
  source: string,
  options = '',
  readOnly = false,
): Path | Failure {
  const type = fileSystemTypes[fs];
  if (type === undefined) return ENODEV;
  const device = type.needsDevice ? source.replace(/^\/dev\//, '') : '';
  const superBlock = type.mount(kernel, { source, device, readOnly, options });
  if (failed(superBlock)) return superBlock;
  const root = rootDentryOf(kernel, superBlock);
  const mount = newMount(kernel, superBlock, root, null, source, mountFlags(readOnly ? MS.RDONLY : 0));
  kernel.vfs.rootMount = mount.id;
  return { mount: mount.id, dentry: root };
}

/** Mounts a file system over a place; the kernel's own way and the last step of mount(2). `device` names the disk. */
export function mountAt(
  kernel: Kernel,
  fs: string,
  source: string,
  at: Path,
  flags: number,
  options: string,
  device = '',
): number | Failure {
  // prettier-ignore
  const type = fileSystemTypes[fs];
  if (type === undefined) return ENODEV;
  if (at.dentry.inode?.kind !== 'directory') return ENOTDIR;
  const superBlock = type.mount(kernel, { source, device, readOnly: (flags & MS.RDONLY) !== 0, options });
  if (failed(superBlock)) return superBlock;
  const root = rootDentryOf(kernel, superBlock);
  const existing = kernel.vfs.mounts.get(at.mount);
  const isThere =
    existing?.superBlock === superBlock.id && existing.root === at.dentry && existing.root === root;
  if (isThere) return EBUSY; // the same on top of itself
  newMount(kernel, superBlock, root, at, source, mountFlags(flags));
  return 0;
}

/** mount(2) with everything read from user memory. */
export function mountCall(
  kernel: Kernel,
  task: Task,
  source: string,
  target: string,
  fs: string,
  flags: number,
  options: string,
): number | Failure {
  // prettier-ignore
  const path = walkPath(kernel, task, null, target, { follow: true });
  if (failed(path)) return path;
  if (!hasCapability(task, FS_CAPABILITY.SYS_ADMIN)) return EPERM;
  if ((flags & MS.REMOUNT) !== 0) return remount(kernel, path, flags, options);
  if ((flags & MS.BIND) !== 0) return bind(kernel, task, source, path, flags);
  if ((flags & PROPAGATION) !== 0) return isMountRoot(kernel, path) ? 0 : EINVAL;
  if ((flags & MS.MOVE) !== 0) return moveMount(kernel, task, source, path);
  if (fileSystemTypes[fs]?.needsDevice !== true)
    return mountAt(kernel, fs, source === '' ? 'none' : source, path, flags, options);
  const node = walkPath(kernel, task, null, source, { follow: true });
  if (failed(node)) return node;
  if (node.dentry.inode?.kind !== 'block') return ENOTBLK;
  const disk = findBlockDevice(kernel, node.dentry.inode.device);
  return disk === undefined ? ENXIO : mountAt(kernel, fs, source, path, flags, options, disk.name);
}

function isMountRoot(kernel: Kernel, path: Path): boolean {
  return kernel.vfs.mounts.get(path.mount)?.root === path.dentry;
}

function remount(kernel: Kernel, path: Path, flags: number, options: string): number | Failure {
  const mount = kernel.vfs.mounts.get(path.mount);
  if (mount === undefined || mount.root !== path.dentry) return EINVAL;
  const superBlock = kernel.vfs.superBlocks.get(mount.superBlock);
  if (superBlock === undefined) return EINVAL;
  if ((flags & MS.BIND) === 0) {
    const readOnly = (flags & MS.RDONLY) !== 0;
    if (readOnly && !superBlock.readOnly && hasWriters(superBlock)) return EBUSY;
    const result =
      fileSystemTypes[superBlock.fs]?.remount?.(kernel, superBlock, {
        source: mount.source,
        device: superBlock.device,
        readOnly,
        options,
      }) ?? 0;
    if (failed(result)) return result;
    superBlock.readOnly = readOnly;
  }
  mount.flags = mountFlags(flags);
  return 0;
}

function hasWriters(superBlock: SuperBlock): boolean {
  for (const inode of superBlock.inodes.values())
    if (inode.writers > 0 || (inode.linkCount === 0 && inode.users > 0)) return true;
  return false;
}

function bind(kernel: Kernel, task: Task, source: string, at: Path, flags: number): number | Failure {
  if (source === '') return ENOENT;
  const from = walkPath(kernel, task, null, source, { follow: true });
  if (failed(from)) return from;
  const isDirectory = from.dentry.inode?.kind === 'directory';
  if (isDirectory !== (at.dentry.inode?.kind === 'directory')) return ENOTDIR;
  const old = kernel.vfs.mounts.get(from.mount);
  const superBlock = old === undefined ? undefined : kernel.vfs.superBlocks.get(old.superBlock);
  if (old === undefined || superBlock === undefined) return EINVAL;
  const top = newMount(kernel, superBlock, from.dentry, at, old.source, old.flags);
  if ((flags & MS.REC) !== 0) bindBelow(kernel, from, top);
  return 0;
}

/** MS_REC: what is mounted below the source comes along. */
function bindBelow(kernel: Kernel, from: Path, top: Mount): void {
  for (const mount of [...kernel.vfs.mounts.values()]) {
    if (mount.parent !== from.mount || mount.id === top.id || mount.id === mount.parent) continue;
    if (!isAtOrBelow(mount.mountpoint, from.dentry)) continue;
    const superBlock = kernel.vfs.superBlocks.get(mount.superBlock);
    if (superBlock === undefined) continue;
    const copy = newMount(
      kernel,
      superBlock,
      mount.root,
      { mount: top.id, dentry: mount.mountpoint },
      mount.source,
      mount.flags,
    );
    bindBelow(kernel, { mount: mount.id, dentry: mount.root }, copy);
  }
}

function isAtOrBelow(dentry: Dentry, ancestor: Dentry): boolean {
  for (let current: Dentry | null = dentry; current !== null; current = current.parent)
    if (current === ancestor) return true;
  return false;
}

function moveMount(kernel: Kernel, task: Task, source: string, at: Path): number | Failure {
  const from = walkPath(kernel, task, null, source, { follow: true });
  if (failed(from)) return from;
  const mount = kernel.vfs.mounts.get(from.mount);
  if (mount === undefined || mount.root !== from.dentry || mount.parent === mount.id) return EINVAL;
  for (let up = kernel.vfs.mounts.get(at.mount); up !== undefined; up = kernel.vfs.mounts.get(up.parent)) {
    if (up === mount) return ELOOP;
    if (up.parent === up.id) break;
  }
  uncover(kernel, mount);
  mount.parent = at.mount;
  mount.mountpoint = getDentry(at.dentry);
  at.dentry.mounted++;
  const parent = kernel.vfs.mounts.get(at.mount);
  if (parent !== undefined) parent.users++;
  return 0;
}

function uncover(kernel: Kernel, mount: Mount): void {
  mount.mountpoint.mounted--;
  putDentry(kernel, mount.mountpoint);
  const parent = kernel.vfs.mounts.get(mount.parent);
  if (parent !== undefined) parent.users--;
}

/** umount2(2). May give BLOCKED while the file system writes what is left. */
export function unmountCall(kernel: Kernel, task: Task, target: string, flags: number): number | Failure {
  if ((flags & ~(MNT.FORCE | MNT.DETACH | MNT.EXPIRE | UMOUNT_NOFOLLOW)) !== 0) return EINVAL;
  const found = walkPath(kernel, task, null, target, { follow: (flags & UMOUNT_NOFOLLOW) === 0 });
  if (failed(found)) return found;
  const path = crossMounts(kernel, found);
  const mount = kernel.vfs.mounts.get(path.mount);
  if (mount === undefined || mount.root !== path.dentry) return EINVAL;
  if (!hasCapability(task, FS_CAPABILITY.SYS_ADMIN)) return EPERM;
  return unmount(kernel, mount, (flags & MNT.DETACH) !== 0);
}

/** Takes a mount down: refused while something in it is in use, unless it is only to be detached. */
export function unmount(kernel: Kernel, mount: Mount, detach: boolean): number | Failure {
  const superBlock = kernel.vfs.superBlocks.get(mount.superBlock);
  if (superBlock === undefined) return EINVAL;
  if (mount.parent === mount.id) return detach ? EINVAL : EBUSY;
  if (mount.users > 0 && !detach) return EBUSY;
  if (mount.users > 0) {
    // Deviation: a detached file system that is in use stays in memory until power-off.
    for (const child of [...kernel.vfs.mounts.values()])
      if (child.parent === mount.id) unmount(kernel, child, true);
    hide(kernel, mount);
    return 0;
  }
  if (superBlock.mounts === 1) {
    pruneChildren(kernel, mount.root);
    const result = fileSystemTypes[superBlock.fs]?.unmount?.(kernel, superBlock) ?? 0;
    if (result === BLOCKED || failed(result)) return result;
  }
  hide(kernel, mount);
  superBlock.mounts--;
  putDentry(kernel, mount.root);
  if (superBlock.mounts > 0) return 0;
  for (const inode of [...superBlock.inodes.values()]) forgetInode(kernel, inode);
  kernel.vfs.superBlocks.delete(superBlock.id);
  return 0;
}

function hide(kernel: Kernel, mount: Mount): void {
  uncover(kernel, mount);
  kernel.vfs.mounts.delete(mount.id);
}
