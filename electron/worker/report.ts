// The machine's report: what the top bar and the status bar show.
import { viewDisks, viewMemory, viewSwap } from '../../kernel/index.ts';
import type { MachineReport, MachineStatus } from '../protocol/reports.ts';
import { engineNs } from './engine.ts';
import type { OpenMachine } from './machine.ts';
import type { Recorder } from './sessions/recorder.ts';

export interface ReportState {
  savedAtMs: number | null;
  /** The last second: where it began, to tell rates. */
  hostMs: number;
  virtualNs: number;
  diskBytes: number;
  hostRatio: number;
  diskBytesPerSecond: number;
}

export const newReportState = (): ReportState => ({
  savedAtMs: null,
  hostMs: 0,
  virtualNs: 0,
  diskBytes: 0,
  hostRatio: 0,
  diskBytesPerSecond: 0,
});

const RATE_MS = 500;

function refreshRates(machine: OpenMachine, state: ReportState): void {
  const hostMs = performance.now();
  const spentMs = hostMs - state.hostMs;
  if (spentMs < RATE_MS) return;
  const virtualNs = engineNs(machine.engine);
  const diskBytes = viewDisks(machine.engine.kernel).reduce(
    (sum, disk) => sum + disk.readBytes + disk.writtenBytes,
    0,
  );
  const isFirst = state.hostMs === 0;
  state.hostRatio = isFirst ? 0 : Math.max(0, virtualNs - state.virtualNs) / 1e6 / spentMs;
  state.diskBytesPerSecond = isFirst ? 0 : (Math.max(0, diskBytes - state.diskBytes) * 1000) / spentMs;
  state.hostMs = hostMs;
  state.virtualNs = virtualNs;
  state.diskBytes = diskBytes;
}

function statusOf(machine: OpenMachine): MachineStatus {
  if (machine.stopped !== null) return machine.stopped.problem === null ? 'off' : 'broken';
  if (!machine.engine.running) return 'paused';
  return machine.engine.kernel.host.booted ? 'running' : 'booting';
}

export function machineReport(
  machine: OpenMachine,
  id: string,
  state: ReportState,
  recorder: Recorder,
): MachineReport {
  refreshRates(machine, state);
  const { kernel, clock } = machine.engine;
  const config = machine.file.readConfig();
  const memory = viewMemory(kernel);
  const swap = viewSwap(kernel);
  const { current } = recorder;
  return {
    machine: id, name: config.name, status: statusOf(machine), reason: machine.stopped?.problem?.message ?? null,
    virtualNs: engineNs(machine.engine), hostRatio: state.hostRatio, pace: clock.pace, loads: [...kernel.sched.loadAverages], cpus: config.cpus,
    memoryBytes: memory.totalBytes, memoryUsedBytes: memory.totalBytes - memory.freeBytes, swapBytes: swap.totalBytes,
    swapUsedBytes: swap.usedBytes, diskBytesPerSecond: state.diskBytesPerSecond, seed: config.seed, savedAtMs: state.savedAtMs,
    recording: current === null ? null : { session: current.name, name: current.name, sinceNs: current.startNs, events: current.eventCount },
  }; // prettier-ignore
}
