// The line discipline's record (Linux's n_tty_data) and what its functions tell the terminal to do.
//
// Input waits in a ring of 4096 bytes. Three counters grow for ever and are masked on use:
//
//     tail ............ canonHead ............ head
//     | finished lines  | line being edited    | next byte comes here
//
// A mark in `ends` closes a line: on a newline, on EOL, and on an end-of-file character (kept as byte 0, not delivered).
// Without ICANON everything up to head may be read.
export const LINE_BYTES = 4096;

export interface Line {
  ring: Uint8Array; // LINE_BYTES
  ends: Uint8Array; // 1 where a line ends
  head: number;
  canonHead: number;
  tail: number;
  /** Cursor column, for tabs; and where the edited line began. */
  column: number;
  canonColumn: number;
  /** Between the '\' and the '/' of ECHOPRT. */
  erasing: boolean;
  /** ^V came: the next character is taken as it is. */
  literalNext: boolean;
  /** Output is stopped: by ^S or TCXONC. */
  stopped: boolean;
  /** Stopped by TCXONC: ^Q does not start it. */
  stoppedByIoctl: boolean;
  /** Virtual time of the last input, for VTIME between bytes. */
  lastInputNs: number;
}

export const newLine = (): Line => ({
  ring: new Uint8Array(LINE_BYTES), ends: new Uint8Array(LINE_BYTES), head: 0, canonHead: 0, tail: 0, column: 0,
  canonColumn: 0, erasing: false, literalNext: false, stopped: false, stoppedByIoctl: false, lastInputNs: 0,
}); // prettier-ignore

/** What a stretch of input leads to, in the order in which bytes go out. */
export interface LineEffects {
  /** Echo, after output processing. */
  output: number[];
  /** Signals for the foreground group. */
  signals: number[];
  /** Input became readable. */
  readable: boolean;
  /** Output started again. */
  started: boolean;
  stopped: boolean;
  /** A signal character threw input and output away. */
  flushed: boolean;
}

export const newLineEffects = (): LineEffects => ({
  output: [], signals: [], readable: false, started: false, stopped: false, flushed: false,
}); // prettier-ignore

const MASK = LINE_BYTES - 1;

export const byteAt = (line: Line, position: number): number => line.ring[position & MASK] ?? 0;
export const endsAt = (line: Line, position: number): boolean => line.ends[position & MASK] === 1;

/** Appends one byte; the caller has seen to it that there is room. */
export function pushByte(line: Line, byte: number, end: 0 | 1): void {
  line.ring[line.head & MASK] = byte;
  line.ends[line.head & MASK] = end;
  line.head++;
  if (end === 1) line.canonHead = line.head;
}

/** Throws waiting input away (TCFLSH, signal characters, hang-up). */
export function flushLine(line: Line): void {
  line.head = line.canonHead = line.tail = 0;
  line.erasing = false;
  line.literalNext = false;
  line.ends.fill(0);
}
