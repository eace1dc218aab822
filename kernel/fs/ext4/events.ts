// ext4's tracepoints, with Linux's names and the fields that tools read most.
import { emit, isOn, tracepoint } from '../../trace/tracepoint.ts';
import type { Kernel } from '../../state.ts';
import type { Inode } from '../vfs/inode.ts';
import { superBlockOf } from '../vfs/inode-cache.ts';

const syncEnter = tracepoint('ext4', 'ext4_sync_file_enter', { dev: 'u32', ino: 'u64', datasync: 'u32' });
const syncExit = tracepoint('ext4', 'ext4_sync_file_exit', { dev: 'u32', ino: 'u64', ret: 's32' });
const unlinkEnter = tracepoint('ext4', 'ext4_unlink_enter', {
  dev: 'u32',
  ino: 'u64',
  parent: 'u64',
  size: 'u64',
});
const evictPoint = tracepoint('ext4', 'ext4_evict_inode', { dev: 'u32', ino: 'u64', nlink: 'u32' });
const truncateEnter = tracepoint('ext4', 'ext4_truncate_enter', { dev: 'u32', ino: 'u64', blocks: 'u64' });
const newInodePoint = tracepoint('ext4', 'ext4_allocate_inode', {
  dev: 'u32',
  ino: 'u64',
  dir: 'u64',
  mode: 'u32',
});
const allocatePoint = tracepoint('ext4', 'ext4_allocate_blocks', {
  dev: 'u32',
  block: 'u64',
  len: 'u32',
  goal: 'u64',
});
const freePoint = tracepoint('ext4', 'ext4_free_blocks', { dev: 'u32', block: 'u64', count: 'u32' });

const of = (kernel: Kernel, inode: Inode) => ({
  dev: superBlockOf(kernel, inode).deviceNumber,
  ino: inode.number,
});

export function traceSyncEnter(kernel: Kernel, inode: Inode, dataOnly: boolean): void {
  if (isOn(kernel, syncEnter)) emit(kernel, syncEnter, { ...of(kernel, inode), datasync: dataOnly ? 1 : 0 });
}

export function traceSyncExit(kernel: Kernel, inode: Inode, result: number): void {
  if (isOn(kernel, syncExit)) emit(kernel, syncExit, { ...of(kernel, inode), ret: result });
}

export function traceUnlink(kernel: Kernel, directory: Inode, inode: Inode): void {
  if (isOn(kernel, unlinkEnter))
    emit(kernel, unlinkEnter, { ...of(kernel, inode), parent: directory.number, size: inode.size });
}

export function traceEvict(kernel: Kernel, inode: Inode): void {
  if (isOn(kernel, evictPoint)) emit(kernel, evictPoint, { ...of(kernel, inode), nlink: inode.linkCount });
}

export function traceTruncate(kernel: Kernel, inode: Inode): void {
  if (isOn(kernel, truncateEnter))
    emit(kernel, truncateEnter, { ...of(kernel, inode), blocks: inode.blocks });
}

export function traceNewInode(kernel: Kernel, directory: Inode, inode: Inode): void {
  if (isOn(kernel, newInodePoint))
    emit(kernel, newInodePoint, { ...of(kernel, inode), dir: directory.number, mode: inode.mode });
}

export function traceAllocate(
  kernel: Kernel,
  device: number,
  first: number,
  count: number,
  goal: number,
): void {
  if (isOn(kernel, allocatePoint))
    emit(kernel, allocatePoint, { dev: device, block: first, len: count, goal });
}

export function traceFree(kernel: Kernel, device: number, first: number, count: number): void {
  if (isOn(kernel, freePoint)) emit(kernel, freePoint, { dev: device, block: first, count });
}
