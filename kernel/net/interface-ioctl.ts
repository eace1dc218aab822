// ioctls on the loopback interface (netdevice(7)): what ifconfig, ping and httpd ask. lo is up from power-on.
import { EADDRNOTAVAIL, EFAULT, EINVAL, ENODEV, EPERM, failed, type Failure } from '../abi/errno.ts';
import { CAP, capabilityBit } from '../abi/capability.ts';
import { AF_INET } from '../abi/socket.ts';
import { get32, get64, latin1, put16, put32 } from '../lib/bytes.ts';
import { readUser, writeUser } from '../mm/user-memory.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';

const IFREQ_BYTES = 40;
const LOOPBACK_MTU = 65_536;
const ARPHRD_LOOPBACK = 772;
const IFF_UP_LOOPBACK_RUNNING = 0x49;

const SIOCGIFNAME = 0x8910;
const SIOCGIFCONF = 0x8912;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const SIOCGIFADDR = 0x8915;
const SIOCSIFADDR = 0x8916;
const SIOCGIFDSTADDR = 0x8917;
const SIOCGIFBRDADDR = 0x8919;
const SIOCGIFNETMASK = 0x891b;
const SIOCSIFNETMASK = 0x891c;
const SIOCGIFMETRIC = 0x891d;
const SIOCGIFMTU = 0x8921;
const SIOCGIFHWADDR = 0x8927;
const SIOCGIFINDEX = 0x8933;
const SIOCGIFTXQLEN = 0x8942;
const SIOCGIFMAP = 0x8970;

function inet(address: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(16);
  put16(bytes, 0, AF_INET);
  bytes.set(address, 4);
  return bytes;
}

function int(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  put32(bytes, 0, value);
  return bytes;
}

/** What goes behind the name in struct ifreq. */
function answer(request: number): Uint8Array | Failure | undefined {
  switch (request) {
    case SIOCGIFFLAGS: {
      const bytes = new Uint8Array(2);
      put16(bytes, 0, IFF_UP_LOOPBACK_RUNNING);
      return bytes;
    }
    case SIOCGIFADDR:
      return inet([127, 0, 0, 1]);
    case SIOCGIFDSTADDR:
      return inet([127, 0, 0, 1]);
    case SIOCGIFBRDADDR:
      return inet([0, 0, 0, 0]);
    case SIOCGIFNETMASK:
      return inet([255, 0, 0, 0]);
    case SIOCGIFMETRIC:
      return int(0);
    case SIOCGIFMTU:
      return int(LOOPBACK_MTU);
    case SIOCGIFHWADDR: {
      const bytes = new Uint8Array(16);
      put16(bytes, 0, ARPHRD_LOOPBACK);
      return bytes;
    }
    case SIOCGIFINDEX:
      return int(1);
    case SIOCGIFTXQLEN:
      return int(1000);
    case SIOCGIFMAP:
      return new Uint8Array(24);
    default:
      return undefined;
  }
}

/** undefined: not an ioctl of interfaces. */
export function interfaceIoctl(
  kernel: Kernel,
  task: Task,
  request: number,
  argument: number,
): number | Failure | undefined {
  if (request === SIOCGIFCONF) return listInterfaces(kernel, task, argument);
  const sets = request === SIOCSIFFLAGS || request === SIOCSIFADDR || request === SIOCSIFNETMASK;
  const value = answer(request);
  if (value === undefined && !sets && request !== SIOCGIFNAME) return undefined;
  const bytes = readUser(kernel, task, argument, IFREQ_BYTES);
  if (failed(bytes)) return bytes;
  if (request === SIOCGIFNAME) {
    if (get32(bytes, 16) !== 1) return ENODEV;
    bytes.fill(0, 0, 16);
    bytes.set([0x6c, 0x6f], 0);
    return written(writeUser(kernel, task, argument, bytes));
  }
  const name = latin1(bytes.subarray(0, 16)).split('\0')[0];
  if (name !== 'lo') return ENODEV;
  if (sets) return setInterface(task, request, bytes);
  if (value === undefined || failed(value)) return EINVAL;
  return written(writeUser(kernel, task, argument + 16, value));
}

const written = (result: number | Failure): number | Failure => (failed(result) ? EFAULT : 0);

/** The only settings that lo takes are those that it has. */
function setInterface(task: Task, request: number, bytes: Uint8Array): number | Failure {
  if ((task.credentials.effective & capabilityBit(CAP.NET_ADMIN)) === 0n) return EPERM;
  if (request === SIOCSIFADDR && bytes[20] !== 127) return EADDRNOTAVAIL;
  return 0;
}

/** struct ifconf: length and address of an array of ifreq. */
function listInterfaces(kernel: Kernel, task: Task, argument: number): number | Failure {
  const bytes = readUser(kernel, task, argument, 16);
  if (failed(bytes)) return bytes;
  const room = get32(bytes, 0);
  const target = get64(bytes, 8);
  const entry = new Uint8Array(IFREQ_BYTES);
  entry.set([0x6c, 0x6f], 0);
  entry.set(inet([127, 0, 0, 1]), 16);
  if (target !== 0 && room >= IFREQ_BYTES) {
    const stored = writeUser(kernel, task, target, entry);
    if (failed(stored)) return stored;
  }
  return written(
    writeUser(kernel, task, argument, int(target === 0 || room >= IFREQ_BYTES ? IFREQ_BYTES : 0)),
  );
}
