// The options that make a machine, shared by new, run and record, and the images and files behind them.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CPU_MODELS, buildImage, createMachineFile, openMachineFile, type CpuModel, type DiskProfile, type MachineConfig, type MachineFile,
} from '../../images/index.ts'; // prettier-ignore
import {
  optionOf,
  parseNumber,
  parseSize,
  UsageError,
  type Arguments,
  type OptionSpecs,
} from './arguments.ts';
import { say } from './command.ts';

export const machineOptions = {
  image: { value: 'NAME', about: 'the base image (default: base)' },
  cpus: { value: 'N', about: 'CPUs, 1 to 16 (default: 2)' },
  memory: { value: 'SIZE', about: 'RAM, 64M to 3G (default: 256M)' },
  swap: { value: 'SIZE', about: 'swap space (default: 128M; 0 for none)' },
  seed: { value: 'N', about: 'what chance starts from (default: 1)' },
  disk: { value: 'hdd|ssd|nvme', about: 'how fast the disk is (default: ssd)' },
  cpu: { value: 'v2|v3', about: 'the instruction set: x86-64-v2, or v3 with AVX2 (default: v2)' },
} as const satisfies OptionSpecs;

const DISKS: readonly DiskProfile[] = ['hdd', 'ssd', 'nvme'];

function diskOf(text: string): DiskProfile {
  const disk = DISKS.find((one) => one === text);
  if (disk === undefined) throw new UsageError(`--disk ${text}: write one of ${DISKS.join(', ')}.`);
  return disk;
}

function cpuModelOf(text: string): CpuModel {
  const model = CPU_MODELS.find((one) => one === text);
  if (model === undefined) throw new UsageError(`--cpu ${text}: write one of ${CPU_MODELS.join(', ')}.`);
  return model;
}

/** The configuration that the options describe. */
export function configOf(
  args: Arguments,
  name: string,
): Omit<MachineConfig, 'imageManifestHash' | 'createdAt'> {
  return {
    name,
    image: optionOf(args, 'image') ?? 'base',
    cpus: parseNumber(optionOf(args, 'cpus') ?? '2', 'cpus', 1, 16),
    memoryBytes: parseSize(optionOf(args, 'memory') ?? '256M', 'memory'),
    swapBytes: parseSize(optionOf(args, 'swap') ?? '128M', 'swap'),
    seed: parseNumber(optionOf(args, 'seed') ?? '1', 'seed', 0, 2 ** 32 - 1),
    disk: diskOf(optionOf(args, 'disk') ?? 'ssd'),
    cpuModel: cpuModelOf(optionOf(args, 'cpu') ?? 'v2'),
  };
}

/** Makes a machine file; builds its image first when that is missing, and says so. */
export async function makeMachine(path: string, config: ReturnType<typeof configOf>): Promise<MachineFile> {
  let lastStep = '';
  const image = await buildImage(config.image, {
    onProgress: ({ step, text }) => {
      if (step !== lastStep) say(text);
      lastStep = step;
    },
  });
  const createdAt = new Date().toISOString();
  return createMachineFile(path, {
    image: image.path,
    config: { ...config, imageManifestHash: image.manifestHash, createdAt },
  });
}

/** A machine for one command, and how to get rid of it; or the file that the user named. */
export async function machineFor(
  args: Arguments,
): Promise<{ file: MachineFile; isTemporary: boolean; discard: () => void }> {
  const [path, ...more] = args.words;
  if (more.length > 0)
    throw new UsageError(`There are too many words: ${more.join(' ')}. The command stands behind --.`);
  if (path !== undefined) {
    if (args.options.has('image')) throw new UsageError('Give a machine file or --image, not both.');
    return { file: openMachineFile(path), isTemporary: false, discard: () => undefined };
  }
  const folder = mkdtempSync(join(tmpdir(), 'ringside-'));
  const discard = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    return {
      file: await makeMachine(join(folder, 'temporary.ringside'), configOf(args, 'temporary')),
      isTemporary: true,
      discard,
    };
  } catch (error) {
    discard();
    throw error;
  }
}
