// What entry and exit keep: counters since power-on.

export interface CallCount {
  count: number;
  errors: number;
  ns: number;
}

export interface TrapState {
  /** Steps of the main loop since power-on: names an instant between two slices exactly. */
  steps: number;
  instructions: number;
  syscalls: number;
  pageFaults: number;
  exceptions: number;
  /** Calls by number: how many ended, how many of them with an error, and virtual ns in the kernel. */
  callCounts: Map<number, CallCount>;
  /** Numbers without a handler that a program has used: each is logged once. */
  unknownCalls: Set<number>;
}

export const newTrapState = (): TrapState => ({
  steps: 0, instructions: 0, syscalls: 0, pageFaults: 0, exceptions: 0, callCounts: new Map(), unknownCalls: new Set(),
}); // prettier-ignore
