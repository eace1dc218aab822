/**
 * The door of images/: base images that are built from Debian packages, and machine files made from them.
 * An image is built once and kept in the cache folder (RINGSIDE_CACHE, or .cache/ringside in the home folder).
 */
import { readManifest } from './machine-file/image.ts';
import { buildRecipe } from './recipes/build.ts';
import { cacheFolder, findBuilt } from './recipes/cache.ts';
import type { BuiltImage } from './recipes/cache.ts';
import { base } from './recipes/base/recipe.ts';
import { bench } from './recipes/bench/recipe.ts';
import type { BuildOptions, GuestProgram, Recipe } from './recipes/recipe.ts';

export * from './machine-file/index.ts';
export type { BuiltImage } from './recipes/cache.ts';
export type { BuildOptions, GuestProgram, Progress } from './recipes/recipe.ts';

const RECIPES: readonly Recipe[] = [base, bench];

export interface ImageInfo {
  readonly name: string;
  readonly description: string;
  readonly diskBytes: number;
  readonly packages: readonly string[];
  /** What a newcomer may open first. */
  readonly programs: readonly GuestProgram[];
  /** Undefined until it is built. */
  readonly built: BuiltImage | undefined;
}

function recipeNamed(name: string): Recipe {
  const recipe = RECIPES.find((candidate) => candidate.name === name);
  if (recipe === undefined) {
    const names = RECIPES.map((candidate) => candidate.name).join(', ');
    throw new Error(`There is no image named ${name}. The images are: ${names}.`);
  }
  return recipe;
}

export function listImages(cacheDir?: string): ImageInfo[] {
  return RECIPES.map((recipe) => ({
    name: recipe.name,
    description: recipe.description,
    diskBytes: recipe.diskBytes,
    packages: recipe.packages,
    programs: recipe.programs,
    built: findBuilt(recipe, cacheFolder(cacheDir)),
  }));
}

/** The built image of that name, if it is there and its recipe has not changed since. */
export function findImage(name: string, cacheDir?: string): BuiltImage | undefined {
  return findBuilt(recipeNamed(name), cacheFolder(cacheDir));
}

/** Path of the built image; an error that says how to build it, where it is missing. */
export function imagePath(name: string, cacheDir?: string): string {
  const built = findImage(name, cacheDir);
  if (built === undefined) {
    throw new Error(`The image ${name} is not built yet; run: npm run -s ringside -- images build ${name}`);
  }
  return built.path;
}

/** Builds an image, or gives at once the one that is there. */
export async function buildImage(name: string, options: BuildOptions = {}): Promise<BuiltImage> {
  return findImage(name, options.cacheDir) ?? buildRecipe(recipeNamed(name), options);
}

/** Which packages, of which versions and hashes, an image holds. */
export function imageManifest(path: string): unknown {
  return readManifest(path);
}
