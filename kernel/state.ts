// KernelState is all that a snapshot keeps beside RAM and CPU contexts; Kernel adds the handles that are never frozen.
import type { CpuModel, Machine } from './machine/index.ts';
import type { BoardState } from './machine/devices/board.ts';
import type { BlockState } from './block/state.ts';
import type { VfsState } from './fs/vfs/state.ts';
import type { IpcState } from './ipc/state.ts';
import type { RandomState } from './lib/random.ts';
import type { MemoryState } from './mm/state.ts';
import type { NetState } from './net/state.ts';
import type { ProcessState } from './process/state.ts';
import type { RanSlice, SchedState } from './sched/state.ts';
import type { Task, Tid } from './sched/task.ts';
import type { TimeState } from './time/clock.ts';
import type { TimerState } from './time/timers.ts';
import type { RecordedEvents } from './trace/recorder.ts';
import type { KernelLog } from './trace/printk.ts';
import type { TraceState } from './trace/state.ts';
import type { TrapState } from './trap/state.ts';
import type { TtyState } from './tty/state.ts';
import type { HostState } from './boot/host-state.ts';

export interface BootConfig {
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly swapBytes: number;
  readonly seed: number;
  readonly diskProfile: 'hdd' | 'ssd' | 'nvme';
  readonly commandLine: string;
  readonly hostname: string;
  /** x86-64-v2 if it is not given. */
  readonly cpuModel?: CpuModel;
}

export interface KernelState {
  readonly config: BootConfig;
  /** The CPU on which the kernel runs at this moment. */
  cpu: number;
  powerState: 'on' | 'off' | 'reboot' | 'panic';
  tasks: Map<Tid, Task>;
  time: TimeState;
  timers: TimerState;
  random: RandomState;
  log: KernelLog;
  trace: TraceState;
  board: BoardState; // interrupt lines, device registers
  sched: SchedState;
  process: ProcessState; // pid allocation, sessions, limits
  memory: MemoryState;
  block: BlockState;
  vfs: VfsState;
  tty: TtyState;
  trap: TrapState;
  ipc: IpcState;
  net: NetState;
  host: HostState; // what the host asked for and has not yet got
}

/** A block device's content on the host: whole 4096-byte blocks. Synchronous; all reads of one run give the same bytes. */
export interface DiskBackend {
  readonly blockCount: number;
  readBlocks(first: number, count: number): Uint8Array;
  /** May throw when the host's disk is full: the machine then sees an I/O error. */
  writeBlocks(first: number, bytes: Uint8Array): void;
  flush(): void;
}

/** What the machine tells the host. Output is never read back by the machine. */
export interface HostDoor {
  readonly disks: Readonly<Record<string, DiskBackend>>;
  terminalOutput(terminal: string, bytes: Uint8Array): void;
  commandOutput(command: number, stream: 'stdout' | 'stderr', bytes: Uint8Array): void;
  commandExited(command: number, waitStatus: number): void;
  requestDone(request: number, result: unknown): void;
}

export interface Kernel extends KernelState {
  readonly machine: Machine;
  readonly door: HostDoor;
  /** Recorded events that the host has not taken yet: output, never read back. */
  recorder: { events: RecordedEvents | null; slices: RanSlice[] | null };
  /** Derived data, droppable at any instant: folders keep what they can compute again under their own name. */
  cache: Record<string, unknown>;
}
