// The board: interrupt lines and when devices raise them. A device's deed is an interrupt at a virtual time; what the
// device did meanwhile is settled by the driver that handles the interrupt.
//
//   line   0      timer of each CPU (local APIC), counted per CPU
//          1      keyboard and terminals (console input)
//          4      serial line ttyS0
//          8      real-time clock
//          10…13  block devices vda, vdb …

export const IRQ = { timer: 0, keyboard: 1, serial: 4, rtc: 8, block: 10 } as const;
export const IRQ_LINES = 16;

export interface PendingInterrupt {
  readonly atNs: number;
  readonly line: number;
  readonly order: number;
}

export interface BoardState {
  /** Interrupts to come, sorted by time, then by the order in which they were asked for. */
  agenda: PendingInterrupt[];
  lastOrder: number;
  /** Interrupts taken, by CPU and line. */
  counts: number[][];
  /** Lines that are masked; their interrupts wait. */
  masked: boolean[];
}

export const newBoardState = (cpuCount: number): BoardState => ({
  agenda: [],
  lastOrder: 0,
  counts: Array.from({ length: cpuCount }, () => Array.from({ length: IRQ_LINES }, () => 0)),
  masked: Array.from({ length: IRQ_LINES }, () => false),
});

/** The device on `line` will raise its interrupt at a virtual time, at the next whole ns. */
export function raiseAt(board: BoardState, line: number, whenNs: number): void {
  const atNs = Math.ceil(whenNs);
  const order = ++board.lastOrder;
  let index = board.agenda.length;
  while (index > 0 && (board.agenda[index - 1]?.atNs ?? 0) > atNs) index--;
  board.agenda.splice(index, 0, { atNs, line, order });
}

/** When the next unmasked interrupt comes, or Infinity. */
export function nextInterruptNs(board: BoardState): number {
  for (const pending of board.agenda) if (board.masked[pending.line] !== true) return pending.atNs;
  return Infinity;
}

/** Takes the first unmasked interrupt that is due, for the CPU, and counts it; -1 for none. */
export function takeInterrupt(board: BoardState, cpu: number, nowNs: number): number {
  const index = board.agenda.findIndex((pending) => board.masked[pending.line] !== true);
  const pending = board.agenda[index];
  if (pending === undefined || pending.atNs > nowNs) return -1;
  board.agenda.splice(index, 1);
  countInterrupt(board, cpu, pending.line);
  return pending.line;
}

/** Counts an interrupt that a CPU took. */
export function countInterrupt(board: BoardState, cpu: number, line: number): void {
  const counts = board.counts[cpu];
  if (counts !== undefined) counts[line] = (counts[line] ?? 0) + 1;
}
