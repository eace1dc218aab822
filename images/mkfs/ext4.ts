/**
 * Makes an ext4 file system from a list of entries: 4096-byte blocks, extents, journal, 256-byte inodes;
 * no checksums, no flex_bg, no 64bit. The same entries and options give the same blocks, bit for bit.
 *
 * Blocks come out through a callback as runs of whole blocks. Blocks that are not given are zero,
 * so that a large disk with little in it costs little.
 */
import { treeOf } from './entries.ts';
import type { Entry, Node } from './entries.ts';
import { BLOCK_SIZE, FIRST_INODE, INODE_SIZE, layoutOf } from './layout.ts';
import { allocate, isAllocated, newAllocator } from './allocator.ts';
import { encodeDirectory } from './directory.ts';
import { encodeDevice, encodeExtents, encodeInode, EXTENTS_FLAG } from './inode.ts';
import type { InodeFields } from './inode.ts';
import { encodeDescriptors, encodeJournalSuperblock, encodeSuperblock } from './superblock.ts';
import type { GroupCounts } from './superblock.ts';

export interface Ext4Options {
  readonly sizeBytes: number;
  readonly label: string;
  /** 16 bytes. */
  readonly uuid: Uint8Array;
  /** 16 bytes: what the hash of names in large directories starts from. */
  readonly hashSeed: Uint8Array;
  /** The time of making, and of directories that the list does not name. */
  readonly timeSeconds: number;
  readonly journalBytes?: number;
  readonly bytesPerInode?: number;
}

export interface Ext4Summary {
  readonly blockCount: number;
  readonly usedBlocks: number;
  readonly usedInodes: number;
}

/** Takes whole blocks: `bytes.length` is a multiple of 4096. */
export type WriteBlocks = (firstBlock: number, bytes: Uint8Array) => void;

const ROOT_INODE = 2;
const JOURNAL_INODE = 8;
const LOST_AND_FOUND_BLOCKS = 4;
const MAX_FAST_SYMLINK = 59;
const MIB = 1024 * 1024;

export function makeExt4(entries: readonly Entry[], options: Ext4Options, write: WriteBlocks): Ext4Summary {
  const layout = layoutOf(options.sizeBytes, options.bytesPerInode ?? 16384);
  const allocator = newAllocator(layout);
  const inodes: { fields: InodeFields; number: number }[] = [];
  let writtenBytes = 0;
  const put: WriteBlocks = (first, bytes) => {
    writtenBytes += bytes.length;
    write(first, bytes);
  };

  /** Stores content in newly allocated blocks. */
  const store = (content: Uint8Array): Pick<InodeFields, 'fork' | 'blockCount'> => {
    const runs = allocate(allocator, Math.ceil(content.length / BLOCK_SIZE));
    let at = 0;
    for (const run of runs) {
      const bytes = content.subarray(at, at + run.count * BLOCK_SIZE);
      put(run.first, bytes.length % BLOCK_SIZE === 0 ? bytes : paddedToBlock(bytes));
      at += bytes.length;
    }
    const tree = encodeExtents(runs, () => allocate(allocator, 1)[0]?.first ?? 0);
    for (const leaf of tree.leaves) put(leaf.block, leaf.bytes);
    return {
      fork: tree.fork,
      blockCount: runs.reduce((sum, run) => sum + run.count, 0) + tree.leaves.length,
    };
  };

  const root = treeOf([...entries, lostAndFound(options.timeSeconds)], options.timeSeconds);
  const numbers = numberInodes(root);
  const numberOf = (node: Node): number => {
    const number = numbers.get(node);
    if (number === undefined) throw new Error(`${node.entry.path} has no inode.`);
    return number;
  };
  if (FIRST_INODE + numbers.size > layout.groups.length * layout.inodesPerGroup) {
    throw new Error('There are more files than inodes on a disk of this size.');
  }

  const journalBytes = options.journalBytes ?? (options.sizeBytes >= 512 * MIB ? 16 * MIB : 4 * MIB);
  const journal = makeJournal(journalBytes / BLOCK_SIZE);
  inodes.push({ number: JOURNAL_INODE, fields: journal });

  const makeInode = (node: Node, parent: Node): InodeFields => {
    const { entry } = node;
    const common = {
      type: entry.type,
      mode: entry.mode,
      uid: entry.uid,
      gid: entry.gid,
      mtimeSeconds: entry.mtimeSeconds,
    };
    switch (entry.type) {
      case 'directory': {
        const names = [...node.children].map(([name, child]) => ({
          name,
          inode: numberOf(child),
          type: child.entry.type,
        }));
        const own = { name: '.', inode: numberOf(node), type: entry.type };
        const up = { name: '..', inode: numberOf(parent), type: entry.type };
        const content = encodeDirectory(
          [own, up, ...names],
          entry.path === '/lost+found' ? LOST_AND_FOUND_BLOCKS : 1,
        );
        const subdirectories = names.filter((name) => name.type === 'directory').length;
        return {
          ...common,
          ...store(content),
          sizeBytes: content.length,
          links: 2 + subdirectories,
          flags: EXTENTS_FLAG,
        };
      }
      case 'file':
        return {
          ...common,
          ...store(entry.content),
          sizeBytes: entry.content.length,
          links: node.links,
          flags: EXTENTS_FLAG,
        };
      case 'symlink': {
        const target = new TextEncoder().encode(entry.target);
        const base = { ...common, mode: 0o777, sizeBytes: target.length, links: node.links };
        if (target.length > MAX_FAST_SYMLINK) return { ...base, ...store(target), flags: EXTENTS_FLAG };
        const fork = new Uint8Array(60);
        fork.set(target);
        return { ...base, fork, blockCount: 0, flags: 0 };
      }
      case 'fifo':
        return {
          ...common,
          fork: new Uint8Array(60),
          sizeBytes: 0,
          links: node.links,
          blockCount: 0,
          flags: 0,
        };
      case 'character':
      case 'block':
        return {
          ...common,
          fork: encodeDevice(entry.major, entry.minor),
          sizeBytes: 0,
          links: node.links,
          blockCount: 0,
          flags: 0,
        };
    }
  };

  /** The journal's blocks are given only where they are not zero: its first one. */
  function makeJournal(blockCount: number): InodeFields {
    const runs = allocate(allocator, blockCount);
    put(runs[0]?.first ?? 0, encodeJournalSuperblock(blockCount));
    const tree = encodeExtents(runs, () => allocate(allocator, 1)[0]?.first ?? 0);
    for (const leaf of tree.leaves) put(leaf.block, leaf.bytes);
    return {
      type: 'file',
      mode: 0o600,
      uid: 0,
      gid: 0,
      mtimeSeconds: options.timeSeconds,
      sizeBytes: blockCount * BLOCK_SIZE,
      links: 1,
      flags: EXTENTS_FLAG,
      blockCount: blockCount + tree.leaves.length,
      fork: tree.fork,
    };
  }

  // Directories first: a path walk then reads neighbouring blocks.
  const visit = (node: Node, parent: Node, wanted: 'directories' | 'others') => {
    const isDirectory = node.entry.type === 'directory';
    const number = numberOf(node);
    if (isDirectory === (wanted === 'directories') && !done.has(number)) {
      done.add(number);
      inodes.push({ number, fields: makeInode(node, parent) });
    }
    for (const child of node.children.values()) visit(child, node, wanted);
  };
  const done = new Set<number>();
  visit(root, root, 'directories');
  visit(root, root, 'others');

  return writeTables();

  function writeTables(): Ext4Summary {
    const counts = layout.groups.map((): GroupCounts => ({ freeBlocks: 0, freeInodes: 0, directories: 0 }));
    const tables = new Map<number, Uint8Array>();
    for (const { number, fields } of inodes) {
      const group = Math.floor((number - 1) / layout.inodesPerGroup);
      const at = ((number - 1) % layout.inodesPerGroup) * INODE_SIZE;
      const block = (layout.groups[group]?.inodeTable ?? 0) + Math.floor(at / BLOCK_SIZE);
      const table = tables.get(block) ?? new Uint8Array(BLOCK_SIZE);
      tables.set(block, table);
      table.set(encodeInode(fields), at % BLOCK_SIZE);
      const count = counts[group];
      if (count !== undefined && fields.type === 'directory') count.directories++;
    }
    for (const [block, table] of tables) put(block, table);

    const usedInodes = FIRST_INODE - 1 + numbers.size - 1; // the root has its number among the reserved ones
    layout.groups.forEach((group, index) => {
      const count = counts[index];
      if (count === undefined) return;
      const blocks = new Uint8Array(BLOCK_SIZE);
      for (let bit = 0; bit < 8 * BLOCK_SIZE; bit++) {
        const isInside = bit < group.blockCount;
        const isTaken = !isInside || isAllocated(allocator, group.firstBlock + bit);
        if (isTaken) setBit(blocks, bit);
        else count.freeBlocks++;
      }
      const bitmap = new Uint8Array(BLOCK_SIZE);
      for (let bit = 0; bit < 8 * BLOCK_SIZE; bit++) {
        const isInside = bit < layout.inodesPerGroup;
        if (!isInside || index * layout.inodesPerGroup + bit < usedInodes) setBit(bitmap, bit);
        else count.freeInodes++;
      }
      put(group.blockBitmap, blocks);
      put(group.inodeBitmap, bitmap);
    });

    const freeBlocks = counts.reduce((sum, count) => sum + count.freeBlocks, 0);
    const freeInodes = counts.reduce((sum, count) => sum + count.freeInodes, 0);
    const descriptors = encodeDescriptors(layout, counts);
    layout.groups.forEach((group, index) => {
      if (!group.hasSuperblock) return;
      const superblock = encodeSuperblock(
        layout,
        {
          label: options.label,
          uuid: options.uuid,
          hashSeed: options.hashSeed,
          timeSeconds: options.timeSeconds,
          freeBlocks,
          freeInodes,
          writtenBytes,
          journalFork: journal.fork,
          journalBytes,
        },
        index,
      );
      const block = new Uint8Array(BLOCK_SIZE);
      block.set(superblock, index === 0 ? 1024 : 0); // the first kilobyte of the disk is the boot loader's
      write(group.firstBlock, block);
      write(group.firstBlock + 1, descriptors);
    });
    return { blockCount: layout.blockCount, usedBlocks: layout.blockCount - freeBlocks, usedInodes };
  }
}

function lostAndFound(mtimeSeconds: number): Entry {
  return { type: 'directory', path: '/lost+found', mode: 0o700, uid: 0, gid: 0, mtimeSeconds };
}

/** The root is inode 2, lost+found is the first free one, the others follow in the order of the tree. */
function numberInodes(root: Node): Map<Node, number> {
  const numbers = new Map<Node, number>([[root, ROOT_INODE]]);
  let next = FIRST_INODE;
  const first = root.children.get('lost+found');
  if (first !== undefined) numbers.set(first, next++);
  const visit = (node: Node) => {
    if (!numbers.has(node)) numbers.set(node, next++);
    for (const child of node.children.values()) visit(child);
  };
  visit(root);
  return numbers;
}

function paddedToBlock(bytes: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil(bytes.length / BLOCK_SIZE) * BLOCK_SIZE);
  padded.set(bytes);
  return padded;
}

function setBit(bytes: Uint8Array, bit: number): void {
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
}
