/**
 * Where things lie on an ext4 disk with 4096-byte blocks: block groups of 128 MiB, each with a block bitmap,
 * an inode bitmap and an inode table at its start, and a copy of the superblock and of the group descriptors
 * in groups 0, 1 and the powers of 3, 5 and 7 (sparse_super). See Documentation/filesystems/ext4/blockgroup.rst.
 */

export const BLOCK_SIZE = 4096;
export const INODE_SIZE = 256;
export const FIRST_INODE = 11;
export const BLOCKS_PER_GROUP = 8 * BLOCK_SIZE;
export const DESCRIPTOR_SIZE = 32;
const INODES_PER_BLOCK = BLOCK_SIZE / INODE_SIZE;

export interface Group {
  readonly firstBlock: number;
  readonly blockCount: number;
  readonly hasSuperblock: boolean;
  readonly blockBitmap: number;
  readonly inodeBitmap: number;
  readonly inodeTable: number;
  /** First block after the group's own tables. */
  readonly firstData: number;
}

export interface Layout {
  readonly blockCount: number;
  readonly inodesPerGroup: number;
  readonly inodeTableBlocks: number;
  readonly descriptorBlocks: number;
  readonly groups: readonly Group[];
}

function isPowerOf(base: number, value: number): boolean {
  let power = base;
  while (power < value) power *= base;
  return power === value;
}

export function hasSuperblockCopy(group: number): boolean {
  return group <= 1 || isPowerOf(3, group) || isPowerOf(5, group) || isPowerOf(7, group);
}

/** Lays out a disk of at most `sizeBytes`; a tail too small for a group of its own is left unused. */
export function layoutOf(sizeBytes: number, bytesPerInode: number): Layout {
  let blockCount = Math.floor(sizeBytes / BLOCK_SIZE);
  if (blockCount < 2048) throw new Error('An ext4 disk needs at least 8 MiB.');
  const groupCount = Math.ceil(blockCount / BLOCKS_PER_GROUP);
  const wanted = Math.ceil((blockCount * BLOCK_SIZE) / bytesPerInode / groupCount);
  const inodeTableBlocks = Math.min(Math.max(Math.ceil(wanted / INODES_PER_BLOCK), 2), BLOCK_SIZE / 2);
  const descriptorBlocks = Math.ceil((groupCount * DESCRIPTOR_SIZE) / BLOCK_SIZE);

  const groups: Group[] = [];
  for (let index = 0; index < groupCount; index++) {
    const firstBlock = index * BLOCKS_PER_GROUP;
    const hasSuperblock = hasSuperblockCopy(index);
    const blockBitmap = firstBlock + (hasSuperblock ? 1 + descriptorBlocks : 0);
    const firstData = blockBitmap + 2 + inodeTableBlocks;
    const size = Math.min(BLOCKS_PER_GROUP, blockCount - firstBlock);
    if (firstData + 50 > firstBlock + size) {
      blockCount = firstBlock;
      break;
    }
    groups.push({
      firstBlock,
      blockCount: size,
      hasSuperblock,
      blockBitmap,
      inodeBitmap: blockBitmap + 1,
      inodeTable: blockBitmap + 2,
      firstData,
    });
  }
  return {
    blockCount,
    inodesPerGroup: inodeTableBlocks * INODES_PER_BLOCK,
    inodeTableBlocks,
    descriptorBlocks,
    groups,
  };
}
