/** What the tests of this folder share: a small image in a temporary folder, and pages that tell where they are from. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createWholeImage } from './image.ts';
import type { MachineConfig } from './index.ts';

export const config: MachineConfig = {
  name: 'test',
  cpus: 2,
  memoryBytes: 64 * 1024 ** 2,
  swapBytes: 4 * 1024 ** 2,
  seed: 7,
  disk: 'ssd',
  image: 'test',
  imageManifestHash: 'none',
  createdAt: '2020-01-01T00:00:00Z',
};

/** A page that differs from every other page by its first words. */
export function page(tag: number, generation = 0): Uint8Array {
  const bytes = new Uint8Array(4096);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < 4096; at += 64) {
    view.setUint32(at, tag);
    view.setUint32(at + 4, generation);
  }
  return bytes;
}

export const IMAGE_BLOCKS = 2048;

export function inFolder<T>(use: (folder: string, image: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'ringside-test-'));
  try {
    const image = join(folder, 'test.ringside-image');
    const blocks = new Map(Array.from({ length: 300 }, (_, index) => [index * 3, page(index * 3)]));
    createWholeImage(image, { packages: [] }, [{ name: 'vda', blockCount: IMAGE_BLOCKS, blocks }]);
    return use(folder, image);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
