// The pending sets: putting a signal in, looking at the next one, taking it out. A mask says which signals wait; the queue
// holds their siginfo in order of arrival (a signal in the mask without an entry was sent when the queue was full).
import { SIGNAL_COUNT, SI_USER, SYNCHRONOUS_SIGNALS, signalBit } from '../abi/signal.ts';
import type { Task } from '../sched/task.ts';
import { newSignalInfo, type PendingSignals, type SharedSignals, type SignalInfo } from './state.ts';

type Pending = Pick<PendingSignals | SharedSignals, 'pendingMask' | 'queue'>;

/** Removes signals of a set, queued siginfo included. */
export function flushSignals(pending: Pending, set: bigint): void {
  if ((pending.pendingMask & set) === 0n) return;
  pending.pendingMask &= ~set;
  pending.queue = pending.queue.filter((info) => (signalBit(info.signal) & set) === 0n);
}

/** The signal that is handled next: private before shared, synchronous first, then the lowest number. 0: none. */
export function nextSignal(
  task: Task,
  blocked: bigint,
): { readonly signal: number; readonly from: Pending } | null {
  for (const from of [task.signals, task.process.shared]) {
    const set = from.pendingMask & ~blocked;
    if (set === 0n) continue;
    const synchronous = set & SYNCHRONOUS_SIGNALS;
    return { signal: lowestSignal(synchronous === 0n ? set : synchronous), from };
  }
  return null;
}

export function lowestSignal(set: bigint): number {
  for (let signal = 1; signal <= SIGNAL_COUNT; signal++) {
    if ((set & signalBit(signal)) !== 0n) return signal;
  }
  return 0;
}

/** What a dequeue of this signal would give. */
export function peekInfo(from: Pending, signal: number): SignalInfo {
  return from.queue.find((info) => info.signal === signal) ?? newSignalInfo(signal, SI_USER);
}

/** Takes the oldest entry of a signal out; the signal stays pending while further entries are queued. */
export function dequeueSignal(from: Pending, signal: number): SignalInfo {
  const info = peekInfo(from, signal);
  const index = from.queue.indexOf(info);
  if (index >= 0) from.queue.splice(index, 1);
  if (!from.queue.some((other) => other.signal === signal)) from.pendingMask &= ~signalBit(signal);
  return info;
}
