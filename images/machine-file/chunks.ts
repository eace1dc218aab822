/**
 * The content of a machine file: pages of 4096 bytes, each stored once, in chunks of up to 64 pages that are
 * compressed together. Disk blocks and RAM pages share it, so that a page of the page cache that equals its
 * block on the disk costs nothing in a snapshot. A page is named by its location: (chunk, slot).
 *
 * New pages go in through a `ChunkWriter` within a transaction; `settleChunks` after the commit makes them
 * known in memory. A chunk that no map and no snapshot names any more is deleted in the transaction that
 * dropped the last use of it. Deleted numbers are not used again while the file is open.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { sql } from './database.ts';
import type { MachineDatabase } from './database.ts';
import { damaged } from './errors.ts';
import { HASH_WORDS, newPageHasher } from './page-hash.ts';
import type { PageHasher } from './page-hash.ts';
import { addPage, findPage, newPageIndex } from './page-index.ts';
import type { PageIndex } from './page-index.ts';
import { blobOf, integerOf, isNull } from './rows.ts';
import { MAX_CHUNK_BYTES, MAX_CHUNK_PAGES, PAGE, ZEROS } from './schema.ts';

const CACHE_BYTES = 24 * 1024 * 1024;

export interface ChunkStore {
  readonly file: MachineDatabase;
  /** Absent in an image, whose chunks carry no hashes: they get the key of the machine made from it. */
  readonly hasher: PageHasher | undefined;
  readonly zeroHash: Uint32Array;
  index: PageIndex;
  /** Chunks whose pages are in the index. */
  readonly indexed: Set<number>;
  isIndexLoaded: boolean;
  /** How many blocks and snapshots use a chunk. */
  readonly uses: Map<number, number>;
  /** Unpacked chunks, the least recently used first. */
  readonly cache: Map<number, Uint8Array>;
  cachedBytes: number;
  nextChunk: number;
}

export function openChunkStore(file: MachineDatabase, hashKey: Uint8Array | undefined): ChunkStore {
  const hasher = hashKey === undefined ? undefined : newPageHasher(hashKey);
  const row = sql(file, 'SELECT coalesce(max(id), 0) AS last FROM chunk').get();
  return {
    file,
    hasher,
    zeroHash: hasher?.hash(new Uint8Array(PAGE)) ?? new Uint32Array(HASH_WORDS),
    index: newPageIndex(),
    indexed: new Set(),
    isIndexLoaded: false,
    uses: new Map(),
    cache: new Map(),
    cachedBytes: 0,
    nextChunk: integerOf(row, 'last', ZEROS - 2) + 1,
  };
}

export function addUses(store: ChunkStore, chunk: number, count: number): void {
  store.uses.set(chunk, (store.uses.get(chunk) ?? 0) + count);
}

/** All pages of a chunk, one after another. */
export function readChunk(store: ChunkStore, chunk: number): Uint8Array {
  const cached = store.cache.get(chunk);
  if (cached !== undefined) {
    store.cache.delete(chunk);
    store.cache.set(chunk, cached);
    return cached;
  }
  const { pages } = unpackChunk(store, chunk);
  keepInCache(store, chunk, pages);
  return pages;
}

function keepInCache(store: ChunkStore, chunk: number, pages: Uint8Array): void {
  store.cache.set(chunk, pages);
  store.cachedBytes += pages.length;
  for (const [oldest, bytes] of store.cache) {
    if (store.cachedBytes <= CACHE_BYTES) break;
    store.cache.delete(oldest);
    store.cachedBytes -= bytes.length;
  }
}

export interface Unpacked {
  readonly pages: Uint8Array;
  /** Four words for each page; none in an image. */
  readonly hashes: Uint32Array | undefined;
}

/**
 * Reads a chunk past the cache, for whoever reads many of them once. A machine learns the hashes of the pages
 * here, since an image's chunks have none.
 */
export function unpackChunk(store: ChunkStore, chunk: number): Unpacked {
  const row = sql(store.file, 'SELECT pages, hashes, data FROM chunk WHERE id = ? AND length(data) <= ?').get(
    chunk,
    MAX_CHUNK_BYTES,
  );
  if (row === undefined) throw damaged(`the content of chunk ${chunk} is missing`);
  const length = integerOf(row, 'pages', MAX_CHUNK_PAGES) * PAGE;
  const packed = blobOf(row, 'data', MAX_CHUNK_BYTES);
  let pages: Uint8Array;
  try {
    const unpacked = zstdDecompressSync(packed, {
      maxOutputLength: MAX_CHUNK_PAGES * PAGE,
      chunkSize: Math.max(length, PAGE), // all in one piece
    });
    pages = new Uint8Array(unpacked.buffer, unpacked.byteOffset, unpacked.length);
  } catch {
    throw damaged(`the content of chunk ${chunk} does not unpack`);
  }
  if (pages.length !== length) throw damaged(`the content of chunk ${chunk} has a wrong length`);
  const hashes = storedHashes(row, length / PAGE) ?? store.hasher?.hash(pages);
  if (hashes !== undefined && !store.indexed.has(chunk)) {
    store.indexed.add(chunk);
    indexHashes(store, chunk, hashes);
  }
  return { pages, hashes };
}

/** What the machine kept when it wrote the chunk; a damaged hash is only one that no page has. */
function storedHashes(row: unknown, pages: number): Uint32Array | undefined {
  if (isNull(row, 'hashes')) return undefined;
  const bytes = blobOf(row, 'hashes', MAX_CHUNK_PAGES * HASH_WORDS * 4);
  if (bytes.length !== pages * HASH_WORDS * 4) throw damaged('the hashes of a chunk have a wrong length');
  return new Uint32Array(bytes.slice().buffer);
}

function indexHashes(store: ChunkStore, chunk: number, hashes: Uint32Array): void {
  for (let slot = 0; slot * HASH_WORDS < hashes.length; slot++) {
    addPage(store.index, hashes, slot * HASH_WORDS, chunk, slot);
  }
}

/** Reads the hashes of all chunks that this machine wrote before, so that their pages are found again. */
function loadIndex(store: ChunkStore): void {
  if (store.isIndexLoaded) return;
  store.isIndexLoaded = true;
  for (const row of sql(
    store.file,
    'SELECT id, pages, hashes FROM chunk WHERE hashes IS NOT NULL',
  ).iterate()) {
    const chunk = integerOf(row, 'id', ZEROS - 1);
    const hashes = storedHashes(row, integerOf(row, 'pages', MAX_CHUNK_PAGES));
    if (hashes === undefined || store.indexed.has(chunk)) continue;
    store.indexed.add(chunk);
    indexHashes(store, chunk, hashes);
  }
}

export interface Location {
  chunk: number;
  slot: number;
}

interface Pack {
  readonly chunk: number;
  readonly pages: Uint8Array;
  readonly hashes: Uint32Array;
  count: number;
}

export interface ChunkWriter {
  readonly store: ChunkStore;
  readonly pagesPerChunk: number;
  readonly level: number;
  /** Pages of this transaction. */
  readonly index: PageIndex;
  readonly written: Pack[];
  pack: Pack | undefined;
  /** Changes of `uses`. */
  readonly uses: Map<number, number>;
  readonly deleted: Set<number>;
}

export function newChunkWriter(store: ChunkStore, pagesPerChunk: number, level: number): ChunkWriter {
  if (store.hasher !== undefined) loadIndex(store);
  return {
    store,
    pagesPerChunk,
    level,
    index: newPageIndex(),
    written: [],
    pack: undefined,
    uses: new Map(),
    deleted: new Set(),
  };
}

/** Stores the page at `pages[pageAt]` unless it is known, and says where: the chunk `ZEROS` for a page of zeros. */
export function putPage(
  writer: ChunkWriter,
  pages: Uint8Array,
  pageAt: number,
  hashes: Uint32Array,
  at: number,
  into: Location,
): void {
  const { store } = writer;
  const zero = store.zeroHash;
  into.slot = 0;
  into.chunk = ZEROS;
  if (
    hashes[at] === zero[0] &&
    hashes[at + 1] === zero[1] &&
    hashes[at + 2] === zero[2] &&
    hashes[at + 3] === zero[3]
  ) {
    return;
  }
  for (const index of [store.index, writer.index]) {
    const place = findPage(index, hashes, at);
    if (place < 0) continue;
    into.chunk = index.chunks[place] ?? 0;
    into.slot = index.slots[place] ?? 0;
    if (index === writer.index || store.uses.has(into.chunk)) return;
  }
  const pack = (writer.pack ??= {
    chunk: takeNumber(store),
    pages: new Uint8Array(writer.pagesPerChunk * PAGE),
    hashes: new Uint32Array(writer.pagesPerChunk * HASH_WORDS),
    count: 0,
  });
  pack.pages.set(pages.subarray(pageAt, pageAt + PAGE), pack.count * PAGE);
  pack.hashes.set(hashes.subarray(at, at + HASH_WORDS), pack.count * HASH_WORDS);
  addPage(writer.index, hashes, at, pack.chunk, pack.count);
  into.chunk = pack.chunk;
  into.slot = pack.count;
  pack.count++;
  if (pack.count === writer.pagesPerChunk) closePack(writer);
}

function takeNumber(store: ChunkStore): number {
  if (store.nextChunk >= ZEROS - 1) throw new Error('The machine file has used up its chunk numbers.');
  return store.nextChunk++;
}

function closePack(writer: ChunkWriter): void {
  const { pack } = writer;
  if (pack === undefined) return;
  insertChunk(writer.store.file, pack, writer.level, true);
  writer.written.push(pack);
  writer.pack = undefined;
}

export function insertChunk(
  file: MachineDatabase,
  pack: { chunk: number; count: number; pages: Uint8Array; hashes: Uint32Array },
  level: number,
  withHashes: boolean,
): void {
  const data = zstdCompressSync(pack.pages.subarray(0, pack.count * PAGE), {
    chunkSize: pack.count * PAGE, // all in one piece
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
  });
  const hashes = withHashes ? Buffer.from(pack.hashes.buffer, 0, pack.count * HASH_WORDS * 4) : null;
  sql(file, 'INSERT INTO chunk (id, pages, hashes, data) VALUES (?, ?, ?, ?)').run(
    pack.chunk,
    pack.count,
    hashes,
    data,
  );
}

export function changeUses(writer: ChunkWriter, chunk: number, by: number): void {
  if (chunk !== 0 && chunk !== ZEROS) writer.uses.set(chunk, (writer.uses.get(chunk) ?? 0) + by);
}

/** The last step within the transaction: stores the open chunk and deletes those that nothing uses any more. */
export function finishChunks(writer: ChunkWriter): void {
  closePack(writer);
  for (const [chunk, change] of writer.uses) {
    if ((writer.store.uses.get(chunk) ?? 0) + change > 0) continue;
    sql(writer.store.file, 'DELETE FROM chunk WHERE id = ?').run(chunk);
    writer.deleted.add(chunk);
  }
}

/** After the commit: what was written is now known, what was deleted is forgotten. */
export function settleChunks(writer: ChunkWriter): void {
  const { store } = writer;
  for (const [chunk, change] of writer.uses) addUses(store, chunk, change);
  for (const pack of writer.written) {
    if (writer.deleted.has(pack.chunk)) continue;
    store.indexed.add(pack.chunk);
    indexHashes(store, pack.chunk, pack.hashes.subarray(0, pack.count * HASH_WORDS));
    if (writer.pagesPerChunk < MAX_CHUNK_PAGES)
      keepInCache(store, pack.chunk, pack.pages.subarray(0, pack.count * PAGE));
  }
  for (const chunk of writer.deleted) {
    store.uses.delete(chunk);
    const cached = store.cache.get(chunk);
    if (cached === undefined) continue;
    store.cache.delete(chunk);
    store.cachedBytes -= cached.length;
  }
}
