// A task: one thread of execution, as Linux's task_struct. Threads of a process share `process`, `mm`, `files`, `fs` and
// `sighand` by reference (with user counts in those records). Tasks name each other by tid.
import type { Credentials } from '../process/credentials.ts';
import type { FileTable } from '../fs/vfs/file-table.ts';
import type { FsContext } from '../fs/vfs/fs-context.ts';
import type { Mm } from '../mm/mm.ts';
import type { Process } from '../process/process.ts';
import type { PendingSignals, SignalHandlers } from '../signal/state.ts';
import type { SchedEntity } from './entity.ts';
import type { WaitQueue } from './wait-queue.ts';

export type Tid = number;

/** R, S, D, T, t, Z, X of ps. 'running' is runnable or on a CPU. */
export type TaskState = 'running' | 'sleeping' | 'disk-sleep' | 'stopped' | 'traced' | 'zombie' | 'dead';

/** What a system call that gave up with BLOCKED has recorded, so that its next start goes on from there. */
export interface CallProgress {
  number: number; // of the system call
  /** Virtual time at which the call's timeout ends, or -1. Set once, survives restarts. */
  deadlineNs: number;
  /** The timer that wakes the task at the deadline, or 0. */
  timer: number;
  /** Bytes already moved. */
  done: number;
  /** Whatever else the call's handler keeps: plain data, its shape known to that handler only. */
  data: unknown;
}

export interface Task {
  readonly tid: Tid;
  comm: string; // at most 15 bytes
  state: TaskState;
  /** The thread group: pid, parent, children, exit status, rlimits, session, tty, timers. */
  process: Process;
  /** null for kernel threads. */
  mm: Mm | null;
  files: FileTable;
  fs: FsContext;
  credentials: Credentials;
  /** Shared by threads. */
  sighand: SignalHandlers;
  /** Private to the task: pending set, blocked mask, alternate stack. */
  signals: PendingSignals;
  /** CPU registers while the task is not on a CPU (machine CONTEXT_BYTES). */
  context: Uint8Array;
  sched: SchedEntity;
  /** Queues that the task waits on; empty unless sleeping. */
  waitingOn: WaitQueue[];
  /** Name of the kernel function that sleeps, for /proc/PID/wchan ('' when running). */
  wchan: string;
  /** The system call in progress; null between calls. */
  call: CallProgress | null;
  /** True while the task's next entry to user mode must first run its interrupted call again. */
  inCall: boolean;
  /** Number of the system call whose result stands in RAX on the way to user mode (Linux's orig_ax); -1 otherwise. */
  origRax: number;
  /** For kernel threads: name of the step function in `kernelThreads` (sched/kernel-thread.ts), and its own data. */
  kernelThread: { name: string; data: unknown } | null;
  /** clone's CLONE_CHILD_CLEARTID address (0: none), set_robust_list head. */
  clearChildTid: number;
  robustList: number;
  /** `switches`: value of sched.switchCount when the struct in user memory was brought up to date. */
  rseq: { address: number; length: number; signature: number; switches: number } | null;
  startNs: number;
  /** Time accounting, virtual ns. */
  userNs: number;
  systemNs: number;
  minorFaults: number;
  majorFaults: number;
  voluntarySwitches: number;
  involuntarySwitches: number;
  io: {
    readBytes: number;
    writeBytes: number;
    readChars: number;
    writeChars: number;
    readCalls: number;
    writeCalls: number;
  };
  exitSignal: number; // what the parent gets when it ends; 0 for threads
  vforkParent: Tid; // 0: none. The parent sleeps until this task execs or exits.
  flags: {
    kernel: boolean;
    forkNoExec: boolean;
    exiting: boolean;
    /** Its call gave ERESTARTSYS or ERESTARTNOHAND: signal delivery must decide on the way out. */
    restarting: boolean;
  };
}
