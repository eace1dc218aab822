// new, info, put, get, snapshot, disk: machine files without running a program in them.
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { openMachineFile, type MachineFile } from '../../../images/index.ts';
import { readGuestFile, writeGuestFile } from '../../worker/guest-files.ts';
import {
  closeMachine,
  openMachine,
  startMachine,
  untilBooted,
  type OpenMachine,
} from '../../worker/machine.ts';
import { saveNamedSnapshot } from '../../worker/snapshots.ts';
import { hasOption, UsageError, type Arguments } from '../arguments.ts';
import { print, type Command } from '../command.ts';
import { configOf, machineOptions, makeMachine } from '../settings.ts';

/** Exactly the named words, or a UsageError that shows them. */
function words(args: Arguments, ...names: readonly string[]): string[] {
  if (args.words.length !== names.length || args.rest !== null)
    throw new UsageError(`Write: ${names.join(' ')}.`);
  return [...args.words];
}

function withFile<T>(path: string, readOnly: boolean, use: (file: MachineFile) => T): T {
  const file = openMachineFile(path, { readOnly });
  try {
    return use(file);
  } finally {
    file.close();
  }
}

/** Runs the machine for as long as `use` takes, then saves it. */
async function withMachine<T>(path: string, use: (machine: OpenMachine) => Promise<T>): Promise<T> {
  const file = openMachineFile(path);
  let machine: OpenMachine;
  try {
    machine = openMachine(file, { pace: 'fast' });
  } catch (error) {
    file.close();
    throw error;
  }
  try {
    startMachine(machine);
    await untilBooted(machine);
    return await use(machine);
  } finally {
    closeMachine(machine, true);
  }
}

export const create: Command = {
  usage: 'FILE [options]',
  about: 'makes a machine',
  options: machineOptions,
  async run(args) {
    const [path = ''] = words(args, 'FILE');
    const file = await makeMachine(path, configOf(args, basename(path).replace(/\.ringside$/, '')));
    file.close();
    return 0;
  },
};

export const info: Command = {
  usage: 'FILE [--json]',
  about: 'says what a machine file holds',
  options: { json: { value: '', about: 'as JSON' } },
  run(args) {
    const [path = ''] = words(args, 'FILE');
    const found = withFile(path, true, (file) => {
      const running = file.findRunning();
      return {
        config: file.readConfig(),
        state: running === undefined ? 'off' : 'saved',
        virtualNs: running?.virtualNs ?? 0,
        fileBytes: statSync(path).size,
        disks: file.diskNames().map((name) => ({ name, bytes: file.disk(name).blockCount * 4096 })),
        snapshots: file.listSnapshots(),
        sessions: file.listSessions().map(({ name, startNs, endNs }) => ({ name, startNs, endNs })),
      };
    });
    if (hasOption(args, 'json')) {
      print(JSON.stringify(found, null, 2));
      return 0;
    }
    const { config } = found;
    const mebibytes = (bytes: number): string => `${bytes / 1024 ** 2} MiB`;
    print(
      `${config.name}: ${config.cpus} CPUs (x86-64-${config.cpuModel ?? 'v2'}), ${mebibytes(config.memoryBytes)} RAM, ${mebibytes(config.swapBytes)} swap, disk ${config.disk}, seed ${config.seed}`,
    );
    print(`image ${config.image}, made ${config.createdAt}`);
    print(
      found.state === 'saved'
        ? `saved at ${(found.virtualNs / 1e9).toFixed(3)} s of virtual time; opening it goes on from there`
        : 'switched off; opening it boots',
    );
    for (const disk of found.disks) print(`disk ${disk.name}: ${mebibytes(disk.bytes)}`);
    for (const { name, virtualNs } of found.snapshots)
      print(`snapshot ${name} at ${(virtualNs / 1e9).toFixed(3)} s`);
    for (const { name, startNs, endNs } of found.sessions)
      print(`session ${name}: ${((endNs - startNs) / 1e9).toFixed(3)} s`);
    return 0;
  },
};

export const put: Command = {
  usage: 'FILE HOST GUEST',
  about: 'copies a file of the host into the guest',
  options: {},
  async run(args) {
    const [path = '', host = '', guest = ''] = words(args, 'FILE', 'HOST', 'GUEST');
    const bytes = new Uint8Array(readFileSync(host));
    await withMachine(path, (machine) =>
      writeGuestFile(machine, guest, bytes, statSync(host).mode & 0o777, 'root'),
    );
    return 0;
  },
};

export const get: Command = {
  usage: 'FILE GUEST HOST',
  about: 'copies a file of the guest out',
  options: {},
  async run(args) {
    const [path = '', guest = '', host = ''] = words(args, 'FILE', 'GUEST', 'HOST');
    writeFileSync(host, await withMachine(path, (machine) => readGuestFile(machine, guest)));
    return 0;
  },
};

export const snapshot: Command = {
  usage: 'FILE save|list|open|delete [NAME]',
  about: 'keeps instants of the whole machine, and goes back to them',
  options: { json: { value: '', about: 'as JSON' } },
  async run(args) {
    const [path = '', verb = '', name] = args.words;
    if (verb === 'list') {
      const snapshots = withFile(path, true, (file) => file.listSnapshots());
      if (hasOption(args, 'json')) print(JSON.stringify(snapshots, null, 2));
      else
        for (const one of snapshots)
          print(`${one.name}\t${(one.virtualNs / 1e9).toFixed(3)} s\t${one.createdAt}`);
      return 0;
    }
    if (name === undefined || !['save', 'open', 'delete'].includes(verb))
      throw new UsageError('Write: FILE save|list|open|delete [NAME].');
    if (verb === 'delete') withFile(path, false, (file) => file.deleteSnapshot(name));
    else if (verb === 'save')
      await withMachine(path, async (machine) => Promise.resolve(saveNamedSnapshot(machine, name)));
    else {
      const file = openMachineFile(path);
      const machine = openMachine(file, { pace: 'fast', snapshot: name });
      closeMachine(machine, true);
    }
    return 0;
  },
};

export const disk: Command = {
  usage: 'FILE export|import|check DISK [RAW]',
  about: 'copies a disk out or in as a raw image, or checks its file system with e2fsck',
  options: {},
  run(args) {
    const [path = '', verb = '', name = '', raw] = args.words;
    if (verb === 'check' && name !== '') {
      const result = withFile(path, true, (file) => file.checkDisk(name));
      if (result === undefined)
        throw new Error('e2fsck is not here. Install it: sudo apt-get install e2fsprogs');
      print(result.report.trimEnd());
      return result.isClean ? 0 : 1;
    }
    if (raw === undefined || (verb !== 'export' && verb !== 'import'))
      throw new UsageError('Write: FILE export|import|check DISK [RAW].');
    if (verb === 'export') withFile(path, true, (file) => file.exportDisk(name, raw));
    else withFile(path, false, (file) => file.importDisk(name, raw));
    return 0;
  },
};
