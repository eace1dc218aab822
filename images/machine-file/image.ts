/**
 * Images: files of the machine-file format that hold disks and a manifest, but no machine. A machine begins
 * as a copy of one. The same disk and manifest give the same file, bit for bit (with the same SQLite and zstd).
 */
import { insertChunk } from './chunks.ts';
import { readMetaJson, writeMetaJson } from './config.ts';
import { sql } from './database.ts';
import { newLayer, newRegion, writeRegion } from './layers.ts';
import type { Regions } from './layers.ts';
import { createDatabase, openDatabase } from './open.ts';
import { PAGE, REGION_BLOCKS } from './schema.ts';

export interface ImageDisk {
  readonly name: string;
  readonly blockCount: number;
  /** Whole blocks by number; what is not in here is zeros. */
  readonly blocks: ReadonlyMap<number, Uint8Array>;
}

const PAGES_PER_CHUNK = 16;
/** Read at every boot, written once; more than this packs little better. */
const LEVEL = 12;
const BLOCKS_PER_REPORT = 1024;

/** Yields from time to time how many blocks are stored, so that the caller can show it or give up. */
export function* createImageFile(
  path: string,
  manifest: unknown,
  disks: readonly ImageDisk[],
): Generator<number, void> {
  const file = createDatabase(path);
  try {
    file.db.exec('BEGIN');
    writeMetaJson(file, 'kind', 'image');
    writeMetaJson(file, 'manifest', manifest);
    const pack = {
      chunk: 1,
      count: 0,
      pages: new Uint8Array(PAGES_PER_CHUNK * PAGE),
      hashes: new Uint32Array(),
    };
    const close = () => {
      if (pack.count === 0) return;
      insertChunk(file, pack, LEVEL, false);
      pack.chunk++;
      pack.count = 0;
    };
    let done = 0;
    for (const disk of disks) {
      const layer = newLayer(file, null);
      const regions: Regions = new Map();
      for (const [block, page] of [...disk.blocks].sort(([a], [b]) => a - b)) {
        if (done++ % BLOCKS_PER_REPORT === 0) yield done;
        if (page.every((byte) => byte === 0)) continue;
        const number = Math.floor(block / REGION_BLOCKS);
        const region = regions.get(number) ?? newRegion();
        regions.set(number, region);
        region.chunks[block % REGION_BLOCKS] = pack.chunk;
        region.slots[block % REGION_BLOCKS] = pack.count;
        pack.pages.set(page, pack.count * PAGE);
        if (++pack.count === PAGES_PER_CHUNK) close();
      }
      close();
      for (const [number, region] of regions) writeRegion(file, layer, number, region);
      sql(file, 'INSERT INTO disk (name, blocks, top) VALUES (?, ?, ?)').run(
        disk.name,
        disk.blockCount,
        layer,
      );
    }
    file.db.exec('COMMIT');
  } finally {
    file.db.close();
  }
}

/** Makes an image file in one go. */
export function createWholeImage(path: string, manifest: unknown, disks: readonly ImageDisk[]): void {
  const steps = createImageFile(path, manifest, disks);
  while (steps.next().done !== true) continue;
}

/** The manifest of an image or of a machine's image; checks the file as opening does. */
export function readManifest(path: string): unknown {
  const file = openDatabase(path, true);
  try {
    return readMetaJson(file, 'manifest');
  } finally {
    file.db.close();
  }
}
