// A thread group: what the threads of a process share beside memory and files (Linux's signal_struct).
import type { Tid } from '../sched/task.ts';
import type { WaitQueue } from '../sched/wait-queue.ts';
import type { SharedSignals } from '../signal/state.ts';

export interface Rlimit {
  current: number; // Infinity for RLIM_INFINITY
  maximum: number;
}

export interface Process {
  readonly pid: Tid; // the group leader's tid
  parent: Tid; // pid of the parent process; 0 for init and kthreadd
  children: Set<Tid>; // pids of child processes, zombies included
  threads: Set<Tid>;
  pgid: Tid;
  sid: Tid;
  /** Index into kernel.tty of the controlling terminal, '' for none. */
  tty: string;
  shared: SharedSignals;
  /** Where wait4 of this process sleeps. */
  childExit: WaitQueue;
  /** Set when the whole group ends: the wait status that every thread dies with. */
  groupExit: { status: number } | null;
  /** A stop signal is being carried out. */
  stopPending: boolean;
  stopped: { signal: number; reported: boolean } | null;
  continued: boolean;
  exitStatus: number; // wait status, once zombie
  rlimits: Rlimit[]; // by RLIMIT_*
  hasExeced: boolean;
  childSubreaper: boolean;
  deathSignal: number;
  /** Times and counts of children that were waited for. */
  childrenUsage: Usage;
  /** Of threads that are gone. */
  goneUsage: Usage;
  itimers: { real: number; realIntervalNs: number; realTimer: number };
  posixTimers: Map<number, unknown>;
  oomScoreAdj: number;
  startNs: number;
  /** Id of the host's command that started it (kernel.host), or 0. */
  hostCommand: number;
}

export interface Usage {
  userNs: number;
  systemNs: number;
  minorFaults: number;
  majorFaults: number;
  voluntarySwitches: number;
  involuntarySwitches: number;
  maxRssPages: number;
}
