/** What an open machine file keeps in memory; the functions of the neighbouring files work on it. */
import type { ChunkStore } from './chunks.ts';
import { addUses } from './chunks.ts';
import { sql } from './database.ts';
import type { MachineDatabase } from './database.ts';
import { damaged } from './errors.ts';
import type { DiskState } from './disk.ts';
import { countChunks, layersFrom, mergeInto, readLayer } from './layers.ts';
import type { Regions } from './layers.ts';
import type { LastRam } from './ram.ts';
import { blobOf, integerOf, textOf } from './rows.ts';
import { MAX_DISK_BLOCKS, ZEROS } from './schema.ts';

export interface MachineState {
  readonly file: MachineDatabase;
  readonly store: ChunkStore;
  readonly disks: Map<string, DiskState>;
  /** The RAM of the last save or load, to find what has changed since. */
  lastRam: LastRam | undefined;
  /** Whether the state that the machine was closed in may still be resumed. */
  isRunningFresh: boolean;
  /** Log entries that wait for the next transaction. */
  pendingInputs: Uint8Array[];
}

const MAX_DISKS = 16;
const MAX_CHUNK_LIST_BYTES = 16 * 1024 ** 2;

export function openDisks(file: MachineDatabase): Map<string, DiskState> {
  const disks = new Map<string, DiskState>();
  for (const row of sql(file, 'SELECT name, blocks, top FROM disk ORDER BY name').all()) {
    const disk = openDisk(
      file,
      textOf(row, 'name'),
      integerOf(row, 'blocks', MAX_DISK_BLOCKS),
      integerOf(row, 'top'),
    );
    disks.set(disk.name, disk);
    if (disks.size > MAX_DISKS) throw damaged('it has too many disks');
  }
  return disks;
}

export function openDisk(file: MachineDatabase, name: string, blockCount: number, top: number): DiskState {
  const [, ...below] = layersFrom(file, top);
  const topRegions = readLayer(file, top);
  const merged: Regions = new Map();
  for (const layer of below.toReversed()) mergeInto(merged, readLayer(file, layer));
  mergeInto(merged, topRegions);
  return { name, blockCount, top, topRegions, merged, dirty: new Map() };
}

export function chunkListOf(row: unknown): Uint32Array {
  const bytes = blobOf(row, 'chunks', MAX_CHUNK_LIST_BYTES);
  return new Uint32Array(bytes.slice().buffer, 0, bytes.length >> 2);
}

/** Counts what all layers and snapshots use; done once, when the file is opened. */
export function countUses(file: MachineDatabase, store: ChunkStore): void {
  const count = (chunk: number) => {
    if (chunk !== ZEROS && chunk !== 0) addUses(store, chunk, 1);
  };
  for (const row of sql(file, 'SELECT id FROM layer').all())
    countChunks(readLayer(file, integerOf(row, 'id')), count);
  for (const row of sql(file, 'SELECT chunks FROM snapshot').iterate()) chunkListOf(row).forEach(count);
}
