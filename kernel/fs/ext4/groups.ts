// Group descriptors on disk, and the bitmaps of groups that mke2fs left uninitialised.
import { get16, get32, put16, put32 } from '../../lib/bytes.ts';
import { crc16, crc32c, crc32cOf32 } from './checksum.ts';
import { BLOCK, GROUP_FLAG, RO_COMPAT } from './format.ts';
import { hasChecksums } from './inode-format.ts';
import { blocksInGroup, type Ext4, type Group } from './state.ts';

export function decodeGroup(descriptorSize: number, index: number, bytes: Uint8Array): Group {
  const wide = descriptorSize >= 64;
  const high = (at: number): number => (wide ? get32(bytes, at) * 0x1_0000_0000 : 0);
  const high16 = (at: number): number => (wide ? get16(bytes, at) * 0x1_0000 : 0);
  return {
    index, blockBitmap: get32(bytes, 0) + high(0x20), inodeBitmap: get32(bytes, 4) + high(0x24), inodeTable: get32(bytes, 8) + high(0x28),
    freeBlocks: get16(bytes, 0xc) + high16(0x2c), freeInodes: get16(bytes, 0xe) + high16(0x2e), directories: get16(bytes, 0x10) + high16(0x30),
    flags: get16(bytes, 0x12), tableUnused: get16(bytes, 0x1c) + high16(0x32),
    blockBitmapChecksum: get16(bytes, 0x18) + high16(0x38), inodeBitmapChecksum: get16(bytes, 0x1a) + high16(0x3a),
  }; // prettier-ignore
}

/** Writes a group's counts, flags and checksums into its descriptor; bitmaps are given where they have changed. */
export function sealGroup(
  ext4: Ext4,
  group: Group,
  block: Uint8Array,
  blockBitmap: Uint8Array | null,
  inodeBitmap: Uint8Array | null,
): void {
  // prettier-ignore
  const at = (group.index * ext4.descriptorSize) % BLOCK;
  const bytes = block.subarray(at, at + ext4.descriptorSize);
  const wide = ext4.descriptorSize >= 64;
  const put = (low: number, high: number, value: number): void => {
    put16(bytes, low, value & 0xffff);
    if (wide) put16(bytes, high, value >>> 16);
  };
  if (hasChecksums(ext4)) {
    if (blockBitmap !== null)
      group.blockBitmapChecksum = crc32c(ext4.checksumSeed, blockBitmap.subarray(0, ext4.blocksPerGroup / 8));
    if (inodeBitmap !== null)
      group.inodeBitmapChecksum = crc32c(ext4.checksumSeed, inodeBitmap.subarray(0, ext4.inodesPerGroup / 8));
    put(0x18, 0x38, group.blockBitmapChecksum);
    put(0x1a, 0x3a, group.inodeBitmapChecksum);
  }
  put(0xc, 0x2c, group.freeBlocks);
  put(0xe, 0x2e, group.freeInodes);
  put(0x10, 0x30, group.directories);
  put16(bytes, 0x12, group.flags);
  put(0x1c, 0x32, group.tableUnused);
  put16(bytes, 0x1e, descriptorChecksum(ext4, group.index, bytes));
}

function descriptorChecksum(ext4: Ext4, index: number, bytes: Uint8Array): number {
  if (hasChecksums(ext4)) {
    put16(bytes, 0x1e, 0);
    return crc32c(crc32cOf32(ext4.checksumSeed, index), bytes) & 0xffff;
  }
  if ((ext4.roCompat & RO_COMPAT.GDT_CSUM) === 0) return get16(bytes, 0x1e);
  const number = new Uint8Array(4);
  put32(number, 0, index);
  const start = crc16(crc16(crc16(0xffff, ext4.uuid), number), bytes.subarray(0, 0x1e));
  return crc16(start, bytes.subarray(0x20));
}

export function isSet(bitmap: Uint8Array, bit: number): boolean {
  return (((bitmap[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 1;
}

export function setBit(bitmap: Uint8Array, bit: number): void {
  bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (1 << (bit & 7));
}

export function clearBit(bitmap: Uint8Array, bit: number): void {
  bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) & ~(1 << (bit & 7));
}

function isPowerOf(base: number, value: number): boolean {
  let power = base;
  while (power < value) power *= base;
  return power === value;
}

function hasSuperblock(ext4: Ext4, group: number): boolean {
  if ((ext4.roCompat & RO_COMPAT.SPARSE_SUPER) === 0) return true;
  return group <= 1 || isPowerOf(3, group) || isPowerOf(5, group) || isPowerOf(7, group);
}

/** The block bitmap of a group flagged BLOCK_UNINIT: only metadata is taken. `reservedDescriptors` are resize_inode's. */
export function initialBlockBitmap(
  ext4: Ext4,
  group: Group,
  bitmap: Uint8Array,
  reservedDescriptors: number,
): void {
  bitmap.fill(0);
  const start = group.index * ext4.blocksPerGroup;
  if (hasSuperblock(ext4, group.index)) {
    const descriptors = Math.ceil((ext4.groups.length * ext4.descriptorSize) / BLOCK);
    for (let bit = 0; bit < 1 + descriptors + reservedDescriptors; bit++) setBit(bitmap, bit);
  }
  const take = (block: number): void => {
    if (block >= start && block < start + ext4.blocksPerGroup) setBit(bitmap, block - start);
  };
  const tableBlocks = Math.ceil((ext4.inodesPerGroup * ext4.inodeSize) / BLOCK);
  for (const other of ext4.groups) {
    // flex_bg: another group's tables may lie here
    take(other.blockBitmap);
    take(other.inodeBitmap);
    if (other.inodeTable + tableBlocks > start && other.inodeTable < start + ext4.blocksPerGroup) {
      for (let block = 0; block < tableBlocks; block++) take(other.inodeTable + block);
    }
  }
  for (let bit = blocksInGroup(ext4, group.index); bit < 8 * BLOCK; bit++) setBit(bitmap, bit);
}

/** The inode bitmap of a group flagged INODE_UNINIT: all free, the padding taken. */
export function initialInodeBitmap(ext4: Ext4, bitmap: Uint8Array): void {
  bitmap.fill(0);
  bitmap.fill(0xff, ext4.inodesPerGroup / 8);
}

export const usesUninit = (ext4: Ext4): boolean =>
  (ext4.roCompat & (RO_COMPAT.GDT_CSUM | RO_COMPAT.METADATA_CSUM)) !== 0;
export const isBlockUninit = (ext4: Ext4, group: Group): boolean =>
  usesUninit(ext4) && (group.flags & GROUP_FLAG.BLOCK_UNINIT) !== 0;
export const isInodeUninit = (ext4: Ext4, group: Group): boolean =>
  usesUninit(ext4) && (group.flags & GROUP_FLAG.INODE_UNINIT) !== 0;
