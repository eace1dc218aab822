// Broken invariants are ours: assert stops the machine with a report. No guest input may ever reach one.

/** Throws when a condition that our own code guarantees does not hold. */
export function assert(condition: boolean, whatHolds: string): asserts condition {
  if (!condition) throw new Error(`Broken invariant: ${whatHolds}`);
}
