// A kernel with just enough around mm to test it: a real machine's RAM, a current task, a fake disk for swap and files.
import { createMachine } from '../machine/index.ts';
import type { Process } from '../process/process.ts';
import type { Task } from '../sched/task.ts';
import type { BootConfig, Kernel } from '../state.ts';
import { newKernelLog } from '../trace/printk.ts';
import { addressSpaceOperations, newAddressSpace, type AddressSpace } from './address-space.ts';
import type { Mm } from './mm.ts';
import { newMm } from './mm-life.ts';
import { pageIoCompletions, swapBackends, type PageIo } from './page-io.ts';
import { finishRead, finishWrite } from './page-cache.ts';
import { newMemoryState } from './state.ts';
import { readBytes, writeBytes } from '../machine/index.ts';
import { failed } from '../abi/errno.ts';

/** Disk transfers that have not been completed yet; `complete` does it. */
export interface TestDisk {
  queue: (() => void)[];
  blocks: Map<number, Uint8Array>;
  instant: boolean;
}

export interface TestKernel {
  kernel: Kernel;
  task: Task;
  mm: Mm;
  disk: TestDisk;
  /** Finishes every transfer that is queued, and wakes the task. */
  complete(): void;
}

export function must<T>(value: T): T {
  if (failed(value)) throw new Error(`unexpected failure ${value}`);
  return value;
}

export function testTask(tid: number, mm: Mm | null): Task {
  const process = {
    pid: tid, threads: new Set([tid]), rlimits: [], oomScoreAdj: 0, groupExit: null, stopPending: false, dead: false,
    shared: { pendingMask: 0n, queue: [], arrived: { waiters: new Set() } },
  }; // prettier-ignore
  const task = {
    tid, comm: `task${tid}`, state: 'running', mm, process: process as unknown as Process,
    sighand: { users: 1, actions: [] },
    signals: { pendingMask: 0n, blocked: 0n, queue: [] }, waitingOn: [], wchan: '', kernelThread: null,
    sched: { onCpu: true, queued: false, cpu: 0, affinity: 1, nice: 0, rtPriority: 0 },
    flags: { kernel: false, needResched: false, forkNoExec: false, exiting: false },
    credentials: { uid: 0 }, minorFaults: 0, majorFaults: 0, call: null,
  }; // prettier-ignore
  return task as unknown as Task;
}

export function testKernel(memoryMiB = 16): TestKernel {
  const config: BootConfig = {
    cpuCount: 1, memoryBytes: memoryMiB << 20, swapBytes: 0, seed: 1, diskProfile: 'ssd', commandLine: '', hostname: 'test',
  }; // prettier-ignore
  const queue = { cpu: 0, current: null as Task | null, waiting: 0, queues: {}, needResched: false };
  const partial = {
    config, cpu: 0, tasks: new Map<number, Task>(), time: { cpuNs: new Float64Array(1), wallBaseNs: 0 },
    timers: { heap: [], lastId: 0 }, log: newKernelLog(), trace: { on: false, enabled: new Uint8Array(4096) },
    sched: { runQueues: [queue], blockedTasks: 0 }, memory: newMemoryState(config),
    machine: createMachine({ cpuCount: 1, memoryBytes: Math.max(64 << 20, config.memoryBytes), cpuModel: 'v2' }), cache: {},
  }; // prettier-ignore
  const kernel = partial as unknown as Kernel;
  const mm = must(newMm(kernel)) as Mm;
  const task = testTask(100, mm);
  kernel.tasks.set(task.tid, task);
  queue.current = task;
  const disk: TestDisk = { queue: [], blocks: new Map(), instant: false };
  swapBackends['block'] = {
    submitPageIo(k, io: PageIo) {
      if (io.write) disk.blocks.set(io.block, readBytes(k.machine, io.frame * 4096, 4096));
      const done = (): void => {
        if (!io.write)
          writeBytes(k.machine, io.frame * 4096, disk.blocks.get(io.block) ?? new Uint8Array(4096));
        pageIoCompletions[io.done]?.(k, io, true);
      };
      if (disk.instant) done();
      else disk.queue.push(done);
      return 0;
    },
  };
  addressSpaceOperations['test-file'] = {
    readPages(k, space, first, frames) {
      for (const [offset, frame] of frames.entries()) {
        const done = (): void => {
          writeBytes(k.machine, frame * 4096, pageOf(space, first + offset));
          finishRead(k, space, first + offset, true);
        };
        if (disk.instant) done();
        else disk.queue.push(done);
      }
      return 0;
    },
    writePages(k, space, indexes) {
      for (const index of indexes) {
        const frame = space.pages.get(index) ?? 0;
        (space.host as TestFile).content.set(index, readBytes(k.machine, frame * 4096, 4096));
        const done = (): void => finishWrite(k, space, index, true);
        if (disk.instant) done();
        else disk.queue.push(done);
      }
      return 0;
    },
    sizeOf: (_k, space) => (space.host as TestFile).sizeBytes,
  };
  const complete = (): void => {
    for (const done of disk.queue.splice(0)) done();
    for (const waiting of kernel.tasks.values()) waiting.state = 'running';
    kernel.sched.blockedTasks = 0;
  };
  return { kernel, task, mm, disk, complete };
}

interface TestFile {
  sizeBytes: number;
  content: Map<number, Uint8Array>;
}

/** A file whose page n is filled with the byte n + 1. */
export function testFile(sizeBytes: number): AddressSpace {
  const host: TestFile = { sizeBytes, content: new Map() };
  return newAddressSpace('test-file', host);
}

function pageOf(space: AddressSpace, index: number): Uint8Array {
  return (space.host as TestFile).content.get(index) ?? new Uint8Array(4096).fill((index + 1) & 0xff);
}

/** Repeats a kernel operation as the trap loop does, finishing disk transfers whenever it blocks. */
export function retrying<T>(test: TestKernel, operation: () => T): T {
  for (let i = 0; i < 10_000; i++) {
    const result = operation();
    if (result !== -10_000) return result;
    if (test.disk.queue.length === 0) throw new Error('blocked with nothing under way');
    test.complete();
  }
  throw new Error('livelock');
}
