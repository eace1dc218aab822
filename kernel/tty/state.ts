// Terminals: virtual consoles (tty1…), the serial line (ttyS0) and the slaves of ptys (pts/N), by name.
//
// A terminal is a line discipline between programs and a driver. For consoles and the serial line the driver is the host's
// screen; for a pty it is the queue that the master reads, or the host where the host holds the master.
import type { BootConfig } from '../state.ts';
import type { Tid } from '../sched/task.ts';
import { newWaitQueue, type WaitQueue } from '../sched/wait-queue.ts';
import { makeDevice } from '../abi/device.ts';
import { B9600, CBAUD, CLOCAL, IUTF8, newTermios, type Termios, type WindowSize } from '../abi/termios.ts';
import type { Progress } from '../lib/progress.ts';
import { newLine, type Line } from './line.ts';
import { newRecentOutput, type RecentOutput } from './recent.ts';

export type TerminalDriver = 'console' | 'serial' | 'pts';

export interface Terminal {
  readonly name: string;
  readonly driver: TerminalDriver;
  readonly index: number;
  readonly device: number;
  termios: Termios;
  size: WindowSize;
  line: Line;
  /** Session that it controls and its foreground group; 0 for none. */
  session: Tid;
  foreground: Tid;
  /** Open files of the terminal. */
  opens: number;
  /** Changes with each hang-up: a file opened before the last one only gets end of file and EIO. */
  epoch: number;
  /** TIOCEXCL. */
  exclusive: boolean;
  /** Input that the line has had no room for. */
  incoming: Uint8Array[];
  incomingBytes: number;
  /** Echo that waits while output is stopped. */
  heldEcho: number[];
  readable: WaitQueue;
  writable: WaitQueue;
  writing: Progress;
  recent: RecentOutput;
  pty: Pty | null;
  /** Keyboard and screen modes of a virtual console, as KDSETMODE and its like left them. */
  console: { keyboardMode: number; screenMode: number; leds: number } | null;
}

/** The master's side of a pty. */
export interface Pty {
  /** The host is the master: output goes to its screen and never waits. */
  readonly hostHeld: boolean;
  masterOpen: boolean;
  /** TIOCSPTLCK: the slave cannot be opened. */
  locked: boolean;
  /** The slave has been opened, and is not any more: the master reads EIO. */
  slaveClosed: boolean;
  /** What the slave wrote and the master has not read. */
  toMaster: Uint8Array[];
  toMasterBytes: number;
  /** TIOCPKT, and the events since the last read. */
  packet: boolean;
  packetStatus: number;
  readable: WaitQueue;
  writable: WaitQueue;
  writing: Progress;
  /** Owner and mode of /dev/pts/N. */
  uid: number;
  gid: number;
  mode: number;
  /** Mode and group have been set as the mount's options say. */
  owned: boolean;
  createdNs: number;
}

export interface TtyState {
  terminals: Map<string, Terminal>;
  /** The virtual console on the screen, which /dev/tty0 means. */
  foregroundConsole: number;
  /** What /dev/console is: the last console= of the command line. */
  consoleName: string;
  /** Terminals that show the kernel log, and the level below which a line is shown. */
  logConsoles: string[];
  logLevel: number;
  lastEpoch: number;
  /** Readers of /dev/kmsg sleep here. */
  logReaders: WaitQueue;
}

export const TTY_MAJOR = 4;
export const TTYAUX_MAJOR = 5;
export const PTS_MAJOR = 136;
export const SERIAL_MINOR = 64;
export const MAX_CONSOLES = 63;
const BOOT_CONSOLES = 6;

/** Terminals that are there at power-on. */
export function newTtyState(config: BootConfig): TtyState {
  const terminals = new Map<string, Terminal>();
  for (let index = 1; index <= BOOT_CONSOLES; index++) addTerminal(terminals, newConsole(index));
  addTerminal(terminals, newSerial(0));
  const words = config.commandLine.split(' ');
  const named = words
    .filter((word) => word.startsWith('console='))
    .map((word) => word.slice(8).split(',')[0] ?? '');
  const known = named.map((name) => (name === 'tty0' ? 'tty1' : name)).filter((name) => terminals.has(name));
  const logConsoles = known.length > 0 ? [...new Set(known)] : ['tty1'];
  const given = words.find((word) => word.startsWith('loglevel='));
  return {
    terminals,
    foregroundConsole: 1,
    consoleName: logConsoles.at(-1) ?? 'tty1',
    logConsoles,
    logLevel: given !== undefined ? Number(given.slice(9)) || 7 : words.includes('quiet') ? 4 : 7,
    lastEpoch: 0,
    logReaders: newWaitQueue(),
  };
}

function addTerminal(terminals: Map<string, Terminal>, terminal: Terminal): void {
  terminals.set(terminal.name, terminal);
}

/** A virtual console: a text screen of 80 by 25 until the host says how large it is. */
export function newConsole(index: number): Terminal {
  const terminal = newTerminal(`tty${index}`, 'console', index, makeDevice(TTY_MAJOR, index));
  terminal.termios.iflag |= IUTF8;
  terminal.size = { rows: 25, columns: 80, xPixels: 0, yPixels: 0 };
  terminal.console = { keyboardMode: 3, screenMode: 0, leds: 0 }; // K_UNICODE, KD_TEXT
  return terminal;
}

function newSerial(index: number): Terminal {
  const terminal = newTerminal(`ttyS${index}`, 'serial', index, makeDevice(TTY_MAJOR, SERIAL_MINOR + index));
  const { termios } = terminal;
  termios.cflag = (termios.cflag & ~CBAUD) | B9600 | CLOCAL;
  termios.ispeed = termios.ospeed = 9600;
  return terminal;
}

export function newTerminal(name: string, driver: TerminalDriver, index: number, device: number): Terminal {
  return {
    name, driver, index, device, termios: newTermios(), size: { rows: 0, columns: 0, xPixels: 0, yPixels: 0 },
    line: newLine(), session: 0, foreground: 0, opens: 0, epoch: 0, exclusive: false, incoming: [], incomingBytes: 0,
    heldEcho: [], readable: newWaitQueue(), writable: newWaitQueue(), writing: new Map(), recent: newRecentOutput(),
    pty: null, console: null,
  }; // prettier-ignore
}
