/**
 * Snapshots of the whole machine: CPUs, kernel state, RAM and disks at one instant.
 *
 * A named snapshot holds on to the layers of all disks: saving freezes the top layers and starts new ones, and
 * opening puts new top layers on the frozen ones. The running state, saved when a machine is closed, holds on to
 * no layer. It goes with the disks as they are, so the first later disk write that is made durable marks it
 * stale, in the same transaction: after a crash of the host the machine then boots from its disks.
 */
import { deserialize, serialize } from 'node:v8';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { ChunkWriter } from './chunks.ts';
import { finishChunks, newChunkWriter, settleChunks } from './chunks.ts';
import { deleteMeta, parseJson, readMeta, writeMeta } from './config.ts';
import { inTransaction, reading, sql } from './database.ts';
import { settleDirty, storeDirty } from './disk.ts';
import { damaged, MachineFileError } from './errors.ts';
import { tidyLayers } from './layer-tidy.ts';
import { newLayer } from './layers.ts';
import type { Region } from './layers.ts';
import { storePendingInputs } from './log.ts';
import { chunksOf, decodeRamMap, encodeRamMap, holdChunks, loadRam, storeRam } from './ram.ts';
import type { FramesInUse } from './ram.ts';
import { blobOf, integerOf, textOf } from './rows.ts';
import { MAX_NAME_LENGTH, MAX_RAM_BYTES, MAX_STATE_BYTES } from './schema.ts';
import { chunkListOf, openDisk } from './state.ts';
import type { MachineState } from './state.ts';

export interface SnapshotContent {
  /** Plain data: records, arrays, Map, Set, typed arrays, numbers, bigints, strings, null. */
  readonly kernel: unknown;
  readonly cpus: readonly Uint8Array[];
  readonly ram: Uint8Array;
  /** Which frames may hold anything but zeros; all, when it is left out. */
  readonly framesInUse?: FramesInUse;
}

export interface SnapshotMeta {
  readonly virtualNs: number;
  readonly createdAt: string;
  /** What the caller wants to find again, as JSON; nothing here looks into it. */
  readonly details?: unknown;
}

export interface SnapshotInfo extends SnapshotMeta {
  readonly name: string;
  readonly ramBytes: number;
}

export interface SnapshotTarget {
  /** Filled with the snapshot's RAM; must have its size. */
  readonly ram: Uint8Array;
  /** Whether `ram` is all zeros now, as a new memory is. */
  readonly isZeroed: boolean;
}

export interface LoadedSnapshot<K> {
  readonly info: SnapshotInfo;
  readonly kernel: K;
  readonly cpus: Uint8Array[];
}

/** The name that the running state has in the table; a user's names are kept apart by a first letter. */
const RUNNING = 'running';
const USER_PREFIX = '=';
const FRESH_KEY = 'running-fresh';
const RAM_PAGES_PER_CHUNK = 64;
const LEVEL = -3;

const params = { params: { [constants.ZSTD_c_compressionLevel]: LEVEL, [constants.ZSTD_c_checksumFlag]: 1 } };

function pack(value: unknown): Uint8Array {
  return zstdCompressSync(serialize(value), params);
}

function unpack(bytes: Uint8Array, what: string): unknown {
  try {
    const value: unknown = deserialize(zstdDecompressSync(bytes, { maxOutputLength: MAX_STATE_BYTES }));
    return value;
  } catch {
    throw damaged(`${what} of a snapshot does not unpack`);
  }
}

function rowName(name: string): string {
  if (name === '' || name.length > MAX_NAME_LENGTH) {
    throw new MachineFileError(
      'invalid',
      `A snapshot needs a name of at most ${MAX_NAME_LENGTH} characters.`,
    );
  }
  return USER_PREFIX + name;
}

export function readRunningFresh(state: Pick<MachineState, 'file'>): boolean {
  return readMeta(state.file, FRESH_KEY) !== undefined;
}

/** Within the transaction of a disk write: from here on the running state is not that of the disks. */
export function markRunningStale(state: MachineState): void {
  if (state.isRunningFresh) deleteMeta(state.file, FRESH_KEY);
}

export function saveNamed(
  state: MachineState,
  name: string,
  content: SnapshotContent,
  meta: SnapshotMeta,
): void {
  const stored = rowName(name);
  if (sql(state.file, 'SELECT 1 FROM snapshot WHERE name = ?').get(stored) !== undefined) {
    throw new MachineFileError('exists', `There is already a snapshot named ${name}.`);
  }
  save(state, stored, content, meta);
}

/** Replaces the running state of before. */
export function saveRunning(state: MachineState, content: SnapshotContent, meta: SnapshotMeta): void {
  save(state, RUNNING, content, meta);
}

function save(state: MachineState, stored: string, content: SnapshotContent, meta: SnapshotMeta): void {
  const { file, store } = state;
  const isRunning = stored === RUNNING;
  if (content.ram.length > MAX_RAM_BYTES) throw new RangeError('The RAM is larger than a machine may have.');
  const disks = [...state.disks.values()];
  const writer = newChunkWriter(store, RAM_PAGES_PER_CHUNK, LEVEL);
  const cpus = pack(content.cpus);
  const kernel = pack(content.kernel);
  const result = inTransaction(file, () => {
    const pending = disks.map((disk) => storeDirty(writer, disk));
    const map = storeRam(writer, content.ram, content.framesInUse, state.lastRam);
    const chunks = chunksOf(map);
    holdChunks(writer, chunks, 1);
    if (isRunning) removeRow(writer, RUNNING);
    const inserted = sql(
      file,
      'INSERT INTO snapshot (name, meta, ram_bytes, ram, chunks, cpus, kernel) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ).run(
      stored,
      JSON.stringify(meta),
      content.ram.length,
      encodeRamMap(map),
      Buffer.from(chunks.buffer, 0, chunks.byteLength),
      cpus,
      kernel,
    );
    const tops = isRunning
      ? []
      : disks.map((disk) => freeze(state, disk.name, disk.top, inserted.lastInsertRowid));
    if (isRunning) writeMeta(file, FRESH_KEY, Uint8Array.of(1));
    else markRunningStale(state);
    finishChunks(writer);
    storePendingInputs(state);
    return { pending, map, tops };
  });
  settleChunks(writer);
  disks.forEach((disk, index) => {
    settleDirty(disk, result.pending[index] ?? new Map<number, Region>());
    const top = result.tops[index];
    if (top === undefined) return;
    disk.top = top;
    disk.topRegions = new Map();
  });
  state.lastRam = result.map;
  state.isRunningFresh = isRunning;
  state.pendingInputs = [];
}

/** Ties a disk's top layer to a snapshot and starts a new one over it. */
function freeze(state: MachineState, disk: string, top: number, snapshot: number | bigint): number {
  const { file } = state;
  sql(file, 'INSERT INTO snapshot_disk (snapshot, disk, layer) VALUES (?, ?, ?)').run(snapshot, disk, top);
  const layer = newLayer(file, top);
  sql(file, 'UPDATE disk SET top = ? WHERE name = ?').run(layer, disk);
  return layer;
}

function removeRow(writer: ChunkWriter, stored: string): void {
  const { file } = writer.store;
  const row = sql(file, 'SELECT id, chunks FROM snapshot WHERE name = ?').get(stored);
  if (row === undefined) return;
  holdChunks(writer, chunkListOf(row), -1);
  const id = integerOf(row, 'id');
  sql(file, 'DELETE FROM snapshot_disk WHERE snapshot = ?').run(id);
  sql(file, 'DELETE FROM snapshot WHERE id = ?').run(id);
}

function infoOf(row: unknown, stored: string): SnapshotInfo {
  const meta = parseJson(textOf(row, 'meta'), 'the description of a snapshot');
  if (typeof meta !== 'object' || meta === null)
    throw damaged('the description of a snapshot is not a record');
  const fields = new Map<string, unknown>(Object.entries(meta));
  const [virtualNs, createdAt] = [fields.get('virtualNs'), fields.get('createdAt')];
  if (typeof virtualNs !== 'number' || typeof createdAt !== 'string')
    throw damaged('a snapshot does not say its time');
  return {
    name: stored === RUNNING ? '' : stored.slice(USER_PREFIX.length),
    ramBytes: integerOf(row, 'ram_bytes', MAX_RAM_BYTES),
    virtualNs,
    createdAt,
    details: fields.get('details'),
  };
}

/** The named snapshots, the oldest first. */
export function listNamed(state: MachineState): SnapshotInfo[] {
  return reading(state.file, () =>
    sql(state.file, 'SELECT name, meta, ram_bytes FROM snapshot WHERE name <> ? ORDER BY id')
      .all(RUNNING)
      .map((row) => infoOf(row, textOf(row, 'name'))),
  );
}

/** The running state, if it may be resumed. */
export function findRunning(state: MachineState): SnapshotInfo | undefined {
  if (!state.isRunningFresh) return undefined;
  const row = reading(state.file, () =>
    sql(state.file, 'SELECT meta, ram_bytes FROM snapshot WHERE name = ?').get(RUNNING),
  );
  return row === undefined ? undefined : infoOf(row, RUNNING);
}

function loadRow<K>(
  state: MachineState,
  stored: string,
  target: SnapshotTarget,
  check: (kernel: unknown) => K,
): { id: number; loaded: LoadedSnapshot<K> } {
  const { file, store } = state;
  return reading(file, () => {
    const row = sql(
      file,
      'SELECT id, name, meta, ram_bytes, ram, cpus, kernel FROM snapshot WHERE name = ?',
    ).get(stored);
    if (row === undefined) {
      throw new MachineFileError(
        'unknown-name',
        `There is no snapshot named ${stored.slice(USER_PREFIX.length)}.`,
      );
    }
    const info = infoOf(row, stored);
    const map = decodeRamMap(blobOf(row, 'ram', MAX_STATE_BYTES), info.ramBytes);
    const kernel = check(unpack(blobOf(row, 'kernel', MAX_STATE_BYTES), 'the kernel state'));
    const cpus = unpack(blobOf(row, 'cpus', MAX_STATE_BYTES), 'the CPU state');
    if (!Array.isArray(cpus)) throw damaged('the CPU state of a snapshot is not a list');
    const checked = cpus.map((cpu: unknown) => {
      if (!(cpu instanceof Uint8Array)) throw damaged('the CPU state of a snapshot is not bytes');
      return Uint8Array.from(cpu);
    });
    state.lastRam = loadRam(store, map, target.ram, target.isZeroed);
    return { id: integerOf(row, 'id'), loaded: { info, kernel, cpus: checked } };
  });
}

/** Loads the running state, or gives undefined when there is none or a later disk write has made it stale. */
export function loadRunning<K>(
  state: MachineState,
  target: SnapshotTarget,
  check: (kernel: unknown) => K,
): LoadedSnapshot<K> | undefined {
  if (findRunning(state) === undefined) return undefined;
  return loadRow(state, RUNNING, target, check).loaded;
}

/** Loads a named snapshot and takes the disks back to it. What was written to them since is dropped. */
export function loadNamed<K>(
  state: MachineState,
  name: string,
  target: SnapshotTarget,
  check: (kernel: unknown) => K,
): LoadedSnapshot<K> {
  const { file, store } = state;
  const { id, loaded } = loadRow(state, rowName(name), target, check);
  const writer = newChunkWriter(store, RAM_PAGES_PER_CHUNK, LEVEL);
  const tops = inTransaction(file, () => {
    const found = new Map<string, number>();
    for (const row of sql(file, 'SELECT disk, layer FROM snapshot_disk WHERE snapshot = ?').all(id)) {
      const disk = textOf(row, 'disk');
      const layer = newLayer(file, integerOf(row, 'layer'));
      sql(file, 'UPDATE disk SET top = ? WHERE name = ?').run(layer, disk);
      found.set(disk, layer);
    }
    markRunningStale(state);
    tidyLayers(writer);
    finishChunks(writer);
    return found;
  });
  settleChunks(writer);
  state.isRunningFresh = false;
  for (const [name_, top] of tops) {
    const disk = state.disks.get(name_);
    if (disk !== undefined)
      state.disks.set(name_, Object.assign(disk, openDisk(file, name_, disk.blockCount, top)));
  }
  return loaded;
}

export function deleteNamed(state: MachineState, name: string): void {
  const stored = rowName(name);
  if (sql(state.file, 'SELECT 1 FROM snapshot WHERE name = ?').get(stored) === undefined) {
    throw new MachineFileError('unknown-name', `There is no snapshot named ${name}.`);
  }
  dropRow(state, stored);
}

/** Forgets the running state, as a power-off does. */
export function dropRunning(state: MachineState): void {
  dropRow(state, RUNNING);
}

function dropRow(state: MachineState, stored: string): void {
  const writer = newChunkWriter(state.store, RAM_PAGES_PER_CHUNK, LEVEL);
  inTransaction(state.file, () => {
    removeRow(writer, stored);
    if (stored === RUNNING) deleteMeta(state.file, FRESH_KEY);
    tidyLayers(writer);
    finishChunks(writer);
  });
  settleChunks(writer);
  if (stored === RUNNING) state.isRunningFresh = false;
  // A layer may have taken in what was its parent's; what is not flushed yet stays.
  for (const disk of state.disks.values()) {
    const { dirty } = disk;
    Object.assign(disk, openDisk(state.file, disk.name, disk.blockCount, disk.top), { dirty });
  }
}
