// A kernel for tests of system calls: all its parts, a root file system in memory with /proc, /sys and /dev, and tasks with
// a megabyte of memory that call handlers directly. Nothing runs by itself: a call that gives BLOCKED is made again.
import '../boot/parts.ts';
import { BLOCKED, EINVAL, failed, type Failure } from '../abi/errno.ts';
import { newBlockState } from '../block/state.ts';
import { newHostState } from '../boot/host-state.ts';
import { closeDescriptor, fileOf, installFile, newFileTable } from '../fs/vfs/file-table.ts';
import { operationsOf } from '../fs/vfs/open-file.ts';
import { openPath } from '../fs/vfs/open.ts';
import { newFsContext } from '../fs/vfs/fs-context.ts';
import { mountAt, mountRoot } from '../fs/vfs/mounts.ts';
import { makeDirectory } from '../fs/vfs/namespace.ts';
import { newVfsState } from '../fs/vfs/state.ts';
import { walkPath } from '../fs/vfs/walk.ts';
import { newIpcState } from '../ipc/state.ts';
import { bytesOfLatin1, latin1 } from '../lib/bytes.ts';
import { newRandom } from '../lib/random.ts';
import { newBoardState } from '../machine/devices/board.ts';
import { createMachine, newContext } from '../machine/index.ts';
import { mapMemory } from '../mm/map.ts';
import { newMm } from '../mm/mm-life.ts';
import { newMemoryState } from '../mm/state.ts';
import { readUser, writeUser } from '../mm/user-memory.ts';
import { newNetState } from '../net/state.ts';
import { newTask } from '../process/new-task.ts';
import { newProcess } from '../process/process.ts';
import { newProcessState } from '../process/state.ts';
import { rootCredentials } from '../process/credentials.ts';
import { newSchedState } from '../sched/state.ts';
import type { Task } from '../sched/task.ts';
import { leaveQueues } from '../sched/leave-queues.ts';
import { newPendingSignals, newSignalHandlers } from '../signal/state.ts';
import type { BootConfig, Kernel } from '../state.ts';
import { newKernelLog } from '../trace/printk.ts';
import { newTraceState } from '../trace/state.ts';
import { newTrapState } from '../trap/state.ts';
import { newTtyState } from '../tty/state.ts';
import { endCall } from '../sched/call-progress.ts';
import { syscallTable } from './table.ts';

export interface CallKernel {
  readonly kernel: Kernel;
  /** What each terminal has shown. */
  readonly screens: Map<string, string>;
  /** A new process; a child of init unless it is the first. */
  task(options?: { sid?: number; uid?: number }): Task;
  /** Makes a call by name. */
  call(task: Task, name: string, ...args: readonly number[]): number;
  /** Puts bytes at an address of the task's memory and gives the address. */
  put(task: Task, address: number, bytes: Uint8Array | string): number;
  take(task: Task, address: number, length: number): Uint8Array;
  open(task: Task, path: string, flags: number): number;
  /** Bytes read as a text, or the Failure. */
  read(task: Task, fd: number, count?: number): string | number;
  write(task: Task, fd: number, text: string): number;
  close(task: Task, fd: number): void;
  /** The content of a file as the task reads it. */
  readFile(task: Task, path: string): string;
  /** Moves time on. */
  advance(ns: number): void;
}

/** Where each task has its megabyte. */
export const BASE = 0x10_0000;
const MEMORY_BYTES = 0x10_0000;
/** Where long texts are put before they are written. */
const LARGE = BASE + 0x4_0000;
const PRIVATE_ANONYMOUS_FIXED = 0x32;
const SCRATCH = BASE + MEMORY_BYTES - 0x1_0000;

export function must<T>(value: T): Exclude<T, Failure> {
  if (failed(value)) throw new Error(`unexpected failure ${value}`);
  return value as Exclude<T, Failure>; // just checked
}

export function callKernel(): CallKernel {
  const config: BootConfig = {
    cpuCount: 1, memoryBytes: 64 << 20, swapBytes: 0, seed: 1, diskProfile: 'ssd', commandLine: '', hostname: 'test',
  }; // prettier-ignore
  const screens = new Map<string, string>();
  const kernel: Kernel = {
    config, cpu: 0, powerState: 'on', tasks: new Map(), time: { cpuNs: new Float64Array(1), wallBaseNs: 1_700_000_000e9 },
    timers: { heap: [], lastId: 0 }, random: newRandom(1), log: newKernelLog(), trace: newTraceState(), board: newBoardState(1),
    sched: newSchedState(1), process: newProcessState(config), memory: newMemoryState(config), block: newBlockState(config, {}),
    vfs: newVfsState(), tty: newTtyState(config), trap: newTrapState(), ipc: newIpcState(), net: newNetState(), host: newHostState(),
    machine: createMachine({ cpuCount: 1, memoryBytes: config.memoryBytes, cpuModel: 'v2' }),
    door: {
      disks: {},
      terminalOutput: (name, bytes) => screens.set(name, (screens.get(name) ?? '') + latin1(bytes)),
      commandOutput: () => undefined,
      commandExited: () => undefined,
      requestDone: () => undefined,
    },
    recorder: { events: null, slices: null }, cache: {},
  }; // prettier-ignore
  const root = must(mountRoot(kernel, 'ramfs', 'rootfs'));
  let lastTid = 0;
  const setCurrent = (task: Task): void => {
    const queue = kernel.sched.runQueues[0];
    if (queue !== undefined) queue.current = task;
    leaveQueues(task);
    task.state = 'running';
    task.sched.onCpu = true;
  };
  const newTestTask: CallKernel['task'] = ({ sid, uid = 0 } = {}) => {
    const tid = ++lastTid;
    const process = newProcess(tid, tid === 1 ? 0 : 1, null, 0);
    process.sid = sid ?? tid;
    process.pgid = tid;
    const mm = must(newMm(kernel));
    const credentials =
      uid === 0
        ? rootCredentials()
        : { ...rootCredentials(), uid, euid: uid, suid: uid, fsuid: uid, effective: 0n, permitted: 0n };
    const task = newTask(kernel, null, {
      tid, comm: `task${tid}`, process, mm, files: newFileTable(), fs: newFsContext(kernel, root), credentials,
      sighand: newSignalHandlers(), signals: newPendingSignals(0n), context: newContext(), kernelThread: null, exitSignal: 17,
    }); // prettier-ignore
    must(
      mapMemory(kernel, mm, {
        address: BASE,
        length: MEMORY_BYTES,
        protection: 3,
        flags: PRIVATE_ANONYMOUS_FIXED,
      }),
    );
    setCurrent(task);
    return task;
  };
  const call: CallKernel['call'] = (task, name, ...args) => {
    const declaration = syscallTable.find((entry) => entry?.name === name);
    if (declaration === undefined) throw new Error(`no system call ${name}`);
    setCurrent(task);
    const values: Record<string, number> = {};
    Object.keys(declaration.args).forEach((key, index) => (values[key] = args[index] ?? 0));
    const result = Number(declaration.run(kernel, task, values));
    if (result !== BLOCKED) endCall(kernel, task);
    return result;
  };
  const put: CallKernel['put'] = (task, address, bytes) => {
    must(writeUser(kernel, task, address, typeof bytes === 'string' ? bytesOfLatin1(bytes) : bytes));
    return address;
  };
  const take: CallKernel['take'] = (task, address, length) => must(readUser(kernel, task, address, length));
  const init = newTestTask();
  for (const [fs, place] of [['proc', '/proc'], ['sysfs', '/sys'], ['devtmpfs', '/dev']] as const) {
    must(makeDirectory(kernel, init, null, place, 0o755));
    must(mountAt(kernel, fs, fs, must(walkPath(kernel, init, null, place, { follow: true })), 0, ''));
  } // prettier-ignore
  const open: CallKernel['open'] = (task, path, flags) => {
    setCurrent(task);
    const file = openPath(kernel, task, null, path, flags);
    return failed(file) ? file : installFile(kernel, task, file, false);
  };
  const read: CallKernel['read'] = (task, fd, count = 0x8000) => {
    setCurrent(task);
    const file = must(fileOf(task, fd));
    const moved =
      operationsOf(file).read?.(
        kernel,
        task,
        file,
        { kind: 'user', task, address: SCRATCH, length: count },
        file.position,
      ) ?? EINVAL;
    if (failed(moved)) return moved;
    file.position += moved;
    return latin1(take(task, SCRATCH, moved));
  };
  const write: CallKernel['write'] = (task, fd, text) => {
    setCurrent(task);
    const file = must(fileOf(task, fd));
    if (text.length > 0) put(task, LARGE, text);
    return (
      operationsOf(file).write?.(
        kernel,
        task,
        file,
        { kind: 'user', task, address: LARGE, length: text.length },
        file.position,
      ) ?? EINVAL
    );
  };
  return {
    kernel, screens, task: newTestTask, call, put, take, open, read, write,
    close: (task, fd) => void closeDescriptor(kernel, task, fd),
    readFile(task, path) {
      const fd = must(open(task, path, 0));
      let text = '';
      for (let part = must(read(task, fd)); part !== ''; part = must(read(task, fd))) text += String(part);
      closeDescriptor(kernel, task, fd);
      return text;
    },
    advance(ns) {
      kernel.time.cpuNs[0] = (kernel.time.cpuNs[0] ?? 0) + ns;
    },
  }; // prettier-ignore
}
