// Inodes of file systems that live in memory (tmpfs, devtmpfs, ramfs): directories are maps of names, file pages are
// page-cache pages that go to swap. Nothing here blocks but what mm does for pages.
import { EEXIST, EINVAL, ENODATA, ENOENT, ENOSPC, ENOTEMPTY, ERANGE, EOPNOTSUPP, ENXIO, EMLINK, failed, type Failure } from '../../abi/errno.ts'; // prettier-ignore
import { FALLOC, RENAME, XATTR_CREATE, XATTR_REPLACE } from '../../abi/open-flags.ts';
import { fillPhysical } from '../../machine/index.ts';
import { addressSpaceOperations, newAddressSpace, type AddressSpace } from '../../mm/address-space.ts';
import { finishRead, grabPage, markDirty, truncatePages } from '../../mm/page-cache.ts';
import type { Kernel } from '../../state.ts';
import { dropPagesBehind } from '../vfs/attributes.ts';
import type { DirectoryEntry, FileKind, Inode, InodeOperations, NewOwner } from '../vfs/inode.ts';
import { findInode, forgetInode, newInode, superBlockOf } from '../vfs/inode-cache.ts';
import type { SuperBlock } from '../vfs/super-block.ts';
import { touchChanged, touchModified } from '../vfs/times.ts';

const PAGE = 4096;
const SECTORS_PER_PAGE = 8;
/** A directory's size grows by this for each entry, as in mm/shmem.c. */
const ENTRY_BYTES = 20;
const MAX_XATTR_BYTES = 65_536;

export interface MemoryInode {
  readonly kind: 'memory';
  /** Directories: name → inode number and cookie. */
  readonly entries: Map<string, { inode: number; cookie: number }>;
  lastCookie: number;
  parent: number;
  target: string;
  xattrs: Map<string, Uint8Array>;
  /** Pages that the super block has counted for it. */
  countedPages: number;
}

export interface MemoryFileSystem {
  readonly kind: 'memory-fs';
  maxPages: number;
  maxInodes: number;
  usedPages: number;
}

function dataOf(inode: Inode): MemoryInode {
  return inode.data as MemoryInode; // newMemoryInode below makes every inode of these file systems
}

export function memoryFileSystemOf(superBlock: SuperBlock): MemoryFileSystem {
  return superBlock.data as MemoryFileSystem; // mountMemory makes every super block of these file systems
}

export function newMemoryInode(
  kernel: Kernel,
  superBlock: SuperBlock,
  kind: FileKind,
  mode: number,
  owner: NewOwner,
  device = 0,
): Inode | Failure {
  // prettier-ignore
  const limits = memoryFileSystemOf(superBlock);
  if (superBlock.inodes.size >= limits.maxInodes) return ENOSPC;
  const data: MemoryInode = {
    kind: 'memory', entries: new Map(), lastCookie: 2, parent: 0, target: '', xattrs: new Map(), countedPages: 0,
  }; // prettier-ignore
  const number = superBlock.nextInode++;
  const inode = newInode(kernel, superBlock, {
    number,
    kind,
    mode,
    uid: owner.uid,
    gid: owner.gid,
    device,
    data,
  });
  if (failed(inode)) return inode;
  if (kind === 'file') inode.pages = newAddressSpace('memory', inode);
  if (kind === 'directory') inode.linkCount = 2;
  return inode;
}

/** Brings the super block's count of pages in line with what the inode has now. */
function countPages(kernel: Kernel, inode: Inode): number {
  const data = dataOf(inode);
  const pages = inode.pages === null ? 0 : inode.pages.pages.size + inode.pages.swapped.size;
  const limits = memoryFileSystemOf(superBlockOf(kernel, inode));
  limits.usedPages += pages - data.countedPages;
  data.countedPages = pages;
  inode.blocks = pages * SECTORS_PER_PAGE;
  return limits.maxPages - limits.usedPages;
}

/** Enters a name; the caller has checked that it is free. */
export function enterName(kernel: Kernel, directory: Inode, name: string, inode: Inode): void {
  const data = dataOf(directory);
  data.entries.set(name, { inode: inode.number, cookie: ++data.lastCookie });
  directory.size += ENTRY_BYTES;
  if (inode.kind === 'directory') {
    dataOf(inode).parent = directory.number;
    directory.linkCount++;
  }
  touchModified(kernel, directory);
}

function removeName(kernel: Kernel, directory: Inode, name: string, inode: Inode): void {
  dataOf(directory).entries.delete(name);
  directory.size -= ENTRY_BYTES;
  if (inode.kind === 'directory') directory.linkCount--;
  touchModified(kernel, directory);
}

function make(
  kernel: Kernel,
  directory: Inode,
  name: string,
  kind: FileKind,
  mode: number,
  owner: NewOwner,
  device = 0,
): Inode | Failure {
  // prettier-ignore
  const inode = newMemoryInode(kernel, superBlockOf(kernel, directory), kind, mode, owner, device);
  if (!failed(inode)) enterName(kernel, directory, name, inode);
  return inode;
}

function childOf(kernel: Kernel, directory: Inode, name: string): Inode | undefined {
  const entry = dataOf(directory).entries.get(name);
  return entry === undefined ? undefined : findInode(kernel, superBlockOf(kernel, directory), entry.inode);
}

function unlinkName(kernel: Kernel, directory: Inode, name: string, inode: Inode): number {
  removeName(kernel, directory, name, inode);
  inode.linkCount = inode.kind === 'directory' ? 0 : inode.linkCount - 1;
  touchChanged(kernel, inode);
  return 0;
}

function readDirectory(
  kernel: Kernel,
  directory: Inode,
  position: number,
  max: number,
): readonly DirectoryEntry[] {
  const data = dataOf(directory);
  const found: DirectoryEntry[] = [];
  if (position < 1) found.push({ name: '.', inode: directory.number, kind: 'directory', next: 1 });
  if (position < 2)
    found.push({
      name: '..',
      inode: data.parent === 0 ? directory.number : data.parent,
      kind: 'directory',
      next: 2,
    });
  for (const [name, entry] of data.entries) {
    if (found.length >= max) break;
    if (entry.cookie <= position) continue;
    const kind = superBlockOf(kernel, directory).inodes.get(entry.inode)?.kind ?? 'file';
    found.push({ name, inode: entry.inode, kind, next: entry.cookie });
  }
  return found;
}

function rename(
  kernel: Kernel,
  from: Inode,
  name: string,
  to: Inode,
  newName: string,
  flags: number,
): number | Failure {
  const inode = childOf(kernel, from, name);
  const target = childOf(kernel, to, newName);
  if (inode === undefined) return ENOENT;
  if ((flags & RENAME.EXCHANGE) !== 0) {
    if (target === undefined) return ENOENT;
    removeName(kernel, from, name, inode);
    removeName(kernel, to, newName, target);
    enterName(kernel, from, name, target);
    enterName(kernel, to, newName, inode);
    touchChanged(kernel, target);
  } else {
    if (target !== undefined) {
      if (target.kind === 'directory' && dataOf(target).entries.size > 0) return ENOTEMPTY;
      unlinkName(kernel, to, newName, target);
    }
    removeName(kernel, from, name, inode);
    enterName(kernel, to, newName, inode);
  }
  touchChanged(kernel, inode);
  return 0;
}

/** Clears [from, to) inside one page, if the page is there. */
function clearInPage(kernel: Kernel, space: AddressSpace, from: number, to: number): number | Failure {
  const index = Math.floor(from / PAGE);
  if (from >= to || (!space.pages.has(index) && !space.swapped.has(index))) return 0;
  const frame = grabPage(kernel, space, index, { overwrite: false });
  if (failed(frame)) return frame;
  fillPhysical(kernel.machine, frame * PAGE + (from % PAGE), 0, to - from);
  markDirty(kernel, space, index);
  return 0;
}

function truncate(kernel: Kernel, inode: Inode, size: number): number | Failure {
  if (inode.pages !== null && size < inode.size) {
    const cleared =
      size % PAGE === 0 ? 0 : clearInPage(kernel, inode.pages, size, Math.ceil(size / PAGE) * PAGE);
    if (failed(cleared)) return cleared;
    const dropped = dropPagesBehind(kernel, inode, size);
    if (failed(dropped)) return dropped;
  }
  inode.size = size;
  countPages(kernel, inode);
  return 0;
}

function fallocate(
  kernel: Kernel,
  inode: Inode,
  mode: number,
  offset: number,
  length: number,
): number | Failure {
  const space = inode.pages;
  if (space === null) return EINVAL;
  const end = offset + length;
  if ((mode & FALLOC.PUNCH_HOLE) !== 0) {
    const firstWhole = Math.ceil(offset / PAGE);
    const lastWhole = Math.floor(end / PAGE);
    const head = clearInPage(kernel, space, offset, Math.min(firstWhole * PAGE, end));
    if (failed(head)) return head;
    const tail = lastWhole < firstWhole ? 0 : clearInPage(kernel, space, lastWhole * PAGE, end);
    if (failed(tail)) return tail;
    for (let index = firstWhole; index < lastWhole; index++) {
      const dropped = truncatePages(kernel, space, index, index + 1);
      if (failed(dropped)) return dropped;
    }
    countPages(kernel, inode);
    return 0;
  }
  if ((mode & ~FALLOC.KEEP_SIZE) !== 0) return EOPNOTSUPP;
  for (let index = Math.floor(offset / PAGE); index * PAGE < end; index++) {
    const frame = grabPage(kernel, space, index, { overwrite: false });
    if (failed(frame)) return frame;
    markDirty(kernel, space, index);
    if (countPages(kernel, inode) < 0) return ENOSPC;
  }
  if ((mode & FALLOC.KEEP_SIZE) === 0) inode.size = Math.max(inode.size, end);
  return 0;
}

export const memoryOperations: InodeOperations = {
  inMemory: true,
  lookup: (kernel, directory, name) => childOf(kernel, directory, name) ?? ENOENT,
  create: (kernel, directory, name, mode, owner) => make(kernel, directory, name, 'file', mode, owner),
  mkdir: (kernel, directory, name, mode, owner) => make(kernel, directory, name, 'directory', mode, owner),
  mknod: (kernel, directory, name, kind, mode, device, owner) =>
    make(kernel, directory, name, kind, mode, owner, device),
  symlink(kernel, directory, name, target, owner) {
    const inode = make(kernel, directory, name, 'symlink', 0o777, owner);
    if (failed(inode)) return inode;
    dataOf(inode).target = target;
    inode.size = target.length;
    return inode;
  },
  tmpfile(kernel, directory, mode, owner) {
    const inode = newMemoryInode(kernel, superBlockOf(kernel, directory), 'file', mode, owner);
    if (!failed(inode)) inode.linkCount = 0;
    return inode;
  },
  link(kernel, directory, name, inode) {
    if (inode.linkCount >= 65_000) return EMLINK;
    inode.linkCount++;
    enterName(kernel, directory, name, inode);
    touchChanged(kernel, inode);
    return 0;
  },
  unlink: unlinkName,
  rmdir(kernel, directory, name, inode) {
    return dataOf(inode).entries.size > 0 ? ENOTEMPTY : unlinkName(kernel, directory, name, inode);
  },
  rename,
  readlink: (_kernel, inode) => dataOf(inode).target,
  readDirectory,
  truncate,
  fallocate,
  prepareWrite(kernel, inode, offset, length) {
    if (countPages(kernel, inode) < 0) {
      if (inode.pages !== null) truncatePages(kernel, inode.pages, Math.ceil(inode.size / PAGE));
      countPages(kernel, inode);
      return ENOSPC;
    }
    inode.size = Math.max(inode.size, offset + length);
    return length;
  },
  seekData(_kernel, inode, offset, whence) {
    if (offset >= inode.size) return ENXIO;
    const space = inode.pages;
    if (space === null) return EINVAL;
    for (let index = Math.floor(offset / PAGE); index * PAGE < inode.size; index++) {
      const hasData = space.pages.has(index) || space.swapped.has(index);
      if (hasData === (whence === 'data')) return Math.max(offset, index * PAGE);
    }
    return whence === 'data' ? ENXIO : inode.size;
  },
  evict(kernel, inode) {
    const limits = kernel.vfs.superBlocks.get(inode.superBlock);
    if (limits !== undefined) memoryFileSystemOf(limits).usedPages -= dataOf(inode).countedPages;
    forgetInode(kernel, inode);
    return 0;
  },
  refresh(kernel, inode) {
    countPages(kernel, inode);
  },
  getXattr: (_kernel, inode, name) => dataOf(inode).xattrs.get(name) ?? ENODATA,
  setXattr(kernel, inode, name, value, flags) {
    const { xattrs } = dataOf(inode);
    if ((flags & XATTR_CREATE) !== 0 && xattrs.has(name)) return EEXIST;
    if (((flags & XATTR_REPLACE) !== 0 || value === null) && !xattrs.has(name)) return ENODATA;
    if (value === null) xattrs.delete(name);
    else if (value.length > MAX_XATTR_BYTES) return ERANGE;
    else xattrs.set(name, value);
    touchChanged(kernel, inode);
    return 0;
  },
  listXattr: (_kernel, inode) => [...dataOf(inode).xattrs.keys()],
  fsync: () => 0,
};

addressSpaceOperations['memory'] = {
  swapBacked: true,
  readPages(kernel, space, first, frames) {
    frames.forEach((frame, index) => {
      fillPhysical(kernel.machine, frame * PAGE, 0, PAGE);
      finishRead(kernel, space, first + index, true);
    });
    return 0;
  },
  writePages: () => 0,
  sizeOf: (_kernel, space) => (space.host as Inode).size, // newMemoryInode gives every such space its inode
};
