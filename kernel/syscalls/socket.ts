// socket(2) and what follows: socketpair bind listen accept connect getsockname getpeername shutdown getsockopt setsockopt.
// Sending and receiving are in messages.ts.
import {
  EAFNOSUPPORT, EFAULT, EINVAL, EMFILE, ENOTCONN, ENOTSOCK, EOPNOTSUPP, EPERM, EPROTONOSUPPORT, ESOCKTNOSUPPORT, failed, type Failure,
} from '../abi/errno.ts'; // prettier-ignore
import { CAP, capabilityBit } from '../abi/capability.ts';
import { O } from '../abi/open-flags.ts';
import {
  AF_INET, AF_INET6, AF_UNIX, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM,
  SOCK_TYPE_MASK, SOCKADDR_STORAGE_BYTES,
} from '../abi/socket.ts'; // prettier-ignore
import { closeDescriptor, fileOf, freeDescriptor } from '../fs/vfs/file-table.ts';
import { get32, put32 } from '../lib/bytes.ts';
import { faultInUser, readUser, writeUser } from '../mm/user-memory.ts';
import {
  acceptFrom, bindSocket, closeSocket, connectSocket, join, listenOn, shutdownSocket, takePending,
} from '../net/connect.ts'; // prettier-ignore
import { getOption, setOption } from '../net/options.ts';
import { ANY4, ANY6, inetAddress } from '../net/ports.ts';
import { newSocketFile } from '../net/socket-file.ts';
import {
  credentialsOf,
  isUnix,
  newSocket,
  socketOf,
  type Family,
  type Socket,
  type SocketType,
} from '../net/socket.ts';
import { unnamedUnix } from '../net/unix-names.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { FD, FLAGS, INT, POINTER, syscall } from './declare.ts';
import { install } from './eventfd.ts';

/** The socket of a descriptor, and whether calls on it must not wait. */
export function socketAt(task: Task, fd: number): { socket: Socket; nonBlocking: boolean } | Failure {
  const file = fileOf(task, fd);
  if (failed(file)) return file;
  const socket = socketOf(file);
  return socket === undefined ? ENOTSOCK : { socket, nonBlocking: (file.flags & O.NONBLOCK) !== 0 };
}

interface Kind {
  readonly family: Family;
  readonly type: SocketType;
  readonly protocol: number;
}

/** What socket(2) is asked for, or why there is no such thing. */
function kindOf(task: Task, domain: number, type: number, protocol: number): Kind | Failure {
  if (domain === AF_UNIX) {
    if (protocol !== 0 && protocol !== AF_UNIX) return EPROTONOSUPPORT;
    if (type === SOCK_STREAM) return { family: 'unix', type: 'stream', protocol: 0 };
    if (type === SOCK_SEQPACKET) return { family: 'unix', type: 'seqpacket', protocol: 0 };
    return type === SOCK_DGRAM || type === SOCK_RAW
      ? { family: 'unix', type: 'dgram', protocol: 0 }
      : ESOCKTNOSUPPORT;
  }
  if (domain !== AF_INET && domain !== AF_INET6) return EAFNOSUPPORT;
  const family = domain === AF_INET ? 'inet' : 'inet6';
  if (type === SOCK_STREAM)
    return protocol === 0 || protocol === IPPROTO_TCP
      ? { family, type: 'stream', protocol: IPPROTO_TCP }
      : EPROTONOSUPPORT;
  if (type === SOCK_DGRAM && protocol !== IPPROTO_ICMP) {
    return protocol === 0 || protocol === IPPROTO_UDP
      ? { family, type: 'dgram', protocol: IPPROTO_UDP }
      : EPROTONOSUPPORT;
  }
  if (type === SOCK_RAW && (task.credentials.effective & capabilityBit(CAP.NET_RAW)) === 0n) return EPERM;
  return type === SOCK_RAW || type === SOCK_DGRAM ? EPROTONOSUPPORT : ESOCKTNOSUPPORT;
}

const SOCK_FLAGS = O.NONBLOCK | O.CLOEXEC;

export const socket = syscall({
  number: 41,
  name: 'socket',
  args: { domain: INT, type: INT, protocol: INT },
  missing:
    'only AF_UNIX and loopback AF_INET and AF_INET6 TCP and UDP; AF_NETLINK gives EAFNOSUPPORT, ICMP and raw EPROTONOSUPPORT',
  run(kernel, task, { domain, type, protocol }) {
    const flags = type & ~SOCK_TYPE_MASK;
    if (flags & ~SOCK_FLAGS) return EINVAL;
    const kind = kindOf(task, domain, type & SOCK_TYPE_MASK, protocol);
    if (failed(kind)) return kind;
    const made = newSocket(kernel, kind.family, kind.type, kind.protocol, credentialsOf(task));
    const file = newSocketFile(kernel, made, flags);
    if (failed(file)) closeSocket(kernel, made);
    return install(kernel, task, file, flags);
  },
});

export const socketpair = syscall({
  number: 53,
  name: 'socketpair',
  args: { domain: INT, type: INT, protocol: INT, fds: POINTER },
  run(kernel, task, { domain, type, protocol, fds }) {
    const flags = type & ~SOCK_TYPE_MASK;
    if (flags & ~SOCK_FLAGS) return EINVAL;
    const kind = kindOf(task, domain, type & SOCK_TYPE_MASK, protocol);
    if (failed(kind)) return kind;
    if (kind.family !== 'unix') return EOPNOTSUPP;
    const reachable = faultInUser(kernel, task, fds, 8, 'write');
    if (failed(reachable)) return reachable;
    const [a, b] = [0, 1].map(() =>
      newSocket(kernel, kind.family, kind.type, kind.protocol, credentialsOf(task)),
    );
    if (a === undefined || b === undefined) return EINVAL;
    join(a, b);
    const first = installSocket(kernel, task, a, flags);
    const second = failed(first) ? first : installSocket(kernel, task, b, flags);
    if (failed(second)) {
      closeSocket(kernel, b);
      if (!failed(first)) closeDescriptor(kernel, task, first);
      return second;
    }
    const pair = new Uint8Array(8);
    put32(pair, 0, first);
    put32(pair, 4, second);
    const written = writeUser(kernel, task, fds, pair);
    return failed(written) ? written : 0;
  },
});

function installSocket(kernel: Kernel, task: Task, made: Socket, flags: number): number | Failure {
  const file = newSocketFile(kernel, made, flags);
  if (failed(file)) closeSocket(kernel, made);
  return install(kernel, task, file, flags);
}

/** A sockaddr from user memory. */
export function readAddress(
  kernel: Kernel,
  task: Task,
  address: number,
  length: number,
): Uint8Array | Failure {
  if (length < 0 || length > SOCKADDR_STORAGE_BYTES) return EINVAL;
  return readUser(kernel, task, address, length);
}

/** Gives a sockaddr to the program: as much as fits, and its true length. */
export function writeAddress(
  kernel: Kernel,
  task: Task,
  bytes: Uint8Array,
  address: number,
  lengthAt: number,
): number | Failure {
  const given = readUser(kernel, task, lengthAt, 4);
  if (failed(given)) return given;
  const room = get32(given, 0) | 0;
  if (room < 0) return EINVAL;
  const stored = writeUser(kernel, task, address, bytes.subarray(0, room));
  if (failed(stored)) return stored;
  const length = new Uint8Array(4);
  put32(length, 0, bytes.length);
  const written = writeUser(kernel, task, lengthAt, length);
  return failed(written) ? written : 0;
}

/** The name that a socket shows: its own, or that of one without a name. */
export function nameOf(made: Socket): Uint8Array {
  if (made.name !== null) return made.name.bytes;
  if (isUnix(made)) return unnamedUnix();
  return inetAddress(made.family === 'inet6' ? 'inet6' : 'inet', {
    host: made.family === 'inet6' ? ANY6 : ANY4,
    port: 0,
  }).bytes;
}

export const bind = syscall({
  number: 49,
  name: 'bind',
  args: { fd: FD, address: POINTER, length: INT },
  run(kernel, task, { fd, address, length }) {
    const found = socketAt(task, fd);
    if (failed(found)) return found;
    const bytes = readAddress(kernel, task, address, length);
    return failed(bytes) ? bytes : bindSocket(kernel, task, found.socket, bytes);
  },
});

export const listen = syscall({
  number: 50,
  name: 'listen',
  args: { fd: FD, backlog: INT },
  run(kernel, task, { fd, backlog }) {
    const found = socketAt(task, fd);
    return failed(found) ? found : listenOn(kernel, task, found.socket, backlog);
  },
});

export const connect = syscall({
  number: 42,
  name: 'connect',
  args: { fd: FD, address: POINTER, length: INT },
  run(kernel, task, { fd, address, length }) {
    const found = socketAt(task, fd);
    if (failed(found)) return found;
    const bytes = readAddress(kernel, task, address, length);
    return failed(bytes) ? bytes : connectSocket(kernel, task, found.socket, bytes, found.nonBlocking);
  },
});

function acceptOn(
  kernel: Kernel,
  task: Task,
  fd: number,
  address: number,
  lengthAt: number,
  flags: number,
): number | Failure {
  if (flags & ~SOCK_FLAGS) return EINVAL;
  const found = socketAt(task, fd);
  if (failed(found)) return found;
  const next = acceptFrom(kernel, task, found.socket, found.nonBlocking);
  if (failed(next)) return next;
  if (address !== 0) {
    const peer = next.peerName?.bytes ?? unnamedUnix();
    const told = writeAddress(kernel, task, peer, address, lengthAt);
    if (failed(told)) return told;
  }
  if (freeDescriptor(kernel, task) < 0) return EMFILE; // the connection stays in line
  const file = newSocketFile(kernel, next, flags);
  if (failed(file)) return file;
  takePending(kernel, found.socket);
  return install(kernel, task, file, flags);
}

export const accept = syscall({
  number: 43,
  name: 'accept',
  args: { fd: FD, address: POINTER, length: POINTER },
  run: (kernel, task, { fd, address, length }) => acceptOn(kernel, task, fd, address, length, 0),
});

export const accept4 = syscall({
  number: 288,
  name: 'accept4',
  args: { fd: FD, address: POINTER, length: POINTER, flags: FLAGS },
  run: (kernel, task, { fd, address, length, flags }) => acceptOn(kernel, task, fd, address, length, flags),
});

export const getsockname = syscall({
  number: 51,
  name: 'getsockname',
  args: { fd: FD, address: POINTER, length: POINTER },
  run(kernel, task, { fd, address, length }) {
    const found = socketAt(task, fd);
    return failed(found) ? found : writeAddress(kernel, task, nameOf(found.socket), address, length);
  },
});

export const getpeername = syscall({
  number: 52,
  name: 'getpeername',
  args: { fd: FD, address: POINTER, length: POINTER },
  run(kernel, task, { fd, address, length }) {
    const found = socketAt(task, fd);
    if (failed(found)) return found;
    const made = found.socket;
    if (made.state !== 'connected' && made.peer === null) return ENOTCONN;
    return writeAddress(kernel, task, made.peerName?.bytes ?? unnamedUnix(), address, length);
  },
});

export const shutdown = syscall({
  number: 48,
  name: 'shutdown',
  args: { fd: FD, how: INT },
  run(kernel, task, { fd, how }) {
    const found = socketAt(task, fd);
    return failed(found) ? found : shutdownSocket(kernel, found.socket, how);
  },
});

const MAX_OPTION_BYTES = 4096;

export const setsockopt = syscall({
  number: 54,
  name: 'setsockopt',
  args: { fd: FD, level: INT, option: INT, value: POINTER, length: INT },
  run(kernel, task, { fd, level, option, value, length }) {
    const found = socketAt(task, fd);
    if (failed(found)) return found;
    if (length < 0 || length > MAX_OPTION_BYTES) return EINVAL;
    const bytes = readUser(kernel, task, value, length);
    return failed(bytes) ? bytes : setOption(task, found.socket, level, option, bytes);
  },
});

export const getsockopt = syscall({
  number: 55,
  name: 'getsockopt',
  args: { fd: FD, level: INT, option: INT, value: POINTER, length: POINTER },
  run(kernel, task, { fd, level, option, value, length }) {
    const found = socketAt(task, fd);
    if (failed(found)) return found;
    const given = readUser(kernel, task, length, 4);
    if (failed(given)) return given;
    const room = get32(given, 0) | 0;
    if (room < 0) return EINVAL;
    const reachable = faultInUser(kernel, task, value, Math.min(room, 128), 'write');
    if (failed(reachable)) return reachable;
    const bytes = getOption(found.socket, level, option);
    if (failed(bytes)) return bytes;
    const part = bytes.subarray(0, room);
    const stored = writeUser(kernel, task, value, part);
    if (failed(stored)) return EFAULT;
    const size = new Uint8Array(4);
    put32(size, 0, part.length);
    const written = writeUser(kernel, task, length, size);
    return failed(written) ? written : 0;
  },
});
