// Open files of sockets: read, write, poll, ioctl, close.
import { ENOTTY, failed, type Failure } from '../abi/errno.ts';
import { O } from '../abi/open-flags.ts';
import {
  POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRBAND, POLLWRNORM,
} from '../abi/poll.ts'; // prettier-ignore
import { FIONREAD, TIOCOUTQ } from '../abi/termios.ts';
import { fileOperations, type FileOperations } from '../fs/vfs/inode.ts';
import { newAnonymousFile, putFile, type OpenFile } from '../fs/vfs/open-file.ts';
import { assert } from '../lib/assert.ts';
import { storeUser32 } from '../mm/user-memory.ts';
import type { WaitQueue } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { closeSocket } from './connect.ts';
import { interfaceIoctl } from './interface-ioctl.ts';
import { queueRoom } from './queue.ts';
import { receiveFrom } from './receive.ts';
import { sendOn } from './send.ts';
import { isConnectionOriented, isUnix, socketOf, type Socket } from './socket.ts';

/** The open file of a socket. */
export function newSocketFile(kernel: Kernel, socket: Socket, flags: number): OpenFile | Failure {
  const file = newAnonymousFile(kernel, 'socket', socket, O.RDWR | (flags & O.NONBLOCK), 'socket', 'socket');
  if (!failed(file)) socket.inode = file.inode.number;
  return file;
}

function ofFile(file: OpenFile): Socket {
  const socket = socketOf(file);
  assert(socket !== undefined, 'the file of a socket keeps its socket');
  return socket;
}

function pollSocket(_kernel: Kernel, file: OpenFile): ReturnType<NonNullable<FileOperations['poll']>> {
  const socket = ofFile(file);
  const queues: WaitQueue[] = [socket.readable, socket.writable];
  let events = 0;
  if (socket.error !== 0) events |= POLLERR;
  if (socket.state === 'listening') {
    if (socket.pending.length > 0) events |= POLLIN | POLLRDNORM;
    return { events, queues };
  }
  if (socket.messages.length > 0) events |= POLLIN | POLLRDNORM;
  if (!isConnectionOriented(socket)) {
    if (socket.readShut) events |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (socket.readShut && socket.writeShut) events |= POLLHUP;
    return { events: events | POLLOUT | POLLWRNORM | POLLWRBAND, queues };
  }
  if (socket.readShut) events |= POLLIN | POLLRDNORM | POLLRDHUP;
  const bothShut = socket.readShut && (socket.writeShut || (isUnix(socket) && socket.peer === null));
  const neverConnected =
    socket.state === 'unconnected' || (socket.state === 'connecting' && socket.peer === null);
  if (bothShut || neverConnected) events |= POLLHUP;
  const { peer } = socket;
  if (peer !== null) queues.push(peer.writable);
  if (peer === null || queueRoom(peer) >= peer.receiveBytes / 3 || socket.writeShut)
    events |= POLLOUT | POLLWRNORM | POLLWRBAND;
  return { events, queues };
}

fileOperations['socket'] = {
  stream: true,
  release: (kernel, file) => {
    closeSocket(kernel, ofFile(file));
  },
  read(kernel, task, file, into) {
    const received = receiveFrom(kernel, task, ofFile(file), [into], 0, (file.flags & O.NONBLOCK) !== 0);
    if (failed(received)) return received;
    for (const dropped of received.files) putFile(kernel, dropped); // read(2) has no place for them
    return received.count;
  },
  write(kernel, task, file, from) {
    const nonBlocking = (file.flags & O.NONBLOCK) !== 0;
    return sendOn(kernel, task, ofFile(file), {
      vector: [from],
      flags: 0,
      nonBlocking,
      to: null,
      files: [],
      credentials: null,
    });
  },
  poll: pollSocket,
  ioctl(kernel, task, file, request, argument) {
    const socket = ofFile(file);
    if (request === FIONREAD) {
      const first = isConnectionOriented(socket) ? socket.buffer.length : (socket.messages[0]?.length ?? 0);
      return storeUser32(kernel, task, argument, first);
    }
    if (request === TIOCOUTQ)
      return storeUser32(kernel, task, argument, isUnix(socket) ? (socket.peer?.buffer.length ?? 0) : 0);
    return interfaceIoctl(kernel, task, request, argument) ?? ENOTTY;
  },
};
