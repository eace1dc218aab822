// sendto(2), recvfrom(2), sendmsg(2), recvmsg(2), sendmmsg(2), recvmmsg(2).
import { EINVAL, EMSGSIZE, ENOBUFS, failed, type Failure } from '../abi/errno.ts';
import { MMSGHDR_BYTES, MSG, MSGHDR_BYTES } from '../abi/socket.ts';
import type { Transfer } from '../fs/vfs/inode.ts';
import { putFile } from '../fs/vfs/open-file.ts';
import { get32, get64, put32, put64 } from '../lib/bytes.ts';
import { faultInUser, readUser, storeUser32, writeUser } from '../mm/user-memory.ts';
import { buildControl, NO_CONTROL, parseControl } from '../net/control.ts';
import { receiveFrom } from '../net/receive.ts';
import { sendOn } from '../net/send.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { FD, FLAGS, INT, POINTER, SIZE, syscall, UINT } from './declare.ts';
import { readAddress, socketAt, writeAddress } from './socket.ts';

const MAX_BYTES = 0x7fff_f000;
const MAX_PIECES = 1024;
const MAX_CONTROL_BYTES = 20_480;
const MAX_MESSAGES = 1024;

export const sendto = syscall({
  number: 44,
  name: 'sendto',
  args: { fd: FD, buffer: POINTER, count: SIZE, flags: FLAGS, address: POINTER, length: INT },
  run(kernel, task, { fd, buffer, count, flags, address, length }) {
    const found = socketAt(task, fd);
    if (failed(found)) return found;
    const to = address === 0 ? null : readAddress(kernel, task, address, length);
    if (failed(to)) return to;
    const vector: Transfer[] = [{ kind: 'user', task, address: buffer, length: Math.min(count, MAX_BYTES) }];
    const nonBlocking = found.nonBlocking || (flags & MSG.DONTWAIT) !== 0;
    return sendOn(kernel, task, found.socket, { vector, flags, nonBlocking, to, ...NO_CONTROL });
  },
});

export const recvfrom = syscall({
  number: 45,
  name: 'recvfrom',
  args: { fd: FD, buffer: POINTER, count: SIZE, flags: FLAGS, address: POINTER, length: POINTER },
  run(kernel, task, { fd, buffer, count, flags, address, length }) {
    const found = socketAt(task, fd);
    if (failed(found)) return found;
    const { socket } = found;
    const vector: Transfer[] = [{ kind: 'user', task, address: buffer, length: Math.min(count, MAX_BYTES) }];
    const nonBlocking = found.nonBlocking || (flags & MSG.DONTWAIT) !== 0;
    const received = receiveFrom(kernel, task, socket, vector, flags, nonBlocking);
    if (failed(received)) return received;
    if ((flags & MSG.PEEK) === 0) for (const file of received.files) putFile(kernel, file);
    if (address !== 0) {
      const told = writeAddress(kernel, task, received.from?.bytes ?? new Uint8Array(0), address, length);
      if (failed(told)) return told;
    }
    return received.count;
  },
});

interface MessageHeader {
  readonly name: number;
  readonly nameLength: number;
  readonly vector: readonly Transfer[];
  readonly control: number;
  readonly controlLength: number;
}

function readHeader(kernel: Kernel, task: Task, address: number): MessageHeader | Failure {
  const bytes = readUser(kernel, task, address, MSGHDR_BYTES);
  if (failed(bytes)) return bytes;
  const pieces = get64(bytes, 24);
  if (pieces > MAX_PIECES) return EMSGSIZE;
  const table = readUser(kernel, task, get64(bytes, 16), pieces * 16);
  if (failed(table)) return table;
  const vector: Transfer[] = [];
  for (let at = 0; at < table.length; at += 16) {
    const length = get64(table, at + 8);
    if (length > Number.MAX_SAFE_INTEGER) return EINVAL;
    vector.push({ kind: 'user', task, address: get64(table, at), length: Math.min(length, MAX_BYTES) });
  }
  return {
    name: get64(bytes, 0),
    nameLength: get32(bytes, 8) | 0,
    vector,
    control: get64(bytes, 32),
    controlLength: get64(bytes, 40),
  };
}

function sendMessage(
  kernel: Kernel,
  task: Task,
  fd: number,
  address: number,
  flags: number,
): number | Failure {
  const found = socketAt(task, fd);
  if (failed(found)) return found;
  const header = readHeader(kernel, task, address);
  if (failed(header)) return header;
  const to =
    header.name === 0 || header.nameLength === 0
      ? null
      : readAddress(kernel, task, header.name, Math.min(header.nameLength, 128));
  if (failed(to)) return to;
  let control = NO_CONTROL;
  if (header.control !== 0 && header.controlLength > 0) {
    if (header.controlLength > MAX_CONTROL_BYTES) return ENOBUFS;
    const bytes = readUser(kernel, task, header.control, header.controlLength);
    if (failed(bytes)) return bytes;
    const parsed = parseControl(task, bytes);
    if (failed(parsed)) return parsed;
    control = parsed;
  }
  const nonBlocking = found.nonBlocking || (flags & MSG.DONTWAIT) !== 0;
  return sendOn(kernel, task, found.socket, { vector: header.vector, flags, nonBlocking, to, ...control });
}

export const sendmsg = syscall({
  number: 46,
  name: 'sendmsg',
  args: { fd: FD, message: POINTER, flags: FLAGS },
  run: (kernel, task, { fd, message, flags }) => sendMessage(kernel, task, fd, message, flags),
});

function receiveMessage(
  kernel: Kernel,
  task: Task,
  fd: number,
  address: number,
  flags: number,
): number | Failure {
  const found = socketAt(task, fd);
  if (failed(found)) return found;
  const header = readHeader(kernel, task, address);
  if (failed(header)) return header;
  // Everything that is written after the message has been taken must be reachable before.
  const control = header.control === 0 ? 0 : Math.min(header.controlLength, MAX_CONTROL_BYTES);
  const places = [[address, MSGHDR_BYTES], [header.control, control], [header.name, header.name === 0 ? 0 : Math.min(Math.max(header.nameLength, 0), 128)]] as const; // prettier-ignore
  for (const [place, length] of places) {
    const reachable = length === 0 ? 0 : faultInUser(kernel, task, place, length, 'write');
    if (failed(reachable)) return reachable;
  }
  const { socket } = found;
  const nonBlocking = found.nonBlocking || (flags & MSG.DONTWAIT) !== 0;
  const received = receiveFrom(kernel, task, socket, header.vector, flags, nonBlocking);
  if (failed(received)) return received;
  const built = buildControl(kernel, task, socket, received, control, flags);
  if (built.bytes.length > 0) writeUser(kernel, task, header.control, built.bytes);
  const from = received.from?.bytes ?? new Uint8Array(0);
  const lengths = new Uint8Array(8);
  if (header.name !== 0) {
    writeUser(kernel, task, header.name, from.subarray(0, Math.max(0, header.nameLength)));
    put32(lengths, 0, from.length);
    writeUser(kernel, task, address + 8, lengths.subarray(0, 4));
  }
  put64(lengths, 0, built.bytes.length);
  writeUser(kernel, task, address + 40, lengths);
  const cloexec = flags & MSG.CMSG_CLOEXEC;
  const stored = storeUser32(kernel, task, address + 48, received.flags | built.flags | cloexec);
  return failed(stored) ? stored : received.count;
}

export const recvmsg = syscall({
  number: 47,
  name: 'recvmsg',
  args: { fd: FD, message: POINTER, flags: FLAGS },
  run: (kernel, task, { fd, message, flags }) => receiveMessage(kernel, task, fd, message, flags),
});

type One = (kernel: Kernel, task: Task, fd: number, address: number, flags: number) => number | Failure;

/** One message after the other; the first that fails ends it, and counts only when it is the very first. */
function forEachMessage(
  kernel: Kernel,
  task: Task,
  fd: number,
  table: number,
  count: number,
  flags: number,
  one: One,
): number | Failure {
  let done = 0;
  for (; done < Math.min(count, MAX_MESSAGES); done++) {
    const at = table + done * MMSGHDR_BYTES;
    // Once one has gone through, nothing may wait: the call would start over and repeat it.
    const moved = one(kernel, task, fd, at, done === 0 ? flags & ~MSG.WAITFORONE : flags | MSG.DONTWAIT);
    if (failed(moved)) return done > 0 ? done : moved;
    const stored = storeUser32(kernel, task, at + MSGHDR_BYTES, moved);
    if (failed(stored)) return done > 0 ? done : stored;
  }
  return done;
}

export const sendmmsg = syscall({
  number: 307,
  name: 'sendmmsg',
  args: { fd: FD, messages: POINTER, count: UINT, flags: FLAGS },
  run: (kernel, task, { fd, messages, count, flags }) =>
    forEachMessage(kernel, task, fd, messages, count, flags, sendMessage),
});

export const recvmmsg = syscall({
  number: 299,
  name: 'recvmmsg',
  args: { fd: FD, messages: POINTER, count: UINT, flags: FLAGS, timeout: POINTER },
  missing: 'waits for the first message only; the timeout is not looked at',
  run: (kernel, task, { fd, messages, count, flags }) =>
    forEachMessage(kernel, task, fd, messages, count, flags, receiveMessage),
});
