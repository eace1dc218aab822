// ext4's operations on names: create, mkdir, mknod, symlink, link, unlink, rmdir, rename, tmpfile. Each is one handle.
import { EIO, EMLINK, ENAMETOOLONG, ENOENT, ENOTEMPTY, failed, type Failure } from '../../abi/errno.ts';
import { RENAME } from '../../abi/open-flags.ts';
import { bytesOfLatin1, latin1 } from '../../lib/bytes.ts';
import type { Kernel } from '../../state.ts';
import type { FileKind, Inode, NewOwner } from '../vfs/inode.ts';
import { superBlockOf } from '../vfs/inode-cache.ts';
import { fileTimeNow } from '../vfs/times.ts';
import { allocateBlocks } from './block-allocator.ts';
import {
  insertName,
  isEmptyDirectory,
  lookupName,
  makeFirstBlock,
  removeName,
  retargetName,
} from './directory.ts';
import { traceUnlink } from './events.ts';
import { emptyFork, insertExtent, mapBlock } from './extents.ts';
import { BLOCK, INODE_FLAG } from './format.ts';
import { editInode, newBlock, readBlock, updating, type Handle } from './handle.ts';
import { addOrphan, allocateInode, removeOrphan } from './inode-allocator.ts';
import { forkOfDevice, inodeLocation } from './inode-format.ts';
import { loadInode } from './inode-io.ts';
import { ext4InodeOf, ext4Of } from './state.ts';

const MAX_LINKS = 65_000;
const FAST_SYMLINK_BYTES = 59;

/** The directory's content changed: its times, when the handle is applied. */
function touchDirectory(handle: Handle, directory: Inode): number | Failure {
  const draft = editInode(handle, directory);
  if (failed(draft)) return draft;
  handle.effects.push(() => {
    const nowNs = fileTimeNow(handle.kernel);
    directory.mtimeNs = nowNs;
    directory.ctimeNs = nowNs;
  });
  return 0;
}

function touchInode(handle: Handle, inode: Inode): void {
  handle.effects.push(() => (inode.ctimeNs = fileTimeNow(handle.kernel)));
}

/** A new inode of any kind under a name. `fill` gives it what its kind needs. */
function make(
  kernel: Kernel,
  directory: Inode,
  name: string,
  kind: FileKind,
  mode: number,
  owner: NewOwner,
  device: number,
  fill: (handle: Handle, inode: Inode) => number | Failure,
): Inode | Failure {
  // prettier-ignore
  return updating(kernel, directory, (handle) => {
    const inode = allocateInode(handle, directory, kind, mode, owner, device);
    if (failed(inode)) return inode;
    const filled = fill(handle, inode);
    if (failed(filled)) return filled;
    const entered = insertName(handle, directory, name, inode.number, kind);
    if (failed(entered)) return entered;
    const touched = touchDirectory(handle, directory);
    return failed(touched) ? touched : inode;
  });
}

const nothing = (): number => 0;

export function create(
  kernel: Kernel,
  directory: Inode,
  name: string,
  mode: number,
  owner: NewOwner,
): Inode | Failure {
  return make(kernel, directory, name, 'file', mode, owner, 0, nothing);
}

export function mkdir(
  kernel: Kernel,
  directory: Inode,
  name: string,
  mode: number,
  owner: NewOwner,
): Inode | Failure {
  if (directory.linkCount >= MAX_LINKS) return EMLINK;
  return make(kernel, directory, name, 'directory', mode, owner, 0, (handle, inode) => {
    const first = makeFirstBlock(handle, inode, directory.number);
    if (failed(first)) return first;
    const draft = editInode(handle, inode);
    if (failed(draft)) return draft;
    draft.linkCount = 2;
    return addLinks(handle, directory, 1);
  });
}

function addLinks(handle: Handle, inode: Inode, count: number): number | Failure {
  const draft = editInode(handle, inode);
  if (failed(draft)) return draft;
  draft.linkCount += count;
  return 0;
}

export function mknod(
  kernel: Kernel,
  directory: Inode,
  name: string,
  kind: FileKind,
  mode: number,
  device: number,
  owner: NewOwner,
): Inode | Failure {
  // prettier-ignore
  return make(kernel, directory, name, kind, mode, owner, device, (handle, inode) => {
    const draft = editInode(handle, inode);
    if (failed(draft)) return draft;
    if (kind === 'char' || kind === 'block') draft.fork = forkOfDevice(device);
    return 0;
  });
}

export function symlink(
  kernel: Kernel,
  directory: Inode,
  name: string,
  target: string,
  owner: NewOwner,
): Inode | Failure {
  if (target.length > BLOCK - 1) return ENAMETOOLONG;
  return make(kernel, directory, name, 'symlink', 0o777, owner, 0, (handle, inode) => {
    const draft = editInode(handle, inode);
    if (failed(draft)) return draft;
    draft.size = target.length;
    if (target.length <= FAST_SYMLINK_BYTES) {
      draft.fork = new Uint8Array(60);
      draft.fork.set(bytesOfLatin1(target));
      return 0;
    }
    draft.flags |= INODE_FLAG.EXTENTS;
    draft.fork = emptyFork();
    const run = allocateBlocks(handle, inodeLocation(handle.ext4, inode.number).block, 1);
    if (failed(run)) return run;
    const bytes = newBlock(handle, run.first);
    if (failed(bytes)) return bytes;
    bytes.set(bytesOfLatin1(target));
    draft.blocks += BLOCK / 512;
    return insertExtent(handle, inode, { logical: 0, count: 1, physical: run.first, unwritten: false });
  });
}

/** The text of a symbolic link: in the inode, or in one block. */
export function readlink(kernel: Kernel, inode: Inode): string | Failure {
  const own = ext4InodeOf(inode);
  if ((own.flags & INODE_FLAG.EXTENTS) === 0) return latin1(own.fork.subarray(0, Math.min(60, inode.size)));
  const mapping = mapBlock(kernel, inode, 0);
  if (failed(mapping)) return mapping;
  const bytes =
    mapping.physical === 0 ? EIO : readBlock(kernel, ext4Of(superBlockOf(kernel, inode)), mapping.physical);
  return failed(bytes) ? bytes : latin1(bytes.subarray(0, Math.min(BLOCK, inode.size)));
}

export function tmpfile(kernel: Kernel, directory: Inode, mode: number, owner: NewOwner): Inode | Failure {
  return updating(kernel, directory, (handle) => {
    const inode = allocateInode(handle, directory, 'file', mode, owner);
    if (failed(inode)) return inode;
    const draft = editInode(handle, inode);
    if (failed(draft)) return draft;
    draft.linkCount = 0;
    const listed = addOrphan(handle, inode);
    return failed(listed) ? listed : inode;
  });
}

export function link(kernel: Kernel, directory: Inode, name: string, inode: Inode): number | Failure {
  if (inode.linkCount >= MAX_LINKS) return EMLINK;
  return updating(kernel, directory, (handle) => {
    const draft = editInode(handle, inode);
    if (failed(draft)) return draft;
    if (draft.linkCount === 0) {
      const taken = removeOrphan(handle, inode); // an O_TMPFILE gets its first name
      if (failed(taken)) return taken;
    }
    draft.linkCount++;
    touchInode(handle, inode);
    const entered = insertName(handle, directory, name, inode.number, inode.kind);
    return failed(entered) ? entered : touchDirectory(handle, directory);
  });
}

/** Takes a link away; the last one puts the inode on the orphan list until its last user is gone. */
function dropLink(handle: Handle, inode: Inode, count: number): number | Failure {
  const draft = editInode(handle, inode);
  if (failed(draft)) return draft;
  draft.linkCount -= count;
  touchInode(handle, inode);
  if (draft.linkCount > 0 && inode.kind !== 'directory') return 0;
  draft.linkCount = 0;
  return addOrphan(handle, inode);
}

export function unlink(kernel: Kernel, directory: Inode, name: string, inode: Inode): number | Failure {
  return updating(kernel, directory, (handle) => {
    handle.effects.push(() => traceUnlink(kernel, directory, inode));
    const removed = removeName(handle, directory, name);
    if (failed(removed)) return removed;
    const dropped = dropLink(handle, inode, 1);
    return failed(dropped) ? dropped : touchDirectory(handle, directory);
  });
}

export function rmdir(kernel: Kernel, directory: Inode, name: string, inode: Inode): number | Failure {
  const empty = isEmptyDirectory(kernel, inode);
  if (failed(empty)) return empty;
  if (!empty) return ENOTEMPTY;
  return updating(kernel, directory, (handle) => {
    const removed = removeName(handle, directory, name);
    if (failed(removed)) return removed;
    const dropped = dropLink(handle, inode, 2);
    if (failed(dropped)) return dropped;
    const links = addLinks(handle, directory, -1);
    return failed(links) ? links : touchDirectory(handle, directory);
  });
}

/** The inode of a name that vfs/ has just looked up. */
function childOf(kernel: Kernel, directory: Inode, name: string): Inode | Failure {
  const number = lookupName(kernel, directory, name);
  return failed(number) ? number : loadInode(kernel, superBlockOf(kernel, directory), number);
}

export function rename(
  kernel: Kernel,
  from: Inode,
  name: string,
  to: Inode,
  newName: string,
  flags: number,
): number | Failure {
  const inode = childOf(kernel, from, name);
  if (failed(inode)) return inode;
  const target = childOf(kernel, to, newName);
  if (failed(target) && target !== ENOENT) return target;
  const replaced = failed(target) ? null : target;
  if ((flags & RENAME.EXCHANGE) !== 0)
    return replaced === null ? ENOENT : exchange(kernel, from, name, inode, to, newName, replaced);
  if (replaced?.kind === 'directory') {
    const empty = isEmptyDirectory(kernel, replaced);
    if (failed(empty)) return empty;
    if (!empty) return ENOTEMPTY;
  }
  const movesDirectory = inode.kind === 'directory';
  if (movesDirectory && from !== to && replaced === null && to.linkCount >= MAX_LINKS) return EMLINK;
  return updating(kernel, from, (handle) => {
    const removed = removeName(handle, from, name);
    if (failed(removed)) return removed;
    const placed = replaced === null
      ? insertName(handle, to, newName, inode.number, inode.kind)
      : retargetName(handle, to, newName, inode.number, inode.kind); // prettier-ignore
    if (failed(placed)) return placed;
    if (replaced !== null) {
      const dropped = dropLink(handle, replaced, replaced.kind === 'directory' ? 2 : 1);
      if (failed(dropped)) return dropped;
      const links = replaced.kind === 'directory' ? addLinks(handle, to, -1) : 0;
      if (failed(links)) return links;
    }
    if (movesDirectory) {
      const moved = moveDirectory(handle, inode, from, to);
      if (failed(moved)) return moved;
    }
    touchInode(handle, inode);
    const own = editInode(handle, inode);
    if (failed(own)) return own;
    const touched = touchDirectory(handle, from);
    return failed(touched) ? touched : touchDirectory(handle, to);
  });
}

/** A directory in another place: its `..`, and the link that it is to its parents. */
function moveDirectory(handle: Handle, inode: Inode, from: Inode, to: Inode): number | Failure {
  if (from === to) return 0;
  const retargeted = retargetName(handle, inode, '..', to.number, 'directory');
  if (failed(retargeted)) return retargeted;
  const less = addLinks(handle, from, -1);
  return failed(less) ? less : addLinks(handle, to, 1);
}

function exchange(
  kernel: Kernel,
  from: Inode,
  name: string,
  inode: Inode,
  to: Inode,
  newName: string,
  other: Inode,
): number | Failure {
  // prettier-ignore
  return updating(kernel, from, (handle) => {
    const first = retargetName(handle, from, name, other.number, other.kind);
    if (failed(first)) return first;
    const second = retargetName(handle, to, newName, inode.number, inode.kind);
    if (failed(second)) return second;
    for (const [moved, source, destination] of [[inode, from, to], [other, to, from]] as const) {
      const result = moved.kind === 'directory' ? moveDirectory(handle, moved, source, destination) : 0;
      if (failed(result)) return result;
      const draft = editInode(handle, moved);
      if (failed(draft)) return draft;
      touchInode(handle, moved);
    } // prettier-ignore
    const touched = touchDirectory(handle, from);
    return failed(touched) ? touched : touchDirectory(handle, to);
  });
}
