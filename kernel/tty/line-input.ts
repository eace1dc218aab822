// Input processing of N_TTY: takes bytes as they come from a keyboard or a pty's master, edits the line, echoes, and
// finds signal and flow characters. It changes only the line; what else must happen is put into LineEffects.
import {
  CC, ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ECHONL, ECHOPRT, ICANON, ICRNL, IEXTEN, IGNCR, INLCR, ISIG, ISTRIP, IUCLC,
  IXANY, IXON, NOFLSH, PARMRK, type Termios,
} from '../abi/termios.ts'; // prettier-ignore
import { byteAt, flushLine, LINE_BYTES, pushByte, type Line, type LineEffects } from './line.ts';
import { echoRaw, echoVisible, isContinuation, isControl } from './output.ts';

const SIGINT = 2;
const SIGQUIT = 3;
const SIGTSTP = 20;
const BACKSPACE = 8;
const TAB = 9;
const NEWLINE = 10;
const RETURN = 13;
const SPACE = 32;

/** How many more bytes the line can take now. In a line that is full and unfinished, a byte replaces the last. */
export function lineRoom(line: Line, termios: Termios): number {
  const room = LINE_BYTES - (line.head - line.tail) - 1;
  if (room > 0) return room;
  // One unfinished line fills the ring: take bytes, so that a newline or an erase can get through.
  return termios.lflag & ICANON && line.canonHead === line.tail ? 1 : 0;
}

/** Takes one byte. The caller has checked lineRoom. */
export function receiveByte(line: Line, termios: Termios, given: number, effects: LineEffects): void {
  const { iflag, lflag } = termios;
  let byte = iflag & ISTRIP ? given & 0x7f : given;
  if (iflag & IUCLC && lflag & IEXTEN && byte >= 65 && byte <= 90) byte += 32;
  if (line.literalNext) {
    line.literalNext = false;
    takeByte(line, termios, byte, effects);
    return;
  }
  if (isSpecial(line, termios, byte, effects)) return;
  if (line.stopped && !line.stoppedByIoctl && iflag & IXON && iflag & IXANY) startOutput(line, effects);
  if (byte === RETURN) {
    if (iflag & IGNCR) return;
    if (iflag & ICRNL) byte = NEWLINE;
  } else if (byte === NEWLINE && iflag & INLCR) byte = RETURN;
  if (lflag & ICANON && editLine(line, termios, byte, effects)) return;
  takeByte(line, termios, byte, effects);
}

const isKey = (termios: Termios, byte: number, index: number): boolean =>
  byte !== 0 && termios.cc[index] === byte;

/** Flow and signal characters. */
function isSpecial(line: Line, termios: Termios, byte: number, effects: LineEffects): boolean {
  if (termios.iflag & IXON) {
    if (isKey(termios, byte, CC.start)) {
      if (!line.stoppedByIoctl) startOutput(line, effects);
      return true;
    }
    if (isKey(termios, byte, CC.stop)) {
      if (!line.stopped) effects.stopped = true;
      line.stopped = true;
      return true;
    }
  }
  if ((termios.lflag & ISIG) === 0) return false;
  const signal = signalOf(termios, byte);
  if (signal === 0) return false;
  effects.signals.push(signal);
  if ((termios.lflag & NOFLSH) === 0) {
    flushLine(line);
    effects.output.length = 0;
    effects.flushed = true;
  }
  if (termios.iflag & IXON && !line.stoppedByIoctl) startOutput(line, effects);
  if (termios.lflag & ECHO) echoVisible(line, termios, byte, effects.output);
  return true;
}

function signalOf(termios: Termios, byte: number): number {
  if (isKey(termios, byte, CC.intr)) return SIGINT;
  if (isKey(termios, byte, CC.quit)) return SIGQUIT;
  return isKey(termios, byte, CC.susp) ? SIGTSTP : 0;
}

function startOutput(line: Line, effects: LineEffects): void {
  if (line.stopped) effects.started = true;
  line.stopped = false;
}

/** Canonical mode's keys. True when the byte is done with. */
function editLine(line: Line, termios: Termios, byte: number, effects: LineEffects): boolean {
  const { lflag } = termios;
  const extended = (lflag & IEXTEN) !== 0;
  const out = effects.output;
  if (
    isKey(termios, byte, CC.erase) ||
    isKey(termios, byte, CC.kill) ||
    (extended && isKey(termios, byte, CC.werase))
  ) {
    erase(line, termios, byte, out);
    return true;
  }
  if (extended && isKey(termios, byte, CC.lnext)) {
    line.literalNext = true;
    if (lflag & ECHO) {
      finishErasing(line, termios, out);
      if (lflag & ECHOCTL) {
        echoRaw(line, termios, 0x5e, out);
        echoRaw(line, termios, BACKSPACE, out);
      }
    }
    return true;
  }
  if (extended && lflag & ECHO && isKey(termios, byte, CC.reprint)) {
    finishErasing(line, termios, out);
    echoVisible(line, termios, byte, out);
    echoRaw(line, termios, NEWLINE, out);
    for (let at = line.canonHead; at < line.head; at++) echoVisible(line, termios, byteAt(line, at), out);
    return true;
  }
  if (byte === NEWLINE) {
    if (lflag & (ECHO | ECHONL)) echoRaw(line, termios, NEWLINE, out);
    endLine(line, NEWLINE, effects);
    return true;
  }
  if (isKey(termios, byte, CC.eof)) {
    endLine(line, 0, effects);
    return true;
  }
  if (isKey(termios, byte, CC.eol) || (extended && isKey(termios, byte, CC.eol2))) {
    if (lflag & ECHO) echoTyped(line, termios, byte, out);
    endLine(line, byte, effects);
    return true;
  }
  return false;
}

function endLine(line: Line, byte: number, effects: LineEffects): void {
  if (isFull(line)) line.head--; // the last byte of an overlong line gives way to its end
  pushByte(line, byte, 1);
  effects.readable = true;
}

const isFull = (line: Line): boolean => line.head - line.tail >= LINE_BYTES - 1;

/** An ordinary byte: echo and keep. */
function takeByte(line: Line, termios: Termios, byte: number, effects: LineEffects): void {
  const canonical = (termios.lflag & ICANON) !== 0;
  if (isFull(line)) line.head--; // an overlong line keeps its newest byte, as n_tty does
  if (termios.lflag & ECHO) {
    finishErasing(line, termios, effects.output);
    if (byte === NEWLINE) echoRaw(line, termios, NEWLINE, effects.output);
    else echoTyped(line, termios, byte, effects.output);
  }
  if (byte === 0xff && termios.iflag & PARMRK) pushByte(line, byte, 0);
  pushByte(line, byte, 0);
  if (!canonical) effects.readable = true;
}

function echoTyped(line: Line, termios: Termios, byte: number, out: number[]): void {
  if (line.canonHead === line.head) line.canonColumn = line.column;
  echoVisible(line, termios, byte, out);
}

function finishErasing(line: Line, termios: Termios, out: number[]): void {
  if (!line.erasing) return;
  echoRaw(line, termios, 0x2f, out);
  line.erasing = false;
}

/** VERASE, VWERASE and VKILL (Linux's eraser). */
function erase(line: Line, termios: Termios, key: number, out: number[]): void {
  if (line.head === line.canonHead) return;
  const { lflag } = termios;
  const echo = (lflag & ECHO) !== 0;
  const kind = isKey(termios, key, CC.erase) ? 'character' : isKey(termios, key, CC.werase) ? 'word' : 'line';
  if (kind === 'line') {
    const eraseEach = lflag & ECHOK && lflag & ECHOKE && lflag & ECHOE;
    if (!echo || !eraseEach) {
      line.head = line.canonHead;
      if (!echo) return;
      finishErasing(line, termios, out);
      echoVisible(line, termios, key, out);
      if (lflag & ECHOK) echoRaw(line, termios, NEWLINE, out);
      return;
    }
  }
  let seenWord = false;
  while (line.head !== line.canonHead) {
    let at = line.head;
    do at--;
    while (isContinuation(byteAt(line, at), termios) && at !== line.canonHead);
    const byte = byteAt(line, at);
    if (isContinuation(byte, termios)) break; // never half a character
    if (kind === 'word') {
      if (isWordByte(byte)) seenWord = true;
      else if (seenWord) break;
    }
    const oldHead = line.head;
    line.head = at;
    if (echo) echoErased(line, termios, { byte, key, isCharacter: kind === 'character', oldHead }, out);
    if (kind === 'character') break;
  }
  if (line.head === line.canonHead && echo) finishErasing(line, termios, out);
}

const isWordByte = (byte: number): boolean =>
  (byte >= 48 && byte <= 57) ||
  (byte >= 65 && byte <= 90) ||
  (byte >= 97 && byte <= 122) ||
  byte === 0x5f ||
  byte >= 0xc0;

interface Erased {
  byte: number;
  key: number;
  isCharacter: boolean;
  oldHead: number;
}

function echoErased(line: Line, termios: Termios, erased: Erased, out: number[]): void {
  const { byte, key, isCharacter, oldHead } = erased;
  if (termios.lflag & ECHOPRT) {
    if (!line.erasing) {
      echoRaw(line, termios, 0x5c, out);
      line.erasing = true;
    }
    echoVisible(line, termios, byte, out);
    for (let at = line.head + 1; at < oldHead; at++) out.push(byteAt(line, at));
    return;
  }
  if (isCharacter && (termios.lflag & ECHOE) === 0) {
    echoVisible(line, termios, key, out);
    return;
  }
  if (byte === TAB) {
    eraseTab(line, termios, out);
    return;
  }
  const visibleControl = (termios.lflag & ECHOCTL) !== 0;
  if (isControl(byte) && visibleControl) rubOut(line, termios, out);
  if (!isControl(byte) || visibleControl) rubOut(line, termios, out);
}

function rubOut(line: Line, termios: Termios, out: number[]): void {
  for (const byte of [BACKSPACE, SPACE, BACKSPACE]) echoRaw(line, termios, byte, out);
}

/** Goes back over a tab: as many columns as it took, which follows from what stands before it. */
function eraseTab(line: Line, termios: Termios, out: number[]): void {
  let columns = 0;
  let afterTab = false;
  for (let at = line.head - 1; at >= line.canonHead && !afterTab; at--) {
    const byte = byteAt(line, at);
    if (byte === TAB) afterTab = true;
    else if (isControl(byte)) columns += termios.lflag & ECHOCTL ? 2 : 0;
    else if (!isContinuation(byte, termios)) columns++;
  }
  if (!afterTab) columns += line.canonColumn;
  for (let back = 8 - (columns & 7); back > 0; back--) {
    out.push(BACKSPACE);
    if (line.column > 0) line.column--;
  }
}
