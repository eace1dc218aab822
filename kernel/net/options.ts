// getsockopt(2) and setsockopt(2) (socket(7), tcp(7), ip(7)). Options that only change timing or routing on a real network
// are kept and shown again; they have no effect on lo.
import { EDOM, EINVAL, ENODATA, ENOPROTOOPT, EPERM, type Failure } from '../abi/errno.ts';
import { CAP, capabilityBit } from '../abi/capability.ts';
import { AF_INET, AF_INET6, AF_UNIX, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, SO, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, SOL_SOCKET, UCRED_BYTES } from '../abi/socket.ts'; // prettier-ignore
import { readTimeval, putTimeval } from '../abi/time.ts';
import { getSigned32, getSigned64, put32 } from '../lib/bytes.ts';
import type { Task } from '../sched/task.ts';
import type { Socket } from './socket.ts';

const MAX_BUFFER = 212_992;
/** What SO_SNDBUFFORCE may ask for; Linux has no bound of its own here. */
const FORCED_MAX_BUFFER = 16 << 20;
const MIN_SEND = 4608;
const MIN_RECEIVE = 2304;
const TCP_INFO = 11;

/** Options that are just numbers: level, option, value before anyone sets it, largest value. */
const NUMBERS: readonly (readonly [level: number, option: number, initial: number, max: number])[] = [
  [SOL_SOCKET, SO.DEBUG, 0, 1], [SOL_SOCKET, SO.REUSEADDR, 0, 1], [SOL_SOCKET, SO.DONTROUTE, 0, 1],
  [SOL_SOCKET, SO.BROADCAST, 0, 1], [SOL_SOCKET, SO.KEEPALIVE, 0, 1], [SOL_SOCKET, SO.OOBINLINE, 0, 1],
  [SOL_SOCKET, SO.NO_CHECK, 0, 1], [SOL_SOCKET, SO.PRIORITY, 0, 6], [SOL_SOCKET, SO.REUSEPORT, 0, 1],
  [SOL_SOCKET, SO.PASSCRED, 0, 1], [SOL_SOCKET, SO.PASSSEC, 0, 1], [SOL_SOCKET, SO.RCVLOWAT, 1, 2 ** 31 - 1],
  [SOL_SOCKET, SO.TIMESTAMP, 0, 1],
  [IPPROTO_TCP, 1, 0, 1], [IPPROTO_TCP, 2, 65_495, 65_535], [IPPROTO_TCP, 3, 0, 1], [IPPROTO_TCP, 4, 7200, 32_767],
  [IPPROTO_TCP, 5, 75, 32_767], [IPPROTO_TCP, 6, 9, 127], [IPPROTO_TCP, 7, 6, 255], [IPPROTO_TCP, 8, 60, 2 ** 31 - 1],
  [IPPROTO_TCP, 9, 0, 2 ** 31 - 1], [IPPROTO_TCP, 12, 1, 1], [IPPROTO_TCP, 18, 0, 2 ** 31 - 1], [IPPROTO_TCP, 23, 0, 2 ** 31 - 1],
  [IPPROTO_IP, 1, 0, 255], [IPPROTO_IP, 2, 64, 255], [IPPROTO_IP, 8, 0, 1], [IPPROTO_IP, 10, 1, 5], [IPPROTO_IP, 11, 0, 1],
  [IPPROTO_IP, 12, 0, 1], [IPPROTO_IP, 15, 0, 1], [IPPROTO_IP, 33, 1, 255], [IPPROTO_IP, 34, 1, 1],
  [IPPROTO_IPV6, 16, 64, 255], [IPPROTO_IPV6, 23, 1, 5], [IPPROTO_IPV6, 25, 0, 1], [IPPROTO_IPV6, 26, 0, 1],
  [IPPROTO_IPV6, 49, 0, 1], [IPPROTO_IPV6, 51, 0, 1], [IPPROTO_IPV6, 67, 0, 255],
]; // prettier-ignore

function numberOption(
  socket: Socket,
  level: number,
  option: number,
): readonly [number, number, number, number] | undefined {
  const hasLevel =
    level === SOL_SOCKET || (level === IPPROTO_TCP && socket.type === 'stream' && socket.family !== 'unix') ||
    (level === IPPROTO_IP && socket.family !== 'unix') || (level === IPPROTO_IPV6 && socket.family === 'inet6'); // prettier-ignore
  return hasLevel ? NUMBERS.find(([l, o]) => l === level && o === option) : undefined;
}

function int(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  put32(bytes, 0, value);
  return bytes;
}

const TYPES = { stream: SOCK_STREAM, dgram: SOCK_DGRAM, seqpacket: SOCK_SEQPACKET } as const;
const FAMILIES = { unix: AF_UNIX, inet: AF_INET, inet6: AF_INET6 } as const;

function timeval(ns: number): Uint8Array {
  const bytes = new Uint8Array(16);
  putTimeval(bytes, 0, ns);
  return bytes;
}

/** The whole value of an option; the caller cuts it to the size that it has. */
export function getOption(socket: Socket, level: number, option: number): Uint8Array | Failure {
  const known = numberOption(socket, level, option);
  if (known !== undefined) return int(socket.options.get(`${level}:${option}`) ?? known[2]);
  if (level === IPPROTO_TCP && option === TCP_INFO && socket.type === 'stream' && socket.family !== 'unix') {
    const info = new Uint8Array(104);
    info[0] =
      socket.state === 'connected'
        ? 1
        : socket.state === 'listening'
          ? 10
          : socket.state === 'disconnected'
            ? 8
            : 7;
    return info;
  }
  if (level !== SOL_SOCKET) return ENOPROTOOPT;
  switch (option) {
    case SO.TYPE:
      return int(TYPES[socket.type]);
    case SO.DOMAIN:
      return int(FAMILIES[socket.family]);
    case SO.PROTOCOL:
      return int(socket.protocol);
    case SO.ERROR: {
      const { error } = socket;
      socket.error = 0;
      if (error !== 0 && socket.state === 'connecting') socket.state = 'unconnected';
      return int(error);
    }
    case SO.ACCEPTCONN:
      return int(socket.state === 'listening' ? 1 : 0);
    case SO.SNDBUF:
      return int(socket.sendBytes);
    case SO.RCVBUF:
      return int(socket.receiveBytes);
    case SO.SNDLOWAT:
      return int(1);
    case SO.RCVTIMEO:
      return timeval(socket.receiveTimeoutNs);
    case SO.SNDTIMEO:
      return timeval(socket.sendTimeoutNs);
    case SO.LINGER: {
      const bytes = new Uint8Array(8);
      const seconds = socket.options.get('linger') ?? -1;
      put32(bytes, 0, seconds >= 0 ? 1 : 0);
      put32(bytes, 4, Math.max(0, seconds));
      return bytes;
    }
    case SO.PEERCRED: {
      const bytes = new Uint8Array(UCRED_BYTES);
      put32(bytes, 0, socket.peerCredentials?.pid ?? 0);
      put32(bytes, 4, socket.peerCredentials?.uid ?? -1);
      put32(bytes, 8, socket.peerCredentials?.gid ?? -1);
      return bytes;
    }
    case SO.PEERGROUPS:
      return socket.peerCredentials === null ? ENODATA : int(socket.peerCredentials.gid);
    case SO.BINDTODEVICE:
      return new Uint8Array(0);
    default:
      return ENOPROTOOPT;
  }
}

export function setOption(
  task: Task,
  socket: Socket,
  level: number,
  option: number,
  bytes: Uint8Array,
): number | Failure {
  const may = (capability: number): boolean =>
    (task.credentials.effective & capabilityBit(capability)) !== 0n;
  if (level === SOL_SOCKET && (option === SO.RCVTIMEO || option === SO.SNDTIMEO))
    return setTimeout(socket, option, bytes);
  if (level === SOL_SOCKET && option === SO.BINDTODEVICE) return may(CAP.NET_RAW) ? 0 : EPERM;
  if (bytes.length < 4) {
    if (level === IPPROTO_IP && bytes.length >= 1)
      return setNumber(socket, level, option, bytes[0] ?? 0, may);
    return EINVAL;
  }
  const value = getSigned32(bytes, 0);
  if (level === SOL_SOCKET) {
    switch (option) {
      case SO.SNDBUF:
      case SO.SNDBUFFORCE:
        if (option === SO.SNDBUFFORCE && !may(CAP.NET_ADMIN)) return EPERM;
        socket.sendBytes = Math.max(
          MIN_SEND,
          2 * Math.min(value, option === SO.SNDBUF ? MAX_BUFFER : FORCED_MAX_BUFFER),
        );
        return 0;
      case SO.RCVBUF:
      case SO.RCVBUFFORCE:
        if (option === SO.RCVBUFFORCE && !may(CAP.NET_ADMIN)) return EPERM;
        socket.receiveBytes = Math.max(
          MIN_RECEIVE,
          2 * Math.min(value, option === SO.RCVBUF ? MAX_BUFFER : FORCED_MAX_BUFFER),
        );
        return 0;
      case SO.LINGER:
        if (bytes.length < 8) return EINVAL;
        socket.options.set('linger', value === 0 ? -1 : getSigned32(bytes, 4));
        return 0;
      case SO.TYPE:
      case SO.PROTOCOL:
      case SO.DOMAIN:
      case SO.ERROR:
        return ENOPROTOOPT;
      case SO.MARK:
        return may(CAP.NET_ADMIN) ? 0 : EPERM;
      default:
        break;
    }
  }
  return setNumber(socket, level, option, value, may);
}

function setNumber(
  socket: Socket,
  level: number,
  option: number,
  value: number,
  may: (capability: number) => boolean,
): number | Failure {
  const known = numberOption(socket, level, option);
  if (known === undefined) return ENOPROTOOPT;
  const [, , initial, max] = known;
  if (level === SOL_SOCKET && option === SO.PRIORITY && (value < 0 || value > max) && !may(CAP.NET_ADMIN))
    return EPERM;
  if (max === 1) {
    socket.options.set(`${level}:${option}`, value === 0 ? 0 : 1);
    return 0;
  }
  if (value > max || value < -1) return EINVAL;
  socket.options.set(`${level}:${option}`, value === -1 ? initial : value);
  return 0;
}

function setTimeout(socket: Socket, option: number, bytes: Uint8Array): number | Failure {
  if (bytes.length < 16) return EINVAL;
  if (getSigned64(bytes, 8) < 0 || getSigned64(bytes, 8) >= 1_000_000) return EDOM;
  const ns = getSigned64(bytes, 0) < 0 ? 0 : (readTimeval(bytes) ?? 0);
  const timeoutNs = ns === Infinity ? 0 : ns;
  if (option === SO.RCVTIMEO) socket.receiveTimeoutNs = timeoutNs;
  else socket.sendTimeoutNs = timeoutNs;
  return 0;
}
