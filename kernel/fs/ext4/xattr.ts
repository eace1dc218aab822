// Extended attributes (Documentation/filesystems/ext4/attributes.rst): behind the inode's fields while they fit, else in one
// block. A change writes all of them anew. Names carry their prefix as a number.
import { EEXIST, ENODATA, ENOSPC, EOPNOTSUPP, EIO, ERANGE, failed, type Failure } from '../../abi/errno.ts';
import { XATTR_CREATE, XATTR_REPLACE } from '../../abi/open-flags.ts';
import { bytesOfLatin1, get16, get32, latin1, put16, put32, put64 } from '../../lib/bytes.ts';
import type { Kernel } from '../../state.ts';
import type { Inode } from '../vfs/inode.ts';
import { superBlockOf } from '../vfs/inode-cache.ts';
import { fileTimeNow } from '../vfs/times.ts';
import { allocateBlocks, freeBlocks } from './block-allocator.ts';
import { crc32c } from './checksum.ts';
import { BLOCK } from './format.ts';
import { editBlock, editInode, forgetBlock, newBlock, readBlock, updating, type Handle } from './handle.ts';
import { hasChecksums, inodeLocation } from './inode-format.ts';
import { ext4InodeOf, ext4Of, type Ext4 } from './state.ts';

const MAGIC = 0xea020000;
const BLOCK_HEADER = 32;
const ENTRY = 16;
const prefixes: readonly (readonly [index: number, prefix: string, exact: boolean])[] = [
  [2, 'system.posix_acl_access', true], [3, 'system.posix_acl_default', true], [1, 'user.', false], [4, 'trusted.', false],
  [6, 'security.', false], [7, 'system.', false],
]; // prettier-ignore

interface Attribute {
  readonly index: number;
  readonly name: string; // without the prefix
  readonly value: Uint8Array;
}

function splitName(name: string): { index: number; name: string } | undefined {
  for (const [index, prefix, exact] of prefixes) {
    if (exact ? name === prefix : name.startsWith(prefix)) return { index, name: name.slice(prefix.length) };
  }
  return undefined;
}

const fullName = (attribute: Attribute): string =>
  (prefixes.find(([index]) => index === attribute.index)?.[1] ?? 'unknown.') + attribute.name;

/** Entries from `start`; values lie at `base` + their offset. */
function decode(bytes: Uint8Array, start: number, base: number): Attribute[] | Failure {
  const found: Attribute[] = [];
  for (let at = start; at + 4 <= bytes.length && get32(bytes, at) !== 0;) {
    const nameLength = bytes[at] ?? 0;
    const size = get32(bytes, at + 8);
    const valueAt = base + get16(bytes, at + 2);
    if (at + ENTRY + nameLength > bytes.length || valueAt + size > bytes.length) return EIO;
    if (get32(bytes, at + 4) !== 0) return EOPNOTSUPP; // the value has an inode of its own
    const name = latin1(bytes.subarray(at + ENTRY, at + ENTRY + nameLength));
    found.push({ index: bytes[at + 1] ?? 0, name, value: bytes.slice(valueAt, valueAt + size) });
    at += (ENTRY + nameLength + 3) & ~3;
  }
  return found;
}

/** The space behind an inode's fields. */
function inlineArea(kernel: Kernel, ext4: Ext4, inode: Inode): Uint8Array | Failure {
  const { block, offset } = inodeLocation(ext4, inode.number);
  const bytes = readBlock(kernel, ext4, block);
  if (failed(bytes)) return bytes;
  const own = bytes.slice(offset, offset + ext4.inodeSize);
  const start = ext4.inodeSize > 128 ? 128 + get16(own, 0x80) : ext4.inodeSize;
  return own.subarray(Math.min(start, ext4.inodeSize));
}

function readAll(kernel: Kernel, inode: Inode): Attribute[] | Failure {
  const ext4 = ext4Of(superBlockOf(kernel, inode));
  const area = inlineArea(kernel, ext4, inode);
  if (failed(area)) return area;
  const inline = area.length > 4 && get32(area, 0) === MAGIC ? decode(area, 4, 4) : [];
  if (failed(inline)) return inline;
  const { xattrBlock } = ext4InodeOf(inode);
  if (xattrBlock === 0) return inline;
  const bytes = readBlock(kernel, ext4, xattrBlock);
  if (failed(bytes)) return bytes;
  const outside = get32(bytes, 0) === MAGIC ? decode(bytes.slice(), BLOCK_HEADER, 0) : EIO;
  return failed(outside) ? outside : [...inline, ...outside];
}

export function getXattr(kernel: Kernel, inode: Inode, name: string): Uint8Array | Failure {
  const wanted = splitName(name);
  if (wanted === undefined) return EOPNOTSUPP;
  const all = readAll(kernel, inode);
  if (failed(all)) return all;
  return (
    all.find((attribute) => attribute.index === wanted.index && attribute.name === wanted.name)?.value ??
    ENODATA
  );
}

export function listXattr(kernel: Kernel, inode: Inode): readonly string[] | Failure {
  const all = readAll(kernel, inode);
  return failed(all) ? all : all.map(fullName);
}

/** The hash of an entry (fs/ext4/xattr.c, ext4_xattr_hash_entry). */
function hashOf(attribute: Attribute): number {
  let hash = 0;
  for (let i = 0; i < attribute.name.length; i++)
    hash = (hash << 5) ^ (hash >>> 27) ^ attribute.name.charCodeAt(i);
  const padded = new Uint8Array((attribute.value.length + 3) & ~3);
  padded.set(attribute.value);
  for (let at = 0; at < padded.length; at += 4) hash = (hash << 16) ^ (hash >>> 16) ^ get32(padded, at);
  return hash >>> 0;
}

/** Writes entries from `start` on and values from the end down; false when they do not fit. */
function encode(bytes: Uint8Array, all: readonly Attribute[], start: number, base: number): boolean {
  let at = start;
  let end = bytes.length & ~3;
  for (const attribute of all) {
    const { name, value } = attribute;
    const next = at + ((ENTRY + name.length + 3) & ~3);
    end -= (value.length + 3) & ~3;
    if (next + 4 > end) return false;
    bytes[at] = name.length;
    bytes[at + 1] = attribute.index;
    put16(bytes, at + 2, value.length === 0 ? 0 : end - base);
    put32(bytes, at + 8, value.length);
    put32(bytes, at + 12, hashOf(attribute));
    bytes.set(bytesOfLatin1(name), at + ENTRY);
    bytes.set(value, end);
    at = next;
  }
  return true;
}

export function setXattr(
  kernel: Kernel,
  inode: Inode,
  name: string,
  value: Uint8Array | null,
  flags: number,
): number | Failure {
  const wanted = splitName(name);
  if (wanted === undefined) return EOPNOTSUPP;
  const all = readAll(kernel, inode);
  if (failed(all)) return all;
  const isIt = (attribute: Attribute): boolean =>
    attribute.index === wanted.index && attribute.name === wanted.name;
  const exists = all.some(isIt);
  if ((flags & XATTR_CREATE) !== 0 && exists) return EEXIST;
  if (((flags & XATTR_REPLACE) !== 0 || value === null) && !exists) return ENODATA;
  if (value !== null && value.length > BLOCK) return ERANGE;
  const rest = all.filter((attribute) => !isIt(attribute));
  const next = value === null ? rest : [...rest, { ...wanted, value }];
  const ext4 = ext4Of(superBlockOf(kernel, inode));
  const area = inlineArea(kernel, ext4, inode);
  if (failed(area)) return area;
  const inline = new Uint8Array(area.length);
  const fits = next.length === 0 || (inline.length > 24 && encode(inline, next, 4, 4));
  if (fits && next.length > 0) put32(inline, 0, MAGIC);
  if (!fits) inline.fill(0);
  return updating(kernel, inode, (handle) => {
    const draft = editInode(handle, inode);
    if (failed(draft)) return draft;
    draft.inlineXattrs = inline;
    handle.effects.push(() => (inode.ctimeNs = fileTimeNow(kernel)));
    const dropped = dropXattrBlock(handle, inode);
    if (failed(dropped) || fits) return dropped;
    return writeBlock(handle, inode, next);
  });
}

function writeBlock(handle: Handle, inode: Inode, all: readonly Attribute[]): number | Failure {
  const draft = editInode(handle, inode);
  if (failed(draft)) return draft;
  const sorted = [...all].sort(
    (a, b) => a.index - b.index || a.name.length - b.name.length || (a.name < b.name ? -1 : 1),
  );
  const run = allocateBlocks(handle, inodeLocation(handle.ext4, inode.number).block, 1);
  if (failed(run)) return run;
  const bytes = newBlock(handle, run.first, sealOf(handle.ext4, run.first));
  if (failed(bytes)) return bytes;
  if (!encode(bytes, sorted, BLOCK_HEADER, 0)) return ENOSPC;
  put32(bytes, 0, MAGIC);
  put32(bytes, 4, 1);
  put32(bytes, 8, 1);
  let hash = 0;
  for (const attribute of sorted) hash = (hash << 16) ^ (hash >>> 16) ^ hashOf(attribute);
  put32(bytes, 12, hash >>> 0);
  draft.xattrBlock = run.first;
  draft.blocks += BLOCK / 512;
  return 0;
}

function sealOf(ext4: Ext4, block: number): ((bytes: Uint8Array) => void) | undefined {
  if (!hasChecksums(ext4)) return undefined;
  return (bytes) => {
    const number = new Uint8Array(8);
    put64(number, 0, block);
    put32(bytes, 16, 0);
    put32(bytes, 16, crc32c(crc32c(ext4.checksumSeed, number), bytes));
  };
}

/** Lets go of an inode's attribute block, which other inodes may share. */
export function dropXattrBlock(handle: Handle, inode: Inode): number | Failure {
  const draft = editInode(handle, inode);
  if (failed(draft)) return draft;
  const block = draft.xattrBlock;
  if (block === 0) return 0;
  const bytes = editBlock(handle, block, sealOf(handle.ext4, block));
  if (failed(bytes)) return bytes;
  draft.xattrBlock = 0;
  draft.blocks -= BLOCK / 512;
  const users = get32(bytes, 4);
  if (users > 1) {
    put32(bytes, 4, users - 1);
    return 0;
  }
  forgetBlock(handle, block);
  return freeBlocks(handle, block, 1);
}
