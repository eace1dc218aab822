// A machine for simulations: the base image's disk with writes kept in memory, stepped without a clock, frozen and thawed.
import { deserialize, serialize } from 'node:v8';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildImage, createMachineFile, type MachineFile } from '../../images/index.ts';
import {
  applyInput, blankMachine, freeze, powerOn, step, thaw, traceHash, type DiskBackend, type HostDoor, type Kernel, type KernelState, type MachineInput,
} from '../../kernel/index.ts'; // prettier-ignore

const BLOCK = 4096;

/** A disk whose writes stay in memory, over one that is only read. */
interface OverlayDisk extends DiskBackend {
  readonly written: Map<number, Uint8Array>;
}

function overlay(base: DiskBackend, written: Map<number, Uint8Array>): OverlayDisk {
  return {
    blockCount: base.blockCount,
    written,
    readBlocks(first, count) {
      const bytes = base.readBlocks(first, count);
      for (let i = 0; i < count; i++) {
        const block = written.get(first + i);
        if (block !== undefined) bytes.set(block, i * BLOCK);
      }
      return bytes;
    },
    writeBlocks(first, bytes) {
      for (let at = 0; at < bytes.length; at += BLOCK)
        written.set(first + at / BLOCK, bytes.slice(at, at + BLOCK));
    },
    flush: () => undefined,
  };
}

/** The image that simulations boot from; close it when they are over. */
export interface SimulationBase {
  readonly file: MachineFile;
  close(): void;
}

export async function simulationBase(): Promise<SimulationBase> {
  const image = await buildImage('base');
  const folder = mkdtempSync(join(tmpdir(), 'ringside-sim-'));
  const config = {
    name: 'simulation', image: 'base', cpus: 2, memoryBytes: 128 * 2 ** 20, swapBytes: 64 * 2 ** 20, seed: 1, disk: 'ssd' as const,
    imageManifestHash: image.manifestHash, createdAt: '2026-01-01T00:00:00.000Z',
  }; // prettier-ignore
  const file = createMachineFile(join(folder, 'base.ringside'), { image: image.path, config });
  return {
    file,
    close() {
      file.close({ dropUnflushed: true });
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface Simulation {
  kernel: Kernel;
  readonly disks: Readonly<Record<string, OverlayDisk>>;
  output: string;
  exitStatus: number | null;
}

function doorFor(simulation: () => Simulation, disks: HostDoor['disks']): HostDoor {
  return {
    disks,
    terminalOutput: () => undefined,
    commandOutput: (_id, _stream, bytes) =>
      void (simulation().output += Buffer.from(bytes).toString('latin1')),
    commandExited: (_id, status) => void (simulation().exitStatus = status),
    requestDone: () => undefined,
  };
}

export interface SimulationOptions {
  readonly seed?: number;
  readonly cpus?: number;
  readonly command: readonly string[];
}

/** A machine that will run one command after it has booted, every trace event hashed. */
export function simulate(
  base: SimulationBase,
  { seed = 1, cpus = 2, command }: SimulationOptions,
): Simulation {
  const disks = {
    vda: overlay(base.file.disk('vda'), new Map()),
    vdb: overlay(base.file.disk('vdb'), new Map()),
  };
  const simulation: Simulation = {
    kernel: undefined as unknown as Kernel,
    disks,
    output: '',
    exitStatus: null,
  };
  const door = doorFor(() => simulation, disks);
  const config = {
    cpuCount: cpus, memoryBytes: 128 * 2 ** 20, swapBytes: 64 * 2 ** 20, seed, diskProfile: 'ssd' as const,
    commandLine: 'root=/dev/vda rw console=tty1', hostname: 'ringside',
  }; // prettier-ignore
  simulation.kernel = powerOn({ ...config, wallBaseNs: 1_767_225_600e9, hashTrace: true }, door);
  const input: MachineInput = {
    kind: 'command',
    id: 1,
    argv: command,
    environment: [],
    user: 'root',
    directory: '',
    terminal: null,
  };
  applyInput(simulation.kernel, input, 0);
  applyInput(simulation.kernel, { kind: 'command-end', id: 1 }, 0);
  return simulation;
}

/** Steps until the command has ended, or so many steps are done. Gives the number of steps. */
export function runSimulation(simulation: Simulation, mostSteps = Infinity): number {
  let steps = 0;
  while (steps < mostSteps && simulation.exitStatus === null && step(simulation.kernel) === 'ran') steps++;
  return steps;
}

export const hashOf = (simulation: Simulation): string => traceHash(simulation.kernel);

/** A copy of the machine made as a machine file would make it: through bytes, with nothing shared and no cache kept. */
export function thawedCopy(
  base: SimulationBase,
  { kernel, disks, output, exitStatus }: Simulation,
): Simulation {
  const frozen = freeze(kernel);
  const state = deserialize(serialize(frozen.state)) as KernelState;
  const { machine, ram } = blankMachine(state.config);
  ram.set(frozen.ram);
  const copies = Object.fromEntries(
    Object.entries(disks).map(([name, disk]) => [name, overlay(base.file.disk(name), new Map(disk.written))]),
  );
  const copy: Simulation = { kernel: undefined as unknown as Kernel, disks: copies, output, exitStatus };
  copy.kernel = thaw(
    machine,
    state,
    frozen.cpus,
    doorFor(() => copy, copies),
  );
  return copy;
}
