// Content of regular files: the page cache's reads and writes mapped to disk blocks, room for writes, truncation,
// fallocate, and freeing an inode whose last user is gone.
import { EFBIG, EINVAL, ENOSPC, ENXIO, EOPNOTSUPP, EIO, failed, type Failure } from '../../abi/errno.ts';
import { FALLOC } from '../../abi/open-flags.ts';
import { blockCompletions, submitBio, withPlug } from '../../block/queue.ts';
import type { BlockCompletion } from '../../block/request.ts';
import { fillPhysical, viewBytes } from '../../machine/index.ts';
import { addressSpaceOperations, type AddressSpace } from '../../mm/address-space.ts';
import { finishRead, grabPage, markDirty, truncatePages } from '../../mm/page-cache.ts';
import { finishWrite } from '../../mm/write-back.ts';
import type { Kernel } from '../../state.ts';
import type { Inode } from '../vfs/inode.ts';
import { forgetInode, superBlockOf } from '../vfs/inode-cache.ts';
import { touchModified } from '../vfs/times.ts';
import { allocateBlocks } from './block-allocator.ts';
import { traceEvict, traceTruncate } from './events.ts';
import { insertExtent, mapBlock, mapBlockIn, markWritten, removeExtents } from './extents.ts';
import { BLOCK, INODE_FLAG } from './format.ts';
import { editInode, forgetBlock, updating, type Handle } from './handle.ts';
import { freeInode } from './inode-allocator.ts';
import { waitForOrdered } from './journal.ts';
import { inodeLocation } from './inode-format.ts';
import { dropXattrBlock } from './xattr.ts';
import { deviceOf, ext4InodeOf, ext4Of } from './state.ts';

const MAX_LOGICAL = 0xffff_ffff;
const MAX_UNWRITTEN_RUN = 32_767;

function inodeOf(space: AddressSpace): Inode {
  return space.host as Inode; // givePages makes every space of this kind
}

function readPages(
  kernel: Kernel,
  space: AddressSpace,
  first: number,
  frames: readonly number[],
): number | Failure {
  const inode = inodeOf(space);
  const device = deviceOf(kernel, ext4Of(superBlockOf(kernel, inode)));
  // Map everything before anything starts, so that BLOCKED leaves nothing half done.
  const runs: { at: number; count: number; physical: number }[] = [];
  for (let at = 0; at < frames.length;) {
    const mapping = mapBlock(kernel, inode, first + at);
    if (failed(mapping)) return mapping;
    const count = Math.min(mapping.count, frames.length - at);
    const isHole = mapping.physical === 0 || mapping.unwritten;
    if (!isHole && mapping.physical + count > device.blockCount) return EIO;
    runs.push({ at, count, physical: isHole ? 0 : mapping.physical });
    at += count;
  }
  for (const run of runs) {
    const part = frames.slice(run.at, run.at + run.count);
    if (run.physical === 0) {
      part.forEach((frame, index) => {
        fillPhysical(kernel.machine, frame * BLOCK, 0, BLOCK);
        finishRead(kernel, space, first + run.at + index, true);
      });
      continue;
    }
    const completion = { kind: 'pages-read', space, first: first + run.at, count: run.count };
    submitBio(kernel, device, {
      write: false,
      first: run.physical,
      count: run.count,
      frames: part,
      bytes: null,
      completion,
    });
  }
  return 0;
}

function pagesOf(completion: BlockCompletion): { space: AddressSpace; first: number; count: number } {
  return completion as unknown as { space: AddressSpace; first: number; count: number }; // as submitted by readPages, writePages
}

blockCompletions['pages-read'] = (kernel, completion, error) => {
  const { space, first, count } = pagesOf(completion);
  for (let index = first; index < first + count; index++) finishRead(kernel, space, index, error === 0);
};

blockCompletions['pages-written'] = (kernel, completion, error) => {
  const { space, first, count } = pagesOf(completion);
  const inode = inodeOf(space);
  const superBlock = kernel.vfs.superBlocks.get(inode.superBlock);
  if (superBlock !== undefined) {
    ext4InodeOf(inode).dataWrites = deviceOf(kernel, ext4Of(superBlock)).completedWrites;
  }
  for (let index = first; index < first + count; index++) finishWrite(kernel, space, index, error === 0);
};

function writePages(kernel: Kernel, space: AddressSpace, indexes: readonly number[]): number | Failure {
  const inode = inodeOf(space);
  const device = deviceOf(kernel, ext4Of(superBlockOf(kernel, inode)));
  const first = indexes[0] ?? 0;
  const end = first + indexes.length; // mm gives runs of neighbours
  const room = makeRoom(kernel, inode, first, Math.min(end, Math.ceil(inode.size / BLOCK)));
  if (failed(room)) return room;
  const runs: { first: number; count: number; physical: number }[] = [];
  for (let index = first; index < end;) {
    const mapping =
      index * BLOCK >= inode.size ? { physical: 0, count: end - index } : mapBlock(kernel, inode, index);
    if (failed(mapping)) return mapping;
    const count = Math.min(mapping.count, end - index);
    if (mapping.physical !== 0 && mapping.physical + count > device.blockCount) return EIO;
    runs.push({ first: index, count, physical: mapping.physical });
    index += count;
  }
  withPlug(kernel, () => {
    for (const run of runs) {
      if (run.physical === 0) {
        // Behind the end of the file: nothing to keep.
        for (let index = run.first; index < run.first + run.count; index++)
          finishWrite(kernel, space, index, true);
        continue;
      }
      const bytes = contentOf(kernel, inode, space, run.first, run.count);
      const completion = { kind: 'pages-written', space, first: run.first, count: run.count };
      submitBio(kernel, device, {
        write: true,
        first: run.physical,
        count: run.count,
        frames: [],
        bytes,
        completion,
      });
    }
  });
  return 0;
}

/** The pages' bytes; what a map may have left behind the end of the file is cleared first. */
function contentOf(
  kernel: Kernel,
  inode: Inode,
  space: AddressSpace,
  first: number,
  count: number,
): Uint8Array {
  const bytes = new Uint8Array(count * BLOCK);
  for (let index = 0; index < count; index++) {
    const frame = space.pages.get(first + index);
    if (frame === undefined) continue;
    const valid = inode.size - (first + index) * BLOCK;
    if (valid < BLOCK) fillPhysical(kernel.machine, frame * BLOCK + valid, 0, BLOCK - valid);
    bytes.set(viewBytes(kernel.machine, frame * BLOCK, BLOCK), index * BLOCK);
  }
  return bytes;
}

/** Makes sure that blocks [from, to) hold data: allocates holes, turns unwritten extents into written ones. */
function makeRoom(kernel: Kernel, inode: Inode, from: number, to: number): number | Failure {
  for (let logical = from; logical < to;) {
    const mapping = mapBlock(kernel, inode, logical);
    if (failed(mapping)) return mapping;
    if (mapping.physical === 0 || mapping.unwritten) {
      return updating(kernel, inode, (handle) => {
        const got = fillRange(handle, inode, logical, to);
        if (failed(got)) return got;
        return got < to ? ENOSPC : 0;
      });
    }
    logical += mapping.count;
  }
  return 0;
}

/** Where the next block of a file should go: behind the one before it, else near the inode. */
function goalFor(handle: Handle, inode: Inode, logical: number): number {
  const previous = logical === 0 ? null : mapBlockIn(handle, inode, logical - 1);
  if (previous !== null && !failed(previous) && previous.physical !== 0) return previous.physical + 1;
  const { ext4 } = handle;
  const table = inodeLocation(ext4, inode.number).block;
  return table + Math.ceil((ext4.inodesPerGroup * ext4.inodeSize) / BLOCK) + (inode.number % 16) * 64;
}

/** Allocates what is missing in [from, to) and gives how far it came (less than `to`: the disk is full). */
function fillRange(handle: Handle, inode: Inode, from: number, to: number): number | Failure {
  for (let logical = from; logical < to;) {
    const mapping = mapBlockIn(handle, inode, logical);
    if (failed(mapping)) return mapping;
    const count = Math.min(mapping.count, to - logical);
    if (mapping.physical !== 0) {
      const written = mapping.unwritten ? markWritten(handle, inode, logical, mapping.physical, count) : 0;
      if (failed(written)) return written;
      if (mapping.unwritten) handle.ordered.add(inode);
      logical += count;
      continue;
    }
    const run = allocateBlocks(handle, goalFor(handle, inode, logical), count);
    if (run === ENOSPC && logical > from) return logical;
    if (failed(run)) return run;
    const entered = insertExtent(handle, inode, {
      logical,
      count: run.count,
      physical: run.first,
      unwritten: false,
    });
    if (failed(entered)) return entered;
    const draft = editInode(handle, inode);
    if (failed(draft)) return draft;
    draft.blocks += run.count * (BLOCK / 512);
    handle.ordered.add(inode);
    logical += run.count;
  }
  return to;
}

/** vfs/ is about to fill [offset, offset + length): blocks and size, in one handle. */
export function prepareWrite(kernel: Kernel, inode: Inode, offset: number, length: number): number | Failure {
  const end = offset + length;
  const from = Math.floor(offset / BLOCK);
  const to = Math.ceil(end / BLOCK);
  if (to > MAX_LOGICAL) return EFBIG;
  if (end <= inode.size && isMapped(kernel, inode, from, to)) return length;
  return updating(kernel, inode, (handle) => {
    const reached = fillRange(handle, inode, from, to);
    if (failed(reached)) return reached;
    const granted = Math.min(length, reached * BLOCK - offset);
    const draft = editInode(handle, inode);
    if (failed(draft)) return draft;
    draft.size = Math.max(draft.size, offset + granted);
    return granted;
  });
}

/** Whether all of [from, to) holds data already; false also when that would have to be read. */
function isMapped(kernel: Kernel, inode: Inode, from: number, to: number): boolean {
  if (ext4InodeOf(inode).fork[6] !== 0) return false; // the tree has inner nodes: let the handle look
  for (let logical = from; logical < to;) {
    const mapping = mapBlock(kernel, inode, logical);
    if (failed(mapping) || mapping.physical === 0 || mapping.unwritten) return false;
    logical += mapping.count;
  }
  return true;
}

/** Clears [from, to) of one page in the cache; a hole stays one. May give BLOCKED. */
function clearPart(kernel: Kernel, inode: Inode, from: number, to: number): number | Failure {
  const space = inode.pages;
  if (space === null || from >= to) return 0;
  const index = Math.floor(from / BLOCK);
  const mapping = mapBlock(kernel, inode, index);
  if (failed(mapping)) return mapping;
  if (!space.pages.has(index) && (mapping.physical === 0 || mapping.unwritten)) return 0;
  const frame = grabPage(kernel, space, index, { overwrite: false });
  if (failed(frame)) return frame;
  fillPhysical(kernel.machine, frame * BLOCK + (from % BLOCK), 0, to - from);
  markDirty(kernel, space, index);
  return 0;
}

/** Throws pages away from an index on; BLOCKED while they are on their way or promised to a commit. */
function dropPages(kernel: Kernel, inode: Inode, first: number, end = Infinity): number | Failure {
  if (inode.pages === null) return 0;
  const promised = waitForOrdered(kernel, inode);
  return failed(promised) ? promised : truncatePages(kernel, inode.pages, first, end);
}

export function truncate(kernel: Kernel, inode: Inode, size: number): number | Failure {
  if (Math.ceil(size / BLOCK) > MAX_LOGICAL) return EFBIG;
  const first = Math.ceil(size / BLOCK);
  if (size < inode.size) {
    const cleared =
      size % BLOCK === 0 ? 0 : clearPart(kernel, inode, size, Math.min(first * BLOCK, inode.size));
    if (failed(cleared)) return cleared;
    const dropped = dropPages(kernel, inode, first);
    if (failed(dropped)) return dropped;
  }
  return updating(kernel, inode, (handle) => {
    const draft = editInode(handle, inode);
    if (failed(draft)) return draft;
    draft.size = size;
    handle.effects.push(() => traceTruncate(kernel, inode));
    return removeExtents(handle, inode, first, 0x1_0000_0000);
  });
}

export function fallocate(
  kernel: Kernel,
  inode: Inode,
  mode: number,
  offset: number,
  length: number,
): number | Failure {
  const end = offset + length;
  if ((mode & ~(FALLOC.KEEP_SIZE | FALLOC.PUNCH_HOLE | FALLOC.ZERO_RANGE)) !== 0) return EOPNOTSUPP;
  if (Math.ceil(end / BLOCK) > MAX_LOGICAL) return EFBIG;
  if ((mode & (FALLOC.PUNCH_HOLE | FALLOC.ZERO_RANGE)) !== 0) {
    const punched = punch(kernel, inode, offset, end);
    if (failed(punched) || (mode & FALLOC.PUNCH_HOLE) !== 0) return punched;
  }
  return updating(kernel, inode, (handle) => {
    const draft = editInode(handle, inode);
    if (failed(draft)) return draft;
    const to = Math.ceil(end / BLOCK);
    for (let logical = Math.floor(offset / BLOCK); logical < to;) {
      const mapping = mapBlockIn(handle, inode, logical);
      if (failed(mapping)) return mapping;
      const count = Math.min(mapping.count, to - logical, MAX_UNWRITTEN_RUN);
      if (mapping.physical !== 0) {
        logical += count;
        continue;
      }
      const run = allocateBlocks(handle, goalFor(handle, inode, logical), count);
      if (failed(run)) return run;
      const entered = insertExtent(handle, inode, {
        logical,
        count: run.count,
        physical: run.first,
        unwritten: true,
      });
      if (failed(entered)) return entered;
      draft.blocks += run.count * (BLOCK / 512);
      logical += run.count;
    }
    if ((mode & FALLOC.KEEP_SIZE) === 0) draft.size = Math.max(draft.size, end);
    return 0;
  });
}

/** Whole blocks become a hole, the parts of blocks at the ends zero. */
function punch(kernel: Kernel, inode: Inode, offset: number, end: number): number | Failure {
  const limit = Math.min(end, Math.ceil(inode.size / BLOCK) * BLOCK);
  const first = Math.ceil(offset / BLOCK);
  const last = Math.floor(limit / BLOCK);
  const head = clearPart(kernel, inode, offset, Math.min(first * BLOCK, limit));
  if (failed(head)) return head;
  const tail = last < first ? 0 : clearPart(kernel, inode, last * BLOCK, limit);
  if (failed(tail) || last <= first) return tail;
  const dropped = dropPages(kernel, inode, first, last);
  if (failed(dropped)) return dropped;
  return updating(kernel, inode, (handle) => removeExtents(handle, inode, first, last));
}

export function seekData(
  kernel: Kernel,
  inode: Inode,
  offset: number,
  whence: 'data' | 'hole',
): number | Failure {
  if (offset >= inode.size) return ENXIO;
  if (inode.kind !== 'file') return EINVAL;
  const end = Math.ceil(inode.size / BLOCK);
  for (let logical = Math.floor(offset / BLOCK); logical < end;) {
    const mapping = mapBlock(kernel, inode, logical);
    if (failed(mapping)) return mapping;
    const isData = mapping.physical !== 0 && !mapping.unwritten;
    if (isData === (whence === 'data')) return Math.min(inode.size, Math.max(offset, logical * BLOCK));
    logical += mapping.count;
  }
  return whence === 'data' ? ENXIO : inode.size;
}

/** Frees an inode that has neither links nor users: pages, blocks, attributes, the inode, its place among the orphans. */
export function evict(kernel: Kernel, inode: Inode): number | Failure {
  const superBlock = kernel.vfs.superBlocks.get(inode.superBlock);
  if (superBlock === undefined || superBlock.readOnly) {
    forgetInode(kernel, inode);
    return 0;
  }
  const dropped = dropPages(kernel, inode, 0);
  if (failed(dropped)) return dropped;
  const own = ext4InodeOf(inode);
  const freed = updating(kernel, inode, (handle) => {
    const draft = editInode(handle, inode);
    if (failed(draft)) return draft;
    if ((own.flags & INODE_FLAG.EXTENTS) !== 0) {
      const emptied =
        inode.kind === 'file' ? removeExtents(handle, inode, 0, 0x1_0000_0000) : freeMetadata(handle, inode);
      if (failed(emptied)) return emptied;
    }
    const attributes = dropXattrBlock(handle, inode);
    if (failed(attributes)) return attributes;
    draft.size = 0;
    handle.effects.push(() => traceEvict(kernel, inode));
    return freeInode(handle, inode);
  });
  if (failed(freed)) return freed;
  forgetInode(kernel, inode);
  return 0;
}

/** Blocks of directories and long symbolic links went through the journal: each is revoked. */
function freeMetadata(handle: Handle, inode: Inode): number | Failure {
  const end = Math.ceil(inode.size / BLOCK);
  for (let logical = 0; logical < end;) {
    const mapping = mapBlockIn(handle, inode, logical);
    if (failed(mapping)) return mapping;
    if (mapping.physical !== 0)
      for (let k = 0; k < mapping.count && logical + k < end; k++) forgetBlock(handle, mapping.physical + k);
    logical += mapping.count;
  }
  return removeExtents(handle, inode, 0, 0x1_0000_0000);
}

addressSpaceOperations['ext4'] = {
  readPages,
  writePages,
  sizeOf: (_kernel, space) => inodeOf(space).size,
  makeWritable(kernel, space, index) {
    const inode = inodeOf(space);
    touchModified(kernel, inode);
    return makeRoom(kernel, inode, index, Math.min(index + 1, Math.ceil(inode.size / BLOCK)));
  },
};
