/**
 * Finds, fetches and checks the packages of a recipe. A fetched package stays in the cache under its hash,
 * so that it is fetched once; what comes out of here always has the hash that the archive lists.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { downloadWithApt, findApt, resolveWithApt } from './apt.ts';
import { downloadFromMirror, resolveWithMirror } from './mirror.ts';
import type { BuildOptions, PackageRecord, Recipe } from './recipe.ts';

export interface Package {
  readonly record: PackageRecord;
  readonly archive: Uint8Array;
}

const MIRROR_VARIABLE = 'RINGSIDE_DEBIAN_MIRROR';

export async function fetchPackages(
  recipe: Recipe,
  cacheDir: string,
  options: BuildOptions,
): Promise<Package[]> {
  const { signal } = options;
  mkdirSync(join(cacheDir, 'packages'), { recursive: true });
  const mirror = process.env[MIRROR_VARIABLE];
  if (mirror !== undefined && mirror !== '') {
    report(options, 0, recipe.packages.length, `Reading the package list of ${mirror}`);
    const records = await resolveWithMirror(mirror, recipe.suite, recipe.packages, signal);
    const found = await fetchAll(records, cacheDir, options, async (missing) => {
      const fetched = new Map<string, Uint8Array>();
      for (const record of missing) {
        report(
          options,
          records.length - missing.length + fetched.size,
          records.length,
          `Fetching ${record.name}`,
        );
        fetched.set(record.name, await downloadFromMirror(mirror, record, signal));
      }
      return fetched;
    });
    if (found !== undefined) return found;
    throw new Error(`The mirror ${mirror} does not have the packages that its list names.`);
  }
  const apt = await findApt(recipe.suite, signal);
  if (apt === undefined) {
    throw new Error(
      `The image ${recipe.name} is made of Debian packages (${recipe.suite}, amd64), and this host's apt does not have them. ` +
        `Set ${MIRROR_VARIABLE} to the address of a Debian mirror and try again.`,
    );
  }
  for (const freshLists of [false, true]) {
    report(options, 0, recipe.packages.length, 'Asking apt for the packages');
    const resolved = await resolveWithApt(apt, recipe.packages, cacheDir, freshLists);
    const { records } = resolved;
    const found = await fetchAll(records, cacheDir, options, (missing) => {
      const names = missing.map((record) => record.name).join(' ');
      report(options, records.length - missing.length, records.length, `Fetching ${names}`);
      return downloadWithApt(resolved.apt, missing, cacheDir);
    });
    if (found !== undefined) return found;
  }
  throw new Error(
    'The Debian archive does not have the package versions that its lists name; run: sudo apt-get update',
  );
}

function report(options: BuildOptions, done: number, total: number, text: string): void {
  options.signal?.throwIfAborted();
  options.onProgress?.({ step: 'packages', done, total, text });
}

/** Takes from the cache what is there and downloads the rest; undefined when the archive no longer has a package. */
async function fetchAll(
  records: readonly PackageRecord[],
  cacheDir: string,
  options: BuildOptions,
  download: (missing: readonly PackageRecord[]) => Promise<ReadonlyMap<string, Uint8Array>>,
): Promise<Package[] | undefined> {
  const pathOf = (record: PackageRecord) =>
    join(cacheDir, 'packages', `${record.name}-${record.sha256.slice(0, 16)}.deb`);
  const archives = new Map<string, Uint8Array>();
  for (const record of records) {
    const cached = readIfIntact(pathOf(record), record);
    if (cached !== undefined) archives.set(record.name, cached);
  }
  const missing = records.filter((record) => !archives.has(record.name));
  if (missing.length > 0) {
    const downloaded = await download(missing);
    for (const record of missing) {
      const archive = downloaded.get(record.name);
      if (archive === undefined) return undefined;
      if (!isIntact(archive, record)) {
        throw new Error(
          `The package ${record.name} ${record.version} does not have the hash that the archive lists for it.`,
        );
      }
      const path = pathOf(record);
      writeFileSync(`${path}.part`, archive);
      renameSync(`${path}.part`, path);
      archives.set(record.name, archive);
    }
  }
  report(options, records.length, records.length, 'All packages are here');
  return records.flatMap((record) => {
    const archive = archives.get(record.name);
    return archive === undefined ? [] : [{ record, archive }];
  });
}

function isIntact(archive: Uint8Array, record: PackageRecord): boolean {
  return (
    archive.length === record.sizeBytes &&
    createHash('sha256').update(archive).digest('hex') === record.sha256
  );
}

function readIfIntact(path: string, record: PackageRecord): Uint8Array | undefined {
  try {
    const archive = readFileSync(path);
    return isIntact(archive, record) ? archive : undefined;
  } catch {
    return undefined;
  }
}
