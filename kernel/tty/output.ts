// Output processing (OPOST): what a byte becomes on its way to the screen, and where the cursor's column goes.
import {
  ECHOCTL,
  IUTF8,
  OCRNL,
  OLCUC,
  ONLCR,
  ONLRET,
  ONOCR,
  OPOST,
  TABDLY,
  XTABS,
  type Termios,
} from '../abi/termios.ts';
import type { Line } from './line.ts';

const BACKSPACE = 8;
const TAB = 9;
const NEWLINE = 10;
const RETURN = 13;

export const isControl = (byte: number): boolean => byte < 32 || byte === 127;
/** A byte that continues a UTF-8 character takes no column of its own. */
export const isContinuation = (byte: number, termios: Termios): boolean =>
  (termios.iflag & IUTF8) !== 0 && (byte & 0xc0) === 0x80;

/** Appends what one written byte becomes. */
export function processOutput(line: Line, termios: Termios, byte: number, out: number[]): void {
  const { oflag } = termios;
  if ((oflag & OPOST) === 0) {
    out.push(byte);
    return;
  }
  switch (byte) {
    case NEWLINE:
      if (oflag & ONLRET) line.column = 0;
      if (oflag & ONLCR) {
        line.canonColumn = line.column = 0;
        out.push(RETURN, NEWLINE);
        return;
      }
      line.canonColumn = line.column;
      break;
    case RETURN:
      if (oflag & ONOCR && line.column === 0) return;
      if (oflag & OCRNL) {
        if (oflag & ONLRET) line.canonColumn = line.column = 0;
        out.push(NEWLINE);
        return;
      }
      line.canonColumn = line.column = 0;
      break;
    case TAB: {
      const spaces = 8 - (line.column & 7);
      line.column += spaces;
      if ((oflag & TABDLY) !== XTABS) break;
      for (let i = 0; i < spaces; i++) out.push(32);
      return;
    }
    case BACKSPACE:
      if (line.column > 0) line.column--;
      break;
    default: {
      if (isControl(byte)) break;
      if (!isContinuation(byte, termios)) line.column++;
      if (oflag & OLCUC && byte >= 97 && byte <= 122) {
        out.push(byte - 32);
        return;
      }
    }
  }
  out.push(byte);
}

/** Echoes one byte as it is, through OPOST (Linux's echo_char_raw). */
export function echoRaw(line: Line, termios: Termios, byte: number, out: number[]): void {
  processOutput(line, termios, byte, out);
}

/** Echoes one byte so that it can be seen: control characters as ^X under ECHOCTL (Linux's echo_char). */
export function echoVisible(line: Line, termios: Termios, byte: number, out: number[]): void {
  if (termios.lflag & ECHOCTL && isControl(byte) && byte !== TAB) {
    out.push(0x5e, byte ^ 0x40);
    line.column += 2;
    return;
  }
  processOutput(line, termios, byte, out);
}
