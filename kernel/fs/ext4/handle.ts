// A handle: one update of the file system, all or nothing. It collects copies of the metadata blocks that it changes, new
// values of inodes and groups, and what is to happen in memory; finish() puts all of it into the buffer cache and the
// running transaction at once. An update that gives BLOCKED or fails before that has changed nothing.
import { EIO, EROFS, failed, type Failure } from '../../abi/errno.ts';
import { viewBytes, writeBytes } from '../../machine/index.ts';
import { getFrame, putFrame } from '../../mm/buddy.ts';
import { grabPage, readPage } from '../../mm/page-cache.ts';
import type { Kernel } from '../../state.ts';
import type { Inode } from '../vfs/inode.ts';
import { forgetInode, superBlockOf } from '../vfs/inode-cache.ts';
import type { SuperBlock } from '../vfs/super-block.ts';
import { BLOCK } from './format.ts';
import { sealGroup } from './groups.ts';
import { encodeInode, inodeLocation, type InodeDraft } from './inode-format.ts';
import { admit, join } from './journal.ts';
import { deviceOf, ext4InodeOf, ext4Of, groupAt, type Ext4, type Group } from './state.ts';

export interface HandleBlock {
  readonly bytes: Uint8Array;
  readonly frame: number;
  /** Puts the checksum in before the block is applied. */
  seal: ((bytes: Uint8Array) => void) | null;
}

export interface Handle {
  readonly kernel: Kernel;
  readonly superBlock: SuperBlock;
  readonly ext4: Ext4;
  blocks: Map<number, HandleBlock>;
  inodes: Map<Inode, InodeDraft>;
  groups: Map<number, Group>;
  revoked: Set<number>;
  freed: { readonly first: number; readonly count: number }[];
  ordered: Set<Inode>;
  freeBlocksDelta: number;
  freeInodesDelta: number;
  /** New head of the orphan list, or -1 when it does not change. */
  lastOrphan: number;
  /** Inodes made by the handle: forgotten when it is not applied. */
  made: Inode[];
  /** What is to happen in memory when the handle is applied. */
  effects: (() => void)[];
}

/** Buffers of handles that are done, for the next ones: allocating one costs more than filling it. Never part of the state. */
const buffers: Uint8Array[] = [];
const KEPT_BUFFERS = 64;

function takeBuffer(): Uint8Array {
  return buffers.pop() ?? new Uint8Array(BLOCK);
}

function giveBuffers(handle: Handle): void {
  for (const block of handle.blocks.values()) if (buffers.length < KEPT_BUFFERS) buffers.push(block.bytes);
}

/** Runs an update: `work` collects, and if it does not fail everything is applied. */
export function withHandle<T>(
  kernel: Kernel,
  superBlock: SuperBlock,
  work: (handle: Handle) => T | Failure,
): T | Failure {
  const handle: Handle = {
    kernel, superBlock, ext4: ext4Of(superBlock), blocks: new Map(), inodes: new Map(), groups: new Map(), revoked: new Set(),
    freed: [], ordered: new Set(), freeBlocksDelta: 0, freeInodesDelta: 0, lastOrphan: -1, made: [], effects: [],
  }; // prettier-ignore
  const result = work(handle);
  const finished = failed(result) ? result : finish(handle);
  giveBuffers(handle);
  if (!failed(finished)) return result;
  for (const block of handle.blocks.values()) putFrame(kernel, block.frame);
  for (const inode of handle.made) forgetInode(kernel, inode);
  return finished;
}

/** A metadata block for reading, as the handle sees it. The view is good until something else is read. */
export function peekBlock(handle: Handle, block: number): Uint8Array | Failure {
  const own = handle.blocks.get(block);
  return own === undefined ? readBlock(handle.kernel, handle.ext4, block) : own.bytes;
}

/** A metadata block in the buffer cache. */
export function readBlock(kernel: Kernel, ext4: Ext4, block: number): Uint8Array | Failure {
  if (block <= 0 && block !== 0) return EIO;
  if (block >= ext4.blockCount) return EIO;
  const frame = readPage(kernel, deviceOf(kernel, ext4).space, block);
  return failed(frame) ? frame : viewBytes(kernel.machine, frame * BLOCK, BLOCK);
}

/** The handle's own copy of a metadata block, to be changed. */
export function editBlock(
  handle: Handle,
  block: number,
  seal?: (bytes: Uint8Array) => void,
): Uint8Array | Failure {
  let own = handle.blocks.get(block);
  if (own === undefined) {
    const { kernel, ext4 } = handle;
    if (block < 0 || block >= ext4.blockCount) return EIO;
    const frame = readPage(kernel, deviceOf(kernel, ext4).space, block);
    if (failed(frame)) return frame;
    getFrame(kernel, frame);
    own = { bytes: takeBuffer(), frame, seal: null };
    own.bytes.set(viewBytes(kernel.machine, frame * BLOCK, BLOCK));
    handle.blocks.set(block, own);
  }
  if (seal !== undefined) own.seal = seal;
  return own.bytes;
}

/** A metadata block that was just allocated: zeroes, never read from disk. */
export function newBlock(
  handle: Handle,
  block: number,
  seal?: (bytes: Uint8Array) => void,
): Uint8Array | Failure {
  const { kernel, ext4 } = handle;
  const existing = handle.blocks.get(block);
  if (existing !== undefined) {
    existing.bytes.fill(0);
    existing.seal = seal ?? null;
    return existing.bytes;
  }
  const frame = grabPage(kernel, deviceOf(kernel, ext4).space, block, { overwrite: true });
  if (failed(frame)) return frame;
  getFrame(kernel, frame);
  const own = { bytes: takeBuffer().fill(0), frame, seal: seal ?? null };
  handle.blocks.set(block, own);
  return own.bytes;
}

/** A metadata block was freed: forget its changes, and keep replay from bringing it back. */
export function forgetBlock(handle: Handle, block: number): void {
  const own = handle.blocks.get(block);
  if (own !== undefined) {
    handle.blocks.delete(block);
    putFrame(handle.kernel, own.frame);
  }
  handle.revoked.add(block);
}

/** New values for an inode; the record itself changes when the handle is applied. */
export function editInode(handle: Handle, inode: Inode): InodeDraft | Failure {
  const existing = handle.inodes.get(inode);
  if (existing !== undefined) return existing;
  const { block } = inodeLocation(handle.ext4, inode.number);
  const bytes = editBlock(handle, block);
  if (failed(bytes)) return bytes;
  const own = ext4InodeOf(inode);
  const draft: InodeDraft = {
    size: inode.size, linkCount: inode.linkCount, blocks: inode.blocks, flags: own.flags, fork: own.fork.slice(),
    xattrBlock: own.xattrBlock, deletedSeconds: 0, nextOrphan: own.nextOrphan, orphan: own.orphan, fresh: false, inlineXattrs: null,
  }; // prettier-ignore
  handle.inodes.set(inode, draft);
  return draft;
}

/** New values for a group's counts and flags. */
export function editGroup(handle: Handle, index: number): Group | Failure {
  const existing = handle.groups.get(index);
  if (existing !== undefined) return existing;
  const { ext4 } = handle;
  const group = groupAt(ext4, index);
  if (failed(group)) return group;
  const bytes = editBlock(handle, descriptorBlock(ext4, index));
  if (failed(bytes)) return bytes;
  const draft = { ...group };
  handle.groups.set(index, draft);
  return draft;
}

/** A group as the handle sees it. */
export function peekGroup(handle: Handle, index: number): Group | undefined {
  return handle.groups.get(index) ?? handle.ext4.groups[index];
}

export const descriptorBlock = (ext4: Ext4, index: number): number =>
  1 + Math.floor((index * ext4.descriptorSize) / BLOCK);

/** Applies everything, or gives BLOCKED (the running transaction is full) with nothing changed. */
function finish(handle: Handle): number | Failure {
  const { kernel, ext4, superBlock } = handle;
  if (ext4.aborted) return EROFS;
  const nothing = handle.blocks.size === 0 && handle.revoked.size === 0 && handle.freed.length === 0;
  if (nothing && handle.ordered.size === 0) {
    for (const effect of handle.effects) effect();
    return 0;
  }
  const { journal } = ext4;
  if (journal === null) return EROFS;
  const admitted = admit(kernel, ext4, journal, handle.blocks.keys(), handle.revoked.size);
  if (failed(admitted)) return admitted;
  // Nothing fails from here on.
  for (const [index, group] of handle.groups) {
    const bytes = handle.blocks.get(descriptorBlock(ext4, index))?.bytes;
    if (bytes === undefined) continue;
    const bitmap = handle.blocks.get(group.blockBitmap)?.bytes ?? null;
    const inodeBitmap = handle.blocks.get(group.inodeBitmap)?.bytes ?? null;
    sealGroup(ext4, group, bytes, bitmap, inodeBitmap);
    ext4.groups[index] = group;
  }
  for (const effect of handle.effects) effect();
  for (const [inode, draft] of handle.inodes) {
    applyDraft(inode, draft);
    ext4InodeOf(inode).sequence = journal.running.sequence;
    const { block, offset } = inodeLocation(ext4, inode.number);
    const bytes = handle.blocks.get(block)?.bytes;
    if (bytes !== undefined) encodeInode(ext4, inode, draft, bytes.subarray(offset, offset + ext4.inodeSize));
    inode.dirty = false;
    superBlock.dirtyInodes.delete(inode);
  }
  for (const [block, own] of handle.blocks) {
    own.seal?.(own.bytes);
    join(kernel, ext4, journal, block, own.frame);
    writeBytes(kernel.machine, own.frame * BLOCK, own.bytes);
  }
  noteFreed(handle);
  for (const inode of handle.ordered) {
    journal.running.ordered.add(inode);
    ext4InodeOf(inode).sequence = journal.running.sequence;
  }
  ext4.freeBlocks += handle.freeBlocksDelta;
  ext4.freeInodes += handle.freeInodesDelta;
  if (handle.lastOrphan >= 0) ext4.lastOrphan = handle.lastOrphan;
  if (handle.freeBlocksDelta !== 0 || handle.freeInodesDelta !== 0 || handle.lastOrphan >= 0)
    ext4.countsChanged = true;
  return 0;
}

function applyDraft(inode: Inode, draft: InodeDraft): void {
  const own = ext4InodeOf(inode);
  inode.size = draft.size;
  inode.linkCount = draft.linkCount;
  inode.blocks = draft.blocks;
  own.flags = draft.flags;
  own.fork = draft.fork;
  own.xattrBlock = draft.xattrBlock;
  own.nextOrphan = draft.nextOrphan;
  own.orphan = draft.orphan;
}

function noteFreed(handle: Handle): void {
  const { ext4, kernel } = handle;
  const running = ext4.journal?.running;
  if (running === undefined) return;
  for (const block of handle.revoked) {
    running.revoked.add(block);
    const frame = running.blocks.get(block);
    if (frame !== undefined) {
      running.blocks.delete(block);
      putFrame(kernel, frame);
    }
  }
  for (const run of handle.freed) {
    for (let block = run.first; block < run.first + run.count; block++) {
      const group = Math.floor(block / ext4.blocksPerGroup);
      let bitmap = running.freed.get(group);
      if (bitmap === undefined) running.freed.set(group, (bitmap = new Uint8Array(BLOCK)));
      const bit = block % ext4.blocksPerGroup;
      bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (1 << (bit & 7));
      running.freedCount++;
    }
  }
}

/** As withHandle, for the file system of an inode. */
export function updating<T>(
  kernel: Kernel,
  inode: Inode,
  work: (handle: Handle) => T | Failure,
): T | Failure {
  return withHandle(kernel, superBlockOf(kernel, inode), work);
}
