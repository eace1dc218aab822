// Inodes in memory: making, finding, counting users, dropping. An inode without links is freed by its file system when
// its last user goes; one with links stays for a while when pages of it are cached.
import { BLOCKED, failed, type Failure } from '../../abi/errno.ts';
import { makeDevice } from '../../abi/device.ts';
import { slabAllocate, slabFree } from '../../mm/slab.ts';
import { PG } from '../../mm/memory-state.ts';
import { truncatePages } from '../../mm/page-cache.ts';
import { kernelThreads } from '../../sched/kernel-thread.ts';
import { sleepOn, wakeUp } from '../../sched/wait-queue.ts';
import type { Kernel } from '../../state.ts';
import { now, wallNow } from '../../time/clock.ts';
import { inodeOperations, type FileKind, type Inode } from './inode.ts';
import type { SuperBlock } from './super-block.ts';
import { assert } from '../../lib/assert.ts';

export interface NewInode {
  readonly number: number;
  readonly kind: FileKind;
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly device?: number;
  readonly fileOperations?: string;
  readonly data?: unknown;
}

const defaultFileOperations: Readonly<Record<FileKind, string>> = {
  file: 'file', directory: 'directory', symlink: '', block: '', char: '', fifo: 'fifo', socket: '',
}; // prettier-ignore

/** A new inode in memory with all times now and one link, entered in its super block. ENOMEM when there is no slab page. */
export function newInode(kernel: Kernel, superBlock: SuperBlock, wanted: NewInode): Inode | Failure {
  const slab = slabAllocate(kernel, 'inode_cache');
  if (failed(slab)) return slab;
  const wallNs = wallNow(kernel);
  const inode: Inode = {
    number: wanted.number, superBlock: superBlock.id, fs: superBlock.fs, kind: wanted.kind, mode: wanted.mode,
    uid: wanted.uid ?? 0, gid: wanted.gid ?? 0, size: 0, linkCount: 1, device: wanted.device ?? 0,
    atimeNs: wallNs, mtimeNs: wallNs, ctimeNs: wallNs, btimeNs: wallNs, blocks: 0, users: 0, dirty: false, pages: null,
    data: wanted.data ?? null, fileOperations: wanted.fileOperations ?? defaultFileOperations[wanted.kind], generation: 0,
    slab, touchedNs: now(kernel), writers: 0, locks: null, watches: [],
  }; // prettier-ignore
  superBlock.inodes.set(inode.number, inode);
  kernel.vfs.inodeCount++;
  return inode;
}

export function superBlockOf(kernel: Kernel, inode: Inode): SuperBlock {
  const superBlock = kernel.vfs.superBlocks.get(inode.superBlock);
  assert(superBlock !== undefined, 'an inode in use belongs to a super block');
  return superBlock;
}

/** The inode in memory with that number, if there is one. */
export function findInode(kernel: Kernel, superBlock: SuperBlock, number: number): Inode | undefined {
  const inode = superBlock.inodes.get(number);
  if (inode !== undefined) inode.touchedNs = now(kernel);
  return inode;
}

export function getInode(kernel: Kernel, inode: Inode): Inode {
  if (inode.users++ === 0) kernel.vfs.unusedInodes.delete(inode);
  return inode;
}

/** Drops a user. Never blocks: a file system that must read to free an inode does so later. */
export function putInode(kernel: Kernel, inode: Inode): void {
  assert(inode.users > 0, 'an inode is put as often as it was got');
  if (--inode.users > 0) return;
  if (inode.linkCount === 0) {
    const operations = inodeOperations[inode.fs];
    if (operations?.evictsLater === true || hasBusyPages(kernel, inode)) {
      kernel.vfs.doomed.add(inode);
      wakeUp(kernel, kernel.vfs.doomedThread);
    } else if (operations?.evict === undefined) forgetInode(kernel, inode);
    else operations.evict(kernel, inode);
    return;
  }
  if ((inode.pages !== null && inode.pages.pages.size > 0) || inode.dirty) kernel.vfs.unusedInodes.add(inode);
  else if (!keepsInodes(inode)) forgetInode(kernel, inode);
}

/** Whether a page of the inode is being read or written, so that dropping it would have to wait. */
function hasBusyPages(kernel: Kernel, inode: Inode): boolean {
  if (inode.pages === null) return false;
  const { flags } = kernel.memory;
  for (const frame of inode.pages.pages.values())
    if (((flags[frame] ?? 0) & (PG.locked | PG.writeback)) !== 0) return true;
  return false;
}

/** One step of the evict thread: frees an inode that had to wait. */
kernelThreads['evict'] = (kernel, task) => {
  const { vfs } = kernel;
  for (const inode of vfs.doomed) {
    const result = inode.users > 0 ? 0 : (inodeOperations[inode.fs]?.evict?.(kernel, inode) ?? 0);
    if (result === BLOCKED) return BLOCKED;
    vfs.doomed.delete(inode);
    wakeUp(kernel, vfs.doomedDone);
    return 0;
  }
  return sleepOn(kernel, task, vfs.doomedThread, 'evict');
};

/** tmpfs and its like have no other place for an inode than memory; they forget it themselves. */
function keepsInodes(inode: Inode): boolean {
  return inodeOperations[inode.fs]?.inMemory === true;
}

/** Takes an inode out of memory: its pages, its slab object, its place in the super block. */
export function forgetInode(kernel: Kernel, inode: Inode): void {
  if (inode.pages !== null && inode.pages.pages.size > 0) truncatePages(kernel, inode.pages, 0);
  const superBlock = kernel.vfs.superBlocks.get(inode.superBlock);
  if (superBlock?.inodes.get(inode.number) === inode) superBlock.inodes.delete(inode.number);
  superBlock?.dirtyInodes.delete(inode);
  kernel.vfs.unusedInodes.delete(inode);
  kernel.vfs.inodeCount--;
  if (inode.slab >= 0) slabFree(kernel, 'inode_cache', inode.slab);
  inode.slab = -1;
}

/** The inode's attributes are newer than what is written down. */
export function markInodeDirty(kernel: Kernel, inode: Inode): void {
  if (inode.dirty) return;
  inode.dirty = true;
  const dirtyInodes = kernel.vfs.superBlocks.get(inode.superBlock)?.dirtyInodes;
  if (dirtyInodes === undefined) return;
  if (dirtyInodes.size === 0) inodeOperations[inode.fs]?.dirtied?.(kernel, inode);
  dirtyInodes.add(inode);
}

/** A super block, entered in the state; its root is set by the caller. */
export function newSuperBlock(
  kernel: Kernel,
  wanted: {
    fs: string;
    source: string;
    device?: string;
    deviceNumber?: number;
    readOnly?: boolean;
    blockSize?: number;
    maxFileBytes?: number;
    data?: unknown;
    options?: string;
  },
): SuperBlock {
  const superBlock: SuperBlock = {
    id: ++kernel.vfs.lastSuperBlock, fs: wanted.fs, device: wanted.device ?? '',
    deviceNumber: wanted.deviceNumber ?? makeDevice(0, ++kernel.vfs.lastAnonymousDevice + 20), source: wanted.source,
    readOnly: wanted.readOnly ?? false, blockSize: wanted.blockSize ?? 4096,
    maxFileBytes: wanted.maxFileBytes ?? Number.MAX_SAFE_INTEGER, root: null, inodes: new Map(), dirtyInodes: new Set(),
    nextInode: 1, mounts: 0, options: wanted.options ?? '', data: wanted.data ?? null,
  }; // prettier-ignore
  kernel.vfs.superBlocks.set(superBlock.id, superBlock);
  return superBlock;
}

/** A call that runs now may hold what it touched within this time. */
const IN_USE_NS = 10_000_000;

/** The shrinker's part: drops up to `count` unused inodes whose pages are gone or clean. Gives how many went. */
export function shrinkInodes(kernel: Kernel, count: number): number {
  let freed = 0;
  let scanned = 0;
  for (const inode of kernel.vfs.unusedInodes) {
    if (freed >= count || ++scanned > 4 * count) break;
    if (inode.dirty || now(kernel) - inode.touchedNs < IN_USE_NS) continue;
    const pages = inode.pages;
    if (pages !== null && (pages.dirty.size > 0 || pages.writeback.size > 0 || pages.mapCount > 0)) continue;
    forgetInode(kernel, inode);
    freed++;
  }
  return freed;
}
