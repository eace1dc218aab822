// What tasks keep about signals. Sets are bigint masks: bit n-1 for signal n (1 to 64).
import { SI_KERNEL, SIGNAL_COUNT, type SiginfoFields } from '../abi/signal.ts';
import { newWaitQueue, type WaitQueue } from '../sched/wait-queue.ts';

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
export type SignalInfo = SiginfoFields;

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

const defaultSignalAction = (): SignalAction => ({ handler: 0, flags: 0, restorer: 0, mask: 0n });

export const newSignalHandlers = (): SignalHandlers => ({
  users: 1,
  actions: Array.from({ length: SIGNAL_COUNT + 1 }, defaultSignalAction),
});

/** Written out: fork spends much of its time here. */
const copyAction = ({ handler, flags, restorer, mask }: SignalAction): SignalAction => ({
  handler,
  flags,
  restorer,
  mask,
});

export const copySignalHandlers = (from: SignalHandlers): SignalHandlers => ({
  users: 1,
  actions: from.actions.map(copyAction),
});

export const newPendingSignals = (blocked: bigint): PendingSignals => ({
  pendingMask: 0n,
  queue: [],
  blocked,
  savedMask: null,
  altStack: { address: 0, size: 0, flags: 0 },
});

export const newSharedSignals = (): SharedSignals => ({
  pendingMask: 0n,
  queue: [],
  arrived: newWaitQueue(),
});

/** A siginfo with the fields that matter; the others are 0. */
export function newSignalInfo(signal: number, code: number, more: Partial<SignalInfo> = {}): SignalInfo {
  return { signal, code, errno: 0, pid: 0, uid: 0, status: 0, address: 0, value: 0n, ...more };
}

/** What the kernel sends of its own accord (SI_KERNEL): terminal keys, hang-ups, limits. */
export const kernelSignal = (signal: number): SignalInfo => newSignalInfo(signal, SI_KERNEL);
