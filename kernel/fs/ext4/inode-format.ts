// The inode on disk: where it lies, decoding, encoding (Documentation/filesystems/ext4/inodes.rst).
import { makeDevice, majorOf, minorOf } from '../../abi/device.ts';
import { fileTypeBits, kindOfMode, S_IFMT } from '../../abi/stat.ts';
import { get16, get32, getSigned32, put16, put32 } from '../../lib/bytes.ts';
import type { FileKind, Inode } from '../vfs/inode.ts';
import { crc32c, crc32cOf32 } from './checksum.ts';
import { BLOCK, INODE_FLAG, RO_COMPAT } from './format.ts';
import { ext4InodeOf, groupOfInode, type Ext4 } from './state.ts';

const NS = 1_000_000_000;

/** New values that a handle holds for an inode. Mode, owner and times are taken from the inode itself. */
export interface InodeDraft {
  size: number;
  linkCount: number;
  blocks: number;
  flags: number;
  fork: Uint8Array;
  xattrBlock: number;
  deletedSeconds: number;
  nextOrphan: number;
  orphan: boolean;
  /** The inode was just allocated: what lay there before is not kept. */
  fresh: boolean;
  /** New content of the space behind the inode's fields, null to leave it. */
  inlineXattrs: Uint8Array | null;
}

export function inodeLocation(ext4: Ext4, number: number): { block: number; offset: number } {
  const index = (number - 1) % ext4.inodesPerGroup;
  const table = ext4.groups[groupOfInode(ext4, number)]?.inodeTable ?? 0;
  const at = index * ext4.inodeSize;
  return { block: table + Math.floor(at / BLOCK), offset: at % BLOCK };
}

export interface DecodedInode {
  readonly kind: FileKind | undefined;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly linkCount: number;
  readonly blocks: number;
  readonly device: number;
  readonly atimeNs: number;
  readonly mtimeNs: number;
  readonly ctimeNs: number;
  readonly btimeNs: number;
  readonly deletedSeconds: number;
  readonly flags: number;
  readonly fork: Uint8Array;
  readonly generation: number;
  readonly xattrBlock: number;
}

/** Bytes of the fields beyond the first 128. */
const extraSizeOf = (ext4: Ext4, bytes: Uint8Array): number =>
  ext4.inodeSize > 128 ? get16(bytes, 0x80) : 0;

function timeAt(bytes: Uint8Array, seconds: number, extra: number, extraSize: number): number {
  const base = getSigned32(bytes, seconds);
  if (extraSize < extra + 4 - 0x80) return base * NS;
  const more = get32(bytes, extra);
  return (base + (more & 3) * 0x1_0000_0000) * NS + (more >>> 2);
}

export function decodeInode(ext4: Ext4, bytes: Uint8Array): DecodedInode {
  const mode = get16(bytes, 0);
  const kind = (mode & S_IFMT) === 0 ? undefined : kindOfMode(mode);
  const extraSize = extraSizeOf(ext4, bytes);
  const flags = get32(bytes, 0x20);
  const blocks = get32(bytes, 0x1c) + get16(bytes, 0x74) * 0x1_0000_0000;
  const sizeHigh = kind === 'file' || kind === 'directory' ? get32(bytes, 0x6c) : 0;
  return {
    kind, mode: mode & 0o7777, uid: get16(bytes, 2) + get16(bytes, 0x78) * 0x1_0000, gid: get16(bytes, 0x18) + get16(bytes, 0x7a) * 0x1_0000,
    size: get32(bytes, 4) + sizeHigh * 0x1_0000_0000, linkCount: get16(bytes, 0x1a),
    blocks: (flags & INODE_FLAG.HUGE_FILE) !== 0 ? blocks * (BLOCK / 512) : blocks, device: deviceIn(bytes),
    atimeNs: timeAt(bytes, 8, 0x8c, extraSize), ctimeNs: timeAt(bytes, 0xc, 0x84, extraSize),
    mtimeNs: timeAt(bytes, 0x10, 0x88, extraSize),
    btimeNs: extraSize >= 0x98 - 0x80 ? timeAt(bytes, 0x90, 0x94, extraSize) : timeAt(bytes, 0xc, 0x84, extraSize),
    deletedSeconds: get32(bytes, 0x14), flags, fork: bytes.slice(0x28, 0x28 + 60), generation: get32(bytes, 0x64),
    xattrBlock: get32(bytes, 0x68) + get16(bytes, 0x76) * 0x1_0000_0000,
  }; // prettier-ignore
}

/** Old device numbers lie in i_block[0], new ones in i_block[1]. */
function deviceIn(bytes: Uint8Array): number {
  const old = get32(bytes, 0x28);
  return old !== 0 ? makeDevice((old >>> 8) & 0xff, old & 0xff) : get32(bytes, 0x2c);
}

export function forkOfDevice(device: number): Uint8Array {
  const fork = new Uint8Array(60);
  const fitsOld = majorOf(device) < 256 && minorOf(device) < 256;
  if (fitsOld) put32(fork, 0, (majorOf(device) << 8) | minorOf(device));
  else put32(fork, 4, device);
  return fork;
}

function putTime(ext4: Ext4, bytes: Uint8Array, at: number, extra: number, ns: number): void {
  const seconds = Math.floor(ns / NS);
  put32(bytes, at, seconds);
  if (ext4.inodeSize <= 128 || extraSizeOf(ext4, bytes) < extra + 4 - 0x80) return;
  const epoch = Math.floor((seconds - (seconds | 0)) / 0x1_0000_0000) & 3;
  put32(bytes, extra, epoch | ((ns - seconds * NS) << 2));
}

/** Writes an inode into its place in a table block. Fields that we do not keep stay as they are. */
export function encodeInode(ext4: Ext4, inode: Inode, draft: InodeDraft, bytes: Uint8Array): void {
  const own = ext4InodeOf(inode);
  if (draft.fresh) {
    bytes.fill(0);
    if (ext4.inodeSize > 128) put16(bytes, 0x80, ext4.wantExtraSize);
    put32(bytes, 0x64, own.generation);
    putTime(ext4, bytes, 0x90, 0x94, inode.btimeNs);
  }
  put16(bytes, 0, inode.mode | fileTypeBits[inode.kind]);
  put16(bytes, 2, inode.uid & 0xffff);
  put16(bytes, 0x78, inode.uid >>> 16);
  put16(bytes, 0x18, inode.gid & 0xffff);
  put16(bytes, 0x7a, inode.gid >>> 16);
  put32(bytes, 4, draft.size % 0x1_0000_0000);
  if (inode.kind === 'file' || inode.kind === 'directory')
    put32(bytes, 0x6c, Math.floor(draft.size / 0x1_0000_0000));
  putTime(ext4, bytes, 8, 0x8c, inode.atimeNs);
  putTime(ext4, bytes, 0xc, 0x84, inode.ctimeNs);
  putTime(ext4, bytes, 0x10, 0x88, inode.mtimeNs);
  // While an inode is on the orphan list its deletion time names the next one.
  put32(bytes, 0x14, draft.orphan ? draft.nextOrphan : draft.deletedSeconds);
  put16(bytes, 0x1a, draft.linkCount > 65_000 && inode.kind === 'directory' ? 1 : draft.linkCount);
  const flags = draft.flags & ~INODE_FLAG.HUGE_FILE;
  put32(bytes, 0x1c, draft.blocks % 0x1_0000_0000);
  put16(bytes, 0x74, Math.floor(draft.blocks / 0x1_0000_0000));
  put32(bytes, 0x20, flags);
  bytes.set(draft.fork, 0x28);
  put32(bytes, 0x68, draft.xattrBlock % 0x1_0000_0000);
  put16(bytes, 0x76, Math.floor(draft.xattrBlock / 0x1_0000_0000));
  if (draft.inlineXattrs !== null) bytes.set(draft.inlineXattrs, 0x80 + extraSizeOf(ext4, bytes));
  sealInode(ext4, inode.number, bytes);
}

/** Seed of every checksum that belongs to an inode. */
export function inodeSeed(ext4: Ext4, number: number, generation: number): number {
  return crc32cOf32(crc32cOf32(ext4.checksumSeed, number), generation);
}

export const hasChecksums = (ext4: Ext4): boolean => (ext4.roCompat & RO_COMPAT.METADATA_CSUM) !== 0;

function sealInode(ext4: Ext4, number: number, bytes: Uint8Array): void {
  if (!hasChecksums(ext4)) return;
  const hasHigh = ext4.inodeSize > 128 && extraSizeOf(ext4, bytes) >= 4;
  put16(bytes, 0x7c, 0);
  if (hasHigh) put16(bytes, 0x82, 0);
  const crc = crc32c(inodeSeed(ext4, number, get32(bytes, 0x64)), bytes);
  put16(bytes, 0x7c, crc & 0xffff);
  if (hasHigh) put16(bytes, 0x82, crc >>> 16);
}
