// A kernel with just enough around the file systems to test them: a real machine's RAM and page cache, disks in memory, a
// current task that calls vfs functions, and the kernel threads that it waits for. Time moves when everybody sleeps.
import { BLOCKED, failed, type Failure } from '../abi/errno.ts';
import { newBlockState } from '../block/state.ts';
import { newRandom } from '../lib/random.ts';
import { newBoardState, nextInterruptNs, takeInterrupt } from '../machine/devices/board.ts';
import { createMachine } from '../machine/index.ts';
import { newMemoryState } from '../mm/state.ts';
import '../mm/flusher.ts';
import '../mm/kswapd.ts';
import { irqHandlers } from '../sched/irq.ts';
import { kernelThreads } from '../sched/kernel-thread.ts';
import type { Task } from '../sched/task.ts';
import type { BootConfig, DiskBackend, Kernel } from '../state.ts';
import { nextTimerNs, runTimers } from '../time/timers.ts';
import { newKernelLog } from '../trace/printk.ts';
import './index.ts';
import { newFileTable } from './vfs/file-table.ts';
import { newFsContext } from './vfs/fs-context.ts';
import { mountRoot } from './vfs/mounts.ts';
import { newVfsState } from './vfs/state.ts';
import { threadStarters } from './vfs/threads.ts';

/** A disk in memory that remembers every write and flush, to be cut short anywhere. */
export interface TestDisk extends DiskBackend {
  bytes: Uint8Array;
  /** In order: a write with its content, or a flush (null). */
  log: ({ first: number; bytes: Uint8Array } | null)[];
  recording: boolean;
  failWrites: boolean;
}

export function testDisk(bytes: Uint8Array): TestDisk {
  const disk: TestDisk = {
    bytes, log: [], recording: false, failWrites: false, blockCount: bytes.length / 4096,
    readBlocks: (first, count) => disk.bytes.slice(first * 4096, (first + count) * 4096),
    writeBlocks(first, content) {
      if (disk.failWrites) throw new Error('The disk is full.');
      if (disk.recording) disk.log.push({ first, bytes: content.slice() });
      disk.bytes.set(content, first * 4096);
    },
    flush() {
      if (disk.recording) disk.log.push(null);
    },
  }; // prettier-ignore
  return disk;
}

function testTask(tid: number, thread: { name: string; data: unknown } | null): Task {
  const rlimits = Array.from({ length: 16 }, () => ({ current: Infinity, maximum: Infinity }));
  rlimits[7] = { current: 1024, maximum: 4096 };
  const process = {
    pid: tid, threads: new Set([tid]), rlimits, groupExit: null, stopPending: false,
    shared: { pendingMask: 0n, queue: [], arrived: { waiters: new Set() } },
  }; // prettier-ignore
  const all = (1n << 41n) - 1n;
  return {
    tid, comm: thread?.name ?? `task${tid}`, state: 'running', mm: null, process, origRax: 0,
    sighand: { users: 1, actions: [] }, signals: { pendingMask: 0n, blocked: 0n, queue: [] }, waitingOn: [], wchan: '',
    kernelThread: thread, sched: { onCpu: true, queued: false, cpu: 0, affinity: 1, nice: 0, rtPriority: 0 },
    flags: { kernel: thread !== null, needResched: false, forkNoExec: false, exiting: false }, call: null,
    credentials: { uid: 0, euid: 0, suid: 0, fsuid: 0, gid: 0, egid: 0, sgid: 0, fsgid: 0, groups: [], effective: all, permitted: all },
    files: newFileTable(), minorFaults: 0, majorFaults: 0,
    io: { readBytes: 0, writeBytes: 0, readChars: 0, writeChars: 0, readCalls: 0, writeCalls: 0 },
  } as unknown as Task; // prettier-ignore
}

export interface FsTest {
  readonly kernel: Kernel;
  readonly task: Task;
  /** Calls again and again, as the dispatcher does, until it does not sleep any more. */
  run<T>(work: () => T | Failure): T | Failure;
  /** As run, but a failure is an error of the test. */
  must<T>(work: () => T | Failure): T;
  /** Lets virtual time pass. */
  pass(ns: number): void;
}

export interface FsTestOptions {
  readonly memoryMiB?: number;
  readonly profile?: BootConfig['diskProfile'];
}

/** A kernel whose root is `fs` on the disk vda (or in memory for a type that needs none). */
export function fsTest(
  disks: Readonly<Record<string, DiskBackend>>,
  fs: string,
  options: FsTestOptions = {},
): FsTest {
  const config: BootConfig = {
    cpuCount: 1, memoryBytes: (options.memoryMiB ?? 64) << 20, swapBytes: 0, seed: 7, diskProfile: options.profile ?? 'ssd',
    commandLine: '', hostname: 'test',
  }; // prettier-ignore
  const runQueue = { cpu: 0, current: null as Task | null, waiting: 0, queues: {}, needResched: false };
  const kernel = {
    config, cpu: 0, tasks: new Map<number, Task>(),
    time: { cpuNs: new Float64Array(1), wallBaseNs: 1_700_000_000e9 }, timers: { heap: [], lastId: 0 }, random: newRandom(7),
    log: newKernelLog(), trace: { on: false, enabled: new Uint8Array(4096) }, board: newBoardState(1),
    sched: { runQueues: [runQueue], blockedTasks: 0 }, memory: newMemoryState(config), block: newBlockState(config, disks),
    vfs: newVfsState(), machine: createMachine({ cpuCount: 1, memoryBytes: config.memoryBytes, cpuModel: 'v2' }), cache: {},
    door: { disks, terminalOutput: () => 0, commandOutput: () => 0, commandExited: () => 0, requestDone: () => 0 },
  } as unknown as Kernel; // prettier-ignore
  const threads: Task[] = [];
  const start = (name: string, data: unknown): void => {
    const thread = testTask(10 + threads.length, { name, data });
    threads.push(thread);
    kernel.tasks.set(thread.tid, thread);
  };
  threadStarters['process'] = (_kernel, name, _comm, data) => start(name, data);
  kernel.tasks.set(2, testTask(2, { name: 'none', data: null }));
  start('evict', null);
  start('flusher', null);
  start('kswapd', null);
  const task = testTask(100, null);
  kernel.tasks.set(task.tid, task);
  runQueue.current = task;

  const cpuNs = kernel.time.cpuNs;
  const moveTime = (toNs: number): void => {
    cpuNs[0] = Math.max(cpuNs[0] ?? 0, toNs);
    for (
      let line = takeInterrupt(kernel.board, 0, cpuNs[0]);
      line >= 0;
      line = takeInterrupt(kernel.board, 0, cpuNs[0])
    ) {
      irqHandlers[line]?.handle(kernel);
    }
    runTimers(kernel, cpuNs[0]);
  };
  const runThreads = (): void => {
    for (let busy = true, steps = 0; busy; steps++) {
      if (steps > 100_000)
        throw new Error(
          `Threads do not come to rest: ${threads.map((t) => `${t.comm} ${t.state} ${t.wchan}`).join(', ')}`,
        );
      busy = false;
      for (const thread of threads) {
        if (thread.state !== 'running') continue;
        runQueue.current = thread;
        kernelThreads[thread.kernelThread?.name ?? '']?.(kernel, thread);
        runQueue.current = task;
        busy = true;
      }
    }
  };
  const wait = (untilNs: number): boolean => {
    runThreads();
    const next = Math.min(nextTimerNs(kernel), nextInterruptNs(kernel.board));
    if (next > untilNs) return false;
    moveTime(next);
    runThreads();
    return true;
  };
  const run = <T>(work: () => T | Failure): T | Failure => {
    task.call = null;
    for (let starts = 0; starts < 200_000; starts++) {
      const result = work();
      if (result !== BLOCKED) {
        if (task.state !== 'running')
          throw new Error(`A call gave ${String(result)} but its task sleeps in ${task.wchan}`);
        task.call = null;
        return result;
      }
      while (task.state !== 'running') {
        if (!wait(Infinity))
          throw new Error(
            `Everybody sleeps: ${task.wchan}; ${threads.map((t) => `${t.comm} ${t.wchan}`).join(', ')}`,
          );
      }
    }
    throw new Error(`A call never ends, last in ${task.wchan}`);
  };
  const must = <T>(work: () => T | Failure): T => {
    const result = run(work);
    if (failed(result))
      throw new Error(
        `unexpected failure ${result}\n${kernel.log.lines.map((line) => line.text).join('\n')}`,
      );
    return result;
  };
  const pass = (ns: number): void => {
    const end = (cpuNs[0] ?? 0) + ns;
    while (wait(end));
    moveTime(end);
    runThreads();
  };
  const root = must(() => mountRoot(kernel, fs, '/dev/vda'));
  task.fs = newFsContext(kernel, root);
  return { kernel, task, run, must, pass };
}
