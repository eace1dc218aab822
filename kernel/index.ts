// The door of the kernel: power on, run, input, freeze and thaw. Pure: the host gives disks and takes output through the
// HostDoor; everything else comes in through input().
import './boot/parts.ts';
import { newBlockState } from './block/state.ts';
import { newHostState } from './boot/host-state.ts';
import { startFirstTasks } from './boot/start.ts';
import { newVfsState } from './fs/vfs/state.ts';
import { newIpcState } from './ipc/state.ts';
import { newRandom } from './lib/random.ts';
import { newBoardState } from './machine/devices/board.ts';
import { createMachine, setRandomSeed } from './machine/index.ts';
import { newMemoryState } from './mm/state.ts';
import { newNetState } from './net/state.ts';
import { newProcessState } from './process/state.ts';
import { newSchedState } from './sched/state.ts';
import type { BootConfig, HostDoor, Kernel } from './state.ts';
import { newKernelLog } from './trace/printk.ts';
import { newTraceState } from './trace/state.ts';
import { newTrapState } from './trap/state.ts';
import { newTtyState } from './tty/state.ts';

export type { BootConfig, DiskBackend, HostDoor, Kernel, KernelState } from './state.ts';
export { blankMachine, freeze, thaw, type FrozenMachine } from './freeze.ts';
export { applyInput, type MachineInput } from './boot/host-input.ts';
export type { GuestEntry, HostAsk } from './boot/host-state.ts';
export { terminalOfCommand } from './boot/host-input.ts';
export { readCounters, type Counter } from './observe/counters.ts';
export { interruptCounts, runQueueLatency, viewCpus } from './observe/cpus.ts';
export { viewDisks } from './observe/disks.ts';
export {
  cachedFiles,
  frameMap,
  memoryCounters,
  viewMemory,
  viewMemoryPressure,
  viewSwap,
  viewVm,
} from './observe/memory.ts';
export { inspectTask, viewTasks } from './observe/tasks.ts';
export { consoleNames, recentOutput } from './observe/terminals.ts';
export { step, idleUntilNs, machineNs, type StepResult } from './trap/loop.ts';
export { enableTracepoints } from './trace/enable.ts';
export { takeEvents, traceHash } from './trace/recorder.ts';
export { tracepoints } from './trace/tracepoint.ts';
export {
  CONTEXT_BYTES, FROZEN_CPU_BYTES, compilerStatistics, configureCompiler, instructionCoverage,
} from './machine/index.ts'; // prettier-ignore
export { syscallTable } from './syscalls/table.ts';

/** What is decided at power-on beside the configuration: the wall clock of the host, which then is part of the input. */
export interface PowerOn extends BootConfig {
  /** CLOCK_REALTIME at power-on, ns since 1970. */
  readonly wallBaseNs: number;
  /** Hash every trace event from the very first on. */
  readonly hashTrace?: boolean;
}

/** A machine at its first instant: memory sized, root not yet mounted, init about to start. */
export function powerOn(options: PowerOn, door: HostDoor): Kernel {
  const { wallBaseNs, hashTrace = false, ...config } = options;
  const machine = createMachine({
    cpuCount: config.cpuCount,
    memoryBytes: config.memoryBytes,
    cpuModel: config.cpuModel ?? 'v2',
  });
  setRandomSeed(machine, BigInt(config.seed));
  const kernel: Kernel = {
    config, cpu: 0, powerState: 'on', tasks: new Map(),
    time: { cpuNs: new Float64Array(config.cpuCount), wallBaseNs }, timers: { heap: [], lastId: 0 },
    random: newRandom(config.seed), log: newKernelLog(), trace: newTraceState(), board: newBoardState(config.cpuCount),
    sched: newSchedState(config.cpuCount), process: newProcessState(config), memory: newMemoryState(config),
    block: newBlockState(config, door.disks), vfs: newVfsState(), tty: newTtyState(config), trap: newTrapState(), ipc: newIpcState(), net: newNetState(),
    host: newHostState(), machine, door, recorder: { events: null, slices: null }, cache: {},
  }; // prettier-ignore
  if (hashTrace) listenToAll(kernel);
  startFirstTasks(kernel);
  return kernel;
}

function listenToAll(kernel: Kernel): void {
  kernel.trace.enabled.fill(1);
  kernel.trace.on = true;
  kernel.trace.hashing = true;
}
