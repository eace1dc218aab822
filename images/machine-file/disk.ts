/**
 * A disk of a machine: blocks of 4096 bytes. Writes gather in memory; `flush` puts them into the top layer
 * and is durable when it returns, which is what the guest's own flush promises. A disk may also make a write
 * durable earlier, and this one does so when much has gathered.
 */
import type { ChunkStore, ChunkWriter, Location } from './chunks.ts';
import { changeUses, finishChunks, newChunkWriter, putPage, readChunk, settleChunks } from './chunks.ts';
import { inTransaction, reading } from './database.ts';
import { damaged } from './errors.ts';
import { newRegion, writeRegion } from './layers.ts';
import type { Region, Regions } from './layers.ts';
import { PAGE, REGION_BLOCKS, ZEROS } from './schema.ts';

export interface DiskState {
  readonly name: string;
  readonly blockCount: number;
  top: number;
  topRegions: Regions;
  merged: Regions;
  /** Written and not yet in the file. */
  dirty: Map<number, Uint8Array>;
}

const PAGES_PER_CHUNK = 16;
const LEVEL = 1;
const MAX_DIRTY_BLOCKS = 8192;
const SHIFT = Math.log2(REGION_BLOCKS);

export function findBlock(regions: Regions, block: number, into: Location): boolean {
  const region = regions.get(block >>> SHIFT);
  const at = block & (REGION_BLOCKS - 1);
  into.chunk = region?.chunks[at] ?? 0;
  into.slot = region?.slots[at] ?? 0;
  return into.chunk !== 0;
}

/** The page at a location of a chunk; a view, not to be changed. */
function pageAt(store: ChunkStore, location: Location): Uint8Array {
  const pages = readChunk(store, location.chunk);
  const start = location.slot * PAGE;
  if (start + PAGE > pages.length) throw damaged(`chunk ${location.chunk} has no page ${location.slot}`);
  return pages.subarray(start, start + PAGE);
}

function checkRange(disk: DiskState, first: number, count: number): void {
  if (!Number.isInteger(first) || first < 0 || count < 0 || first + count > disk.blockCount) {
    throw new RangeError(`Blocks ${first} to ${first + count} are outside the disk ${disk.name}.`);
  }
}

/** A copy of the block, or null where it is all zeros. */
export function readBlock(store: ChunkStore, disk: DiskState, block: number): Uint8Array | null {
  checkRange(disk, block, 1);
  const written = disk.dirty.get(block);
  if (written !== undefined) return written.slice();
  const location = { chunk: 0, slot: 0 };
  if (!findBlock(disk.merged, block, location) || location.chunk === ZEROS) return null;
  return reading(store.file, () => pageAt(store, location).slice());
}

export function readBlocks(store: ChunkStore, disk: DiskState, first: number, count: number): Uint8Array {
  checkRange(disk, first, count);
  const bytes = new Uint8Array(count * PAGE);
  const location = { chunk: 0, slot: 0 };
  reading(store.file, () => {
    for (let index = 0; index < count; index++) {
      const written = disk.dirty.get(first + index);
      if (written !== undefined) bytes.set(written, index * PAGE);
      else if (findBlock(disk.merged, first + index, location) && location.chunk !== ZEROS) {
        bytes.set(pageAt(store, location), index * PAGE);
      }
    }
  });
  return bytes;
}

export function writeBlocks(disk: DiskState, first: number, bytes: Uint8Array): void {
  if (bytes.length % PAGE !== 0) throw new RangeError('A write to a disk must be whole blocks.');
  checkRange(disk, first, bytes.length / PAGE);
  for (let at = 0; at < bytes.length; at += PAGE) {
    disk.dirty.set(first + at / PAGE, Uint8Array.from(bytes.subarray(at, at + PAGE)));
  }
}

export function isOverfull(disk: DiskState): boolean {
  return disk.dirty.size >= MAX_DIRTY_BLOCKS;
}

/** Changed regions of a top layer, not yet committed. */
export type PendingRegions = Map<number, Region>;

/** Within a transaction: stores the dirty blocks and the map rows that name them. */
export function storeDirty(writer: ChunkWriter, disk: DiskState): PendingRegions {
  const { store } = writer;
  const { hasher } = store;
  const pending: PendingRegions = new Map();
  if (disk.dirty.size === 0) return pending;
  if (hasher === undefined) throw new Error('An image cannot be written to.');
  // In order of their numbers, so that neighbours come to lie in one chunk.
  const blocks = [...disk.dirty].sort(([a], [b]) => a - b);
  const location = { chunk: 0, slot: 0 };
  const before = { chunk: 0, slot: 0 };
  for (const [block, page] of blocks) {
    const hashes = hasher.hash(page);
    putPage(writer, page, 0, hashes, 0, location);
    const number = block >>> SHIFT;
    let region = pending.get(number);
    if (region === undefined) {
      const own = disk.topRegions.get(number);
      region = own === undefined ? newRegion() : { chunks: own.chunks.slice(), slots: own.slots.slice() };
      pending.set(number, region);
    }
    findBlock(disk.topRegions, block, before);
    changeUses(writer, location.chunk, 1);
    changeUses(writer, before.chunk, -1);
    region.chunks[block & (REGION_BLOCKS - 1)] = location.chunk;
    region.slots[block & (REGION_BLOCKS - 1)] = location.slot;
  }
  for (const [number, region] of pending) writeRegion(store.file, disk.top, number, region);
  return pending;
}

/** After the commit. */
export function settleDirty(disk: DiskState, pending: PendingRegions): void {
  for (const [number, region] of pending) {
    disk.topRegions.set(number, region);
    const merged = disk.merged.get(number) ?? newRegion();
    disk.merged.set(number, merged);
    region.chunks.forEach((chunk, at) => {
      if (chunk === 0) return;
      merged.chunks[at] = chunk;
      merged.slots[at] = region.slots[at] ?? 0;
    });
  }
  disk.dirty.clear();
}

/** Makes all writes of the given disks durable; `also` runs in the same transaction. */
export function flushDisks(store: ChunkStore, disks: readonly DiskState[], also: () => void): void {
  const dirty = disks.filter((disk) => disk.dirty.size > 0);
  const writer = newChunkWriter(store, PAGES_PER_CHUNK, LEVEL);
  const pending = inTransaction(store.file, () => {
    const stored = dirty.map((disk) => storeDirty(writer, disk));
    finishChunks(writer);
    also();
    return stored;
  });
  settleChunks(writer);
  dirty.forEach((disk, index) => settleDirty(disk, pending[index] ?? new Map<number, Region>()));
}
