// ext4's numbers on disk (Documentation/filesystems/ext4): feature bits, flags, and the few offsets that several files use.

export const BLOCK = 4096;
export const ROOT_INODE = 2;
export const EXT4_MAGIC = 0xef53;
export const SUPER_OFFSET = 1024; // in block 0

export const COMPAT = {
  HAS_JOURNAL: 4,
  EXT_ATTR: 8,
  RESIZE_INODE: 0x10,
  DIR_INDEX: 0x20,
  FAST_COMMIT: 0x400,
  ORPHAN_FILE: 0x1000,
} as const;
export const INCOMPAT = {
  FILETYPE: 2, RECOVER: 4, JOURNAL_DEV: 8, META_BG: 0x10, EXTENTS: 0x40, BIT64: 0x80, MMP: 0x100, FLEX_BG: 0x200, EA_INODE: 0x400,
  CSUM_SEED: 0x2000, LARGEDIR: 0x4000, INLINE_DATA: 0x8000, ENCRYPT: 0x10000, CASEFOLD: 0x20000,
} as const; // prettier-ignore
export const RO_COMPAT = {
  SPARSE_SUPER: 1, LARGE_FILE: 2, HUGE_FILE: 8, GDT_CSUM: 0x10, DIR_NLINK: 0x20, EXTRA_ISIZE: 0x40, METADATA_CSUM: 0x400,
  ORPHAN_PRESENT: 0x10000,
} as const; // prettier-ignore

/** What can be mounted at all; LARGEDIR only says that htrees may be deeper, INLINE_DATA that inodes may be refused. */
export const KNOWN_INCOMPAT =
  INCOMPAT.FILETYPE | INCOMPAT.RECOVER | INCOMPAT.EXTENTS | INCOMPAT.BIT64 | INCOMPAT.FLEX_BG | INCOMPAT.CSUM_SEED |
  INCOMPAT.LARGEDIR | INCOMPAT.INLINE_DATA | INCOMPAT.EA_INODE; // prettier-ignore
export const KNOWN_RO_COMPAT =
  RO_COMPAT.SPARSE_SUPER | RO_COMPAT.LARGE_FILE | RO_COMPAT.HUGE_FILE | RO_COMPAT.GDT_CSUM | RO_COMPAT.DIR_NLINK |
  RO_COMPAT.EXTRA_ISIZE | RO_COMPAT.METADATA_CSUM; // prettier-ignore

export const INODE_FLAG = {
  SYNC: 8, IMMUTABLE: 0x10, APPEND: 0x20, INDEX: 0x1000, HUGE_FILE: 0x40000, EXTENTS: 0x80000, EA_INODE: 0x200000,
  INLINE_DATA: 0x10000000,
} as const; // prettier-ignore

export const GROUP_FLAG = { INODE_UNINIT: 1, BLOCK_UNINIT: 2, INODE_ZEROED: 4 } as const;

/** file_type of a directory entry. */
export const FILE_TYPE = {
  file: 1,
  directory: 2,
  char: 3,
  block: 4,
  fifo: 5,
  socket: 6,
  symlink: 7,
} as const;

/** Offsets in the superblock. */
export const SB = {
  inodesCount: 0, blocksLo: 4, reservedLo: 8, freeBlocksLo: 0xc, freeInodes: 0x10, firstDataBlock: 0x14, logBlockSize: 0x18,
  blocksPerGroup: 0x20, inodesPerGroup: 0x28, mountTime: 0x2c, writeTime: 0x30, mountCount: 0x34, magic: 0x38, state: 0x3a,
  revision: 0x4c, firstInode: 0x54, inodeSize: 0x58, compat: 0x5c, incompat: 0x60, roCompat: 0x64, uuid: 0x68,
  journalInode: 0xe0, lastOrphan: 0xe8, hashSeed: 0xec, descriptorSize: 0xfe, blocksHi: 0x150, reservedHi: 0x154,
  freeBlocksHi: 0x158, wantExtraSize: 0x15e, checksumSeed: 0x270, checksum: 0x3fc,
} as const; // prettier-ignore
