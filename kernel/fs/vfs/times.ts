// When an inode's times change: atime after relatime's rule, mtime and ctime with writes.
import { MS, O } from '../../abi/open-flags.ts';
import type { Kernel } from '../../state.ts';
import { wallNow } from '../../time/clock.ts';
import type { Inode } from './inode.ts';
import { markInodeDirty, superBlockOf } from './inode-cache.ts';
import type { OpenFile } from './open-file.ts';

const DAY_NS = 86_400e9;

/** The kernel's clock of file times: whole jiffies of 4 ms, as Linux's coarse clock. */
export function fileTimeNow(kernel: Kernel): number {
  const tickUs = 4_000;
  return Math.floor(Math.floor(wallNow(kernel) / 1000) / tickUs) * tickUs * 1000;
}

/** Somebody read the inode. relatime: atime moves only when it is not newer than mtime or ctime, or a day old. */
export function touchAccessTime(kernel: Kernel, inode: Inode, mount: number): void {
  const flags = kernel.vfs.mounts.get(mount)?.flags ?? MS.RELATIME;
  if ((flags & (MS.NOATIME | MS.RDONLY)) !== 0 || superBlockOf(kernel, inode).readOnly) return;
  if (inode.kind === 'directory' && (flags & MS.NODIRATIME) !== 0) return;
  const nowNs = fileTimeNow(kernel);
  const isOld =
    inode.atimeNs <= inode.mtimeNs || inode.atimeNs <= inode.ctimeNs || nowNs - inode.atimeNs >= DAY_NS;
  if ((flags & MS.STRICTATIME) === 0 && !isOld) return;
  if (inode.atimeNs === nowNs) return;
  inode.atimeNs = nowNs;
  markInodeDirty(kernel, inode);
}

export function touchFileAccess(kernel: Kernel, file: OpenFile): void {
  if ((file.flags & O.NOATIME) === 0) touchAccessTime(kernel, file.inode, file.mount);
}

/** The content has changed. */
export function touchModified(kernel: Kernel, inode: Inode): void {
  const nowNs = fileTimeNow(kernel);
  if (inode.mtimeNs === nowNs && inode.ctimeNs === nowNs) return;
  inode.mtimeNs = nowNs;
  inode.ctimeNs = nowNs;
  markInodeDirty(kernel, inode);
}

/** Attributes or links have changed. */
export function touchChanged(kernel: Kernel, inode: Inode): void {
  inode.ctimeNs = fileTimeNow(kernel);
  markInodeDirty(kernel, inode);
}
