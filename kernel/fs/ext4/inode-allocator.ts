// Allocating and freeing inodes, and the on-disk orphan list: inodes without links that are still open, which recovery frees.
// Directories spread over the groups (Orlov's rule for those in the root, near the parent otherwise); other inodes go to
// their directory's group.
import { ENOSPC, failed, type Failure } from '../../abi/errno.ts';
import type { FileKind, Inode, NewOwner } from '../vfs/inode.ts';
import { forgetInode, newInode } from '../vfs/inode-cache.ts';
import { fileTimeNow } from '../vfs/times.ts';
import { traceNewInode } from './events.ts';
import { emptyFork } from './extents.ts';
import { GROUP_FLAG, INODE_FLAG, ROOT_INODE } from './format.ts';
import { initialInodeBitmap, isInodeUninit, isSet, setBit, clearBit } from './groups.ts';
import { editBlock, editGroup, editInode, newBlock, peekGroup, type Handle } from './handle.ts';
import { corrupted, givePages, newExt4Inode } from './inode-io.ts';
import { ext4InodeOf, groupOfInode, type Ext4, type Group } from './state.ts';
import { random32 } from '../../lib/random.ts';

/** Groups in the order in which a new inode may go there. */
function* groupOrder(handle: Handle, parent: Inode, isDirectory: boolean): Generator<number> {
  const { ext4 } = handle;
  const count = ext4.groups.length;
  const home = groupOfInode(ext4, parent.number);
  if (isDirectory && parent.number === ROOT_INODE) {
    const averageInodes = ext4.freeInodes / count;
    const averageBlocks = ext4.freeBlocks / count;
    const fit = ext4.groups.filter(
      (group) =>
        group.freeInodes >= averageInodes && group.freeBlocks >= averageBlocks && group.freeInodes > 0,
    );
    fit.sort((a, b) => a.directories - b.directories || a.index - b.index);
    for (const group of fit) yield group.index;
  }
  for (let offset = 0; offset < count; offset++) yield (home + offset) % count;
}

function bitmapOf(handle: Handle, group: Group): Uint8Array | Failure {
  const { ext4 } = handle;
  if (!isInodeUninit(ext4, group)) return editBlock(handle, group.inodeBitmap);
  const bitmap = newBlock(handle, group.inodeBitmap);
  if (!failed(bitmap)) initialInodeBitmap(ext4, bitmap);
  return bitmap;
}

function findFree(ext4: Ext4, group: Group, bitmap: Uint8Array): number {
  const first = group.index === 0 ? ext4.firstInode - 1 : 0;
  for (let bit = first; bit < ext4.inodesPerGroup; bit++) if (!isSet(bitmap, bit)) return bit;
  return -1;
}

/** A new inode with one link, in memory and in the handle. If the handle fails, it is forgotten again. */
export function allocateInode(
  handle: Handle,
  parent: Inode,
  kind: FileKind,
  mode: number,
  owner: NewOwner,
  device = 0,
): Inode | Failure {
  // prettier-ignore
  const { ext4 } = handle;
  for (const index of groupOrder(handle, parent, kind === 'directory')) {
    const group = peekGroup(handle, index);
    if (group === undefined || group.freeInodes === 0) continue;
    const draft = editGroup(handle, index);
    if (failed(draft)) return draft;
    const bitmap = bitmapOf(handle, draft);
    if (failed(bitmap)) return bitmap;
    const bit = findFree(ext4, draft, bitmap);
    if (bit < 0) continue;
    setBit(bitmap, bit);
    draft.flags &= ~GROUP_FLAG.INODE_UNINIT;
    draft.freeInodes--;
    draft.tableUnused = Math.min(draft.tableUnused, ext4.inodesPerGroup - bit - 1);
    if (kind === 'directory') draft.directories++;
    handle.freeInodesDelta--;
    return enter(handle, parent, index * ext4.inodesPerGroup + bit + 1, kind, mode, owner, device);
  }
  return ENOSPC;
}

function enter(
  handle: Handle,
  parent: Inode,
  number: number,
  kind: FileKind,
  mode: number,
  owner: NewOwner,
  device: number,
): Inode | Failure {
  const { kernel, superBlock } = handle;
  const usesExtents = kind === 'file' || kind === 'directory';
  const data = newExt4Inode(
    usesExtents ? INODE_FLAG.EXTENTS : 0,
    usesExtents ? emptyFork() : new Uint8Array(60),
    random32(kernel.random),
  );
  const before = superBlock.inodes.get(number);
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
  superBlock.inodes.delete(number); // entered for good when the handle is applied
  if (before !== undefined) superBlock.inodes.set(number, before);
  const nowNs = fileTimeNow(kernel);
  inode.atimeNs = nowNs;
  inode.mtimeNs = nowNs;
  inode.ctimeNs = nowNs;
  inode.btimeNs = nowNs;
  inode.generation = data.generation;
  givePages(inode);
  const draft = editInode(handle, inode);
  if (failed(draft)) {
    forgetInode(kernel, inode);
    return draft;
  }
  draft.fresh = true;
  handle.made.push(inode);
  handle.effects.push(() => {
    superBlock.inodes.set(number, inode);
    traceNewInode(kernel, parent, inode);
  });
  return inode;
}

/** Frees an inode whose blocks are freed already, and takes it off the orphan list. */
export function freeInode(handle: Handle, inode: Inode): number | Failure {
  const { ext4, kernel } = handle;
  const index = groupOfInode(ext4, inode.number);
  const draft = editGroup(handle, index);
  if (failed(draft)) return draft;
  const bitmap = editBlock(handle, draft.inodeBitmap);
  if (failed(bitmap)) return bitmap;
  const bit = (inode.number - 1) % ext4.inodesPerGroup;
  if (!isSet(bitmap, bit)) return corrupted(kernel, ext4.device, `inode ${inode.number} is freed twice`);
  clearBit(bitmap, bit);
  draft.freeInodes++;
  if (inode.kind === 'directory') draft.directories--;
  handle.freeInodesDelta++;
  const own = editInode(handle, inode);
  if (failed(own)) return own;
  own.deletedSeconds = Math.floor(fileTimeNow(kernel) / 1e9);
  own.linkCount = 0;
  return removeOrphan(handle, inode);
}

/** The inode that names this one on the orphan list; the caller knows that it is in memory, as all orphans are. */
function notePrevious(handle: Handle, number: number, previous: number): void {
  const inode = number === 0 ? undefined : handle.superBlock.inodes.get(number);
  if (inode !== undefined) handle.effects.push(() => (ext4InodeOf(inode).previousOrphan = previous));
}

/** Puts an inode at the head of the orphan list. */
export function addOrphan(handle: Handle, inode: Inode): number | Failure {
  const draft = editInode(handle, inode);
  if (failed(draft)) return draft;
  if (draft.orphan) return 0;
  draft.orphan = true;
  draft.nextOrphan = handle.lastOrphan >= 0 ? handle.lastOrphan : handle.ext4.lastOrphan;
  handle.lastOrphan = inode.number;
  notePrevious(handle, draft.nextOrphan, inode.number);
  handle.effects.push(() => (ext4InodeOf(inode).previousOrphan = 0));
  return 0;
}

/** Takes an inode off the orphan list: its predecessor (or the superblock) then names its successor. */
export function removeOrphan(handle: Handle, inode: Inode): number | Failure {
  const draft = editInode(handle, inode);
  if (failed(draft)) return draft;
  if (!draft.orphan) return 0;
  draft.orphan = false;
  const { previousOrphan } = ext4InodeOf(inode);
  const next = draft.nextOrphan;
  draft.nextOrphan = 0;
  const head = handle.lastOrphan >= 0 ? handle.lastOrphan : handle.ext4.lastOrphan;
  if (head === inode.number) handle.lastOrphan = next;
  else {
    const previous = handle.superBlock.inodes.get(previousOrphan);
    if (previous === undefined)
      return corrupted(handle.kernel, handle.ext4.device, `inode ${inode.number} is not on the orphan list`);
    const before = editInode(handle, previous);
    if (failed(before)) return before;
    before.nextOrphan = next;
  }
  notePrevious(handle, next, head === inode.number ? 0 : previousOrphan);
  return 0;
}
