/**
 * Packages from a mirror of the Debian archive, for hosts whose apt cannot serve: the environment variable
 * RINGSIDE_DEBIAN_MIRROR holds its address (http, https) or a folder, the part before `dists/` and `pool/`.
 * Each package is checked against the SHA-256 of the mirror's package index; the index itself is trusted.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { packageRecordOf, paragraphs } from './control.ts';
import { unxz } from './deb.ts';
import type { PackageRecord } from './recipe.ts';

async function fetchFrom(mirror: string, path: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const address = `${mirror.replace(/\/+$/, '')}/${path}`;
  try {
    if (address.startsWith('file:')) return readFileSync(fileURLToPath(address));
    if (address.startsWith('/')) return readFileSync(address);
    const response = await fetch(address, signal === undefined ? {} : { signal });
    if (!response.ok) throw new Error(`the server answers ${response.status} ${response.statusText}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    if (signal?.aborted === true) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `Cannot reach ${address}: ${reason}. Check the environment variable RINGSIDE_DEBIAN_MIRROR.`,
    );
  }
}

export async function resolveWithMirror(
  mirror: string,
  suite: string,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<PackageRecord[]> {
  const index = await unxz(await fetchFrom(mirror, `dists/${suite}/main/binary-amd64/Packages.xz`, signal));
  const wanted = new Set(names);
  const records = new Map<string, PackageRecord>();
  for (const paragraph of paragraphs(Buffer.from(index).toString('utf8'))) {
    const record = packageRecordOf(paragraph);
    if (record !== undefined && wanted.has(record.name)) records.set(record.name, record);
  }
  return names.map((name) => {
    const record = records.get(name);
    if (record === undefined)
      throw new Error(`The mirror ${mirror} does not list the package ${name} in ${suite}/main.`);
    return record;
  });
}

export function downloadFromMirror(
  mirror: string,
  record: PackageRecord,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  return fetchFrom(mirror, record.filename, signal);
}
