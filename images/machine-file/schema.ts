/**
 * The tables of a machine file, and the limits that a file must keep.
 *
 *   meta      key and value: kind of file, configuration, manifest, hash key, state of the running snapshot
 *   chunk     pages of 4096 bytes, up to 64 compressed together; a page is named by (chunk, slot)
 *   disk      its size and its top layer
 *   layer     copy-on-write: what a layer does not have is its parent's
 *   map       of a layer, for each region of 256 blocks, where each block's page is
 *   snapshot  a whole machine: RAM as a map of pages, CPUs, kernel
 *   snapshot_disk  the layers that a snapshot holds on to
 *   input, note, session, session_chunk   the log of inputs, notes, performance recordings
 */

/** 'RING'. */
export const APPLICATION_ID = 0x52494e47;
export const PAGE = 4096;
export const REGION_BLOCKS = 256;
/** A region's entries: 256 chunk numbers of 32 bits, then 256 slots of 8 bits. */
export const REGION_BYTES = REGION_BLOCKS * 5;
/** In place of a chunk number: this layer has zeros here, whatever is below. */
export const ZEROS = 0xffffffff;
export const MAX_CHUNK_PAGES = 64;
export const MAX_CHUNK_BYTES = MAX_CHUNK_PAGES * PAGE + 4096;
export const MAX_DISK_BLOCKS = 2 ** 26; // 256 GiB
export const MAX_RAM_BYTES = 3 * 1024 ** 3;
export const MAX_STATE_BYTES = 1024 ** 3;
export const MAX_META_BYTES = 16 * 1024 ** 2;
export const MAX_NAME_LENGTH = 200;

/** Version 1, exactly as SQLite keeps the text: a file whose schema differs in a character is refused. */
export const TABLES: Readonly<Record<string, string>> = {
  meta: 'CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID',
  chunk:
    'CREATE TABLE chunk (id INTEGER PRIMARY KEY, pages INTEGER NOT NULL, hashes BLOB, data BLOB NOT NULL)',
  disk: 'CREATE TABLE disk (name TEXT PRIMARY KEY, blocks INTEGER NOT NULL, top INTEGER NOT NULL) WITHOUT ROWID',
  layer: 'CREATE TABLE layer (id INTEGER PRIMARY KEY, parent INTEGER)',
  map: 'CREATE TABLE map (layer INTEGER, region INTEGER, entries BLOB NOT NULL, PRIMARY KEY (layer, region)) WITHOUT ROWID',
  snapshot:
    'CREATE TABLE snapshot (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, meta TEXT NOT NULL, ' +
    'ram_bytes INTEGER NOT NULL, ram BLOB NOT NULL, chunks BLOB NOT NULL, cpus BLOB NOT NULL, kernel BLOB NOT NULL)',
  snapshot_disk:
    'CREATE TABLE snapshot_disk (snapshot INTEGER, disk TEXT, layer INTEGER NOT NULL, PRIMARY KEY (snapshot, disk)) WITHOUT ROWID',
  input: 'CREATE TABLE input (id INTEGER PRIMARY KEY, entry BLOB NOT NULL)',
  note: 'CREATE TABLE note (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID',
  session:
    'CREATE TABLE session (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, start_ns INTEGER NOT NULL, ' +
    'end_ns INTEGER NOT NULL, meta TEXT NOT NULL)',
  session_chunk:
    'CREATE TABLE session_chunk (session INTEGER, id INTEGER, stream TEXT NOT NULL, columns BLOB NOT NULL, ' +
    'PRIMARY KEY (session, id)) WITHOUT ROWID',
};
