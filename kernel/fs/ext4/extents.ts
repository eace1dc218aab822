// The extent tree (Documentation/filesystems/ext4/ifork.rst): a B+ tree from logical blocks to runs of disk blocks. Its root
// is in the inode (4 entries), other nodes are blocks (340 entries, fewer with a checksum). A node is 12-byte entries behind
// a 12-byte header; a leaf's length above 32768 marks an unwritten extent, which reads as zeroes.
import { EFBIG, EIO, failed, type Failure } from '../../abi/errno.ts';
import { get16, get32, put16, put32 } from '../../lib/bytes.ts';
import type { Kernel } from '../../state.ts';
import type { Inode } from '../vfs/inode.ts';
import { superBlockOf } from '../vfs/inode-cache.ts';
import { allocateBlocks, freeBlocks } from './block-allocator.ts';
import { crc32c } from './checksum.ts';
import { BLOCK } from './format.ts';
import { editBlock, editInode, forgetBlock, newBlock, peekBlock, readBlock, type Handle } from './handle.ts';
import { hasChecksums, inodeSeed, type InodeDraft } from './inode-format.ts';
import { corrupted } from './inode-io.ts';
import { ext4InodeOf, ext4Of, type Ext4 } from './state.ts';

const MAGIC = 0xf30a;
const ENTRY = 12;
const MAX_DEPTH = 5;
const MAX_WRITTEN = 32_768;
const MAX_UNWRITTEN = 32_767;
const SECTORS = BLOCK / 512;

export interface Extent {
  readonly logical: number;
  readonly count: number;
  readonly physical: number;
  readonly unwritten: boolean;
}

/** What lies at a logical block: a run of disk blocks from there on, or a hole (physical 0) of at least `count` blocks. */
export interface Mapping {
  readonly physical: number;
  readonly count: number;
  readonly unwritten: boolean;
}

const depthOf = (node: Uint8Array): number => get16(node, 6);
const entriesOf = (node: Uint8Array): number => get16(node, 2);
const logicalAt = (node: Uint8Array, index: number): number => get32(node, ENTRY + index * ENTRY);

function extentAt(node: Uint8Array, index: number): Extent {
  const at = ENTRY + index * ENTRY;
  const length = get16(node, at + 4);
  const unwritten = length > MAX_WRITTEN;
  return {
    logical: get32(node, at), count: unwritten ? length - MAX_WRITTEN : length,
    physical: get32(node, at + 8) + get16(node, at + 6) * 0x1_0000_0000, unwritten,
  }; // prettier-ignore
}

function putExtent(node: Uint8Array, index: number, extent: Extent): void {
  const at = ENTRY + index * ENTRY;
  put32(node, at, extent.logical);
  put16(node, at + 4, extent.unwritten ? extent.count + MAX_WRITTEN : extent.count);
  put16(node, at + 6, Math.floor(extent.physical / 0x1_0000_0000));
  put32(node, at + 8, extent.physical % 0x1_0000_0000);
}

function childAt(node: Uint8Array, index: number): number {
  const at = ENTRY + index * ENTRY;
  return get32(node, at + 4) + get16(node, at + 8) * 0x1_0000_0000;
}

function putChild(node: Uint8Array, index: number, logical: number, block: number): void {
  const at = ENTRY + index * ENTRY;
  put32(node, at, logical);
  put32(node, at + 4, block % 0x1_0000_0000);
  put16(node, at + 8, Math.floor(block / 0x1_0000_0000));
  put16(node, at + 10, 0);
}

function initNode(node: Uint8Array, capacity: number, depth: number): void {
  put16(node, 0, MAGIC);
  put16(node, 2, 0);
  put16(node, 4, capacity);
  put16(node, 6, depth);
  put32(node, 8, 0);
}

/** The root of an empty tree, for a new inode. */
export function emptyFork(): Uint8Array {
  const fork = new Uint8Array(60);
  initNode(fork, 4, 0);
  return fork;
}

function isSaneNode(node: Uint8Array, depth: number): boolean {
  const room = Math.floor((node.length - ENTRY) / ENTRY);
  return (
    get16(node, 0) === MAGIC && entriesOf(node) <= room && get16(node, 4) <= room && depthOf(node) === depth
  );
}

/** The last entry whose first logical block is not above `logical`, or -1. */
function search(node: Uint8Array, logical: number): number {
  let low = 0;
  let high = entriesOf(node) - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (logicalAt(node, middle) <= logical) low = middle + 1;
    else high = middle - 1;
  }
  return high;
}

/** Finds what lies at a logical block. `read` gives the tree's blocks (from the buffer cache, or as a handle sees them). */
function mapIn(
  kernel: Kernel,
  inode: Inode,
  fork: Uint8Array,
  logical: number,
  read: (block: number) => Uint8Array | Failure,
): Mapping | Failure {
  // prettier-ignore
  let node = fork;
  let depth = depthOf(node);
  if (depth > MAX_DEPTH || !isSaneNode(node, depth)) return badTree(kernel, inode);
  let end = 0x1_0000_0000; // first logical block that other subtrees may map
  while (depth > 0) {
    const index = Math.max(0, search(node, logical));
    if (entriesOf(node) === 0) return badTree(kernel, inode);
    if (index + 1 < entriesOf(node)) end = Math.min(end, logicalAt(node, index + 1));
    if (logicalAt(node, index) > logical)
      return { physical: 0, count: logicalAt(node, index) - logical, unwritten: false };
    const child = read(childAt(node, index));
    if (failed(child)) return child;
    depth--;
    if (!isSaneNode(child, depth)) return badTree(kernel, inode);
    node = child;
  }
  const index = search(node, logical);
  if (index >= 0) {
    const extent = extentAt(node, index);
    const inside = logical - extent.logical;
    if (inside < extent.count)
      return {
        physical: extent.physical + inside,
        count: extent.count - inside,
        unwritten: extent.unwritten,
      };
  }
  const next = index + 1 < entriesOf(node) ? logicalAt(node, index + 1) : end;
  return { physical: 0, count: Math.max(1, next - logical), unwritten: false };
}

function badTree(kernel: Kernel, inode: Inode): Failure {
  return corrupted(kernel, superBlockOf(kernel, inode).device, `inode #${inode.number}: invalid extent tree`);
}

/** What lies at a logical block of an inode. */
export function mapBlock(kernel: Kernel, inode: Inode, logical: number): Mapping | Failure {
  const ext4 = ext4Of(superBlockOf(kernel, inode));
  return mapIn(kernel, inode, ext4InodeOf(inode).fork, logical, (block) => readBlock(kernel, ext4, block));
}

/** As mapBlock, with the changes that a handle has collected. */
export function mapBlockIn(handle: Handle, inode: Inode, logical: number): Mapping | Failure {
  const fork = handle.inodes.get(inode)?.fork ?? ext4InodeOf(inode).fork;
  return mapIn(handle.kernel, inode, fork, logical, (block) => peekBlock(handle, block));
}

interface Tree {
  readonly handle: Handle;
  readonly inode: Inode;
  readonly draft: InodeDraft;
}

function capacityOf(ext4: Ext4): number {
  return Math.floor((BLOCK - ENTRY - (hasChecksums(ext4) ? 4 : 0)) / ENTRY);
}

/** Puts the checksum behind the last entry of a node block. */
function sealOf(tree: Tree): ((bytes: Uint8Array) => void) | undefined {
  const { ext4 } = tree.handle;
  if (!hasChecksums(ext4)) return undefined;
  const seed = inodeSeed(ext4, tree.inode.number, ext4InodeOf(tree.inode).generation);
  return (bytes) => {
    const tail = ENTRY + ENTRY * get16(bytes, 4);
    put32(bytes, tail, crc32c(seed, bytes.subarray(0, tail)));
  };
}

function newNode(tree: Tree, goal: number, depth: number): { block: number; bytes: Uint8Array } | Failure {
  const run = allocateBlocks(tree.handle, goal, 1);
  if (failed(run)) return run;
  const bytes = newBlock(tree.handle, run.first, sealOf(tree));
  if (failed(bytes)) return bytes;
  initNode(bytes, capacityOf(tree.handle.ext4), depth);
  tree.draft.blocks += SECTORS;
  return { block: run.first, bytes };
}

function editChild(tree: Tree, node: Uint8Array, index: number): Uint8Array | Failure {
  const bytes = editBlock(tree.handle, childAt(node, index), sealOf(tree));
  if (failed(bytes)) return bytes;
  return isSaneNode(bytes, depthOf(node) - 1) ? bytes : badTree(tree.handle.kernel, tree.inode);
}

function moveEntries(node: Uint8Array, from: number, to: number): void {
  const count = entriesOf(node);
  node.copyWithin(ENTRY + to * ENTRY, ENTRY + from * ENTRY, ENTRY + count * ENTRY);
  put16(node, 2, count + to - from);
}

/** A node that was split off: its first logical block and its disk block. */
type Split = { readonly logical: number; readonly block: number } | null;

/** Splits a full node in two and gives the upper half. The caller inserts into the right one. */
function split(
  tree: Tree,
  node: Uint8Array,
  goal: number,
  at: number,
): { bytes: Uint8Array; split: NonNullable<Split> } | Failure {
  const sibling = newNode(tree, goal, depthOf(node));
  if (failed(sibling)) return sibling;
  const count = entriesOf(node);
  sibling.bytes.set(node.subarray(ENTRY + at * ENTRY, ENTRY + count * ENTRY), ENTRY);
  put16(sibling.bytes, 2, count - at);
  put16(node, 2, at);
  return { bytes: sibling.bytes, split: { logical: logicalAt(sibling.bytes, 0), block: sibling.block } };
}

function canJoin(a: Extent, b: Extent): boolean {
  const limit = a.unwritten ? MAX_UNWRITTEN : MAX_WRITTEN;
  return (
    a.unwritten === b.unwritten &&
    a.logical + a.count === b.logical &&
    a.physical + a.count === b.physical &&
    a.count + b.count <= limit
  );
}

/** Inserts into a subtree; a node split off it must be entered in the parent. */
function insertInto(tree: Tree, node: Uint8Array, extent: Extent): Split | Failure {
  const depth = depthOf(node);
  const index = search(node, extent.logical);
  if (depth === 0) return insertIntoLeaf(tree, node, index, extent);
  const at = Math.max(0, index);
  const child = editChild(tree, node, at);
  if (failed(child)) return child;
  const below = insertInto(tree, child, extent);
  if (failed(below)) return below;
  if (extent.logical < logicalAt(node, at)) put32(node, ENTRY + at * ENTRY, extent.logical);
  if (below === null) return null;
  return addEntry(tree, node, at + 1, below.block, (target, slot) =>
    putChild(target, slot, below.logical, below.block),
  );
}

function insertIntoLeaf(tree: Tree, node: Uint8Array, index: number, extent: Extent): Split | Failure {
  let merged = extent;
  let slot = index + 1;
  if (slot < entriesOf(node)) {
    const right = extentAt(node, slot);
    if (canJoin(merged, right)) {
      merged = { ...merged, count: merged.count + right.count };
      moveEntries(node, slot + 1, slot);
    }
  }
  if (index >= 0) {
    const left = extentAt(node, index);
    if (canJoin(left, merged)) {
      merged = { ...left, count: left.count + merged.count };
      moveEntries(node, index + 1, index);
      slot = index;
    }
  }
  return addEntry(tree, node, slot, merged.physical, (target, at) => putExtent(target, at, merged));
}

function addEntry(
  tree: Tree,
  node: Uint8Array,
  slot: number,
  goal: number,
  put: (node: Uint8Array, slot: number) => void,
): Split | Failure {
  const count = entriesOf(node);
  if (count < get16(node, 4)) {
    moveEntries(node, slot, slot + 1);
    put(node, slot);
    return null;
  }
  // Appending is the common case: leave the old node full.
  const at = slot === count ? count - 1 : count >> 1;
  const half = split(tree, node, goal, at);
  if (failed(half)) return half;
  const target = slot > at ? half.bytes : node;
  const targetSlot = slot > at ? slot - at : slot;
  moveEntries(target, targetSlot, targetSlot + 1);
  put(target, targetSlot);
  return half.split;
}

/** The root is full: its entries move into a block of their own, one level down. */
function grow(tree: Tree, goal: number): number | Failure {
  const { fork } = tree.draft;
  const depth = depthOf(fork);
  if (depth >= MAX_DEPTH) return EFBIG;
  const node = newNode(tree, goal, depth);
  if (failed(node)) return node;
  const count = entriesOf(fork);
  node.bytes.set(fork.subarray(ENTRY, ENTRY + count * ENTRY), ENTRY);
  put16(node.bytes, 2, count);
  const first = logicalAt(fork, 0);
  fork.fill(0, ENTRY);
  initNode(fork, 4, depth + 1);
  put16(fork, 2, 1);
  putChild(fork, 0, first, node.block);
  return 0;
}

/** Enters an extent; the caller knows that nothing is mapped there. */
export function insertExtent(handle: Handle, inode: Inode, extent: Extent): number | Failure {
  const draft = editInode(handle, inode);
  if (failed(draft)) return draft;
  const tree: Tree = { handle, inode, draft };
  // A root without room grows first, so that a split never reaches it.
  if (entriesOf(draft.fork) >= get16(draft.fork, 4)) {
    const grown = grow(tree, extent.physical);
    if (failed(grown)) return grown;
  }
  const over = insertInto(tree, draft.fork, extent);
  if (failed(over)) return over;
  return over === null ? 0 : EIO; // the root had room
}

/** Takes [from, to) out of a subtree; `keep` leaves the disk blocks allocated. Gives what lies right of a cut in one extent. */
function removeFrom(
  tree: Tree,
  node: Uint8Array,
  from: number,
  to: number,
  keep: boolean,
): Extent | null | Failure {
  let rest: Extent | null = null;
  if (depthOf(node) > 0) {
    for (
      let index = Math.max(0, search(node, from));
      index < entriesOf(node) && logicalAt(node, index) < to;
    ) {
      const block = childAt(node, index);
      const child = editChild(tree, node, index);
      if (failed(child)) return child;
      const below = removeFrom(tree, child, from, to, keep);
      if (failed(below)) return below;
      rest = below ?? rest;
      if (entriesOf(child) > 0) {
        put32(node, ENTRY + index * ENTRY, logicalAt(child, 0));
        index++;
        continue;
      }
      moveEntries(node, index + 1, index);
      forgetBlock(tree.handle, block);
      const freed = freeBlocks(tree.handle, block, 1);
      if (failed(freed)) return freed;
      tree.draft.blocks -= SECTORS;
    }
    return rest;
  }
  for (let index = Math.max(0, search(node, from)); index < entriesOf(node);) {
    const extent = extentAt(node, index);
    const end = extent.logical + extent.count;
    if (extent.logical >= to) break;
    if (end <= from) {
      index++;
      continue;
    }
    const cutStart = Math.max(from, extent.logical);
    const cutEnd = Math.min(to, end);
    if (!keep) {
      const freed = freeBlocks(tree.handle, extent.physical + (cutStart - extent.logical), cutEnd - cutStart);
      if (failed(freed)) return freed;
      tree.draft.blocks -= (cutEnd - cutStart) * SECTORS;
    }
    const right = {
      ...extent,
      logical: cutEnd,
      count: end - cutEnd,
      physical: extent.physical + (cutEnd - extent.logical),
    };
    if (cutStart > extent.logical) {
      putExtent(node, index, { ...extent, count: cutStart - extent.logical });
      if (right.count > 0) rest = right;
      index++;
    } else if (right.count > 0) {
      putExtent(node, index, right);
      index++;
    } else moveEntries(node, index + 1, index);
  }
  return rest;
}

/** Unmaps [from, to) and frees its blocks, or leaves them allocated for the caller (`keep`). */
export function removeExtents(
  handle: Handle,
  inode: Inode,
  from: number,
  to: number,
  keep = false,
): number | Failure {
  const draft = editInode(handle, inode);
  if (failed(draft)) return draft;
  const depth = depthOf(draft.fork);
  if (depth > MAX_DEPTH || !isSaneNode(draft.fork, depth)) return badTree(handle.kernel, inode);
  const rest = removeFrom({ handle, inode, draft }, draft.fork, from, to, keep);
  if (failed(rest)) return rest;
  if (entriesOf(draft.fork) === 0) initNode(draft.fork, 4, 0);
  return rest === null ? 0 : insertExtent(handle, inode, rest);
}

/** Unwritten blocks are about to be written: from now on they hold data. */
export function markWritten(
  handle: Handle,
  inode: Inode,
  logical: number,
  physical: number,
  count: number,
): number | Failure {
  const removed = removeExtents(handle, inode, logical, logical + count, true);
  return failed(removed)
    ? removed
    : insertExtent(handle, inode, { logical, count, physical, unwritten: false });
}
