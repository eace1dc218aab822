/** Encodes inodes and extent trees: Documentation/filesystems/ext4/inodes.rst and ifork.rst. */
import type { InodeEntry } from './entries.ts';
import { BLOCK_SIZE, INODE_SIZE } from './layout.ts';
import type { Run } from './allocator.ts';

const FILE_TYPE_BITS = {
  fifo: 0x1000,
  character: 0x2000,
  directory: 0x4000,
  block: 0x6000,
  file: 0x8000,
  symlink: 0xa000,
} as const satisfies Record<InodeEntry['type'], number>;

export const EXTENTS_FLAG = 0x80000;
const EXTENT_MAGIC = 0xf30a;
const EXTENTS_IN_INODE = 4;
const EXTENTS_IN_BLOCK = Math.floor((BLOCK_SIZE - 12) / 12);
const EXTRA_SIZE = 32;

export interface InodeFields {
  readonly type: InodeEntry['type'];
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSeconds: number;
  readonly sizeBytes: number;
  readonly links: number;
  readonly flags: number;
  /** Blocks of data and of the extent tree. */
  readonly blockCount: number;
  /** The 60 bytes of i_block. */
  readonly fork: Uint8Array;
}

export function encodeInode(fields: InodeFields): Uint8Array {
  const bytes = new Uint8Array(INODE_SIZE);
  const view = new DataView(bytes.buffer);
  const sectors = fields.blockCount * (BLOCK_SIZE / 512);
  view.setUint16(0x00, FILE_TYPE_BITS[fields.type] | fields.mode, true);
  view.setUint16(0x02, fields.uid & 0xffff, true);
  view.setUint32(0x04, fields.sizeBytes >>> 0, true);
  view.setUint32(0x08, fields.mtimeSeconds, true);
  view.setUint32(0x0c, fields.mtimeSeconds, true);
  view.setUint32(0x10, fields.mtimeSeconds, true);
  view.setUint16(0x18, fields.gid & 0xffff, true);
  view.setUint16(0x1a, fields.links, true);
  view.setUint32(0x1c, sectors, true);
  view.setUint32(0x20, fields.flags, true);
  bytes.set(fields.fork, 0x28);
  view.setUint32(0x6c, Math.floor(fields.sizeBytes / 2 ** 32), true);
  view.setUint16(0x78, fields.uid >>> 16, true);
  view.setUint16(0x7a, fields.gid >>> 16, true);
  view.setUint16(0x80, EXTRA_SIZE, true);
  view.setUint32(0x90, fields.mtimeSeconds, true);
  return bytes;
}

function writeHeader(view: DataView, entries: number, max: number, depth: number): void {
  view.setUint16(0, EXTENT_MAGIC, true);
  view.setUint16(2, entries, true);
  view.setUint16(4, max, true);
  view.setUint16(6, depth, true);
}

function writeExtents(view: DataView, runs: readonly Run[], firstLogical: number): number {
  let logical = firstLogical;
  runs.forEach((run, index) => {
    const at = 12 + 12 * index;
    view.setUint32(at, logical, true);
    view.setUint16(at + 4, run.count, true);
    view.setUint32(at + 8, run.first, true);
    logical += run.count;
  });
  return logical;
}

export interface ExtentTree {
  readonly fork: Uint8Array;
  /** Leaf blocks outside the inode, for a file in more than four pieces. */
  readonly leaves: readonly { readonly block: number; readonly bytes: Uint8Array }[];
}

export function encodeExtents(runs: readonly Run[], takeBlock: () => number): ExtentTree {
  const fork = new Uint8Array(60);
  const root = new DataView(fork.buffer);
  if (runs.length <= EXTENTS_IN_INODE) {
    writeHeader(root, runs.length, EXTENTS_IN_INODE, 0);
    writeExtents(root, runs, 0);
    return { fork, leaves: [] };
  }
  const leaves: { block: number; bytes: Uint8Array }[] = [];
  let logical = 0;
  for (let first = 0; first < runs.length; first += EXTENTS_IN_BLOCK) {
    const part = runs.slice(first, first + EXTENTS_IN_BLOCK);
    const bytes = new Uint8Array(BLOCK_SIZE);
    const block = takeBlock();
    const view = new DataView(bytes.buffer);
    writeHeader(view, part.length, EXTENTS_IN_BLOCK, 0);
    root.setUint32(12 + 12 * leaves.length, logical, true);
    root.setUint32(16 + 12 * leaves.length, block, true);
    logical = writeExtents(view, part, logical);
    leaves.push({ block, bytes });
    if (leaves.length > EXTENTS_IN_INODE) throw new Error('A file lies in too many pieces.');
  }
  writeHeader(root, leaves.length, EXTENTS_IN_INODE, 1);
  return { fork, leaves };
}

/** i_block of a device: the old 8:8 numbers in word 0, or the new 12:20 numbers in word 1. */
export function encodeDevice(major: number, minor: number): Uint8Array {
  const fork = new Uint8Array(60);
  const view = new DataView(fork.buffer);
  if (major < 256 && minor < 256) view.setUint32(0, (major << 8) | minor, true);
  else view.setUint32(4, (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12), true);
  return fork;
}
