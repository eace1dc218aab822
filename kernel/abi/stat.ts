// struct stat, statx, statfs and linux_dirent64 as x86-64 programs see them, and the S_IF… bits of a mode.
import { put16, put32, put64, bytesOfLatin1 } from '../lib/bytes.ts';
import { majorOf, minorOf } from './device.ts';
import type { FileKind } from '../fs/vfs/inode.ts';

export const S_IFMT = 0o170000;
export const fileTypeBits = {
  fifo: 0o010000, char: 0o020000, directory: 0o040000, block: 0o060000, file: 0o100000, symlink: 0o120000, socket: 0o140000,
} as const satisfies Record<FileKind, number>; // prettier-ignore

/** The kind that S_IFMT bits mean; 0 means a regular file, as in mknod(2). */
export function kindOfMode(mode: number): FileKind | undefined {
  switch (mode & S_IFMT) {
    case 0:
    case 0o100000: return 'file';
    case 0o010000: return 'fifo';
    case 0o020000: return 'char';
    case 0o040000: return 'directory';
    case 0o060000: return 'block';
    case 0o120000: return 'symlink';
    case 0o140000: return 'socket';
    default: return undefined;
  } // prettier-ignore
}

/** d_type of a directory entry. */
export const directoryTypes = { fifo: 1, char: 2, directory: 4, block: 6, file: 8, symlink: 10, socket: 12 } as const satisfies Record<FileKind, number>; // prettier-ignore

export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_ISVTX = 0o1000;

export interface Stat {
  readonly device: number;
  readonly inode: number;
  readonly mode: number; // with S_IF bits
  readonly linkCount: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly size: number;
  readonly blockSize: number;
  readonly blocks: number;
  readonly atimeNs: number;
  readonly mtimeNs: number;
  readonly ctimeNs: number;
  readonly btimeNs: number;
}

const NS = 1_000_000_000;
// Wall-clock ns exceed 2^53; whole microseconds survive in a double (the clock's base is a whole number of them).
const seconds = (ns: number): number => Math.floor(ns / NS);
const nanoseconds = (ns: number): number => ns - Math.floor(ns / NS) * NS;

function putTime(bytes: Uint8Array, offset: number, ns: number): void {
  put64(bytes, offset, seconds(ns));
  put64(bytes, offset + 8, nanoseconds(ns));
}

export const STAT_BYTES = 144;

export function encodeStat(stat: Stat): Uint8Array {
  const bytes = new Uint8Array(STAT_BYTES);
  put64(bytes, 0, stat.device);
  put64(bytes, 8, stat.inode);
  put64(bytes, 16, stat.linkCount);
  put32(bytes, 24, stat.mode);
  put32(bytes, 28, stat.uid);
  put32(bytes, 32, stat.gid);
  put64(bytes, 40, stat.rdev);
  put64(bytes, 48, stat.size);
  put64(bytes, 56, stat.blockSize);
  put64(bytes, 64, stat.blocks);
  putTime(bytes, 72, stat.atimeNs);
  putTime(bytes, 88, stat.mtimeNs);
  putTime(bytes, 104, stat.ctimeNs);
  return bytes;
}

export const STATX_BYTES = 256;
const STATX_BASIC_AND_BTIME = 0xfff;
const STATX_MNT_ID = 0x1000;
const STATX_ATTR_MOUNT_ROOT = 0x2000;

export function encodeStatx(
  stat: Stat,
  mount: { readonly id: number; readonly isRoot: boolean },
): Uint8Array {
  const bytes = new Uint8Array(STATX_BYTES);
  const putStatxTime = (offset: number, ns: number): void => {
    put64(bytes, offset, seconds(ns));
    put32(bytes, offset + 8, nanoseconds(ns));
  };
  put32(bytes, 0, STATX_BASIC_AND_BTIME | STATX_MNT_ID);
  put32(bytes, 4, stat.blockSize);
  put64(bytes, 8, mount.isRoot ? STATX_ATTR_MOUNT_ROOT : 0);
  put32(bytes, 16, stat.linkCount);
  put32(bytes, 20, stat.uid);
  put32(bytes, 24, stat.gid);
  put16(bytes, 28, stat.mode);
  put64(bytes, 32, stat.inode);
  put64(bytes, 40, stat.size);
  put64(bytes, 48, stat.blocks);
  put64(bytes, 56, STATX_ATTR_MOUNT_ROOT);
  putStatxTime(64, stat.atimeNs);
  putStatxTime(80, stat.btimeNs);
  putStatxTime(96, stat.ctimeNs);
  putStatxTime(112, stat.mtimeNs);
  put32(bytes, 128, majorOf(stat.rdev));
  put32(bytes, 132, minorOf(stat.rdev));
  put32(bytes, 136, majorOf(stat.device));
  put32(bytes, 140, minorOf(stat.device));
  put64(bytes, 144, mount.id);
  return bytes;
}

export interface StatFs {
  readonly type: number;
  readonly blockSize: number;
  readonly blocks: number;
  readonly free: number;
  readonly available: number;
  readonly files: number;
  readonly freeFiles: number;
  readonly id: number;
  readonly nameLength: number;
  readonly flags: number;
}

/** struct statfs, 120 bytes. */
export function encodeStatFs(stat: StatFs): Uint8Array {
  const bytes = new Uint8Array(120);
  const { type, blockSize, blocks, free, available, files, freeFiles } = stat;
  [type, blockSize, blocks, free, available, files, freeFiles].forEach((value, index) =>
    put64(bytes, 8 * index, value),
  );
  put64(bytes, 56, stat.id);
  put64(bytes, 64, stat.nameLength);
  put64(bytes, 72, blockSize);
  put64(bytes, 80, stat.flags);
  return bytes;
}

/** One linux_dirent64 record, padded to 8 bytes. */
export function encodeDirent64(name: string, inode: number, kind: FileKind, next: number): Uint8Array {
  const bytes = new Uint8Array((19 + name.length + 1 + 7) & ~7);
  put64(bytes, 0, inode);
  put64(bytes, 8, next);
  put16(bytes, 16, bytes.length);
  bytes[18] = directoryTypes[kind];
  bytes.set(bytesOfLatin1(name), 19);
  return bytes;
}

/** The old linux_dirent of getdents(2): d_type is the record's last byte. */
export function encodeDirent(name: string, inode: number, kind: FileKind, next: number): Uint8Array {
  const bytes = new Uint8Array((18 + name.length + 2 + 7) & ~7);
  put64(bytes, 0, inode);
  put64(bytes, 8, next);
  put16(bytes, 16, bytes.length);
  bytes.set(bytesOfLatin1(name), 18);
  bytes[bytes.length - 1] = directoryTypes[kind];
  return bytes;
}
