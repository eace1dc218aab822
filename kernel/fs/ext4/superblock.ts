// The superblock and the group descriptors: reading them into memory, and writing counts and flags back.
import { EINVAL, EOPNOTSUPP, failed, type Failure } from '../../abi/errno.ts';
import { get16, get32, put16, put32 } from '../../lib/bytes.ts';
import type { Kernel } from '../../state.ts';
import { wallNow } from '../../time/clock.ts';
import { printk } from '../../trace/printk.ts';
import type { SuperBlock } from '../vfs/super-block.ts';
import { crc32c } from './checksum.ts';
import {
  BLOCK,
  EXT4_MAGIC,
  INCOMPAT,
  KNOWN_INCOMPAT,
  KNOWN_RO_COMPAT,
  RO_COMPAT,
  SB,
  SUPER_OFFSET,
} from './format.ts';
import { decodeGroup } from './groups.ts';
import { editBlock, withHandle } from './handle.ts';
import { hasChecksums } from './inode-format.ts';
import { ext4Of, type Ext4 } from './state.ts';

/** Checks block 0 of a device and gives what it says; refuses what we cannot read with a line in the log. */
export function decodeSuperblock(
  kernel: Kernel,
  device: string,
  deviceBlocks: number,
  block: Uint8Array,
  readOnly: boolean,
): Ext4 | Failure {
  const bytes = block.slice(SUPER_OFFSET, SUPER_OFFSET + 1024);
  const refuse = (why: string, error: Failure): Failure => {
    printk(kernel, 3, `EXT4-fs (${device}): ${why}`);
    return error;
  };
  if (get16(bytes, SB.magic) !== EXT4_MAGIC) return refuse('VFS: Can\'t find ext4 filesystem', EINVAL); // prettier-ignore
  const incompat = get32(bytes, SB.incompat);
  const roCompat = get32(bytes, SB.roCompat);
  if (get32(bytes, SB.revision) < 1) return refuse('revision 0 file systems are not supported', EOPNOTSUPP);
  if (get32(bytes, SB.logBlockSize) !== 2)
    return refuse(`bad block size ${1024 << get32(bytes, SB.logBlockSize)}: only 4096 is supported`, EINVAL);
  const unknown = incompat & ~KNOWN_INCOMPAT;
  if (unknown !== 0)
    return refuse(
      `couldn't mount because of unsupported optional features (${unknown.toString(16)})`,
      EINVAL,
    );
  const unknownForWriting = roCompat & ~KNOWN_RO_COMPAT;
  if (unknownForWriting !== 0 && !readOnly) {
    return refuse(
      `couldn't mount RDWR because of unsupported optional features (${unknownForWriting.toString(16)})`,
      EINVAL,
    );
  }
  const wide = (incompat & INCOMPAT.BIT64) !== 0;
  const high = (at: number): number => (wide ? get32(bytes, at) * 0x1_0000_0000 : 0);
  const uuid = bytes.slice(SB.uuid, SB.uuid + 16);
  const descriptorSize = wide ? Math.max(32, get16(bytes, SB.descriptorSize)) : 32;
  const ext4: Ext4 = {
    kind: 'ext4', device, blockCount: get32(bytes, SB.blocksLo) + high(SB.blocksHi), inodeCount: get32(bytes, SB.inodesCount),
    reservedBlocks: get32(bytes, SB.reservedLo) + high(SB.reservedHi), blocksPerGroup: get32(bytes, SB.blocksPerGroup),
    inodesPerGroup: get32(bytes, SB.inodesPerGroup), inodeSize: get16(bytes, SB.inodeSize),
    wantExtraSize: Math.max(28, Math.min(get16(bytes, SB.wantExtraSize), get16(bytes, SB.inodeSize) - 128)), descriptorSize,
    firstInode: get32(bytes, SB.firstInode), journalInode: get32(bytes, SB.journalInode), compat: get32(bytes, SB.compat),
    incompat, roCompat, uuid,
    checksumSeed: (incompat & INCOMPAT.CSUM_SEED) !== 0 ? get32(bytes, SB.checksumSeed) : crc32c(0xffff_ffff, uuid),
    groups: [], freeBlocks: 0, freeInodes: 0, countsChanged: false, lastOrphan: get32(bytes, SB.lastOrphan),
    reservedDescriptors: get16(bytes, 0xce), journal: null, aborted: false,
  }; // prettier-ignore
  const sane =
    ext4.blocksPerGroup === 8 * BLOCK && ext4.inodesPerGroup > 0 && ext4.inodesPerGroup <= 8 * BLOCK && ext4.inodesPerGroup % 8 === 0 &&
    [128, 256, 512, 1024, 2048, 4096].includes(ext4.inodeSize) && [32, 64, 128].includes(descriptorSize) && ext4.blockCount > 0 &&
    get32(bytes, SB.firstDataBlock) === 0; // prettier-ignore
  if (!sane) return refuse('the superblock contradicts itself', EINVAL);
  if (ext4.blockCount > deviceBlocks) {
    return refuse(
      `bad geometry: block count ${ext4.blockCount} exceeds size of device (${deviceBlocks} blocks)`,
      EINVAL,
    );
  }
  if (
    (roCompat & RO_COMPAT.METADATA_CSUM) !== 0 &&
    crc32c(0xffff_ffff, bytes.subarray(0, SB.checksum)) !== get32(bytes, SB.checksum)
  ) {
    return refuse('VFS: Found ext4 filesystem with invalid superblock checksum', EINVAL);
  }
  return ext4;
}

/** Reads the group descriptors; `read` gives metadata blocks and may give BLOCKED. */
export function readGroups(ext4: Ext4, read: (block: number) => Uint8Array | Failure): number | Failure {
  const count = Math.ceil(ext4.blockCount / ext4.blocksPerGroup);
  const groups = [];
  for (let index = 0; index < count; index++) {
    const at = index * ext4.descriptorSize;
    const block = read(1 + Math.floor(at / BLOCK));
    if (failed(block)) return block;
    const group = decodeGroup(
      ext4.descriptorSize,
      index,
      block.subarray(at % BLOCK, (at % BLOCK) + ext4.descriptorSize),
    );
    const tables = [group.blockBitmap, group.inodeBitmap, group.inodeTable];
    if (tables.some((table) => table <= 0 || table >= ext4.blockCount)) return EINVAL;
    groups.push(group);
  }
  ext4.groups = groups;
  ext4.freeBlocks = groups.reduce((sum, group) => sum + group.freeBlocks, 0);
  ext4.freeInodes = groups.reduce((sum, group) => sum + group.freeInodes, 0);
  return 0;
}

export interface SuperblockChange {
  /** Counts a mount, and sets or clears "needs recovery". */
  readonly mounted?: boolean;
  readonly recover?: boolean;
}

/** Puts counts and flags into a copy of block 0. */
export function encodeSuperblock(
  kernel: Kernel,
  ext4: Ext4,
  block: Uint8Array,
  change: SuperblockChange,
): void {
  const bytes = block.subarray(SUPER_OFFSET, SUPER_OFFSET + 1024);
  const seconds = Math.floor(wallNow(kernel) / 1e9);
  put32(bytes, SB.freeBlocksLo, ext4.freeBlocks % 0x1_0000_0000);
  if ((ext4.incompat & INCOMPAT.BIT64) !== 0)
    put32(bytes, SB.freeBlocksHi, Math.floor(ext4.freeBlocks / 0x1_0000_0000));
  put32(bytes, SB.freeInodes, ext4.freeInodes);
  put32(bytes, SB.lastOrphan, ext4.lastOrphan);
  put32(bytes, SB.writeTime, seconds);
  if (change.mounted === true) {
    put32(bytes, SB.mountTime, seconds);
    put16(bytes, SB.mountCount, get16(bytes, SB.mountCount) + 1);
  }
  if (change.recover !== undefined) {
    const others = get32(bytes, SB.incompat) & ~INCOMPAT.RECOVER;
    put32(bytes, SB.incompat, change.recover ? others | INCOMPAT.RECOVER : others);
  }
  if (hasChecksums(ext4)) put32(bytes, SB.checksum, crc32c(0xffff_ffff, bytes.subarray(0, SB.checksum)));
}

/** Puts changed counts into the running transaction, so that every committed state agrees with itself. */
export function writeCounts(kernel: Kernel, superBlock: SuperBlock): number | Failure {
  const ext4 = ext4Of(superBlock);
  if (!ext4.countsChanged) return 0;
  return withHandle(kernel, superBlock, (handle) => {
    const block = editBlock(handle, 0);
    if (failed(block)) return block;
    handle.effects.push(() => (ext4.countsChanged = false));
    encodeSuperblock(kernel, ext4, block, {});
    return 0;
  });
}
