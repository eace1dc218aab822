// ioctl(2) on terminals (ioctl_tty(2)): modes, window size, job control, flushing, pty questions.
import {
  EINVAL, EIO, ENOTTY, EPERM, ESRCH, failed, type Failure,
} from '../abi/errno.ts'; // prettier-ignore
import { CAP, capabilityBit } from '../abi/capability.ts';
import * as T from '../abi/termios.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import { loadUser32, readUser, storeUser32, writeUser } from '../mm/user-memory.ts';
import type { Task, Tid } from '../sched/task.ts';
import { sleepOn, wakeUp } from '../sched/wait-queue.ts';
import { groupMembers, processes } from '../signal/groups.ts';
import type { Kernel } from '../state.ts';
import { consoleIoctl } from './console-ioctl.ts';
import { flushOutput, outputQueued, outputStarted, packetEvent } from './driver.ts';
import { receive, setWindowSize, takeIncoming } from './input.ts';
import {
  checkChange,
  hangUp,
  isSessionLeader,
  leaveTerminal,
  setControllingTerminal,
} from './job-control.ts';
import { flushLine } from './line.ts';
import { inputLength, modeChanged } from './line-read.ts';
import type { Terminal } from './state.ts';

/** A terminal's answer to an ioctl; consoles have some more. */
export function terminalIoctl(
  kernel: Kernel, task: Task, file: OpenFile, terminal: Terminal, request: number, argument: number,
): number | Failure {
  const known = modeIoctl(kernel, task, terminal, request, argument) ?? sessionIoctl(kernel, task, file, terminal, request, argument);
  if (known !== undefined) return known;
  if (terminal.console !== null) return consoleIoctl(kernel, task, terminal, request, argument);
  return ENOTTY;
} // prettier-ignore

const isAdmin = (task: Task): boolean => (task.credentials.effective & capabilityBit(CAP.SYS_ADMIN)) !== 0n;

interface SetMode {
  readonly size: number;
  readonly drain: boolean;
  readonly flush: boolean;
}

const SET_MODES: ReadonlyMap<number, SetMode> = new Map([
  [T.TCSETS, { size: T.TERMIOS_BYTES, drain: false, flush: false }],
  [T.TCSETSW, { size: T.TERMIOS_BYTES, drain: true, flush: false }],
  [T.TCSETSF, { size: T.TERMIOS_BYTES, drain: true, flush: true }],
  [T.TCSETS2, { size: T.TERMIOS2_BYTES, drain: false, flush: false }],
  [T.TCSETSW2, { size: T.TERMIOS2_BYTES, drain: true, flush: false }],
  [T.TCSETSF2, { size: T.TERMIOS2_BYTES, drain: true, flush: true }],
  [T.TCSETA, { size: T.TERMIO_BYTES, drain: false, flush: false }],
  [T.TCSETAW, { size: T.TERMIO_BYTES, drain: true, flush: false }],
  [T.TCSETAF, { size: T.TERMIO_BYTES, drain: true, flush: true }],
]);

/** What masters answer too: modes and window size. undefined: not one of these. */
export function modeIoctl(
  kernel: Kernel,
  task: Task,
  terminal: Terminal,
  request: number,
  argument: number,
): number | Failure | undefined {
  const setMode = SET_MODES.get(request);
  if (setMode !== undefined) return setTermios(kernel, task, terminal, setMode, argument);
  switch (request) {
    case T.TCGETS:
      return done(writeUser(kernel, task, argument, T.putTermios(terminal.termios, T.TERMIOS_BYTES)));
    case T.TCGETS2:
      return done(writeUser(kernel, task, argument, T.putTermios(terminal.termios, T.TERMIOS2_BYTES)));
    case T.TCGETA:
      return done(writeUser(kernel, task, argument, T.putTermio(terminal.termios)));
    case T.TIOCGWINSZ:
      return done(writeUser(kernel, task, argument, T.putWindowSize(terminal.size)));
    case T.TIOCSWINSZ: {
      const bytes = readUser(kernel, task, argument, T.WINSIZE_BYTES);
      if (failed(bytes)) return bytes;
      setWindowSize(kernel, terminal, T.getWindowSize(bytes));
      return 0;
    }
    default:
      return undefined;
  }
}

const done = (moved: number | Failure): number | Failure => (failed(moved) ? moved : 0);

function setTermios(
  kernel: Kernel,
  task: Task,
  terminal: Terminal,
  mode: SetMode,
  argument: number,
): number | Failure {
  const checked = checkChange(kernel, task, terminal);
  if (failed(checked)) return checked;
  const bytes = readUser(kernel, task, argument, mode.size);
  if (failed(bytes)) return bytes;
  if (mode.drain) {
    const drained = drain(kernel, task, terminal);
    if (failed(drained)) return drained;
  }
  if (mode.flush) flushInput(kernel, terminal);
  changeTermios(
    kernel,
    terminal,
    mode.size === T.TERMIO_BYTES ? T.mergeTermio(terminal.termios, bytes) : T.getTermios(bytes),
  );
  return 0;
}

/** Waits until a pty's master has read what was written. Screens take everything at once. */
function drain(kernel: Kernel, task: Task, terminal: Terminal): 0 | Failure {
  if (outputQueued(terminal) === 0 || terminal.pty?.masterOpen === false) return 0;
  return sleepOn(kernel, task, terminal.writable, 'tty_wait_until_sent');
}

export function changeTermios(kernel: Kernel, terminal: Terminal, termios: T.Termios): void {
  const old = terminal.termios;
  terminal.termios = termios;
  modeChanged(terminal.line, old, termios);
  if (
    old.iflag & T.IXON &&
    (termios.iflag & T.IXON) === 0 &&
    terminal.line.stopped &&
    !terminal.line.stoppedByIoctl
  ) {
    terminal.line.stopped = false;
    outputStarted(kernel, terminal);
  }
  notePacketFlow(kernel, terminal, old);
  takeIncoming(kernel, terminal);
  wakeUp(kernel, terminal.readable);
}

/** A master in packet mode hears when ^S and ^Q begin or cease to mean stop and start (ioctl_tty(2), TIOCPKT). */
function notePacketFlow(kernel: Kernel, terminal: Terminal, old: T.Termios): void {
  const usesFlow = (t: T.Termios): boolean =>
    (t.iflag & T.IXON) !== 0 && t.cc[T.CC.stop] === 19 && t.cc[T.CC.start] === 17;
  const { termios } = terminal;
  if (usesFlow(old) !== usesFlow(termios))
    packetEvent(kernel, terminal, usesFlow(termios) ? T.PACKET.doStop : T.PACKET.noStop);
  if ((old.lflag ^ termios.lflag) & T.EXTPROC || termios.lflag & T.EXTPROC)
    packetEvent(kernel, terminal, T.PACKET.ioctl);
}

export function flushInput(kernel: Kernel, terminal: Terminal): void {
  flushLine(terminal.line);
  terminal.incoming.length = 0;
  terminal.incomingBytes = 0;
  packetEvent(kernel, terminal, T.PACKET.flushRead);
  if (terminal.pty !== null) wakeUp(kernel, terminal.pty.writable);
}

function sessionIoctl(
  kernel: Kernel, task: Task, file: OpenFile, terminal: Terminal, request: number, argument: number,
): number | Failure | undefined {
  const { process } = task;
  switch (request) {
    case T.TIOCSCTTY:
      return takeAsControlling(kernel, task, file, terminal, argument);
    case T.TIOCNOTTY:
      if (process.tty !== terminal.name) return ENOTTY;
      leaveTerminal(kernel, process, 'asked');
      return 0;
    case T.TIOCGPGRP:
      if (process.tty !== terminal.name) return ENOTTY;
      return storeUser32(kernel, task, argument, terminal.foreground);
    case T.TIOCSPGRP:
      return setForeground(kernel, task, terminal, argument);
    case T.TIOCGSID:
      if (process.tty !== terminal.name || terminal.session === 0) return ENOTTY;
      return storeUser32(kernel, task, argument, terminal.session);
    case T.TCSBRK:
    case T.TCSBRKP: {
      const checked = checkChange(kernel, task, terminal);
      return failed(checked) ? checked : drain(kernel, task, terminal); // a break means nothing to a screen
    }
    case T.TIOCSBRK:
    case T.TIOCCBRK:
      return checkChange(kernel, task, terminal);
    case T.TCXONC:
      return flow(kernel, task, terminal, argument);
    case T.TCFLSH:
      return flush(kernel, task, terminal, argument);
    case T.TIOCOUTQ:
      return storeUser32(kernel, task, argument, outputQueued(terminal));
    case T.FIONREAD:
      return storeUser32(kernel, task, argument, inputLength(terminal.line, terminal.termios));
    case T.TIOCSTI:
      // Deviation: typing on behalf of others is refused, as with Linux's dev.tty.legacy_tiocsti off.
      return isAdmin(task) ? typeByte(kernel, task, terminal, argument) : EPERM;
    case T.TIOCEXCL:
    case T.TIOCNXCL:
      terminal.exclusive = request === T.TIOCEXCL;
      return 0;
    case T.TIOCGEXCL:
      return storeUser32(kernel, task, argument, terminal.exclusive ? 1 : 0);
    case T.TIOCGETD:
      return storeUser32(kernel, task, argument, 0);
    case T.TIOCSETD: {
      const discipline = loadUser32(kernel, task, argument);
      return failed(discipline) || discipline === 0 ? discipline : EINVAL;
    }
    case T.TIOCGDEV:
      return storeUser32(kernel, task, argument, terminal.device);
    case T.TIOCVHANGUP:
      if (!isAdmin(task)) return EPERM;
      hangUp(kernel, terminal, 'leader');
      return 0;
    case T.TIOCMGET:
      return terminal.driver === 'serial' ? storeUser32(kernel, task, argument, 0x166) : ENOTTY; // DTR RTS CTS CD DSR
    case T.TIOCMSET:
    case T.TIOCMBIS:
    case T.TIOCMBIC:
      return terminal.driver === 'serial' ? 0 : ENOTTY;
    case T.TIOCGSOFTCAR:
      return storeUser32(kernel, task, argument, terminal.termios.cflag & T.CLOCAL ? 1 : 0);
    case T.TIOCCONS:
      return isAdmin(task) ? EINVAL : EPERM;
    default:
      return undefined;
  }
} // prettier-ignore

/** TIOCSCTTY: only for session leaders; a privileged one may steal (argument 1). */
function takeAsControlling(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  terminal: Terminal,
  argument: number,
): number | Failure {
  const { process } = task;
  if (isSessionLeader(process) && terminal.session === process.sid) return 0;
  if (!isSessionLeader(process) || process.tty !== '') return EPERM;
  if (terminal.session !== 0) {
    if (argument !== 1 || !isAdmin(task)) return EPERM;
    for (const other of processes(kernel)) if (other.tty === terminal.name) other.tty = '';
  }
  if (!file.readable && !isAdmin(task)) return EPERM;
  setControllingTerminal(task, terminal);
  return 0;
}

function setForeground(kernel: Kernel, task: Task, terminal: Terminal, argument: number): number | Failure {
  const checked = checkChange(kernel, task, terminal);
  if (checked === EIO) return ENOTTY;
  if (failed(checked)) return checked;
  const { process } = task;
  if (process.tty !== terminal.name || terminal.session !== process.sid) return ENOTTY;
  const given = loadUser32(kernel, task, argument);
  if (failed(given)) return given;
  const pgid = given | 0;
  if (pgid < 0) return EINVAL;
  const member = memberOf(kernel, pgid);
  if (member === undefined) return ESRCH;
  if (member !== process.sid) return EPERM;
  terminal.foreground = pgid;
  return 0;
}

/** The session of a process group that exists. */
function memberOf(kernel: Kernel, pgid: Tid): Tid | undefined {
  return groupMembers(kernel, pgid)[0]?.sid;
}

/** TCXONC: TCOOFF 0, TCOON 1; TCIOFF 2 and TCION 3 would send ^S and ^Q to the device. */
function flow(kernel: Kernel, task: Task, terminal: Terminal, action: number): number | Failure {
  const checked = checkChange(kernel, task, terminal);
  if (failed(checked)) return checked;
  const { line } = terminal;
  switch (action) {
    case 0:
      line.stopped = true;
      line.stoppedByIoctl = true;
      packetEvent(kernel, terminal, T.PACKET.stop);
      return 0;
    case 1:
      if (!line.stoppedByIoctl) return 0;
      line.stopped = false;
      line.stoppedByIoctl = false;
      outputStarted(kernel, terminal);
      return 0;
    case 2:
    case 3:
      return 0;
    default:
      return EINVAL;
  }
}

/** TCFLSH: TCIFLUSH 0, TCOFLUSH 1, TCIOFLUSH 2. */
function flush(kernel: Kernel, task: Task, terminal: Terminal, which: number): number | Failure {
  const checked = checkChange(kernel, task, terminal);
  if (failed(checked)) return checked;
  if (which !== 0 && which !== 1 && which !== 2) return EINVAL;
  if (which !== 1) flushInput(kernel, terminal);
  if (which !== 0) flushOutput(kernel, terminal);
  return 0;
}

function typeByte(kernel: Kernel, task: Task, terminal: Terminal, argument: number): number | Failure {
  const bytes = readUser(kernel, task, argument, 1);
  if (failed(bytes)) return bytes;
  receive(kernel, terminal, bytes);
  return 0;
}
