// Names of AF_UNIX sockets (unix(7)): a path in the file system, or a name in the abstract name space (first byte 0).
import { EACCES, EADDRINUSE, ECONNREFUSED, EEXIST, EINVAL, failed, type Failure } from '../abi/errno.ts';
import { AF_UNIX } from '../abi/socket.ts';
import { makeSocketNode } from '../fs/vfs/namespace.ts';
import { checkPermission, MAY_WRITE } from '../fs/vfs/permission.ts';
import { walkPath } from '../fs/vfs/walk.ts';
import { latin1, put16 } from '../lib/bytes.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import type { Address, Socket } from './socket.ts';

const PATH_BYTES = 108;

/** What a sockaddr_un names: a path, or an abstract name (with its leading NUL), or '' for an autobind request. */
export function parseUnix(bytes: Uint8Array): string | Failure {
  if (bytes.length < 2 || bytes.length > PATH_BYTES + 2 || bytes[0] !== AF_UNIX || bytes[1] !== 0)
    return EINVAL;
  const name = latin1(bytes.subarray(2));
  if (name === '' || name.startsWith('\0')) return name;
  const end = name.indexOf('\0');
  return end < 0 ? name : name.slice(0, end);
}

function addressOf(name: string, key: string): Address {
  const isPath = !name.startsWith('\0');
  const bytes = new Uint8Array(2 + name.length + (isPath ? 1 : 0));
  put16(bytes, 0, AF_UNIX);
  for (let i = 0; i < name.length; i++) bytes[2 + i] = name.charCodeAt(i);
  return { bytes, key };
}

/** bind(2). */
export function bindUnix(kernel: Kernel, task: Task, socket: Socket, bytes: Uint8Array): number | Failure {
  const name = parseUnix(bytes);
  if (failed(name)) return name;
  if (name === '') return autobind(kernel, socket);
  if (socket.name !== null) return EINVAL;
  if (name.startsWith('\0')) return bindAbstract(kernel, socket, name);
  const inode = makeSocketNode(kernel, task, name, 0o777);
  if (failed(inode)) return inode === EEXIST ? EADDRINUSE : inode;
  const key = `${inode.superBlock}:${inode.number}`;
  kernel.net.unixFiles.set(key, socket);
  socket.name = addressOf(name, key);
  return 0;
}

function bindAbstract(kernel: Kernel, socket: Socket, name: string): number | Failure {
  if (kernel.net.unixNames.has(name)) return EADDRINUSE;
  kernel.net.unixNames.set(name, socket);
  socket.name = addressOf(name, name);
  return 0;
}

/** A free abstract name of five hex digits. */
function autobind(kernel: Kernel, socket: Socket): number | Failure {
  if (socket.name !== null) return 0;
  for (let number = 0; number < 0x100000; number++) {
    const name = `\0${number.toString(16).padStart(5, '0')}`;
    if (!kernel.net.unixNames.has(name)) return bindAbstract(kernel, socket, name);
  }
  return EADDRINUSE;
}

/** The socket that a name leads to; ECONNREFUSED when nobody is bound there. */
export function findUnix(kernel: Kernel, task: Task, bytes: Uint8Array): Socket | Failure {
  const name = parseUnix(bytes);
  if (failed(name)) return name;
  if (name === '') return EINVAL;
  if (name.startsWith('\0')) return kernel.net.unixNames.get(name) ?? ECONNREFUSED;
  const path = walkPath(kernel, task, null, name, { follow: true });
  if (failed(path)) return path;
  const { inode } = path.dentry;
  if (inode === null) return ECONNREFUSED;
  const allowed = checkPermission(kernel, task, inode, MAY_WRITE);
  if (failed(allowed)) return EACCES;
  if (inode.kind !== 'socket') return ECONNREFUSED;
  return kernel.net.unixFiles.get(`${inode.superBlock}:${inode.number}`) ?? ECONNREFUSED;
}

export function unbindUnix(kernel: Kernel, socket: Socket): void {
  if (socket.name === null) return;
  const { key } = socket.name;
  if (kernel.net.unixFiles.get(key) === socket) kernel.net.unixFiles.delete(key);
  if (kernel.net.unixNames.get(key) === socket) kernel.net.unixNames.delete(key);
}

/** sockaddr of a socket without a name. */
export const unnamedUnix = (): Uint8Array => Uint8Array.of(AF_UNIX, 0);
