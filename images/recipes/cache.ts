/**
 * Where built images and fetched packages are kept, and which of the images is current. An image is current
 * while the recipe and our own files in it are what it was built from; otherwise it is built again.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ownFiles } from './assemble.ts';
import type { Recipe } from './recipe.ts';

/** Counts the changes of how a recipe becomes an image, so that older images are built again. */
const BUILDER_VERSION = 1;

export function cacheFolder(chosen?: string): string {
  return chosen ?? process.env['RINGSIDE_CACHE'] ?? join(homedir(), '.cache', 'ringside');
}

export function ensureFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `Cannot make the cache folder ${path} (${reason}). Set RINGSIDE_CACHE to a folder that you may write to.`,
    );
  }
}

/** A hash over all that a recipe says and adds, without the packages. */
export function recipeHash(recipe: Recipe): string {
  // Where our files lie on this host does not matter, only what is in them; nor how the lab presents the image.
  const declared: Recipe = { ...recipe, filesFolder: '', copies: {}, programs: [], description: '' };
  const hash = createHash('sha256').update(JSON.stringify([BUILDER_VERSION, declared]));
  for (const { guest, content } of ownFiles(recipe))
    hash.update(`\0${guest}\0${content.length}\0`).update(content);
  return hash.digest('hex');
}

interface Current {
  readonly file: string;
  readonly recipeHash: string;
  readonly manifestHash: string;
}

const currentPath = (cacheDir: string, name: string) => join(cacheDir, `${name}.current.json`);

function readCurrent(cacheDir: string, name: string): Current | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(currentPath(cacheDir, name), 'utf8'));
    if (typeof value !== 'object' || value === null) return undefined;
    const fields = new Map<string, unknown>(Object.entries(value));
    const [file, recipe, manifest] = [
      fields.get('file'),
      fields.get('recipeHash'),
      fields.get('manifestHash'),
    ];
    if (typeof file !== 'string' || typeof recipe !== 'string' || typeof manifest !== 'string')
      return undefined;
    return file.includes('/') || file.includes('\\')
      ? undefined
      : { file, recipeHash: recipe, manifestHash: manifest };
  } catch {
    return undefined;
  }
}

export interface BuiltImage {
  readonly name: string;
  readonly path: string;
  readonly manifestHash: string;
}

/** The image built from the recipe as it is now, if there is one. */
export function findBuilt(recipe: Recipe, cacheDir: string): BuiltImage | undefined {
  const current = readCurrent(cacheDir, recipe.name);
  if (current === undefined || current.recipeHash !== recipeHash(recipe)) return undefined;
  const path = join(cacheDir, current.file);
  return existsSync(path) ? { name: recipe.name, path, manifestHash: current.manifestHash } : undefined;
}

export function writeCurrent(cacheDir: string, recipe: Recipe, file: string, manifestHash: string): void {
  const path = currentPath(cacheDir, recipe.name);
  const current: Current = { file, recipeHash: recipeHash(recipe), manifestHash };
  writeFileSync(`${path}.part`, `${JSON.stringify(current, null, 2)}\n`);
  renameSync(`${path}.part`, path);
}
