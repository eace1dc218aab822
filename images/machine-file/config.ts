/**
 * The configuration of a machine, and the other small values of the file. They are kept as JSON, and a value
 * that comes out of a file is checked before anyone uses it.
 */
import { sql } from './database.ts';
import type { MachineDatabase } from './database.ts';
import { damaged, MachineFileError } from './errors.ts';
import { blobOf } from './rows.ts';
import { MAX_META_BYTES, MAX_NAME_LENGTH, MAX_RAM_BYTES } from './schema.ts';

/** The CPU's instruction set: a level of the x86-64 psABI. */
export type CpuModel = 'v2' | 'v3';
export const CPU_MODELS: readonly CpuModel[] = ['v2', 'v3'];

export type DiskProfile = 'hdd' | 'ssd' | 'nvme';
const DISK_PROFILES: readonly DiskProfile[] = ['hdd', 'ssd', 'nvme'];

export interface MachineConfig {
  readonly name: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly swapBytes: number;
  readonly seed: number;
  readonly disk: DiskProfile;
  /** v2 where it is not given. */
  readonly cpuModel?: CpuModel;
  /** Name of the image that the machine was made from. */
  readonly image: string;
  /** Hash of that image's manifest, which says which packages it holds. */
  readonly imageManifestHash: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
}

export const LIMITS = {
  cpus: { min: 1, max: 16 },
  memoryBytes: { min: 64 * 1024 ** 2, max: MAX_RAM_BYTES },
  swapBytes: { min: 0, max: 64 * 1024 ** 3 },
  seed: { min: 0, max: 2 ** 32 - 1 },
} as const;

function isNumberIn(value: unknown, range: { min: number; max: number }): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= range.min && value <= range.max;
}

function isCpuModel(value: unknown): value is CpuModel {
  return CPU_MODELS.some((model) => model === value);
}

function isDiskProfile(value: unknown): value is DiskProfile {
  return DISK_PROFILES.some((profile) => profile === value);
}

/** What is wrong with a configuration, as a sentence, or the configuration. */
export function checkConfig(value: unknown): MachineConfig | string {
  if (typeof value !== 'object' || value === null) return 'The configuration is not a record.';
  const fields = new Map<string, unknown>(Object.entries(value));
  const text = (key: string) => {
    const found = fields.get(key);
    return typeof found === 'string' && found.length <= MAX_NAME_LENGTH ? found : undefined;
  };
  const [cpus, memoryBytes, swapBytes] = [
    fields.get('cpus'),
    fields.get('memoryBytes'),
    fields.get('swapBytes'),
  ];
  const [seed, disk] = [fields.get('seed'), fields.get('disk')];
  const [name, image] = [text('name'), text('image')];
  const [imageManifestHash, createdAt] = [text('imageManifestHash'), text('createdAt')];
  if (name === undefined || name === '') return 'The machine needs a name of at most 200 characters.';
  if (!isNumberIn(cpus, LIMITS.cpus)) return 'A machine has 1 to 16 CPUs.';
  if (!isNumberIn(memoryBytes, LIMITS.memoryBytes) || memoryBytes % (1024 * 1024) !== 0) {
    return 'The memory of a machine is 64 MiB to 3 GiB, in whole MiB.';
  }
  if (
    !isNumberIn(swapBytes, LIMITS.swapBytes) ||
    swapBytes % 4096 !== 0 ||
    (swapBytes > 0 && swapBytes < 1024 ** 2)
  ) {
    return 'The swap space of a machine is 0, or 1 MiB to 64 GiB.';
  }
  if (!isNumberIn(seed, LIMITS.seed)) return 'The seed is a whole number from 0 to 4294967295.';
  if (!isDiskProfile(disk)) return 'The disk is one of hdd, ssd and nvme.';
  const cpuModel = fields.get('cpuModel') ?? 'v2';
  if (!isCpuModel(cpuModel)) return 'The CPU is one of v2 and v3.';
  if (image === undefined || imageManifestHash === undefined || createdAt === undefined) {
    return 'The configuration does not say which image the machine was made from.';
  }
  const config = { name, cpus, memoryBytes, swapBytes, seed, disk, image, imageManifestHash, createdAt };
  return cpuModel === 'v2' ? config : { ...config, cpuModel };
}

export function readMeta(file: MachineDatabase, key: string): Uint8Array | undefined {
  const row = sql(file, 'SELECT value FROM meta WHERE key = ?').get(key);
  return row === undefined ? undefined : blobOf(row, 'value', MAX_META_BYTES);
}

export function writeMeta(file: MachineDatabase, key: string, value: Uint8Array): void {
  sql(file, 'INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)').run(key, value);
}

export function deleteMeta(file: MachineDatabase, key: string): void {
  sql(file, 'DELETE FROM meta WHERE key = ?').run(key);
}

export function readMetaJson(file: MachineDatabase, key: string): unknown {
  const bytes = readMeta(file, key);
  return bytes === undefined ? undefined : parseJson(new TextDecoder().decode(bytes), key);
}

export function writeMetaJson(file: MachineDatabase, key: string, value: unknown): void {
  writeMeta(file, key, Buffer.from(JSON.stringify(value)));
}

export function parseJson(text: string, what: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    throw damaged(`${what} is not JSON`);
  }
}

export function readConfigFrom(file: MachineDatabase): MachineConfig {
  const config = checkConfig(readMetaJson(file, 'config'));
  if (typeof config === 'string') throw damaged(`its configuration is not usable (${config})`);
  return config;
}

export function validConfig(value: unknown): MachineConfig {
  const config = checkConfig(value);
  if (typeof config === 'string') throw new MachineFileError('invalid', config);
  return config;
}
