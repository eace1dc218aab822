// Job control (termios(3), credentials(7), POSIX 11.1): who may read and write a terminal, the foreground group, the
// controlling terminal of a session, and hang-ups.
import { EIO, ERESTARTSYS, type Failure } from '../abi/errno.ts';
import { SIG_IGN, SIGCONT, SIGHUP, SIGTTIN, SIGTTOU, signalBit } from '../abi/signal.ts';
import type { Process } from '../process/process.ts';
import type { Task, Tid } from '../sched/task.ts';
import { wakeUp } from '../sched/wait-queue.ts';
import { isOrphanedGroup, processes } from '../signal/groups.ts';
import { signalGroup, signalProcess } from '../signal/send.ts';
import { kernelSignal } from '../signal/state.ts';
import type { Kernel } from '../state.ts';
import { flushLine } from './line.ts';
import type { Terminal } from './state.ts';

/**
 * Whether a member of a background group may go on: 0, or the Failure after SIGTTIN/SIGTTOU has been sent to its group
 * (Linux's __tty_check_change).
 */
export function checkForeground(kernel: Kernel, task: Task, terminal: Terminal, signal: number): 0 | Failure {
  const { process } = task;
  if (process.tty !== terminal.name) return 0;
  if (terminal.foreground === 0 || process.pgid === terminal.foreground) return 0;
  if (isIgnored(task, signal)) return signal === SIGTTIN ? EIO : 0;
  if (isOrphanedGroup(kernel, process.pgid)) return EIO;
  signalGroup(kernel, process.pgid, kernelSignal(signal));
  return ERESTARTSYS;
}

/** As checkForeground for calls that change the terminal. */
export const checkChange = (kernel: Kernel, task: Task, terminal: Terminal): 0 | Failure =>
  checkForeground(kernel, task, terminal, SIGTTOU);

function isIgnored(task: Task, signal: number): boolean {
  if ((task.signals.blocked & signalBit(signal)) !== 0n) return true;
  return task.sighand.actions[signal]?.handler === SIG_IGN;
}

export const isSessionLeader = (process: Process): boolean => process.pid === process.sid;

/** The terminal becomes the session's controlling terminal, and the leader's group its foreground. */
export function setControllingTerminal(task: Task, terminal: Terminal): void {
  terminal.session = task.process.sid;
  terminal.foreground = task.process.pgid;
  task.process.tty = terminal.name;
}

/** Takes the controlling terminal from every process of a session. */
function clearSessionTerminal(kernel: Kernel, sid: Tid, name: string): void {
  for (const process of processes(kernel)) if (process.sid === sid && process.tty === name) process.tty = '';
}

/**
 * The session leader gives its terminal up: by TIOCNOTTY ('asked') or by ending ('exit'; process/exit calls this for a
 * session leader). Groups get SIGHUP and SIGCONT as Linux's disassociate_ctty says.
 */
export function leaveTerminal(kernel: Kernel, process: Process, reason: 'asked' | 'exit'): void {
  const terminal = kernel.tty.terminals.get(process.tty);
  if (!isSessionLeader(process)) {
    process.tty = '';
    return;
  }
  if (terminal === undefined) return;
  if (reason === 'exit' && terminal.pty === null) {
    hangUp(kernel, terminal, 'session');
  } else if (terminal.foreground !== 0) {
    signalGroup(kernel, terminal.foreground, kernelSignal(SIGHUP));
    if (reason === 'asked') signalGroup(kernel, terminal.foreground, kernelSignal(SIGCONT));
  }
  if (terminal.session === process.sid) {
    terminal.session = 0;
    terminal.foreground = 0;
  }
  clearSessionTerminal(kernel, process.sid, terminal.name);
}

/** For process/exit: what the end of a process means for its terminal. */
export function terminalProcessExited(kernel: Kernel, process: Process): void {
  if (process.tty !== '' && isSessionLeader(process)) leaveTerminal(kernel, process, 'exit');
}

/** Cuts every open file off the terminal; its session gets SIGHUP (vhangup(2), a closed master, a leader's end). */
export function hangUp(kernel: Kernel, terminal: Terminal, whom: 'leader' | 'session'): void {
  const { session, foreground } = terminal;
  terminal.epoch = ++kernel.tty.lastEpoch;
  terminal.opens = 0;
  flushLine(terminal.line);
  terminal.line.stopped = false;
  terminal.incoming.length = 0;
  terminal.incomingBytes = 0;
  terminal.heldEcho.length = 0;
  terminal.session = 0;
  terminal.foreground = 0;
  if (session !== 0) {
    for (const process of processes(kernel)) {
      if (process.sid !== session) continue;
      if (process.tty === terminal.name) process.tty = '';
      if (!isSessionLeader(process)) continue;
      signalProcess(kernel, process, kernelSignal(SIGHUP));
      signalProcess(kernel, process, kernelSignal(SIGCONT));
    }
    if (whom === 'session' && foreground !== 0) signalGroup(kernel, foreground, kernelSignal(SIGHUP));
  }
  wakeUp(kernel, terminal.readable);
  wakeUp(kernel, terminal.writable);
}
