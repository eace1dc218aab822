// Kernel timers: a heap of records by virtual time. What a timer does is found by name, so that it can be frozen.
import type { Kernel } from '../state.ts';

/** A timer's deed: `kind` names an entry of timerActions, the rest is its plain data. */
export interface TimerAction {
  readonly kind: string;
  readonly [detail: string]: unknown;
}

export interface Timer {
  readonly id: number;
  atNs: number;
  action: TimerAction;
}

export interface TimerState {
  /** A binary heap by (atNs, id). */
  heap: Timer[];
  lastId: number;
}

/** What each kind of timer does; the folder that owns a kind adds it here when it is loaded. */
export const timerActions: Record<string, (kernel: Kernel, action: TimerAction) => void> = {};

const before = (a: Timer, b: Timer): boolean => a.atNs < b.atNs || (a.atNs === b.atNs && a.id < b.id);

/** Starts a timer for an absolute virtual time and gives its id (never 0). */
export function addTimer(kernel: Kernel, atNs: number, action: TimerAction): number {
  const { heap } = kernel.timers;
  const timer = { id: ++kernel.timers.lastId, atNs: Math.ceil(atNs), action };
  heap.push(timer);
  siftUp(heap, heap.length - 1);
  return timer.id;
}

/** Takes a timer away; false when it has fired or never was. */
export function cancelTimer(kernel: Kernel, id: number): boolean {
  const { heap } = kernel.timers;
  const index = heap.findIndex((timer) => timer.id === id);
  if (index < 0) return false;
  removeAt(heap, index);
  return true;
}

/**
 * When the next timer fires, or Infinity.
 * Deviation: one that lies beyond 2^53 ns (104 days after power-on) never fires, for there a clock would lose its
 * nanoseconds, and an idle machine that skips time would get there at once.
 */
export function nextTimerNs(kernel: Kernel): number {
  const atNs = kernel.timers.heap[0]?.atNs ?? Infinity;
  return atNs < Number.MAX_SAFE_INTEGER ? atNs : Infinity;
}

/** Fires every timer that is due at `ns`. */
export function runTimers(kernel: Kernel, ns: number): void {
  const { heap } = kernel.timers;
  for (let timer = heap[0]; timer !== undefined && timer.atNs <= ns; timer = heap[0]) {
    removeAt(heap, 0);
    timerActions[timer.action.kind]?.(kernel, timer.action);
  }
}

function removeAt(heap: Timer[], index: number): void {
  const last = heap.pop();
  if (last === undefined || index >= heap.length) return;
  heap[index] = last;
  siftUp(heap, index);
  siftDown(heap, index);
}

function siftUp(heap: Timer[], from: number): void {
  let index = from;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    if (!swapIfBefore(heap, index, parent)) return;
    index = parent;
  }
}

function siftDown(heap: Timer[], from: number): void {
  for (let index = from; ;) {
    const left = 2 * index + 1;
    const right = left + 1;
    const l = heap[left];
    const r = heap[right];
    if (l === undefined) return;
    const child = r !== undefined && before(r, l) ? right : left;
    if (!swapIfBefore(heap, child, index)) return;
    index = child;
  }
}

function swapIfBefore(heap: Timer[], lower: number, upper: number): boolean {
  const a = heap[lower];
  const b = heap[upper];
  if (a === undefined || b === undefined || !before(a, b)) return false;
  heap[lower] = b;
  heap[upper] = a;
  return true;
}
