// A thread group: what the threads of a process share beside memory and files (Linux's signal_struct).
import type { Tid } from '../sched/task.ts';
import { newWaitQueue, type WaitQueue } from '../sched/wait-queue.ts';
import { newSharedSignals, type SharedSignals } from '../signal/state.ts';
import type { PosixTimer } from './posix-timers.ts';
import { copyRlimits, defaultRlimits } from './rlimits.ts';

export interface Rlimit {
  current: number; // Infinity for RLIM_INFINITY
  maximum: number;
}

export interface Process {
  readonly pid: Tid; // the group leader's tid
  parent: Tid; // pid of the parent process; 0 for init and kthreadd
  children: Set<Tid>; // pids of child processes, zombies included
  threads: Set<Tid>; // every task of the group that exists, a zombie leader included
  pgid: Tid;
  sid: Tid;
  /** Index into kernel.tty of the controlling terminal, '' for none. */
  tty: string;
  shared: SharedSignals;
  /** Where wait4 of this process sleeps. */
  childExit: WaitQueue;
  /** Where a thread of it sleeps until its vfork child execs or ends, or until its fellow threads are gone (exec). */
  vforkDone: WaitQueue;
  threadExit: WaitQueue;
  /** Set when the whole group ends: the wait status that every thread dies with. */
  groupExit: { status: number } | null;
  /** The thread that is taking the whole group over by exec; 0: none. */
  execTask: Tid;
  /** A stop signal is being carried out, or the process is stopped. */
  stopPending: boolean;
  stopSignal: number;
  stopped: { signal: number; reported: boolean } | null;
  continued: boolean;
  /** All its threads have ended: only the zombie leader is left, for the parent to wait for. */
  dead: boolean;
  exitStatus: number; // wait status, once dead
  exitSignal: number; // what the parent gets when it ends; 0: nothing
  rlimits: Rlimit[]; // by RLIMIT_*
  hasExeced: boolean;
  childSubreaper: boolean;
  deathSignal: number;
  /** Signals with default action do not reach it (init). */
  unkillable: boolean;
  /** personality(2). */
  personality: number;
  /** prctl(PR_SET_TIMERSLACK), ioprio_set(2). */
  timerSlackNs: number;
  ioPriority: number;
  /** MEMBARRIER_CMD_REGISTER_* that were made. */
  membarrier: number;
  /** Times and counts of children that were waited for. */
  childrenUsage: Usage;
  /** Of threads that are gone. */
  goneUsage: Usage;
  itimers: Itimers;
  posixTimers: Map<number, PosixTimer>;
  nextPosixTimer: number;
  oomScoreAdj: number;
  startNs: number;
  /** Id of the host's command that started it (kernel.host), or 0. */
  hostCommand: number;
}

export interface Itimers {
  real: number; // virtual time at which it fires, 0: off
  realIntervalNs: number;
  realTimer: number; // id in time/timers
  /** ITIMER_VIRTUAL and ITIMER_PROF: CPU time of the process at which they fire, 0: off. */
  virtualNs: number;
  virtualIntervalNs: number;
  profNs: number;
  profIntervalNs: number;
}

export interface Usage {
  userNs: number;
  systemNs: number;
  minorFaults: number;
  majorFaults: number;
  voluntarySwitches: number;
  involuntarySwitches: number;
  maxRssPages: number;
  readBlocks: number;
  writeBlocks: number;
}

export const newUsage = (): Usage => ({
  userNs: 0, systemNs: 0, minorFaults: 0, majorFaults: 0, voluntarySwitches: 0, involuntarySwitches: 0, maxRssPages: 0,
  readBlocks: 0, writeBlocks: 0,
}); // prettier-ignore

export const noItimers = (): Itimers => ({
  real: 0, realIntervalNs: 0, realTimer: 0, virtualNs: 0, virtualIntervalNs: 0, profNs: 0, profIntervalNs: 0,
}); // prettier-ignore

/** A new thread group. What fork inherits comes from `from`: the process that is copied, not always the parent. */
export function newProcess(pid: Tid, parent: Tid, from: Process | null, startNs: number): Process {
  return {
    pid,
    parent,
    children: new Set(),
    threads: new Set([pid]),
    pgid: from?.pgid ?? 0,
    sid: from?.sid ?? 0,
    tty: from?.tty ?? '',
    shared: newSharedSignals(),
    childExit: newWaitQueue(),
    vforkDone: newWaitQueue(),
    threadExit: newWaitQueue(),
    groupExit: null,
    execTask: 0,
    stopPending: false,
    stopSignal: 0,
    stopped: null,
    continued: false,
    dead: false,
    exitStatus: 0,
    exitSignal: 0,
    rlimits: from === null ? defaultRlimits() : copyRlimits(from.rlimits),
    hasExeced: false,
    childSubreaper: false,
    deathSignal: 0,
    unkillable: false,
    personality: from?.personality ?? 0,
    timerSlackNs: from?.timerSlackNs ?? 50_000,
    ioPriority: from?.ioPriority ?? 0,
    membarrier: from?.membarrier ?? 0,
    childrenUsage: newUsage(),
    goneUsage: newUsage(),
    itimers: noItimers(),
    posixTimers: new Map(),
    nextPosixTimer: 0,
    oomScoreAdj: from?.oomScoreAdj ?? 0,
    startNs,
    hostCommand: 0,
  };
}
