// Pressure stall information, the records: plain data, times in virtual ns. psi.ts changes them.
import type { Tid } from '../sched/task.ts';

/** One line of /proc/pressure/memory. */
export interface PsiLine {
  totalNs: number;
  /** Share of stalled time, in percent, as exponential averages over 10, 60 and 300 s. */
  averages: [number, number, number];
  /** totalNs at the last update of the averages. */
  updatedTotalNs: number;
}

export interface PsiState {
  some: PsiLine;
  full: PsiLine;
  /** Tasks that are stalled on memory now. */
  stalled: Set<Tid>;
  sinceNs: number;
  wasFull: boolean;
  updatedNs: number;
}

const newLine = (): PsiLine => ({ totalNs: 0, averages: [0, 0, 0], updatedTotalNs: 0 });
export const newPsi = (): PsiState => ({
  some: newLine(), full: newLine(), stalled: new Set(), sinceNs: 0, wasFull: false, updatedNs: 0,
}); // prettier-ignore
