// The files of the bench image on the host, so that all contenders run the very same programs: read out of a booted machine,
// once for each image, with the links as they are.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { buildImage, createMachineFile } from '../../images/index.ts';
import type { FileInfo } from '../protocol/reports.ts';
import { listDirectory, readGuestFile, statFile } from '../worker/guest-files.ts';
import { closeMachine, openMachine, startMachine, untilBooted, type OpenMachine } from '../worker/machine.ts';
import { BUILD_FOLDER } from './build.ts';

const LIBRARIES = '/usr/lib/x86_64-linux-gnu';
/** With all that is below them. */
const TREES = [`${LIBRARIES}/tcc`, '/usr/lib/gcc/x86_64-linux-gnu/12/include'];
const FILES = [
  '/lib',
  '/lib64',
  '/usr/lib64/ld-linux-x86-64.so.2',
  '/etc/ld.so.cache',
  '/usr/bin/busybox',
  '/usr/bin/gzip',
  '/usr/bin/sqlite3',
  '/usr/bin/tcc',
  '/usr/lib/gcc/x86_64-linux-gnu/12/cc1',
];

async function take(machine: OpenMachine, root: string, path: string, file: FileInfo): Promise<void> {
  const host = join(root, path);
  if (file.kind === 'directory') {
    mkdirSync(host, { recursive: true });
    for (const entry of await listDirectory(machine, path))
      await take(machine, root, `${path}/${entry.name}`, entry);
    return;
  }
  mkdirSync(dirname(host), { recursive: true });
  if (file.target !== null) {
    // An absolute link would lead to the host's own files.
    const target = file.target.startsWith('/') ? relative(dirname(path), file.target) : file.target;
    symlinkSync(target, host);
  } else writeFileSync(host, await readGuestFile(machine, path), { mode: file.mode & 0o777 });
}

async function copyOut(machine: OpenMachine, root: string): Promise<void> {
  const libraries = (await listDirectory(machine, LIBRARIES)).filter(
    ({ name, kind }) => kind !== 'directory' && /\.so(\.|$)/.test(name),
  );
  for (const file of libraries) await take(machine, root, `${LIBRARIES}/${file.name}`, file);
  for (const path of [...TREES, ...FILES]) await take(machine, root, path, await statFile(machine, path));
}

/** The folder that stands for the guest's `/`. */
export async function guestRoot(): Promise<string> {
  const image = await buildImage('bench', {
    onProgress: ({ text }) => process.stderr.write(`ringside: ${text}\n`),
  });
  const root = join(BUILD_FOLDER, `root-${image.manifestHash.slice(0, 16)}`);
  if (existsSync(root)) return root;
  const folder = mkdtempSync(join(tmpdir(), 'ringside-bench-'));
  const part = `${root}.${process.pid}.part`;
  try {
    const config = {
      name: 'bench', image: 'bench', cpus: 1, memoryBytes: 512 * 2 ** 20, swapBytes: 0, seed: 1, disk: 'nvme' as const,
      imageManifestHash: image.manifestHash, createdAt: new Date().toISOString(),
    }; // prettier-ignore
    const file = createMachineFile(join(folder, 'root.ringside'), { image: image.path, config });
    const machine = openMachine(file, { pace: 'fast' });
    try {
      startMachine(machine);
      await untilBooted(machine);
      await copyOut(machine, part);
    } finally {
      closeMachine(machine, false);
    }
    renameSync(part, root);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmSync(part, { recursive: true, force: true });
  }
  return root;
}
