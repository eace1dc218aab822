// Pseudo terminals (pty(7)): /dev/ptmx makes a pair; its open file is the master, /dev/pts/N the slave.
import { BLOCKED, EAGAIN, EINVAL, EIO, ENOSPC, ENOTTY, failed, type Failure } from '../abi/errno.ts';
import { makeDevice } from '../abi/device.ts';
import { O } from '../abi/open-flags.ts';
import { POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDNORM, POLLWRNORM } from '../abi/poll.ts';
import { SIGINT, SIGQUIT, SIGTSTP } from '../abi/signal.ts';
import {
  FIONREAD, PACKET, TCFLSH, TIOCGPGRP, TIOCGPKT, TIOCGPTLCK, TIOCGPTN, TIOCGPTPEER, TIOCGSID, TIOCOUTQ, TIOCPKT, TIOCSIG,
  TIOCSPTLCK, TIOCSTI,
} from '../abi/termios.ts'; // prettier-ignore
import { fileOperations, type FileOperations, type Transfer } from '../fs/vfs/inode.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import { moveFromUser, moveToUser, transferLength } from '../fs/vfs/transfer.ts';
import { assert } from '../lib/assert.ts';
import { keepProgress, takeProgress } from '../lib/progress.ts';
import { loadUser32, storeUser32 } from '../mm/user-memory.ts';
import type { Task } from '../sched/task.ts';
import { newWaitQueue, sleepOn, wakeUp } from '../sched/wait-queue.ts';
import { signalGroup } from '../signal/send.ts';
import { kernelSignal } from '../signal/state.ts';
import type { Kernel } from '../state.ts';
import { charge, wallNow } from '../time/clock.ts';
import { flushOutput } from './driver.ts';
import { receive } from './input.ts';
import { flushInput, modeIoctl } from './ioctl.ts';
import { hangUp } from './job-control.ts';
import { newTerminal, PTS_MAJOR, type Pty, type Terminal } from './state.ts';

export const MAX_PTYS = 4096;
/** Input that a slave has not taken and a master may pile up. */
const TO_SLAVE_LIMIT = 8192;

/** Makes a pty with the lowest free number. Its slave is locked until TIOCSPTLCK, as grantpt and unlockpt expect. */
export function newPty(kernel: Kernel, uid: number, gid: number, hostHeld: boolean): Terminal | Failure {
  const { terminals } = kernel.tty;
  for (let index = 0; index < MAX_PTYS; index++) {
    const name = `pts/${index}`;
    if (terminals.has(name)) continue;
    const terminal = newTerminal(name, 'pts', index, makeDevice(PTS_MAJOR, index));
    terminal.epoch = ++kernel.tty.lastEpoch; // a number may be used again while old files of it are still open
    terminal.pty = {
      hostHeld, masterOpen: true, locked: !hostHeld, slaveClosed: false, toMaster: [], toMasterBytes: 0, packet: false,
      packetStatus: 0, readable: newWaitQueue(), writable: newWaitQueue(), writing: new Map(), uid, gid, mode: 0o620,
      owned: false, createdNs: wallNow(kernel),
    }; // prettier-ignore
    terminals.set(name, terminal);
    return terminal;
  }
  return ENOSPC;
}

/** The master is gone: the slave hangs up and its name disappears. */
export function closeMaster(kernel: Kernel, terminal: Terminal): void {
  if (terminal.pty === null) return;
  terminal.pty.masterOpen = false;
  hangUp(kernel, terminal, 'leader');
  kernel.tty.terminals.delete(terminal.name);
}

/** The pair of which a file is the master. */
function pairOf(kernel: Kernel, file: OpenFile): { slave: Terminal; pty: Pty } {
  const slave = kernel.tty.terminals.get((file.data as { pty: string }).pty);
  const pty = slave?.pty;
  assert(
    slave !== undefined && pty !== null && pty !== undefined,
    'a pty lives as long as its master is open',
  );
  return { slave, pty };
}

function openMaster(kernel: Kernel, task: Task, file: OpenFile): number | Failure {
  const made = newPty(kernel, task.credentials.fsuid, 5, false);
  if (failed(made)) return made;
  file.operations = 'ptmx';
  file.data = { pty: made.name };
  return 0;
}

function readMaster(kernel: Kernel, task: Task, file: OpenFile, into: Transfer): number | Failure {
  const { slave, pty } = pairOf(kernel, file);
  const count = transferLength(into);
  if (count === 0) return 0;
  if (pty.packet && pty.packetStatus !== 0) {
    const moved = moveToUser(kernel, into, 0, Uint8Array.of(pty.packetStatus));
    if (failed(moved)) return moved;
    pty.packetStatus = 0;
    return 1;
  }
  if (pty.toMasterBytes === 0) {
    if (pty.slaveClosed) return EIO;
    if (file.flags & O.NONBLOCK) return EAGAIN;
    return sleepOn(kernel, task, pty.readable, 'n_tty_read');
  }
  const bytes = peekBytes(pty.toMaster, pty.packet ? count - 1 : count);
  const shown = pty.packet ? prefixed(PACKET.data, bytes) : bytes;
  const moved = moveToUser(kernel, into, 0, shown);
  if (failed(moved)) return moved;
  dropBytes(pty, bytes.length);
  wakeUp(kernel, slave.writable);
  charge(kernel, 'pipeTransfer');
  return shown.length;
}

function prefixed(first: number, bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(bytes.length + 1);
  whole[0] = first;
  whole.set(bytes, 1);
  return whole;
}

function peekBytes(chunks: readonly Uint8Array[], count: number): Uint8Array {
  const [first] = chunks;
  if (first !== undefined && (chunks.length === 1 || first.length >= count)) return first.subarray(0, count);
  const total = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const bytes = new Uint8Array(Math.min(count, total));
  let at = 0;
  for (const chunk of chunks) {
    if (at >= bytes.length) break;
    const part = chunk.subarray(0, bytes.length - at);
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function dropBytes(pty: Pty, count: number): void {
  let left = count;
  for (let chunk = pty.toMaster[0]; chunk !== undefined && left > 0; chunk = pty.toMaster[0]) {
    if (chunk.length > left) {
      pty.toMaster[0] = chunk.slice(left);
      break;
    }
    left -= chunk.length;
    pty.toMaster.shift();
  }
  pty.toMasterBytes -= count;
}

function writeMaster(kernel: Kernel, task: Task, file: OpenFile, from: Transfer): number | Failure {
  const { slave, pty } = pairOf(kernel, file);
  const count = transferLength(from);
  let done = takeProgress(pty.writing, task);
  while (done < count) {
    if (pty.slaveClosed) return done > 0 ? done : EIO;
    const room = TO_SLAVE_LIMIT - slave.incomingBytes;
    if (room <= 0) {
      if (file.flags & O.NONBLOCK) return done > 0 ? done : EAGAIN;
      const waits = sleepOn(kernel, task, pty.writable, 'n_tty_write');
      if (waits !== BLOCKED && done > 0) return done;
      if (waits === BLOCKED) keepProgress(pty.writing, task, done);
      return waits;
    }
    const bytes = moveFromUser(kernel, from, done, Math.min(room, count - done, 4096));
    if (bytes === BLOCKED) keepProgress(pty.writing, task, done);
    if (failed(bytes)) return bytes !== BLOCKED && done > 0 ? done : bytes;
    receive(kernel, slave, bytes);
    done += bytes.length;
  }
  charge(kernel, 'pipeTransfer');
  return done;
}

function pollMaster(kernel: Kernel, file: OpenFile): ReturnType<NonNullable<FileOperations['poll']>> {
  const { slave, pty } = pairOf(kernel, file);
  let events = 0;
  if (pty.toMasterBytes > 0) events |= POLLIN | POLLRDNORM;
  if (pty.packet && pty.packetStatus !== 0) events |= POLLPRI | POLLIN | POLLRDNORM;
  if (pty.slaveClosed) events |= POLLHUP;
  if (slave.incomingBytes < TO_SLAVE_LIMIT) events |= POLLOUT | POLLWRNORM;
  return { events, queues: [pty.readable, pty.writable] };
}

/** Opens the slave of a master (TIOCGPTPEER); devpts, which knows the tree, sets it. */
export const openPeer: {
  open: ((kernel: Kernel, task: Task, terminal: Terminal, flags: number) => number | Failure) | null;
} = {
  open: null,
};

function masterIoctl(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  request: number,
  argument: number,
): number | Failure {
  const { slave, pty } = pairOf(kernel, file);
  switch (request) {
    case TIOCGPTN:
      return storeUser32(kernel, task, argument, slave.index);
    case TIOCSPTLCK: {
      const value = loadUser32(kernel, task, argument);
      if (failed(value)) return value;
      pty.locked = value !== 0;
      return 0;
    }
    case TIOCGPTLCK:
      return storeUser32(kernel, task, argument, pty.locked ? 1 : 0);
    case TIOCGPTPEER:
      return openPeer.open?.(kernel, task, slave, argument) ?? EIO;
    case TIOCPKT: {
      const value = loadUser32(kernel, task, argument);
      if (failed(value)) return value;
      if (value !== 0 && !pty.packet) pty.packetStatus = 0;
      pty.packet = value !== 0;
      return 0;
    }
    case TIOCGPKT:
      return storeUser32(kernel, task, argument, pty.packet ? 1 : 0);
    case TIOCSIG: {
      if (argument !== SIGINT && argument !== SIGQUIT && argument !== SIGTSTP) return EINVAL;
      if (slave.foreground !== 0) signalGroup(kernel, slave.foreground, kernelSignal(argument));
      return 0;
    }
    case TIOCGPGRP:
      return storeUser32(kernel, task, argument, slave.foreground);
    case TIOCGSID:
      return slave.session === 0 ? ENOTTY : storeUser32(kernel, task, argument, slave.session);
    case FIONREAD:
      return storeUser32(kernel, task, argument, pty.toMasterBytes);
    case TIOCOUTQ:
      return storeUser32(kernel, task, argument, slave.incomingBytes);
    case TIOCSTI:
      return EIO;
    case TCFLSH:
      if (argument !== 1) flushOutput(kernel, slave);
      if (argument !== 0) flushInput(kernel, slave);
      return 0;
    default:
      return modeIoctl(kernel, task, slave, request, argument) ?? ENOTTY;
  }
}

fileOperations['ptmx'] = {
  stream: true,
  open: openMaster,
  release: (kernel, file) => closeMaster(kernel, pairOf(kernel, file).slave),
  read: readMaster,
  write: writeMaster,
  poll: pollMaster,
  ioctl: masterIoctl,
};
