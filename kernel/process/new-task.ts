// The task record itself, with the parts that every new task starts with.
import type { FileTable } from '../fs/vfs/file-table.ts';
import type { FsContext } from '../fs/vfs/fs-context.ts';
import type { Mm } from '../mm/mm.ts';
import { newSchedEntity } from '../sched/core.ts';
import type { Task, Tid } from '../sched/task.ts';
import type { PendingSignals, SignalHandlers } from '../signal/state.ts';
import type { Kernel } from '../state.ts';
import { now } from '../time/clock.ts';
import type { Credentials } from './credentials.ts';
import type { Process } from './process.ts';

export interface TaskParts {
  readonly tid: Tid;
  readonly comm: string;
  readonly process: Process;
  readonly mm: Mm | null;
  readonly files: FileTable;
  readonly fs: FsContext;
  readonly credentials: Credentials;
  readonly sighand: SignalHandlers;
  readonly signals: PendingSignals;
  readonly context: Uint8Array;
  readonly kernelThread: { name: string; data: unknown } | null;
  readonly exitSignal: number;
}

/** Puts a new task into kernel.tasks, asleep: wakeTask starts it. */
export function newTask(kernel: Kernel, parent: Task | null, parts: TaskParts): Task {
  const task: Task = {
    ...parts,
    state: 'sleeping',
    sched: newSchedEntity(parent),
    waitingOn: [],
    wchan: '',
    call: null,
    inCall: false,
    origRax: -1,
    clearChildTid: 0,
    robustList: 0,
    rseq: null,
    startNs: now(kernel),
    userNs: 0,
    systemNs: 0,
    minorFaults: 0,
    majorFaults: 0,
    voluntarySwitches: 0,
    involuntarySwitches: 0,
    io: { readBytes: 0, writeBytes: 0, readChars: 0, writeChars: 0, readCalls: 0, writeCalls: 0 },
    vforkParent: 0,
    flags: {
      kernel: parts.kernelThread !== null,
      forkNoExec: parts.kernelThread === null,
      exiting: false,
      restarting: false,
    },
  };
  kernel.tasks.set(task.tid, task);
  return task;
}
