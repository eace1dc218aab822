/**
 * Packages through the host's apt, on a Debian host of the recipe's release: `apt-cache show` names the
 * candidates and their hashes, `apt-get download` fetches them. Nothing is installed. Where the package
 * lists are missing they are fetched first: into the system's place as root, into our cache otherwise.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { packageRecordOf, paragraphs } from './control.ts';
import { runHost } from './process.ts';
import type { PackageRecord } from './recipe.ts';

export interface Apt {
  readonly options: readonly string[];
  readonly signal: AbortSignal | undefined;
}

const isRoot = () => process.getuid?.() === 0;

/** Whether this host's apt serves amd64 packages of `suite`. */
export async function findApt(suite: string, signal?: AbortSignal): Promise<Apt | undefined> {
  const architecture = await runHost('dpkg', ['--print-architecture'], { signal });
  if (architecture.status !== 0 || architecture.output.trim() !== 'amd64') return undefined;
  const version = await runHost('apt-get', ['--version'], { signal });
  if (version.status !== 0) return undefined;
  try {
    if (!readFileSync('/etc/os-release', 'utf8').split('\n').includes(`VERSION_CODENAME=${suite}`))
      return undefined;
  } catch {
    return undefined;
  }
  // apt drops to the user _apt, who may not write into a cache below root's home.
  return { options: isRoot() ? ['-o', 'APT::Sandbox::User=root'] : [], signal };
}

async function show(apt: Apt, names: readonly string[]): Promise<Map<string, PackageRecord>> {
  const shown = await runHost('apt-cache', [...apt.options, 'show', '--no-all-versions', ...names], apt);
  const records = new Map<string, PackageRecord>();
  for (const paragraph of paragraphs(shown.output)) {
    const record = packageRecordOf(paragraph);
    if (record !== undefined && !records.has(record.name)) records.set(record.name, record);
  }
  return records;
}

async function update(apt: Apt, cacheDir: string): Promise<Apt> {
  let updated = apt;
  if (!isRoot()) {
    const lists = join(cacheDir, 'apt', 'lists');
    const archives = join(cacheDir, 'apt', 'cache');
    mkdirSync(join(lists, 'partial'), { recursive: true });
    mkdirSync(join(archives, 'archives', 'partial'), { recursive: true });
    updated = { ...apt, options: ['-o', `Dir::State::lists=${lists}`, '-o', `Dir::Cache=${archives}`] };
  }
  const run = await runHost('apt-get', [...updated.options, '-q', 'update'], updated);
  if (run.status !== 0) {
    throw new Error(
      `Cannot reach the Debian archive to update the package lists; run: sudo apt-get update\n${run.errors.trim()}`,
    );
  }
  return updated;
}

/** The candidates of all `names`, in their order. May fetch the package lists. */
export async function resolveWithApt(
  apt: Apt,
  names: readonly string[],
  cacheDir: string,
  forceUpdate: boolean,
): Promise<{ apt: Apt; records: PackageRecord[] }> {
  let current = forceUpdate ? await update(apt, cacheDir) : apt;
  let records = await show(current, names);
  if (names.some((name) => !records.has(name)) && !forceUpdate) {
    current = await update(apt, cacheDir);
    records = await show(current, names);
  }
  const missing = names.filter((name) => !records.has(name));
  if (missing.length > 0) {
    throw new Error(
      `apt does not know the packages ${missing.join(' ')} (does /etc/apt/sources.list name the release's main section?); run: sudo apt-get update`,
    );
  }
  return { apt: current, records: names.flatMap((name) => records.get(name) ?? []) };
}

/** Downloads packages, by name; those whose version the archive no longer has are left out. */
export async function downloadWithApt(
  apt: Apt,
  records: readonly PackageRecord[],
  cacheDir: string,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const folder = mkdtempSync(join(cacheDir, 'download-'));
  try {
    const wanted = records.map((record) => `${record.name}=${record.version}`);
    const run = await runHost('apt-get', [...apt.options, '-q', 'download', ...wanted], {
      cwd: folder,
      signal: apt.signal,
    });
    if (run.status !== 0 && !/404|not found/i.test(run.errors)) {
      throw new Error(
        `Cannot reach the Debian archive; run: sudo apt-get update && apt-get download ${wanted.join(' ')}\n${run.errors.trim()}`,
      );
    }
    const files = readdirSync(folder);
    const archives = new Map<string, Uint8Array>();
    for (const record of records) {
      const file = files.find((name) => name.startsWith(`${record.name}_`) && name.endsWith('.deb'));
      if (file !== undefined) archives.set(record.name, readFileSync(join(folder, file)));
    }
    return archives;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
