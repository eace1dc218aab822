/**
 * Disks as copy-on-write layers. A layer says, for each block that it has, where the block's page is; what it
 * does not have is its parent's. Each disk writes into its top layer only; layers below never change.
 *
 * In memory a disk has two sets of regions (256 blocks each): `top`, the rows of its top layer, and `merged`,
 * what a reader sees through all layers. Both are brought up to date after a commit.
 */
import { sql } from './database.ts';
import type { MachineDatabase } from './database.ts';
import { damaged } from './errors.ts';
import { blobOf, integerOf, isNull } from './rows.ts';
import { REGION_BLOCKS, REGION_BYTES } from './schema.ts';

export interface Region {
  /** 0: not in this layer. `ZEROS`: zeros. */
  readonly chunks: Uint32Array;
  readonly slots: Uint8Array;
}

export type Regions = Map<number, Region>;

export function newRegion(): Region {
  return { chunks: new Uint32Array(REGION_BLOCKS), slots: new Uint8Array(REGION_BLOCKS) };
}

export function encodeRegion(region: Region): Uint8Array {
  const bytes = new Uint8Array(REGION_BYTES);
  const view = new DataView(bytes.buffer);
  region.chunks.forEach((chunk, at) => view.setUint32(4 * at, chunk, true));
  bytes.set(region.slots, 4 * REGION_BLOCKS);
  return bytes;
}

export function decodeRegion(bytes: Uint8Array): Region {
  if (bytes.length !== REGION_BYTES) throw damaged('a part of a disk map has a wrong size');
  const copy = new Uint8Array(bytes); // aligned; all hosts of Electron's are little-endian, as the file is
  return {
    chunks: new Uint32Array(copy.buffer, copy.byteOffset, REGION_BLOCKS),
    slots: copy.subarray(4 * REGION_BLOCKS),
  };
}

/** The layers of a disk from the top down. A parent is always older than its child, so there is no circle. */
export function layersFrom(file: MachineDatabase, top: number): number[] {
  const layers: number[] = [];
  for (let layer: number | undefined = top; layer !== undefined;) {
    const row = sql(file, 'SELECT parent FROM layer WHERE id = ?').get(layer);
    if (row === undefined) throw damaged(`layer ${layer} of a disk is missing`);
    layers.push(layer);
    const parent: number | undefined = isNull(row, 'parent') ? undefined : integerOf(row, 'parent');
    if (parent !== undefined && parent >= layer) throw damaged('the layers of a disk run in a circle');
    layer = parent;
  }
  return layers;
}

export function readLayer(file: MachineDatabase, layer: number): Regions {
  const regions: Regions = new Map();
  const rows = sql(file, 'SELECT region, entries FROM map WHERE layer = ? AND length(entries) = ?');
  for (const row of rows.iterate(layer, REGION_BYTES)) {
    regions.set(integerOf(row, 'region', 2 ** 26), decodeRegion(blobOf(row, 'entries', REGION_BYTES)));
  }
  return regions;
}

export function writeRegion(file: MachineDatabase, layer: number, number: number, region: Region): void {
  sql(file, 'INSERT OR REPLACE INTO map (layer, region, entries) VALUES (?, ?, ?)').run(
    layer,
    number,
    encodeRegion(region),
  );
}

/** Lays what `upper` has over `lower`, and changes `lower`. */
export function mergeInto(lower: Regions, upper: Regions): void {
  for (const [number, region] of upper) {
    const below = lower.get(number);
    if (below === undefined) {
      lower.set(number, { chunks: region.chunks.slice(), slots: region.slots.slice() });
      continue;
    }
    for (let at = 0; at < REGION_BLOCKS; at++) {
      const chunk = region.chunks[at] ?? 0;
      if (chunk === 0) continue;
      below.chunks[at] = chunk;
      below.slots[at] = region.slots[at] ?? 0;
    }
  }
}

export function newLayer(file: MachineDatabase, parent: number | null): number {
  const row = sql(file, 'SELECT coalesce(max(id), 0) + 1 AS next FROM layer').get();
  const layer = integerOf(row, 'next');
  sql(file, 'INSERT INTO layer (id, parent) VALUES (?, ?)').run(layer, parent);
  return layer;
}

/** How often each chunk is named in a layer. */
export function countChunks(regions: Regions, count: (chunk: number) => void): void {
  for (const region of regions.values()) for (const chunk of region.chunks) if (chunk !== 0) count(chunk);
}
