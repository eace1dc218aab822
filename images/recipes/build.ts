/**
 * Builds an image as its recipe says: fetches the packages, unpacks them, puts the files together, makes the
 * file system and stores it as an image file in the cache, `NAME-HASH.ringside-image`. The hash is that of the
 * manifest, which names every package with its version and hash: the same manifest is the same image, bit for bit.
 */
import { createHash } from 'node:crypto';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createImageFile } from '../machine-file/image.ts';
import type { Entry } from '../mkfs/entries.ts';
import { makeExt4 } from '../mkfs/ext4.ts';
import { BLOCK_SIZE } from '../mkfs/layout.ts';
import { assemble } from './assemble.ts';
import { cacheFolder, ensureFolder, recipeHash, writeCurrent } from './cache.ts';
import type { BuiltImage } from './cache.ts';
import { unpackDeb } from './deb.ts';
import { fetchPackages } from './packages.ts';
import type { Package } from './packages.ts';
import type { BuildOptions, PackageRecord, Progress, Recipe } from './recipe.ts';

export interface Manifest {
  readonly image: string;
  readonly suite: string;
  readonly recipeHash: string;
  readonly packages: readonly Pick<PackageRecord, 'name' | 'version' | 'sha256'>[];
}

function manifestOf(recipe: Recipe, packages: readonly Package[]): Manifest {
  return {
    image: recipe.name,
    suite: recipe.suite,
    recipeHash: recipeHash(recipe),
    packages: packages.map(({ record: { name, version, sha256 } }) => ({ name, version, sha256 })),
  };
}

export function manifestHash(manifest: Manifest): string {
  return createHash('sha256').update(JSON.stringify(manifest)).digest('hex');
}

/** 16 bytes that look random and depend on nothing but the image. */
function idOf(hash: string, purpose: string): Uint8Array {
  const id = Uint8Array.from(createHash('sha256').update(`${purpose} ${hash}`).digest().subarray(0, 16));
  id[6] = ((id[6] ?? 0) & 0x0f) | 0x40; // as a random UUID is marked, RFC 4122
  id[8] = ((id[8] ?? 0) & 0x3f) | 0x80;
  return id;
}

export interface Disk {
  readonly blockCount: number;
  readonly blocks: ReadonlyMap<number, Uint8Array>;
}

/** The file system of an image, as blocks. */
export function makeDisk(recipe: Recipe, entries: readonly Entry[], hash: string): Disk {
  const blocks = new Map<number, Uint8Array>();
  const { blockCount } = makeExt4(
    entries,
    {
      sizeBytes: recipe.diskBytes,
      label: recipe.label,
      uuid: idOf(hash, 'uuid'),
      hashSeed: idOf(hash, 'hash seed'),
      timeSeconds: recipe.timeSeconds,
    },
    (first, bytes) => {
      for (let at = 0; at < bytes.length; at += BLOCK_SIZE) {
        blocks.set(first + at / BLOCK_SIZE, Uint8Array.from(bytes.subarray(at, at + BLOCK_SIZE)));
      }
    },
  );
  return { blockCount, blocks };
}

export async function buildRecipe(recipe: Recipe, options: BuildOptions): Promise<BuiltImage> {
  const cacheDir = cacheFolder(options.cacheDir);
  ensureFolder(cacheDir);
  const report = (progress: Progress) => {
    options.signal?.throwIfAborted();
    options.onProgress?.(progress);
  };

  const packages = await fetchPackages(recipe, cacheDir, options);
  const manifest = manifestOf(recipe, packages);
  const hash = manifestHash(manifest);
  const name = `${recipe.name}-${hash.slice(0, 16)}.ringside-image`;
  const path = join(cacheDir, name);
  const built = { name: recipe.name, path, manifestHash: hash };
  if (existsSync(path)) {
    writeCurrent(cacheDir, recipe, name, hash);
    return built;
  }

  const unpacked: Entry[][] = [];
  for (const { record, archive } of packages) {
    report({
      step: 'unpack',
      done: unpacked.length,
      total: packages.length,
      text: `Unpacking ${record.name}`,
    });
    unpacked.push(await unpackDeb(archive));
  }
  report({ step: 'assemble', done: 0, total: 1, text: 'Putting the files together' });
  await nextTurn();
  const entries = assemble(recipe, unpacked);
  report({ step: 'disk', done: 0, total: 1, text: `Making the file system of ${entries.length} files` });
  await nextTurn();
  const disk = makeDisk(recipe, entries, hash);

  const part = `${path}.${process.pid}.part`;
  try {
    const save = { step: 'save', text: 'Storing the disk' } as const;
    report({ ...save, done: 0, total: disk.blocks.size });
    await nextTurn();
    const steps = createImageFile(part, manifest, [{ name: 'vda', ...disk }]);
    for (const done of steps) {
      report({ ...save, done, total: disk.blocks.size });
      await nextTurn(); // a window stays alive and may cancel
    }
    renameSync(part, path);
  } finally {
    rmSync(part, { force: true });
  }
  writeCurrent(cacheDir, recipe, name, hash);
  return built;
}
