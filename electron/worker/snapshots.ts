// Snapshots of the whole machine, by name, for the screen and the command line.
import { freeze, machineNs } from '../../kernel/index.ts';
import type { SnapshotInfo } from '../../images/index.ts';
import type { Snapshot } from '../protocol/reports.ts';
import { openMachine, pauseMachine, startMachine, type OpenMachine } from './machine.ts';

const viewOf = (info: SnapshotInfo): Snapshot => ({
  snapshot: info.name, name: info.name, virtualNs: info.virtualNs, takenAtMs: Date.parse(info.createdAt), sizeBytes: info.ramBytes, parent: null,
}); // prettier-ignore

export const listSnapshots = (machine: OpenMachine): Snapshot[] => machine.file.listSnapshots().map(viewOf);

/** Keeps this instant under a name; a running machine goes on afterwards. */
export function saveNamedSnapshot(machine: OpenMachine, name: string): SnapshotInfo {
  const { kernel, running } = machine.engine;
  pauseMachine(machine);
  kernel.host.lastCommand = machine.lastId;
  const frozen = freeze(kernel);
  const meta = { virtualNs: machineNs(kernel), createdAt: new Date().toISOString() };
  machine.file.saveSnapshot(
    name,
    { kernel: frozen.state, cpus: [...frozen.cpus], ram: frozen.ram, framesInUse: frozen.framesInUse },
    meta,
  );
  if (running) startMachine(machine);
  return { name, ramBytes: frozen.ram.length, ...meta };
}

export const saveSnapshot = (machine: OpenMachine, name: string): Snapshot =>
  viewOf(saveNamedSnapshot(machine, name));

/** The machine as it was at a snapshot, on the same file; the present state is given up. */
export function openSnapshot(machine: OpenMachine, name: string): OpenMachine {
  pauseMachine(machine);
  const { engine, compiler } = machine;
  return openMachine(machine.file, { pace: engine.clock.pace, compiler, snapshot: name });
}
