// Directory blocks (Documentation/filesystems/ext4/directory.rst): records of inode, length, name length, type, name.
// Lookups read linearly; an htree's inner blocks look like empty records to that. A deletion leaves an htree as it is; an
// insertion first turns it into a plain directory, because names would have to go where their hash says.
import { EIO, ENOENT, failed, type Failure } from '../../abi/errno.ts';
import { bytesOfLatin1, get16, get32, latin1, put16, put32 } from '../../lib/bytes.ts';
import type { Kernel } from '../../state.ts';
import type { DirectoryEntry, FileKind, Inode } from '../vfs/inode.ts';
import { superBlockOf } from '../vfs/inode-cache.ts';
import { allocateBlocks } from './block-allocator.ts';
import { crc32c } from './checksum.ts';
import { insertExtent, mapBlock, mapBlockIn } from './extents.ts';
import { BLOCK, FILE_TYPE, INODE_FLAG } from './format.ts';
import { editBlock, editInode, newBlock, peekBlock, readBlock, type Handle } from './handle.ts';
import { hasChecksums, inodeSeed, inodeLocation } from './inode-format.ts';
import { corrupted } from './inode-io.ts';
import { ext4InodeOf, ext4Of, groupAt, groupOfInode, type Ext4 } from './state.ts';

const TAIL_BYTES = 12;
const TAIL_TYPE = 0xde;
const kindsByType: readonly (FileKind | undefined)[] = [
  undefined,
  'file',
  'directory',
  'char',
  'block',
  'fifo',
  'socket',
  'symlink',
];

const recordBytes = (nameLength: number): number => (8 + nameLength + 3) & ~3;
const usableBytes = (ext4: Ext4): number => BLOCK - (hasChecksums(ext4) ? TAIL_BYTES : 0);

interface RawEntry {
  readonly offset: number;
  readonly inode: number;
  readonly length: number;
  readonly nameLength: number;
  readonly type: number;
}

/** The record at an offset, or null when the block is damaged there. */
function entryAt(bytes: Uint8Array, offset: number): RawEntry | null {
  const length = get16(bytes, offset + 4);
  const nameLength = bytes[offset + 6] ?? 0;
  if (length < 8 || length % 4 !== 0 || offset + length > BLOCK || recordBytes(nameLength) > length + 3)
    return null;
  return { offset, inode: get32(bytes, offset), length, nameLength, type: bytes[offset + 7] ?? 0 };
}

const nameOf = (bytes: Uint8Array, entry: RawEntry): string =>
  latin1(bytes.subarray(entry.offset + 8, entry.offset + 8 + entry.nameLength));

/** Compares without making a string of every name on the way. */
function isNamed(bytes: Uint8Array, at: number, name: string): boolean {
  for (let index = 0; index < name.length; index++)
    if (bytes[at + index] !== name.charCodeAt(index)) return false;
  return true;
}

/** The entry of a name in a block, with the one before it; undefined when the block is damaged. */
function findIn(
  bytes: Uint8Array,
  name: string,
): { entry: RawEntry; previous: RawEntry | null } | null | undefined {
  let before = -1;
  for (let offset = 0; offset < BLOCK;) {
    const length = get16(bytes, offset + 4);
    if (length < 8 || (length & 3) !== 0 || offset + length > BLOCK) return undefined;
    if (bytes[offset + 6] === name.length && get32(bytes, offset) !== 0 && isNamed(bytes, offset + 8, name)) {
      const entry = entryAt(bytes, offset);
      const previous = before < 0 ? null : entryAt(bytes, before);
      return entry === null ? undefined : { entry, previous };
    }
    before = offset;
    offset += length;
  }
  return null;
}

function damaged(kernel: Kernel, directory: Inode, block: number): Failure {
  return corrupted(
    kernel,
    superBlockOf(kernel, directory).device,
    `inode #${directory.number}: block ${block}: bad entry in directory`,
  );
}

const blockCountOf = (directory: Inode): number => Math.floor(directory.size / BLOCK);

/** Disk block of a directory's logical block, as the handle sees it. Holes in directories do not exist. */
function blockOf(handle: Handle, directory: Inode, logical: number): number | Failure {
  const mapping = mapBlockIn(handle, directory, logical);
  if (failed(mapping)) return mapping;
  return mapping.physical === 0 ? damaged(handle.kernel, directory, logical) : mapping.physical;
}

/** Looks a name up; gives its inode number. */
export function lookupName(kernel: Kernel, directory: Inode, name: string): number | Failure {
  const ext4 = ext4Of(superBlockOf(kernel, directory));
  for (let logical = 0; logical < blockCountOf(directory); logical++) {
    const mapping = mapBlock(kernel, directory, logical);
    if (failed(mapping)) return mapping;
    if (mapping.physical === 0) continue;
    const bytes = readBlock(kernel, ext4, mapping.physical);
    if (failed(bytes)) return bytes;
    const found = findIn(bytes, name);
    if (found === undefined) return damaged(kernel, directory, mapping.physical);
    if (found !== null) return found.entry.inode;
  }
  return ENOENT;
}

/** Entries from a position on: block * 4096 + offset, plus 1 so that 0 is the start. */
export function listDirectory(
  kernel: Kernel,
  directory: Inode,
  position: number,
  max: number,
): readonly DirectoryEntry[] | Failure {
  const ext4 = ext4Of(superBlockOf(kernel, directory));
  const found: DirectoryEntry[] = [];
  const start = Math.max(0, position - 1);
  for (
    let logical = Math.floor(start / BLOCK);
    logical < blockCountOf(directory) && found.length < max;
    logical++
  ) {
    const mapping = mapBlock(kernel, directory, logical);
    if (failed(mapping)) return mapping;
    if (mapping.physical === 0) continue;
    const bytes = readBlock(kernel, ext4, mapping.physical);
    if (failed(bytes)) return bytes;
    for (let offset = 0; offset < BLOCK && found.length < max;) {
      const entry = entryAt(bytes, offset);
      if (entry === null) return damaged(kernel, directory, mapping.physical);
      const next = logical * BLOCK + offset + entry.length;
      const kind = kindsByType[entry.type] ?? 'file';
      if (entry.inode !== 0 && logical * BLOCK + offset >= start && entry.nameLength > 0) {
        found.push({ name: nameOf(bytes, entry), inode: entry.inode, kind, next: next + 1 });
      }
      offset += entry.length;
    }
  }
  return found;
}

/** Puts the checksum into the tail of a directory block. */
function sealOf(handle: Handle, directory: Inode): ((bytes: Uint8Array) => void) | undefined {
  if (!hasChecksums(handle.ext4)) return undefined;
  const seed = inodeSeed(handle.ext4, directory.number, ext4InodeOf(directory).generation);
  return (bytes) => {
    if (bytes[BLOCK - TAIL_BYTES + 7] !== TAIL_TYPE) return; // an inner htree block
    put32(bytes, BLOCK - 4, crc32c(seed, bytes.subarray(0, BLOCK - TAIL_BYTES)));
  };
}

function putTail(bytes: Uint8Array): void {
  bytes.fill(0, BLOCK - TAIL_BYTES);
  put16(bytes, BLOCK - TAIL_BYTES + 4, TAIL_BYTES);
  bytes[BLOCK - TAIL_BYTES + 7] = TAIL_TYPE;
}

function putEntry(
  bytes: Uint8Array,
  offset: number,
  length: number,
  name: string,
  inode: number,
  kind: FileKind,
): void {
  put32(bytes, offset, inode);
  put16(bytes, offset + 4, length);
  bytes[offset + 6] = name.length;
  bytes[offset + 7] = FILE_TYPE[kind];
  bytes.set(bytesOfLatin1(name), offset + 8);
}

/** Puts a name into a block if there is room. */
function putInto(bytes: Uint8Array, name: string, inode: number, kind: FileKind): boolean | undefined {
  const needed = recordBytes(name.length);
  for (let offset = 0; offset < BLOCK;) {
    const entry = entryAt(bytes, offset);
    if (entry === null) return undefined;
    const isTail = entry.inode === 0 && entry.type === TAIL_TYPE;
    const used = entry.inode === 0 ? 0 : recordBytes(entry.nameLength);
    if (!isTail && entry.length - used >= needed) {
      if (used > 0) put16(bytes, offset + 4, used);
      putEntry(bytes, offset + used, entry.length - used, name, inode, kind);
      return true;
    }
    offset += entry.length;
  }
  return false;
}

/** Enters a name that is not there yet. */
export function insertName(
  handle: Handle,
  directory: Inode,
  name: string,
  inode: number,
  kind: FileKind,
): number | Failure {
  const draft = editInode(handle, directory);
  if (failed(draft)) return draft;
  if ((draft.flags & INODE_FLAG.INDEX) !== 0) {
    const plain = dropIndex(handle, directory);
    if (failed(plain)) return plain;
    draft.flags &= ~INODE_FLAG.INDEX;
  }
  const own = ext4InodeOf(directory);
  const count = Math.floor(draft.size / BLOCK);
  const start = own.roomHint < count ? own.roomHint : 0;
  for (let step = 0; step < count - start; step++) {
    const logical = start + step;
    const placed = insertAt(handle, directory, logical, name, inode, kind);
    if (failed(placed)) return placed;
    if (placed === 0) continue;
    handle.effects.push(() => (own.roomHint = logical));
    return 0;
  }
  return appendBlock(handle, directory, count, name, inode, kind);
}

/** 1 when the name went into the block, 0 when there is no room. */
function insertAt(
  handle: Handle,
  directory: Inode,
  logical: number,
  name: string,
  inode: number,
  kind: FileKind,
): number | Failure {
  const block = blockOf(handle, directory, logical);
  if (failed(block)) return block;
  const current = peekBlock(handle, block);
  if (failed(current)) return current;
  const placed = hasRoom(current, name);
  if (placed === undefined) return damaged(handle.kernel, directory, block);
  if (!placed) return 0;
  const bytes = editBlock(handle, block, sealOf(handle, directory));
  if (failed(bytes)) return bytes;
  putInto(bytes, name, inode, kind);
  return 1;
}

function hasRoom(bytes: Uint8Array, name: string): boolean | undefined {
  const needed = recordBytes(name.length);
  for (let offset = 0; offset < BLOCK;) {
    const entry = entryAt(bytes, offset);
    if (entry === null) return undefined;
    const isTail = entry.inode === 0 && entry.type === TAIL_TYPE;
    const used = entry.inode === 0 ? 0 : recordBytes(entry.nameLength);
    if (!isTail && entry.length - used >= needed) return true;
    offset += entry.length;
  }
  return false;
}

function appendBlock(
  handle: Handle,
  directory: Inode,
  logical: number,
  name: string,
  inode: number,
  kind: FileKind,
): number | Failure {
  const draft = editInode(handle, directory);
  if (failed(draft)) return draft;
  const made = newDirectoryBlock(handle, directory, logical);
  if (failed(made)) return made;
  putEntry(made, 0, usableBytes(handle.ext4), name, inode, kind);
  draft.size = (logical + 1) * BLOCK;
  return 0;
}

function newDirectoryBlock(handle: Handle, directory: Inode, logical: number): Uint8Array | Failure {
  const { ext4 } = handle;
  const draft = editInode(handle, directory);
  if (failed(draft)) return draft;
  const previous = logical === 0 ? null : mapBlockIn(handle, directory, logical - 1);
  if (failed(previous)) return previous;
  const group = groupAt(ext4, groupOfInode(ext4, directory.number));
  if (failed(group)) return group;
  const goal = previous === null ? inodeLocation(ext4, directory.number).block : previous.physical + 1;
  const run = allocateBlocks(handle, goal, 1);
  if (failed(run)) return run;
  const entered = insertExtent(handle, directory, {
    logical,
    count: 1,
    physical: run.first,
    unwritten: false,
  });
  if (failed(entered)) return entered;
  draft.blocks += BLOCK / 512;
  const bytes = newBlock(handle, run.first, sealOf(handle, directory));
  if (failed(bytes)) return bytes;
  if (hasChecksums(ext4)) putTail(bytes);
  return bytes;
}

/** The first block of a new directory: `.` and `..`. */
export function makeFirstBlock(handle: Handle, directory: Inode, parent: number): number | Failure {
  const draft = editInode(handle, directory);
  if (failed(draft)) return draft;
  const bytes = newDirectoryBlock(handle, directory, 0);
  if (failed(bytes)) return bytes;
  putEntry(bytes, 0, 12, '.', directory.number, 'directory');
  putEntry(bytes, 12, usableBytes(handle.ext4) - 12, '..', parent, 'directory');
  draft.size = BLOCK;
  return 0;
}

/** Finds the block of a name and hands it out for changing. */
function editEntry(
  handle: Handle,
  directory: Inode,
  name: string,
): { bytes: Uint8Array; entry: RawEntry; previous: RawEntry | null } | Failure {
  const size = handle.inodes.get(directory)?.size ?? directory.size;
  for (let logical = 0; logical < Math.floor(size / BLOCK); logical++) {
    const block = blockOf(handle, directory, logical);
    if (failed(block)) return block;
    const current = peekBlock(handle, block);
    if (failed(current)) return current;
    const found = findIn(current, name);
    if (found === undefined) return damaged(handle.kernel, directory, block);
    if (found === null) continue;
    const bytes = editBlock(handle, block, sealOf(handle, directory));
    return failed(bytes) ? bytes : { bytes, ...found };
  }
  return ENOENT;
}

export function removeName(handle: Handle, directory: Inode, name: string): number | Failure {
  const found = editEntry(handle, directory, name);
  if (failed(found)) return found;
  const { bytes, entry, previous } = found;
  if (previous === null) put32(bytes, entry.offset, 0);
  else put16(bytes, previous.offset + 4, previous.length + entry.length);
  handle.effects.push(() => (ext4InodeOf(directory).roomHint = 0));
  return 0;
}

/** Makes a name lead to another inode: rename over a file, and `..` of a moved directory. */
export function retargetName(
  handle: Handle,
  directory: Inode,
  name: string,
  inode: number,
  kind: FileKind,
): number | Failure {
  const found = editEntry(handle, directory, name);
  if (failed(found)) return found;
  put32(found.bytes, found.entry.offset, inode);
  found.bytes[found.entry.offset + 7] = FILE_TYPE[kind];
  return 0;
}

/** True when there is nothing in it but `.` and `..`. */
export function isEmptyDirectory(kernel: Kernel, directory: Inode): boolean | Failure {
  const entries = listDirectory(kernel, directory, 0, 3);
  return failed(entries) ? entries : entries.every((entry) => entry.name === '.' || entry.name === '..');
}

/** Turns an htree into a plain directory: its root and inner blocks become blocks with room for names. */
function dropIndex(handle: Handle, directory: Inode): number | Failure {
  const root = blockOf(handle, directory, 0);
  if (failed(root)) return root;
  const bytes = editBlock(handle, root, sealOf(handle, directory));
  if (failed(bytes)) return bytes;
  const levels = bytes[0x1e] ?? 0;
  if (levels > 3) return EIO;
  if (levels > 0) {
    const cleared = dropInner(handle, directory, bytes, 0x20, levels);
    if (failed(cleared)) return cleared;
  }
  const usable = usableBytes(handle.ext4);
  bytes.fill(0, 24);
  put16(bytes, 12 + 4, usable - 12);
  if (hasChecksums(handle.ext4)) putTail(bytes);
  return 0;
}

/** Clears the index blocks that the entries at `at` name. The first entry's hash field holds limit and count. */
function dropInner(
  handle: Handle,
  directory: Inode,
  node: Uint8Array,
  at: number,
  levels: number,
): number | Failure {
  const count = get16(node, at + 2);
  if (at + count * 8 > BLOCK) return EIO;
  for (let index = 0; index < count; index++) {
    const block = blockOf(handle, directory, get32(node, at + index * 8 + 4));
    if (failed(block)) return block;
    const bytes = editBlock(handle, block, sealOf(handle, directory));
    if (failed(bytes)) return bytes;
    if (levels > 1) {
      const below = dropInner(handle, directory, bytes, 8, levels - 1);
      if (failed(below)) return below;
    }
    bytes.fill(0);
    put16(bytes, 4, usableBytes(handle.ext4));
    if (hasChecksums(handle.ext4)) putTail(bytes);
  }
  return 0;
}
