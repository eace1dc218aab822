// Terminals as asm-generic/termbits.h and ioctls.h number them: flags, control characters, ioctls, struct termios.
import { get16, get32, put16, put32 } from '../lib/bytes.ts';

/** Input flags. */
export const IGNBRK = 0o1;
export const BRKINT = 0o2;
export const IGNPAR = 0o4;
export const PARMRK = 0o10;
export const ISTRIP = 0o40;
export const INLCR = 0o100;
export const IGNCR = 0o200;
export const ICRNL = 0o400;
export const IUCLC = 0o1000;
export const IXON = 0o2000;
export const IXANY = 0o4000;
export const IXOFF = 0o10000;
export const IMAXBEL = 0o20000;
export const IUTF8 = 0o40000;

/** Output flags. */
export const OPOST = 0o1;
export const OLCUC = 0o2;
export const ONLCR = 0o4;
export const OCRNL = 0o10;
export const ONOCR = 0o20;
export const ONLRET = 0o40;
export const TABDLY = 0o14000;
export const XTABS = 0o14000;

/** Control flags. */
export const CBAUD = 0o10017;
export const B9600 = 0o15;
export const B38400 = 0o17;
export const BOTHER = 0o10000;
export const CS8 = 0o60;
export const CREAD = 0o200;
export const HUPCL = 0o2000;
export const CLOCAL = 0o4000;

/** Local flags. */
export const ISIG = 0o1;
export const ICANON = 0o2;
export const ECHO = 0o10;
export const ECHOE = 0o20;
export const ECHOK = 0o40;
export const ECHONL = 0o100;
export const NOFLSH = 0o200;
export const TOSTOP = 0o400;
export const ECHOCTL = 0o1000;
export const ECHOPRT = 0o2000;
export const ECHOKE = 0o4000;
export const IEXTEN = 0o100000;
export const EXTPROC = 0o200000;

/** Indexes into the control characters. A character 0 is switched off. */
export const CC = {
  intr: 0, quit: 1, erase: 2, kill: 3, eof: 4, time: 5, min: 6, swtc: 7, start: 8, stop: 9, susp: 10, eol: 11,
  reprint: 12, discard: 13, werase: 14, lnext: 15, eol2: 16,
} as const; // prettier-ignore
const CC_COUNT = 19;

export const TCGETS = 0x5401;
export const TCSETS = 0x5402;
export const TCSETSW = 0x5403;
export const TCSETSF = 0x5404;
export const TCGETA = 0x5405;
export const TCSETA = 0x5406;
export const TCSETAW = 0x5407;
export const TCSETAF = 0x5408;
export const TCSBRK = 0x5409;
export const TCXONC = 0x540a;
export const TCFLSH = 0x540b;
export const TIOCEXCL = 0x540c;
export const TIOCNXCL = 0x540d;
export const TIOCSCTTY = 0x540e;
export const TIOCGPGRP = 0x540f;
export const TIOCSPGRP = 0x5410;
export const TIOCOUTQ = 0x5411;
export const TIOCSTI = 0x5412;
export const TIOCGWINSZ = 0x5413;
export const TIOCSWINSZ = 0x5414;
export const TIOCMGET = 0x5415;
export const TIOCMBIS = 0x5416;
export const TIOCMBIC = 0x5417;
export const TIOCMSET = 0x5418;
export const TIOCGSOFTCAR = 0x5419;
export const TIOCSSOFTCAR = 0x541a;
export const FIONREAD = 0x541b;
export const TIOCLINUX = 0x541c;
export const TIOCCONS = 0x541d;
export const TIOCPKT = 0x5420;
export const FIONBIO = 0x5421;
export const TIOCNOTTY = 0x5422;
export const TIOCSETD = 0x5423;
export const TIOCGETD = 0x5424;
export const TCSBRKP = 0x5425;
export const TIOCSBRK = 0x5427;
export const TIOCCBRK = 0x5428;
export const TIOCGSID = 0x5429;
export const TCGETS2 = 0x802c542a;
export const TCSETS2 = 0x402c542b;
export const TCSETSW2 = 0x402c542c;
export const TCSETSF2 = 0x402c542d;
export const TIOCGPTN = 0x80045430;
export const TIOCSPTLCK = 0x40045431;
export const TIOCGDEV = 0x80045432;
export const TIOCSIG = 0x40045436;
export const TIOCVHANGUP = 0x5437;
export const TIOCGPKT = 0x80045438;
export const TIOCGPTLCK = 0x80045439;
export const TIOCGEXCL = 0x80045440;
export const TIOCGPTPEER = 0x5441;
export const FIONCLEX = 0x5450;
export const FIOCLEX = 0x5451;
export const FIOASYNC = 0x5452;
export const FIOQSIZE = 0x5460;

/** What TIOCPKT's first byte says. */
export const PACKET = {
  data: 0, flushRead: 1, flushWrite: 2, stop: 4, start: 8, noStop: 16, doStop: 32, ioctl: 64,
} as const; // prettier-ignore

export interface Termios {
  iflag: number;
  oflag: number;
  cflag: number;
  lflag: number;
  line: number;
  cc: Uint8Array; // by CC index
  ispeed: number;
  ospeed: number;
}

export interface WindowSize {
  rows: number;
  columns: number;
  xPixels: number;
  yPixels: number;
}

/** Linux's tty_std_termios. */
export function newTermios(): Termios {
  const cc = new Uint8Array(CC_COUNT);
  cc.set([3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0]);
  return {
    iflag: ICRNL | IXON,
    oflag: OPOST | ONLCR,
    cflag: B38400 | CS8 | CREAD | HUPCL,
    lflag: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
    line: 0,
    cc,
    ispeed: 38400,
    ospeed: 38400,
  };
}

export const TERMIOS_BYTES = 36;
export const TERMIOS2_BYTES = 44;
export const TERMIO_BYTES = 18;
export const WINSIZE_BYTES = 8;

const SPEEDS = [0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400];
const FAST_SPEEDS = [0, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000];

function speedOf(cflag: number, given: number): number {
  const code = cflag & CBAUD;
  if (code === BOTHER) return given;
  return (code & BOTHER ? FAST_SPEEDS[code & 0o17] : SPEEDS[code]) ?? 38400;
}

/** struct termios, or struct termios2 when there is room for the speeds. */
export function putTermios(termios: Termios, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  put32(bytes, 0, termios.iflag);
  put32(bytes, 4, termios.oflag);
  put32(bytes, 8, termios.cflag);
  put32(bytes, 12, termios.lflag);
  bytes[16] = termios.line;
  bytes.set(termios.cc, 17);
  if (size < TERMIOS2_BYTES) return bytes;
  put32(bytes, 36, termios.ispeed);
  put32(bytes, 40, termios.ospeed);
  return bytes;
}

export function getTermios(bytes: Uint8Array): Termios {
  const cflag = get32(bytes, 8);
  const given = bytes.length >= TERMIOS2_BYTES ? get32(bytes, 40) : 38400;
  return {
    iflag: get32(bytes, 0),
    oflag: get32(bytes, 4),
    cflag,
    lflag: get32(bytes, 12),
    line: bytes[16] ?? 0,
    cc: bytes.slice(17, 17 + CC_COUNT),
    ispeed: speedOf(cflag, bytes.length >= TERMIOS2_BYTES ? get32(bytes, 36) : given),
    ospeed: speedOf(cflag, given),
  };
}

/** The older struct termio: 16-bit flags and eight control characters. */
export function putTermio(termios: Termios): Uint8Array {
  const bytes = new Uint8Array(TERMIO_BYTES);
  put16(bytes, 0, termios.iflag);
  put16(bytes, 2, termios.oflag);
  put16(bytes, 4, termios.cflag);
  put16(bytes, 6, termios.lflag);
  bytes[8] = termios.line;
  bytes.set(termios.cc.subarray(0, 8), 9);
  return bytes;
}

/** Merges a struct termio into a termios: upper halves and further characters stay. */
export function mergeTermio(old: Termios, bytes: Uint8Array): Termios {
  const merge = (before: number, offset: number): number => ((before & ~0xffff) | get16(bytes, offset)) >>> 0;
  const cc = old.cc.slice();
  cc.set(bytes.subarray(9, 17));
  const cflag = merge(old.cflag, 4);
  const speed = speedOf(cflag, old.ospeed);
  return {
    iflag: merge(old.iflag, 0),
    oflag: merge(old.oflag, 2),
    cflag,
    lflag: merge(old.lflag, 6),
    line: bytes[8] ?? 0,
    cc,
    ispeed: speed,
    ospeed: speed,
  };
}

export function putWindowSize(size: WindowSize): Uint8Array {
  const bytes = new Uint8Array(WINSIZE_BYTES);
  put16(bytes, 0, size.rows);
  put16(bytes, 2, size.columns);
  put16(bytes, 4, size.xPixels);
  put16(bytes, 6, size.yPixels);
  return bytes;
}

export function getWindowSize(bytes: Uint8Array): WindowSize {
  return {
    rows: get16(bytes, 0),
    columns: get16(bytes, 2),
    xPixels: get16(bytes, 4),
    yPixels: get16(bytes, 6),
  };
}
