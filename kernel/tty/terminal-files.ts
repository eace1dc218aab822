// Open files of terminals: /dev/ttyN, /dev/ttyS0, /dev/console, /dev/tty, /dev/tty0 and /dev/pts/N.
import { BLOCKED, EAGAIN, EBUSY, EIO, ENXIO, failed, type Failure } from '../abi/errno.ts';
import { CAP, capabilityBit } from '../abi/capability.ts';
import { majorOf, minorOf } from '../abi/device.ts';
import { O } from '../abi/open-flags.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../abi/poll.ts';
import { SIGTTIN } from '../abi/signal.ts';
import { CC, ICANON, TOSTOP } from '../abi/termios.ts';
import { fileOperations, type FileOperations, type Transfer } from '../fs/vfs/inode.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import { moveFromUser, moveToUser, transferLength } from '../fs/vfs/transfer.ts';
import { keepProgress, takeProgress } from '../lib/progress.ts';
import { callDeadline, deadlinePassed } from '../sched/call-progress.ts';
import type { Task } from '../sched/task.ts';
import { sleepOn, wakeUp } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { charge, now } from '../time/clock.ts';
import { addTimer } from '../time/timers.ts';
import { outputRoom, writeProcessed } from './driver.ts';
import { takeIncoming } from './input.ts';
import { terminalIoctl } from './ioctl.ts';
import { checkChange, checkForeground, isSessionLeader, setControllingTerminal } from './job-control.ts';
import { hasInput, peekLine, takeLine } from './line-read.ts';
import {
  MAX_CONSOLES,
  newConsole,
  PTS_MAJOR,
  SERIAL_MINOR,
  TTY_MAJOR,
  TTYAUX_MAJOR,
  type Terminal,
} from './state.ts';

/** What an open file of a terminal keeps. */
export interface TerminalFile {
  readonly terminal: string;
  readonly epoch: number;
  /** Opened as /dev/console: outside job control. */
  readonly isConsole: boolean;
}

export const terminalFileOf = (file: OpenFile): TerminalFile => file.data as TerminalFile;

/** The terminal of an open file, or undefined when it has been hung up since. */
export function liveTerminal(kernel: Kernel, file: OpenFile): Terminal | undefined {
  const { terminal: name, epoch } = terminalFileOf(file);
  const terminal = kernel.tty.terminals.get(name);
  return terminal?.epoch === epoch ? terminal : undefined;
}

/** The terminal that a device number means for a task. */
export function terminalOfDevice(kernel: Kernel, task: Task, device: number): Terminal | Failure {
  const { terminals } = kernel.tty;
  const minor = minorOf(device);
  const named = (name: string): Terminal | Failure => terminals.get(name) ?? ENXIO;
  switch (majorOf(device)) {
    case TTYAUX_MAJOR:
      return named(minor === 0 ? task.process.tty : kernel.tty.consoleName);
    case TTY_MAJOR:
      if (minor >= SERIAL_MINOR) return named(`ttyS${minor - SERIAL_MINOR}`);
      return consoleNumbered(kernel, minor === 0 ? kernel.tty.foregroundConsole : minor);
    case PTS_MAJOR:
      return named(`pts/${minor}`);
    default:
      return ENXIO;
  }
}

/** Consoles beyond those of the boot come into being when they are opened. */
function consoleNumbered(kernel: Kernel, index: number): Terminal | Failure {
  const known = kernel.tty.terminals.get(`tty${index}`);
  if (known !== undefined) return known;
  if (index > MAX_CONSOLES) return ENXIO;
  const made = newConsole(index);
  kernel.tty.terminals.set(made.name, made);
  return made;
}

function openTerminal(kernel: Kernel, task: Task, file: OpenFile): number | Failure {
  const { device } = file.inode;
  const terminal = terminalOfDevice(kernel, task, device);
  if (failed(terminal)) return terminal;
  if (terminal.pty !== null && (!terminal.pty.masterOpen || terminal.pty.locked)) return EIO;
  if (terminal.exclusive && (task.credentials.effective & capabilityBit(CAP.SYS_ADMIN)) === 0n) return EBUSY;
  attachFile(file, terminal, majorOf(device) === TTYAUX_MAJOR && minorOf(device) === 1);
  const indirect = device === 0x500 + 1 || device === 0x400; // /dev/console and /dev/tty0 never become controlling
  if ((file.flags & O.NOCTTY) === 0 && !indirect && file.readable) adoptTerminal(task, terminal);
  return 0;
}

/** Makes an open file one of the terminal's. */
export function attachFile(file: OpenFile, terminal: Terminal, isConsole: boolean): void {
  file.operations = 'tty';
  file.data = { terminal: terminal.name, epoch: terminal.epoch, isConsole } satisfies TerminalFile;
  terminal.opens++;
  if (terminal.pty !== null) terminal.pty.slaveClosed = false;
}

/** A session leader without a terminal that opens a free one gets it as its controlling terminal. */
export function adoptTerminal(task: Task, terminal: Terminal): void {
  if (!isSessionLeader(task.process) || task.process.tty !== '' || terminal.session !== 0) return;
  setControllingTerminal(task, terminal);
}

function releaseTerminal(kernel: Kernel, file: OpenFile): void {
  const terminal = liveTerminal(kernel, file);
  if (terminal === undefined) return;
  terminal.opens--;
  if (terminal.opens > 0 || terminal.pty === null) return;
  terminal.pty.slaveClosed = true;
  terminal.exclusive = false;
  wakeUp(kernel, terminal.pty.readable);
  wakeUp(kernel, terminal.pty.writable);
}

function readTerminal(kernel: Kernel, task: Task, file: OpenFile, into: Transfer): number | Failure {
  const terminal = liveTerminal(kernel, file);
  if (terminal === undefined) return 0;
  if (!terminalFileOf(file).isConsole) {
    const checked = checkForeground(kernel, task, terminal, SIGTTIN);
    if (failed(checked)) return checked;
  }
  const count = transferLength(into);
  if (count === 0) return 0;
  if (terminal.termios.lflag & ICANON) {
    if (hasInput(terminal.line, terminal.termios)) return deliver(kernel, terminal, into);
    return waitForInput(kernel, task, file, terminal);
  }
  return readRaw(kernel, task, file, into, terminal);
}

/** Raw mode: VMIN and VTIME decide when a read is done (termios(3), "noncanonical mode"). */
function readRaw(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  into: Transfer,
  terminal: Terminal,
): number | Failure {
  const { line, termios } = terminal;
  const minimum = termios.cc[CC.min] ?? 0;
  const timeNs = (termios.cc[CC.time] ?? 0) * 100_000_000;
  const available = line.head - line.tail;
  if (available >= Math.min(Math.max(1, minimum), transferLength(into)))
    return deliver(kernel, terminal, into);
  if (minimum === 0) {
    if (timeNs === 0 || deadlinePassed(kernel, task)) return 0;
    const waits = waitForInput(kernel, task, file, terminal);
    if ((file.flags & O.NONBLOCK) === 0) callDeadline(kernel, task, timeNs);
    return waits;
  }
  if (available === 0) return waitForInput(kernel, task, file, terminal);
  const over = timeNs > 0 && now(kernel) >= line.lastInputNs + timeNs;
  if (over || file.flags & O.NONBLOCK) return deliver(kernel, terminal, into);
  const waits = waitForInput(kernel, task, file, terminal);
  if (waits !== BLOCKED) return deliver(kernel, terminal, into); // a signal: what there is
  if (timeNs > 0) addTimer(kernel, line.lastInputNs + timeNs, { kind: 'wake-task', tid: task.tid });
  return waits;
}

function waitForInput(kernel: Kernel, task: Task, file: OpenFile, terminal: Terminal): Failure {
  if (terminal.pty !== null && !terminal.pty.masterOpen) return EIO;
  if (file.flags & O.NONBLOCK) return EAGAIN;
  return sleepOn(kernel, task, terminal.readable, 'n_tty_read');
}

function deliver(kernel: Kernel, terminal: Terminal, into: Transfer): number | Failure {
  const taken = peekLine(terminal.line, terminal.termios, transferLength(into));
  const moved = moveToUser(kernel, into, 0, taken.bytes);
  if (failed(moved)) return moved;
  takeLine(terminal.line, taken);
  takeIncoming(kernel, terminal);
  return taken.bytes.length;
}

const CHUNK_BYTES = 2048;

function writeTerminal(kernel: Kernel, task: Task, file: OpenFile, from: Transfer): number | Failure {
  const terminal = liveTerminal(kernel, file);
  if (terminal === undefined) return EIO;
  if (terminal.termios.lflag & TOSTOP && !terminalFileOf(file).isConsole) {
    const checked = checkChange(kernel, task, terminal);
    if (failed(checked)) return checked;
  }
  const count = transferLength(from);
  let done = takeProgress(terminal.writing, task);
  while (done < count) {
    if (terminal.pty !== null && !terminal.pty.masterOpen) return done > 0 ? done : EIO;
    const room = outputRoom(terminal);
    if (room === 0) return waitForRoom(kernel, task, file, terminal, done);
    const bytes = moveFromUser(kernel, from, done, Math.min(CHUNK_BYTES, count - done, room));
    if (bytes === BLOCKED) keepProgress(terminal.writing, task, done);
    if (failed(bytes)) return bytes !== BLOCKED && done > 0 ? done : bytes;
    writeProcessed(kernel, terminal, bytes);
    done += bytes.length;
  }
  charge(kernel, 'pipeTransfer');
  return done;
}

function waitForRoom(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  terminal: Terminal,
  done: number,
): number | Failure {
  if (file.flags & O.NONBLOCK) return done > 0 ? done : EAGAIN;
  const waits = sleepOn(kernel, task, terminal.writable, 'n_tty_write');
  if (waits !== BLOCKED && done > 0) return done;
  if (waits === BLOCKED) keepProgress(terminal.writing, task, done);
  return waits;
}

function pollTerminal(kernel: Kernel, file: OpenFile): ReturnType<NonNullable<FileOperations['poll']>> {
  const terminal = liveTerminal(kernel, file);
  if (terminal === undefined) {
    return { events: POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM, queues: [] };
  }
  const { line, termios } = terminal;
  const minimum = (termios.cc[CC.time] ?? 0) > 0 ? 1 : Math.max(1, termios.cc[CC.min] ?? 0);
  let events = 0;
  if (hasInput(line, termios, minimum)) events |= POLLIN | POLLRDNORM;
  if (terminal.pty !== null && !terminal.pty.masterOpen) events |= POLLHUP;
  if (outputRoom(terminal) > 0) events |= POLLOUT | POLLWRNORM;
  return { events, queues: [terminal.readable, terminal.writable] };
}

export const terminalOperations: FileOperations = {
  stream: true,
  open: openTerminal,
  release: releaseTerminal,
  read: readTerminal,
  write: writeTerminal,
  poll: pollTerminal,
  ioctl(kernel, task, file, request, argument) {
    const terminal = liveTerminal(kernel, file);
    return terminal === undefined ? EIO : terminalIoctl(kernel, task, file, terminal, request, argument);
  },
};

fileOperations['tty'] = terminalOperations;
