/** Encodes the superblock, the group descriptors and the journal's superblock (Documentation/filesystems/ext4/super.rst). */
import { BLOCK_SIZE, BLOCKS_PER_GROUP, DESCRIPTOR_SIZE, FIRST_INODE, INODE_SIZE } from './layout.ts';
import type { Layout } from './layout.ts';

const COMPAT = { HAS_JOURNAL: 0x4, EXT_ATTR: 0x8, DIR_INDEX: 0x20 };
const INCOMPAT = { FILETYPE: 0x2, EXTENTS: 0x40 };
const RO_COMPAT = { SPARSE_SUPER: 0x1, LARGE_FILE: 0x2, DIR_NLINK: 0x20, EXTRA_ISIZE: 0x40 };
const SUPERBLOCK_SIZE = 1024;
const JOURNAL_INODE = 8;
const HALF_MD4 = 1;
const SIGNED_HASH = 1;
const DEFAULT_XATTR_ACL = 0xc;
const JOURNAL_MAGIC = 0xc03b3998;
const JOURNAL_SUPERBLOCK_V2 = 4;

export interface SuperblockFields {
  readonly label: string;
  readonly uuid: Uint8Array;
  readonly hashSeed: Uint8Array;
  readonly timeSeconds: number;
  readonly freeBlocks: number;
  readonly freeInodes: number;
  readonly writtenBytes: number;
  /** i_block of the journal's inode, of which the superblock keeps a copy for e2fsck. */
  readonly journalFork: Uint8Array;
  readonly journalBytes: number;
}

export function encodeSuperblock(layout: Layout, fields: SuperblockFields, group: number): Uint8Array {
  const bytes = new Uint8Array(SUPERBLOCK_SIZE);
  const view = new DataView(bytes.buffer);
  const u16 = (at: number, value: number) => view.setUint16(at, value, true);
  const u32 = (at: number, value: number) => view.setUint32(at, value, true);
  u32(0x00, layout.groups.length * layout.inodesPerGroup);
  u32(0x04, layout.blockCount);
  u32(0x0c, fields.freeBlocks);
  u32(0x10, fields.freeInodes);
  u32(0x18, 2); // block size 1024 << 2
  u32(0x1c, 2);
  u32(0x20, BLOCKS_PER_GROUP);
  u32(0x24, BLOCKS_PER_GROUP);
  u32(0x28, layout.inodesPerGroup);
  u32(0x30, fields.timeSeconds);
  u16(0x36, 0xffff); // never check because of the number of mounts
  u16(0x38, 0xef53);
  u16(0x3a, 1); // clean
  u16(0x3c, 1); // on errors: go on
  u32(0x40, fields.timeSeconds);
  u32(0x4c, 1); // dynamic revision
  u32(0x54, FIRST_INODE);
  u16(0x58, INODE_SIZE);
  u16(0x5a, group);
  u32(0x5c, COMPAT.HAS_JOURNAL | COMPAT.EXT_ATTR | COMPAT.DIR_INDEX);
  u32(0x60, INCOMPAT.FILETYPE | INCOMPAT.EXTENTS);
  u32(0x64, RO_COMPAT.SPARSE_SUPER | RO_COMPAT.LARGE_FILE | RO_COMPAT.DIR_NLINK | RO_COMPAT.EXTRA_ISIZE);
  bytes.set(fields.uuid.subarray(0, 16), 0x68);
  bytes.set(new TextEncoder().encode(fields.label).subarray(0, 16), 0x78);
  u32(0xe0, JOURNAL_INODE);
  bytes.set(fields.hashSeed.subarray(0, 16), 0xec);
  bytes[0xfc] = HALF_MD4;
  bytes[0xfd] = 1; // s_jnl_blocks below holds a copy of the journal's inode
  u32(0x100, DEFAULT_XATTR_ACL);
  u32(0x108, fields.timeSeconds);
  bytes.set(fields.journalFork, 0x10c);
  u32(0x10c + 64, fields.journalBytes);
  u16(0x15c, 32);
  u16(0x15e, 32);
  u32(0x160, SIGNED_HASH);
  u32(0x178, Math.ceil(fields.writtenBytes / 1024));
  return bytes;
}

export interface GroupCounts {
  freeBlocks: number;
  freeInodes: number;
  directories: number;
}

export function encodeDescriptors(layout: Layout, counts: readonly GroupCounts[]): Uint8Array {
  const bytes = new Uint8Array(layout.descriptorBlocks * BLOCK_SIZE);
  const view = new DataView(bytes.buffer);
  layout.groups.forEach((group, index) => {
    const at = index * DESCRIPTOR_SIZE;
    view.setUint32(at, group.blockBitmap, true);
    view.setUint32(at + 4, group.inodeBitmap, true);
    view.setUint32(at + 8, group.inodeTable, true);
    view.setUint16(at + 12, counts[index]?.freeBlocks ?? 0, true);
    view.setUint16(at + 14, counts[index]?.freeInodes ?? 0, true);
    view.setUint16(at + 16, counts[index]?.directories ?? 0, true);
  });
  return bytes;
}

/** The first block of an empty journal; jbd2 keeps its numbers big-endian (Documentation/filesystems/ext4/journal.rst). */
export function encodeJournalSuperblock(blockCount: number): Uint8Array {
  const bytes = new Uint8Array(BLOCK_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0x00, JOURNAL_MAGIC);
  view.setUint32(0x04, JOURNAL_SUPERBLOCK_V2);
  view.setUint32(0x0c, BLOCK_SIZE);
  view.setUint32(0x10, blockCount);
  view.setUint32(0x14, 1); // first block of the log
  view.setUint32(0x18, 1); // first sequence number expected
  view.setUint32(0x40, 1); // users
  return bytes;
}
