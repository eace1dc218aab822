// What ext4 keeps: per super block (Ext4), per group, per inode.
import type { Failure } from '../../abi/errno.ts';
import { EIO } from '../../abi/errno.ts';
import { assert } from '../../lib/assert.ts';
import type { BlockDevice } from '../../block/state.ts';
import type { Kernel } from '../../state.ts';
import type { Inode } from '../vfs/inode.ts';
import type { SuperBlock } from '../vfs/super-block.ts';
import type { Journal } from './journal-state.ts';

/** A group descriptor in memory; its block on disk is changed with it. */
export interface Group {
  readonly index: number;
  readonly blockBitmap: number;
  readonly inodeBitmap: number;
  readonly inodeTable: number;
  freeBlocks: number;
  freeInodes: number;
  directories: number;
  flags: number;
  /** Inodes at the end of the table that were never used. */
  tableUnused: number;
  blockBitmapChecksum: number;
  inodeBitmapChecksum: number;
}

export interface Ext4 {
  readonly kind: 'ext4';
  readonly device: string;
  readonly blockCount: number;
  readonly inodeCount: number;
  readonly reservedBlocks: number;
  readonly blocksPerGroup: number;
  readonly inodesPerGroup: number;
  readonly inodeSize: number;
  readonly wantExtraSize: number;
  readonly descriptorSize: number;
  readonly firstInode: number;
  readonly journalInode: number;
  readonly compat: number;
  readonly incompat: number;
  readonly roCompat: number;
  readonly uuid: Uint8Array;
  /** What every metadata checksum starts from. */
  readonly checksumSeed: number;
  groups: Group[];
  freeBlocks: number;
  freeInodes: number;
  /** Superblock fields on disk are older than these counts. */
  countsChanged: boolean;
  /** Newest inode of the on-disk orphan list, 0 for none. */
  lastOrphan: number;
  /** resize_inode's spare descriptor blocks behind each copy of the descriptors. */
  readonly reservedDescriptors: number;
  /** null while mounted read-only. */
  journal: Journal | null;
  /** Set after an error that the journal cannot get over: all changes give EROFS. */
  aborted: boolean;
}

export interface Ext4Inode {
  readonly kind: 'ext4-inode';
  flags: number;
  /** i_block: root of the extent tree, target of a fast symlink, or a device number. */
  fork: Uint8Array;
  generation: number;
  /** Block of extended attributes, 0 for none. */
  xattrBlock: number;
  /** Next inode of the orphan list while this one is on it; `orphan` says whether it is. */
  nextOrphan: number;
  orphan: boolean;
  /** The inode before it on the orphan list, 0 for the head: in memory only. */
  previousOrphan: number;
  /** The last transaction that holds a change of this inode. */
  sequence: number;
  /** Writes that the device had completed when the last of this inode's data arrived there. */
  dataWrites: number;
  /** Directories: block in which the last insertion found room. */
  roomHint: number;
}

export function ext4Of(superBlock: SuperBlock): Ext4 {
  return superBlock.data as Ext4; // mount.ts makes the super blocks of this type
}

export function ext4InodeOf(inode: Inode): Ext4Inode {
  return inode.data as Ext4Inode; // inode-io.ts makes the inodes of this type
}

export function deviceOf(kernel: Kernel, ext4: Ext4): BlockDevice {
  const device = kernel.block.devices.get(ext4.device);
  assert(device !== undefined, 'a mounted device exists');
  return device;
}

export const groupOfBlock = (ext4: Ext4, block: number): number => Math.floor(block / ext4.blocksPerGroup);
export const groupOfInode = (ext4: Ext4, inode: number): number =>
  Math.floor((inode - 1) / ext4.inodesPerGroup);

export function groupAt(ext4: Ext4, index: number): Group | Failure {
  return ext4.groups[index] ?? EIO;
}

/** Blocks in a group: the last one may be short. */
export function blocksInGroup(ext4: Ext4, index: number): number {
  return Math.min(ext4.blocksPerGroup, ext4.blockCount - index * ext4.blocksPerGroup);
}
