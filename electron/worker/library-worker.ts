// The thread that answers for the library and the images: machine files in one folder, each named by its file name.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { workerData } from 'node:worker_threads';
import {
  buildImage, createMachineFile, findImage, listImages, openMachineFile, type BuiltImage, type MachineFile,
} from '../../images/index.ts'; // prettier-ignore
import { ProtocolError } from '../protocol/codec.ts';
import type { AnswerOf, AskOf } from '../protocol/requests.ts';
import type { Image, LibraryMachine, MachineSettings } from '../protocol/reports.ts';
import { serveThread, type Thread, type ThreadContext } from './serve.ts';

const { libraryFolder } = workerData as { libraryFolder: string };
const SUFFIX = '.ringside';

/** The path of a machine that exists; ids are plain file names, so that none leads out of the folder. */
function fileOf(machine: string): string {
  const path = join(libraryFolder, machine);
  const isPlain = machine.endsWith(SUFFIX) && basename(machine) === machine && !machine.startsWith('.');
  if (!isPlain || !existsSync(path)) {
    throw new ProtocolError(
      'not-found',
      `There is no machine "${machine}" in the library.`,
      `The library is ${libraryFolder}.`,
    );
  }
  return path;
}

/** A free file name for a machine's name. */
function freeFile(name: string): { machine: string; path: string } {
  mkdirSync(libraryFolder, { recursive: true });
  const plain =
    name
      .replace(/[^\p{L}\p{N} ._-]+/gu, '-')
      .replace(/^[. ]+/, '')
      .slice(0, 80) || 'machine';
  for (let number = 1; ; number++) {
    const machine = `${plain}${number === 1 ? '' : ` ${number}`}${SUFFIX}`;
    const path = join(libraryFolder, machine);
    if (!existsSync(path)) return { machine, path };
  }
}

function describe(machine: string, open: readonly string[]): LibraryMachine {
  const path = fileOf(machine);
  const stat = statSync(path);
  const base = { machine, file: path, fileBytes: stat.size, changedAtMs: stat.mtimeMs };
  if (open.includes(machine)) {
    const kept = known.get(machine);
    if (kept !== undefined) return { ...kept, ...base, state: 'open' };
  }
  try {
    const file = openMachineFile(path, { readOnly: true });
    try {
      const config = file.readConfig();
      const running = file.findRunning();
      const settings = {
        name: config.name,
        image: config.image,
        cpus: config.cpus,
        memoryBytes: config.memoryBytes,
        swapBytes: config.swapBytes,
        seed: config.seed,
        disk: config.disk,
      };
      const entry: LibraryMachine = {
        ...base, settings, state: running === undefined ? 'off' : 'saved', virtualNs: running?.virtualNs ?? 0,
        snapshotCount: file.listSnapshots().length, sessionCount: file.listSessions().length, problem: null,
      }; // prettier-ignore
      known.set(machine, entry);
      return entry;
    } finally {
      file.close();
    }
  } catch (error) {
    const name = machine.slice(0, -SUFFIX.length);
    const settings: MachineSettings = {
      name,
      image: '',
      cpus: 1,
      memoryBytes: 64 * 1024 ** 2,
      swapBytes: 0,
      seed: 0,
      disk: 'ssd',
    };
    const problem = error instanceof Error ? error.message : String(error);
    return {
      ...base,
      settings,
      state: 'unreadable',
      virtualNs: 0,
      snapshotCount: 0,
      sessionCount: 0,
      problem,
    };
  }
}

/** What was last read of each machine: an open one's file is locked by its worker. */
const known = new Map<string, LibraryMachine>();

function listLibrary(ask: { open?: readonly string[] }): AnswerOf<'library.list'> {
  const names = existsSync(libraryFolder) ? readdirSync(libraryFolder) : [];
  const machines = names
    .filter((name) => name.endsWith(SUFFIX) && !name.startsWith('.'))
    .map((name) => describe(name, ask.open ?? []));
  return { folder: libraryFolder, machines };
}

async function ensureImage(name: string, thread: Thread, context: ThreadContext): Promise<BuiltImage> {
  const built = findImage(name);
  if (built !== undefined) return built;
  building.add(name);
  thread.emit('library.changed', '', {});
  const startMs = performance.now();
  try {
    return await buildImage(name, {
      signal: context.signal,
      onProgress: ({ step, done, total, text }) => {
        const share = total > 0 ? Math.min(1, done / total) : null;
        const spentMs = performance.now() - startMs;
        const remainingMs = share === null || share < 0.1 ? null : (spentMs / share) * (1 - share);
        context.progress({ step: text === '' ? step : text, share, remainingMs });
      },
    });
  } finally {
    building.delete(name);
    thread.emit('library.changed', '', {});
  }
}

const building = new Set<string>();

function reportImages(): Image[] {
  return listImages().map((image) => ({
    name: image.name, title: image.name, about: image.description,
    state: building.has(image.name) ? 'building' : image.built === undefined ? 'missing' : 'ready',
    sizeBytes: image.built === undefined ? 0 : statSync(image.built.path).size, problem: null,
    programs: [...image.programs],
  })); // prettier-ignore
}

async function createMachine(
  { settings }: AskOf<'library.create'>,
  thread: Thread,
  context: ThreadContext,
): Promise<{ machine: string }> {
  const image = await ensureImage(settings.image, thread, context);
  const { machine, path } = freeFile(settings.name);
  const { manifestHash } = image;
  createMachineFile(path, {
    image: image.path,
    config: { ...settings, imageManifestHash: manifestHash, createdAt: new Date().toISOString() },
  }).close();
  thread.emit('library.changed', '', {});
  return { machine };
}

function withFile(machine: string, change: (file: MachineFile) => void): void {
  const file = openMachineFile(fileOf(machine));
  try {
    change(file);
  } finally {
    file.close();
  }
}

function duplicate({ machine, name }: AskOf<'library.duplicate'>, thread: Thread): { machine: string } {
  const source = fileOf(machine);
  const copy = freeFile(name);
  copyFileSync(source, copy.path);
  withFile(copy.machine, (file) => file.writeConfig({ ...file.readConfig(), name }));
  thread.emit('library.changed', '', {});
  return { machine: copy.machine };
}

function importMachine(ask: AskOf<'library.import'>, thread: Thread): { machine: string } {
  const { machine, path } = freeFile(ask.name.replace(/\.ringside$/, ''));
  const part = `${path}.part`;
  try {
    if (ask.path !== undefined) copyFileSync(ask.path, part);
    else writeFileSync(part, ask.bytes ?? new Uint8Array());
    openMachineFile(part, { readOnly: true }).close(); // refuses what is no machine file, in words
    renameSync(part, path);
  } finally {
    rmSync(part, { force: true });
  }
  thread.emit('library.changed', '', {});
  return { machine };
}

serveThread(
  (thread) => ({
    'library.list': listLibrary,
    'library.fileOf': ({ machine }: { machine: string }) => ({ file: fileOf(machine) }),
    'library.create': (ask: AskOf<'library.create'>, context: ThreadContext) =>
      createMachine(ask, thread, context),
    'library.duplicate': (ask: AskOf<'library.duplicate'>) => duplicate(ask, thread),
    'library.rename': ({ machine, name }: AskOf<'library.rename'>) => {
      withFile(machine, (file) => file.writeConfig({ ...file.readConfig(), name }));
      thread.emit('library.changed', '', {});
      return {};
    },
    'library.delete': ({ machine }: AskOf<'library.delete'>) => {
      const path = fileOf(machine);
      for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true });
      thread.emit('library.changed', '', {});
      return {};
    },
    'library.import': (ask: AskOf<'library.import'>) => importMachine(ask, thread),
    'library.export': ({ machine, path }: AskOf<'library.export'>) => {
      const source = fileOf(machine);
      if (path === undefined) return { fileName: machine, bytes: new Uint8Array(readFileSync(source)) };
      copyFileSync(source, path);
      return { fileName: basename(path), bytes: null };
    },
    'image.list': () => ({ images: reportImages() }),
    'image.build': async ({ name }: AskOf<'image.build'>, context: ThreadContext) => {
      await ensureImage(name, thread, context);
      const image = reportImages().find((one) => one.name === name);
      if (image === undefined) throw new ProtocolError('not-found', `There is no image "${name}".`);
      return { image };
    },
  }),
  () => undefined,
);
