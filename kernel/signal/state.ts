// What tasks keep about signals. Sets are bigint masks: bit n-1 for signal n (1 to 64).
import type { WaitQueue } from '../sched/wait-queue.ts';

/** struct sigaction; handler 0 is SIG_DFL, 1 is SIG_IGN. */
export interface SignalAction {
  handler: number;
  flags: number;
  restorer: number;
  mask: bigint;
}

/** Shared by threads (CLONE_SIGHAND). */
export interface SignalHandlers {
  users: number;
  actions: SignalAction[]; // by signal number, 0 unused
}

/** siginfo_t in short. */
export interface SignalInfo {
  readonly signal: number;
  readonly code: number; // SI_USER, SEGV_MAPERR …
  readonly errno: number;
  readonly pid: number;
  readonly uid: number;
  readonly status: number;
  readonly address: number;
  readonly value: bigint;
}

/** Per task. */
export interface PendingSignals {
  pendingMask: bigint;
  queue: SignalInfo[];
  blocked: bigint;
  /** sigsuspend, ppoll: the mask to put back once the handler's frame is built. */
  savedMask: bigint | null;
  altStack: { address: number; size: number; flags: number };
}

/** Per process. */
export interface SharedSignals {
  pendingMask: bigint;
  queue: SignalInfo[];
  /** signalfd and sigtimedwait sleep here. */
  arrived: WaitQueue;
}
