// Addresses of AF_INET and AF_INET6 (ip(7), ipv6(7)). The only interface is lo: 127.0.0.0/8 and ::1 are here, all other
// addresses are unreachable.
import {
  EACCES,
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EINVAL,
  ENETUNREACH,
  failed,
  type Failure,
} from '../abi/errno.ts';
import { CAP, capabilityBit } from '../abi/capability.ts';
import {
  AF_INET,
  AF_INET6,
  IPPROTO_IPV6,
  SO,
  SOCKADDR_IN6_BYTES,
  SOCKADDR_IN_BYTES,
  SOL_SOCKET,
} from '../abi/socket.ts';
import { get16, put16 } from '../lib/bytes.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import type { Address, Socket } from './socket.ts';

/** An IPv4 address is kept as "127.0.0.1", an IPv6 one as 32 hex digits. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export const ANY4 = '0.0.0.0';
export const ANY6 = '0'.repeat(32);
const LOOPBACK6 = `${'0'.repeat(31)}1`;
const MAPPED = '00000000000000000000ffff';
const FIRST_PORT = 32_768;
const LAST_PORT = 60_999;
const FIRST_FREE_PORT = 1024;

const isLocal = (host: string): boolean => host.startsWith('127.') || host === LOOPBACK6;
const isAny = (host: string): boolean => host === ANY4 || host === ANY6;

/** Port and host of a sockaddr, for a socket of this family. IPv4 addresses mapped into IPv6 count as IPv4. */
export function parseInet(family: 'inet' | 'inet6', bytes: Uint8Array): Endpoint | Failure {
  if (bytes.length < 2) return EINVAL;
  const given = get16(bytes, 0);
  const port = ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
  if (family === 'inet') {
    if (bytes.length < SOCKADDR_IN_BYTES) return EINVAL;
    if (given !== AF_INET) return EAFNOSUPPORT;
    return { host: [...bytes.subarray(4, 8)].join('.'), port };
  }
  if (given === AF_INET && bytes.length >= SOCKADDR_IN_BYTES) return EAFNOSUPPORT;
  if (bytes.length < 24) return EINVAL;
  if (given !== AF_INET6) return EAFNOSUPPORT;
  const host = [...bytes.subarray(8, 24)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return { host: host.startsWith(MAPPED) ? [...bytes.subarray(20, 24)].join('.') : host, port };
}

/** The sockaddr of an endpoint as a socket of this family shows it. */
export function inetAddress(family: 'inet' | 'inet6', { host, port }: Endpoint): Address {
  const isV4 = host.includes('.');
  const bytes = new Uint8Array(family === 'inet' ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_BYTES);
  put16(bytes, 0, family === 'inet' ? AF_INET : AF_INET6);
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  if (family === 'inet') bytes.set(host.split('.').map(Number), 4);
  else if (isV4 && host !== ANY4) {
    bytes.set([0xff, 0xff], 18);
    bytes.set(host.split('.').map(Number), 20);
  } else for (let i = 0; i < 16; i++) bytes[8 + i] = isV4 ? 0 : parseInt(host.slice(2 * i, 2 * i + 2), 16);
  return { bytes, key: `${host}/${port}` };
}

/** Host and port of a bound socket. */
export function endpointOf(address: Address | null): Endpoint {
  const [host = ANY4, port = '0'] = address?.key.split('/') ?? [];
  return { host, port: Number(port) };
}

const familyOf = (socket: Socket): 'inet' | 'inet6' => (socket.family === 'inet6' ? 'inet6' : 'inet');
const isV6Only = (socket: Socket): boolean => socket.options.get(`${IPPROTO_IPV6}:26`) === 1;

/** Whether a socket bound here also receives what is sent to `host`. */
function hears(socket: Socket, host: string): boolean {
  const bound = endpointOf(socket.name).host;
  if (bound === host || (bound === ANY4 && host.includes('.'))) return true;
  return bound === ANY6 && (!host.includes('.') || !isV6Only(socket));
}

const overlaps = (socket: Socket, host: string): boolean => hears(socket, host) || isAny(host);

function boundTo(kernel: Kernel, protocol: number, port: number): Socket[] {
  return [...kernel.net.sockets].filter(
    (s) =>
      s.family !== 'unix' && s.protocol === protocol && s.name !== null && endpointOf(s.name).port === port,
  );
}

const reuses = (socket: Socket): boolean => socket.options.get(`${SOL_SOCKET}:${SO.REUSEADDR}`) === 1;

function isTaken(kernel: Kernel, socket: Socket, { host, port }: Endpoint): boolean {
  return boundTo(kernel, socket.protocol, port).some((other) => {
    if (other === socket || !overlaps(other, host)) return false;
    if (
      other.type === 'stream' &&
      other.state !== 'listening' &&
      other.state !== 'unconnected' &&
      reuses(socket)
    )
      return false;
    const bothReuse = reuses(socket) && reuses(other);
    return !(bothReuse && (socket.type === 'dgram' || other.state !== 'listening'));
  });
}

/** bind(2); port 0 takes a free one. */
export function bindInet(kernel: Kernel, task: Task, socket: Socket, bytes: Uint8Array): number | Failure {
  const wanted = parseInet(familyOf(socket), bytes);
  if (failed(wanted)) return wanted;
  if (socket.name !== null) return EINVAL;
  if (!isLocal(wanted.host) && !isAny(wanted.host)) return EADDRNOTAVAIL;
  const privileged = (task.credentials.effective & capabilityBit(CAP.NET_BIND_SERVICE)) !== 0n;
  if (wanted.port > 0 && wanted.port < FIRST_FREE_PORT && !privileged) return EACCES;
  if (wanted.port === 0) return bindFree(kernel, socket, wanted.host);
  if (isTaken(kernel, socket, wanted)) return EADDRINUSE;
  socket.name = inetAddress(familyOf(socket), wanted);
  return 0;
}

/** Gives the socket a free port of the ephemeral range. */
export function bindFree(kernel: Kernel, socket: Socket, host: string): number | Failure {
  for (let tries = FIRST_PORT; tries <= LAST_PORT; tries++) {
    const port = kernel.net.nextPort;
    kernel.net.nextPort = port >= LAST_PORT ? FIRST_PORT : port + 1;
    if (boundTo(kernel, socket.protocol, port).length > 0) continue;
    socket.name = inetAddress(familyOf(socket), { host, port });
    return 0;
  }
  return EADDRINUSE;
}

/** Where a packet to this address goes: the endpoint on lo, or why it cannot go. */
export function routeTo(socket: Socket, bytes: Uint8Array): Endpoint | Failure {
  const target = parseInet(familyOf(socket), bytes);
  if (failed(target)) return target;
  if (isAny(target.host)) return { host: target.host === ANY4 ? '127.0.0.1' : LOOPBACK6, port: target.port };
  return isLocal(target.host) ? target : ENETUNREACH;
}

/** The socket that an endpoint reaches: an exact address wins over a wildcard. */
export function findInet(
  kernel: Kernel,
  protocol: number,
  { host, port }: Endpoint,
  wants: (socket: Socket) => boolean,
): Socket | undefined {
  const candidates = boundTo(kernel, protocol, port).filter((socket) => wants(socket) && hears(socket, host));
  return candidates.find((socket) => endpointOf(socket.name).host === host) ?? candidates[0];
}
