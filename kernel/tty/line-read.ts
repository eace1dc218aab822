// What a read takes from a line: in canonical mode at most one line, otherwise whatever is there.
import { ICANON, type Termios } from '../abi/termios.ts';
import { byteAt, endsAt, LINE_BYTES, type Line } from './line.ts';

/** Bytes that a read can have now; in canonical mode a lone end-of-file mark counts (the read gives 0). */
export function hasInput(line: Line, termios: Termios, minimum = 1): boolean {
  if (termios.lflag & ICANON) return line.canonHead !== line.tail;
  return line.head - line.tail >= minimum;
}

/** FIONREAD. */
export function inputLength(line: Line, termios: Termios): number {
  if ((termios.lflag & ICANON) === 0) return line.head - line.tail;
  let count = 0;
  for (let at = line.tail; at < line.canonHead; at++)
    if (!(endsAt(line, at) && byteAt(line, at) === 0)) count++;
  return count;
}

export interface LineTaken {
  bytes: Uint8Array;
  /** Where the tail goes once the bytes have arrived. */
  tail: number;
}

/** Looks at what a read of at most `count` bytes gets; takeLine removes it. */
export function peekLine(line: Line, termios: Termios, count: number): LineTaken {
  const canonical = (termios.lflag & ICANON) !== 0;
  const limit = canonical ? line.canonHead : line.head;
  const bytes = new Uint8Array(Math.min(count, limit - line.tail));
  let length = 0;
  let at = line.tail;
  while (at < limit && length < count) {
    const byte = byteAt(line, at);
    const end = canonical && endsAt(line, at);
    at++;
    if (!(end && byte === 0)) bytes[length++] = byte;
    if (end) return { bytes: bytes.subarray(0, length), tail: at };
  }
  // An end-of-file mark right behind a read that it ends is taken with it, or the next read would see an empty file.
  if (canonical && at < limit && endsAt(line, at) && byteAt(line, at) === 0) at++;
  return { bytes: bytes.subarray(0, length), tail: at };
}

/** Removes what was peeked. */
export function takeLine(line: Line, taken: LineTaken): void {
  for (let at = line.tail; at < taken.tail; at++) line.ends[at & (LINE_BYTES - 1)] = 0;
  line.tail = taken.tail;
  if (line.canonHead < line.tail) line.canonHead = line.tail;
}

/** Switching between canonical and raw mode changes which of the waiting bytes are readable (Linux's n_tty_set_termios). */
export function modeChanged(line: Line, from: Termios, to: Termios): void {
  if (((from.lflag ^ to.lflag) & ICANON) === 0) return;
  line.erasing = false;
  line.literalNext = false;
  line.ends.fill(0);
  if (to.lflag & ICANON) {
    line.canonHead = line.head;
    if (line.head !== line.tail) line.ends[(line.head - 1) & (LINE_BYTES - 1)] = 1;
  } else line.canonHead = line.tail;
}
