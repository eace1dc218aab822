// Replaying the journal (fs/jbd2/recovery.c): three passes over the log from its tail. The first finds the last complete
// transaction, the second collects revokes, the third gives the blocks to be written. Descriptors of stock kernels
// (64-bit tags, checksums v2 and v3) are understood; a transaction whose checksums do not match ends the log.
import { EIO, EOPNOTSUPP, failed, type Failure } from '../../abi/errno.ts';
import { crc32c } from './checksum.ts';
import { BLOCK } from './format.ts';
import {
  BLOCK_TYPE,
  getBig32,
  JOURNAL_INCOMPAT,
  JOURNAL_MAGIC,
  JSB,
  putBig32,
  TAG,
} from './journal-format.ts';

export interface Replay {
  /** Disk block → log block with its last content, and whether its first word was left out. */
  readonly blocks: Map<number, { readonly log: number; readonly escaped: boolean }>;
  /** The sequence that the next transaction will have. */
  readonly nextSequence: number;
  readonly transactions: number;
}

interface Log {
  readonly read: (log: number) => Uint8Array | Failure;
  readonly first: number;
  readonly end: number;
  readonly incompat: number;
  readonly seed: number;
}

interface Tag {
  readonly block: number;
  readonly flags: number;
  readonly checksum: number;
}

const hasCsum = (log: Log): boolean =>
  (log.incompat & (JOURNAL_INCOMPAT.CSUM_V2 | JOURNAL_INCOMPAT.CSUM_V3)) !== 0;
const isV3 = (log: Log): boolean => (log.incompat & JOURNAL_INCOMPAT.CSUM_V3) !== 0;

/** What is to be replayed, from the journal's superblock. `read` gives log blocks and may give BLOCKED. */
export function readLog(
  superBytes: Uint8Array,
  read: (log: number) => Uint8Array | Failure,
): Replay | Failure {
  const incompat = getBig32(superBytes, JSB.incompat);
  const known =
    JOURNAL_INCOMPAT.REVOKE | JOURNAL_INCOMPAT.BIT64 | JOURNAL_INCOMPAT.CSUM_V2 | JOURNAL_INCOMPAT.CSUM_V3;
  if ((incompat & ~known) !== 0) return EOPNOTSUPP;
  const log: Log = {
    read, first: getBig32(superBytes, JSB.first), end: getBig32(superBytes, JSB.maxLength), incompat,
    seed: crc32c(0xffff_ffff, superBytes.subarray(JSB.uuid, JSB.uuid + 16)),
  }; // prettier-ignore
  const start = getBig32(superBytes, JSB.start);
  const sequence = getBig32(superBytes, JSB.sequence);
  const blocks = new Map<number, { log: number; escaped: boolean }>();
  if (start === 0) return { blocks, nextSequence: sequence, transactions: 0 };
  if (start < log.first || start >= log.end) return EIO;
  const revoked = new Map<number, number>();
  const found: { sequence: number; tags: { tag: Tag; log: number }[] }[] = [];
  let position = start;
  let expected = sequence;
  for (let steps = 0; steps < log.end;) {
    const transaction = readTransaction(log, position, expected);
    if (failed(transaction)) return transaction;
    if (transaction === null) break;
    found.push({ sequence: expected, tags: transaction.tags });
    for (const block of transaction.revokes) revoked.set(block, expected);
    steps += transaction.length;
    position = transaction.next;
    expected++;
  }
  for (const transaction of found) {
    for (const { tag, log: at } of transaction.tags) {
      if ((revoked.get(tag.block) ?? -1) >= transaction.sequence) continue;
      blocks.delete(tag.block);
      blocks.set(tag.block, { log: at, escaped: (tag.flags & TAG.ESCAPE) !== 0 });
    }
  }
  return { blocks, nextSequence: expected, transactions: found.length };
}

const after = (log: Log, position: number): number => (position + 1 >= log.end ? log.first : position + 1);

interface FoundTransaction {
  readonly tags: { tag: Tag; log: number }[];
  readonly revokes: number[];
  readonly next: number;
  readonly length: number;
}

/** A whole transaction at a position, or null when there is none or it is not complete. */
function readTransaction(log: Log, start: number, sequence: number): FoundTransaction | null | Failure {
  const tags: { tag: Tag; log: number }[] = [];
  const revokes: number[] = [];
  let position = start;
  for (let length = 1; length < log.end; length++) {
    const bytes = log.read(position);
    if (failed(bytes)) return bytes;
    if (getBig32(bytes, 0) !== JOURNAL_MAGIC || getBig32(bytes, 8) !== sequence) return null;
    const type = getBig32(bytes, 4);
    if (type === BLOCK_TYPE.commit) {
      if (hasCsum(log) && !commitMatches(log, bytes)) return null;
      return { tags, revokes, next: after(log, position), length };
    }
    if (type === BLOCK_TYPE.revoke) {
      if (hasCsum(log) && !tailMatches(log, bytes)) return null;
      readRevokes(log, bytes, revokes);
    } else if (type === BLOCK_TYPE.descriptor) {
      if (hasCsum(log) && !tailMatches(log, bytes)) return null;
      for (const tag of readTags(log, bytes)) {
        position = after(log, position);
        length++;
        const content = hasCsum(log) ? log.read(position) : null;
        if (failed(content)) return content;
        if (content !== null && !tagMatches(log, tag, content, sequence)) return null;
        tags.push({ tag, log: position });
      }
    } else return null;
    position = after(log, position);
  }
  return null;
}

/** Tags of a descriptor (Documentation/filesystems/ext4/journal.rst, "Descriptor Block"). */
function readTags(log: Log, bytes: Uint8Array): Tag[] {
  const tags: Tag[] = [];
  const wide = (log.incompat & JOURNAL_INCOMPAT.BIT64) !== 0;
  const size = isV3(log) ? 16 : wide ? 12 : 8;
  const end = BLOCK - (hasCsum(log) ? 4 : 0);
  for (let at = 12; at + size <= end;) {
    const flags = isV3(log) ? getBig32(bytes, at + 4) : getBig32(bytes, at + 4) & 0xffff;
    const checksum = isV3(log) ? getBig32(bytes, at + 12) : getBig32(bytes, at + 4) >>> 16;
    const high = wide ? getBig32(bytes, at + 8) * 0x1_0000_0000 : 0;
    tags.push({ block: getBig32(bytes, at) + high, flags, checksum });
    if ((flags & TAG.LAST) !== 0) break;
    at += size + ((flags & TAG.SAME_UUID) !== 0 ? 0 : 16);
  }
  return tags;
}

function readRevokes(log: Log, bytes: Uint8Array, revokes: number[]): void {
  const wide = (log.incompat & JOURNAL_INCOMPAT.BIT64) !== 0;
  const size = wide ? 8 : 4;
  const end = Math.min(BLOCK, getBig32(bytes, 12));
  for (let at = 16; at + size <= end; at += size) {
    revokes.push(wide ? getBig32(bytes, at) * 0x1_0000_0000 + getBig32(bytes, at + 4) : getBig32(bytes, at));
  }
}

/** Descriptor and revoke blocks end in a checksum of themselves. */
function tailMatches(log: Log, bytes: Uint8Array): boolean {
  const copy = bytes.slice();
  putBig32(copy, BLOCK - 4, 0);
  return crc32c(log.seed, copy) === getBig32(bytes, BLOCK - 4);
}

function commitMatches(log: Log, bytes: Uint8Array): boolean {
  const copy = bytes.slice();
  putBig32(copy, 16, 0);
  return crc32c(log.seed, copy) === getBig32(bytes, 16);
}

function tagMatches(log: Log, tag: Tag, content: Uint8Array, sequence: number): boolean {
  const number = new Uint8Array(4);
  putBig32(number, 0, sequence);
  const crc = crc32c(crc32c(log.seed, number), content);
  return isV3(log) ? crc === tag.checksum : (crc & 0xffff) === tag.checksum;
}
