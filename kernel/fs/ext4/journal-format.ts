// Blocks of the log, big-endian (include/linux/jbd2.h). We write version-2 descriptors with 8-byte tags and no checksums;
// recovery.ts reads what stock kernels write too.
import { BLOCK } from './format.ts';

export const JOURNAL_MAGIC = 0xc03b3998;
export const BLOCK_TYPE = { descriptor: 1, commit: 2, superV1: 3, superV2: 4, revoke: 5 } as const;
export const TAG = { ESCAPE: 1, SAME_UUID: 2, DELETED: 4, LAST: 8 } as const;
export const JOURNAL_INCOMPAT = {
  REVOKE: 1,
  BIT64: 2,
  ASYNC_COMMIT: 4,
  CSUM_V2: 8,
  CSUM_V3: 0x10,
  FAST_COMMIT: 0x20,
} as const;

/** Offsets in the journal's superblock. */
export const JSB = {
  blockSize: 0xc, maxLength: 0x10, first: 0x14, sequence: 0x18, start: 0x1c, errno: 0x20, compat: 0x24, incompat: 0x28,
  roCompat: 0x2c, uuid: 0x30, checksumType: 0x50, numFastBlocks: 0x54, checksum: 0xfc,
} as const; // prettier-ignore

export function getBig32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) |
      ((bytes[at + 1] ?? 0) << 16) |
      ((bytes[at + 2] ?? 0) << 8) |
      (bytes[at + 3] ?? 0)) >>>
    0
  );
}

export function putBig32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = (value >>> 24) & 0xff;
  bytes[at + 1] = (value >>> 16) & 0xff;
  bytes[at + 2] = (value >>> 8) & 0xff;
  bytes[at + 3] = value & 0xff;
}

function header(type: number, sequence: number): Uint8Array {
  const bytes = new Uint8Array(BLOCK);
  putBig32(bytes, 0, JOURNAL_MAGIC);
  putBig32(bytes, 4, type);
  putBig32(bytes, 8, sequence);
  return bytes;
}

/** A block that begins like a log block must not be mistaken for one: its first word is left out and flagged. */
export const needsEscape = (bytes: Uint8Array): boolean => getBig32(bytes, 0) === JOURNAL_MAGIC;

const FIRST_TAG = 12;
const TAG_BYTES = 8;
const UUID_BYTES = 16;

/** Descriptor blocks for a list of disk blocks; each tells how many of the following log blocks are its own. */
export function encodeDescriptors(
  sequence: number,
  blocks: readonly number[],
  escaped: readonly boolean[],
): { bytes: Uint8Array; count: number }[] {
  // prettier-ignore
  const perBlock = Math.floor((BLOCK - FIRST_TAG - UUID_BYTES) / TAG_BYTES);
  const descriptors: { bytes: Uint8Array; count: number }[] = [];
  for (let from = 0; from < blocks.length; from += perBlock) {
    const bytes = header(BLOCK_TYPE.descriptor, sequence);
    const count = Math.min(perBlock, blocks.length - from);
    let at = FIRST_TAG;
    for (let index = 0; index < count; index++) {
      const flags =
        (escaped[from + index] === true ? TAG.ESCAPE : 0) |
        (index === 0 ? 0 : TAG.SAME_UUID) |
        (index === count - 1 ? TAG.LAST : 0);
      putBig32(bytes, at, blocks[from + index] ?? 0);
      putBig32(bytes, at + 4, flags);
      at += index === 0 ? TAG_BYTES + UUID_BYTES : TAG_BYTES;
    }
    descriptors.push({ bytes, count });
  }
  return descriptors;
}

/** Revoke blocks: a count of bytes in use, then block numbers of 4 bytes. */
export function encodeRevokes(sequence: number, blocks: readonly number[]): Uint8Array[] {
  const perBlock = Math.floor((BLOCK - 16) / 4);
  const out: Uint8Array[] = [];
  for (let from = 0; from < blocks.length; from += perBlock) {
    const bytes = header(BLOCK_TYPE.revoke, sequence);
    const part = blocks.slice(from, from + perBlock);
    putBig32(bytes, 12, 16 + 4 * part.length);
    part.forEach((block, index) => putBig32(bytes, 16 + 4 * index, block));
    out.push(bytes);
  }
  return out;
}

export function encodeCommit(sequence: number, wallNs: number): Uint8Array {
  const bytes = header(BLOCK_TYPE.commit, sequence);
  const seconds = Math.floor(wallNs / 1e9);
  putBig32(bytes, 0x30, Math.floor(seconds / 0x1_0000_0000));
  putBig32(bytes, 0x34, seconds % 0x1_0000_0000);
  putBig32(bytes, 0x38, wallNs - seconds * 1e9);
  return bytes;
}

/** Where recovery starts; 0 when there is nothing to recover. */
export function putTail(superBytes: Uint8Array, start: number, sequence: number): void {
  putBig32(superBytes, JSB.start, start);
  putBig32(superBytes, JSB.sequence, sequence);
}
