// Telemetry: what the instruments show, read from the machine between two steps and packed into a frame.
import {
  compilerStatistics, interruptCounts, runQueueLatency, syscallTable, viewCpus, viewDisks, viewMemory, viewMemoryPressure, viewSwap, viewTasks,
  viewVm, type Kernel,
} from '../../kernel/index.ts'; // prettier-ignore
import { emptyFrame, type TelemetryFrame } from '../protocol/frames.ts';
import { engineNs } from './engine.ts';
import type { OpenMachine } from './machine.ts';
import type { ReportState } from './report.ts';

export interface Telemetry {
  sequence: number;
  slicesLost: number;
}

export const newTelemetry = (): Telemetry => ({ sequence: 0, slicesLost: 0 });

const TASKS_EVERY = 5;
const MOST_SLICES = 2000;
const MOST_CALLS = 40;

/** The next frame. Reads only: a machine that is watched runs as one that is not. */
export function nextFrame(telemetry: Telemetry, machine: OpenMachine, report: ReportState): TelemetryFrame {
  const { kernel } = machine.engine;
  telemetry.sequence++;
  const atNs = engineNs(machine.engine);
  const vm = viewVm(kernel);
  const tasks = [...kernel.tasks.values()];
  return {
    ...emptyFrame(),
    sequence: telemetry.sequence,
    virtualNs: atNs,
    hostRatio: report.hostRatio,
    instructions: kernel.trap.instructions,
    host: hostFigures(machine),
    cpus: viewCpus(kernel, atNs).map((cpu) => ({ ...cpu, running: cpu.running, queue: [...cpu.queue] })),
    slices: takeSlices(kernel, telemetry),
    slicesLost: telemetry.slicesLost,
    runQueueLatencyNs: asNsBuckets(runQueueLatency(kernel)),
    voluntarySwitches: tasks.reduce((sum, task) => sum + task.voluntarySwitches, 0),
    involuntarySwitches: tasks.reduce((sum, task) => sum + task.involuntarySwitches, 0),
    memory: mutable(viewMemory(kernel)),
    vm: {
      pgfault: vm.pgfault, pgmajfault: vm.pgmajfault, pgpgin: vm.pgpgin, pgpgout: vm.pgpgout, pswpin: vm.pswpin, pswpout: vm.pswpout,
      pgscanKswapd: vm.pgscan_kswapd, pgscanDirect: vm.pgscan_direct, pgstealKswapd: vm.pgsteal_kswapd, pgstealDirect: vm.pgsteal_direct,
      workingsetRefaultAnon: vm.workingset_refault_anon, workingsetRefaultFile: vm.workingset_refault_file, oomKill: vm.oom_kill,
    }, // prettier-ignore
    caches: { ...emptyFrame().caches, dentries: kernel.vfs.dentries.size, inodes: kernel.vfs.inodeCount },
    swap: viewSwap(kernel),
    disks: viewDisks(kernel).map(({ readLatency, writeLatency, ...disk }) => ({
      ...disk, readLatencyNs: asNsBuckets(readLatency), writeLatencyNs: asNsBuckets(writeLatency), requestBytes: [],
    })), // prettier-ignore
    tasks: telemetry.sequence % TASKS_EVERY === 1 ? viewTasks(kernel).map((task) => ({ ...task })) : null,
    taskCount: tasks.length,
    syscalls: kernel.trap.syscalls,
    syscallCounts: callCounts(kernel),
    interrupts: interruptCounts(kernel).flatMap((count, line) =>
      count === 0
        ? []
        : [
            {
              line: String(line),
              name: LINE_NAMES[line] ?? '',
              perCpu: kernel.board.counts.map((counts) => counts[line] ?? 0),
            },
          ],
    ),
    pressure: { ...emptyFrame().pressure, memory: viewMemoryPressure(kernel) },
    loads: [...kernel.sched.loadAverages],
  };
}

/** What the host spent and the compiler did; a machine that goes on from a saved state begins at 0 again. */
function hostFigures({ engine, compiler }: OpenMachine): TelemetryFrame['host'] {
  const compiled = compilerStatistics(engine.kernel.machine);
  return {
    busyNs: engine.busyMs * 1e6,
    compilerOn: compiler === 'on' ? 1 : 0,
    compiledInstructions: compiled.executed,
    regions: compiled.regions,
    regionsDropped: compiled.dropped,
    wasmBytes: compiled.bytes,
    compileNs: compiled.milliseconds * 1e6,
  };
}

const LINE_NAMES: Readonly<Record<number, string>> = {
  0: 'timer',
  1: 'keyboard',
  4: 'ttyS0',
  8: 'rtc',
  10: 'vda',
  11: 'vdb',
};

const mutable = (memory: ReturnType<typeof viewMemory>): TelemetryFrame['memory'] => ({
  ...memory, buddy: [...memory.buddy], slabs: memory.slabs.map((slab) => ({ ...slab })),
}); // prettier-ignore

/** Histograms count by powers of two of µs; the frame's count by powers of two of ns: 1 µs is 2^10 ns, to 2.4 %. */
const asNsBuckets = (byMicroseconds: readonly number[]): number[] => [
  ...Array.from({ length: 10 }, () => 0),
  ...byMicroseconds,
];

function takeSlices(kernel: Kernel, telemetry: Telemetry): TelemetryFrame['slices'] {
  const slices = kernel.recorder.slices ?? [];
  kernel.recorder.slices = [];
  if (slices.length <= MOST_SLICES) return slices.map((slice) => ({ ...slice }));
  telemetry.slicesLost += slices.length - MOST_SLICES;
  return [...slices].sort((a, b) => b.durationNs - a.durationNs).slice(0, MOST_SLICES).map((slice) => ({ ...slice })); // prettier-ignore
}

function callCounts(kernel: Kernel): TelemetryFrame['syscallCounts'] {
  const rows = [...kernel.trap.callCounts].map(([number, { count, errors, ns }]) => ({
    name: syscallTable[number]?.name ?? `syscall_${number}`, count, errors, totalNs: Math.round(ns),
  })); // prettier-ignore
  return rows.sort((a, b) => b.count - a.count).slice(0, MOST_CALLS);
}
