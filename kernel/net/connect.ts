// Making and ending conversations: bind, listen, connect, accept, shutdown, close.
import {
  BLOCKED, EADDRINUSE, EAGAIN, EALREADY, ECONNREFUSED, EINPROGRESS, EINVAL, EISCONN, ENOTCONN, EOPNOTSUPP, EPERM,
  EPROTOTYPE, failed, type Failure,
} from '../abi/errno.ts'; // prettier-ignore
import { AF_UNSPEC, IPPROTO_TCP, SHUT_RD, SHUT_RDWR, SHUT_WR } from '../abi/socket.ts';
import { get16 } from '../lib/bytes.ts';
import { callDeadline, deadlinePassed } from '../sched/call-progress.ts';
import type { Task } from '../sched/task.ts';
import { sleepOn, wakeUp, type WaitQueue } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { ANY4, ANY6, bindFree, bindInet, endpointOf, findInet, inetAddress, routeTo } from './ports.ts';
import { clearQueue } from './queue.ts';
import { credentialsOf, isConnectionOriented, isUnix, newSocket, type Socket } from './socket.ts';
import { bindUnix, findUnix, unbindUnix } from './unix-names.ts';

const ECONNRESET_NUMBER = 104;
const ECONNREFUSED_NUMBER = 111;

/** Sleeps on a socket's queue, at most for the socket's own timeout (0: none). */
export function waitOn(
  kernel: Kernel,
  task: Task,
  queue: WaitQueue,
  timeoutNs: number,
  wchan: string,
): Failure {
  if (timeoutNs > 0 && deadlinePassed(kernel, task)) return EAGAIN;
  const waits = sleepOn(kernel, task, queue, wchan);
  if (waits === BLOCKED && timeoutNs > 0) callDeadline(kernel, task, timeoutNs);
  return waits;
}

export function bindSocket(kernel: Kernel, task: Task, socket: Socket, bytes: Uint8Array): number | Failure {
  return isUnix(socket) ? bindUnix(kernel, task, socket, bytes) : bindInet(kernel, task, socket, bytes);
}

export function listenOn(kernel: Kernel, task: Task, socket: Socket, backlog: number): number | Failure {
  if (!isConnectionOriented(socket)) return EOPNOTSUPP;
  if (socket.state !== 'unconnected' && socket.state !== 'listening') return EINVAL;
  if (socket.name === null) {
    if (isUnix(socket)) return EINVAL;
    const bound = bindFree(kernel, socket, socket.family === 'inet6' ? ANY6 : ANY4);
    if (failed(bound)) return bound;
  }
  if (!isUnix(socket)) {
    const { host, port } = endpointOf(socket.name);
    const other = findInet(
      kernel,
      socket.protocol,
      { host, port },
      (s) => s !== socket && s.state === 'listening',
    );
    if (other !== undefined) return EADDRINUSE;
  }
  socket.backlog = Math.min(backlog < 0 ? kernel.net.maxBacklog : backlog, kernel.net.maxBacklog);
  socket.state = 'listening';
  socket.credentials = credentialsOf(task);
  return 0;
}

/** Ties two ends together. */
export function join(a: Socket, b: Socket): void {
  a.peer = b;
  b.peer = a;
  a.state = b.state = 'connected';
  a.peerCredentials = b.credentials;
  b.peerCredentials = a.credentials;
  a.peerName = b.name;
  b.peerName = a.name;
}

export function connectSocket(
  kernel: Kernel,
  task: Task,
  socket: Socket,
  bytes: Uint8Array,
  nonBlocking: boolean,
): number | Failure {
  if (bytes.length < 2) return EINVAL;
  const family = get16(bytes, 0);
  if (!isConnectionOriented(socket)) return connectDatagram(kernel, task, socket, bytes, family);
  if (socket.state === 'connecting') return finishConnect(socket);
  if (socket.state === 'connected') return EISCONN;
  if (socket.state === 'listening' || socket.state === 'disconnected')
    return isUnix(socket) ? EINVAL : EISCONN;
  return isUnix(socket)
    ? connectUnix(kernel, task, socket, bytes, nonBlocking)
    : connectTcp(kernel, task, socket, bytes, nonBlocking);
}

/** The second connect of a non-blocking one tells how it went. */
function finishConnect(socket: Socket): number | Failure {
  if (socket.error !== 0) {
    socket.error = 0;
    socket.state = 'unconnected';
    return ECONNREFUSED;
  }
  if (socket.peer === null) return EALREADY;
  socket.state = 'connected';
  return 0;
}

/** A place in the listener's line, or why there is none. */
function checkBacklog(
  kernel: Kernel,
  task: Task,
  socket: Socket,
  listener: Socket,
  nonBlocking: boolean,
): 0 | Failure {
  if (listener.pending.length <= listener.backlog) return 0;
  return nonBlocking
    ? EAGAIN
    : waitOn(kernel, task, listener.writable, socket.sendTimeoutNs, 'unix_stream_connect');
}

function connectUnix(
  kernel: Kernel,
  task: Task,
  socket: Socket,
  bytes: Uint8Array,
  nonBlocking: boolean,
): number | Failure {
  const listener = findUnix(kernel, task, bytes);
  if (failed(listener)) return listener;
  if (listener.type !== socket.type) return EPROTOTYPE;
  if (listener.state !== 'listening' || listener.readShut) return ECONNREFUSED;
  const room = checkBacklog(kernel, task, socket, listener, nonBlocking);
  if (failed(room)) return room;
  socket.credentials = credentialsOf(task);
  enqueue(kernel, socket, listener);
  return 0;
}

/** Makes the server's end of a new connection and puts it in the listener's line. */
function enqueue(kernel: Kernel, socket: Socket, listener: Socket): Socket {
  const server = newSocket(kernel, listener.family, listener.type, listener.protocol, listener.credentials);
  server.name = listener.name;
  server.receiveBytes = listener.receiveBytes;
  server.sendBytes = listener.sendBytes;
  server.options = new Map(listener.options);
  join(socket, server);
  listener.pending.push(server);
  wakeUp(kernel, listener.readable);
  wakeUp(kernel, socket.writable);
  return server;
}

/** The handshake goes over lo at once; a non-blocking connect still hears EINPROGRESS first, as with real packets. */
function connectTcp(
  kernel: Kernel,
  task: Task,
  socket: Socket,
  bytes: Uint8Array,
  nonBlocking: boolean,
): number | Failure {
  if (get16(bytes, 0) === AF_UNSPEC) return 0;
  const target = routeTo(socket, bytes);
  if (failed(target)) return target;
  const listener = findInet(kernel, IPPROTO_TCP, target, (candidate) => candidate.state === 'listening');
  if (listener === undefined) {
    if (!nonBlocking) return ECONNREFUSED;
    socket.state = 'connecting';
    socket.error = ECONNREFUSED_NUMBER;
    wakeUp(kernel, socket.writable);
    return EINPROGRESS;
  }
  const room = checkBacklog(kernel, task, socket, listener, nonBlocking);
  if (failed(room)) return room;
  const bound = socket.name === null ? bindFree(kernel, socket, target.host) : 0;
  if (failed(bound)) return bound;
  const family = socket.family === 'inet6' ? 'inet6' : 'inet';
  const own = endpointOf(socket.name);
  if (own.host === ANY4 || own.host === ANY6)
    socket.name = inetAddress(family, { host: target.host, port: own.port });
  const server = enqueue(kernel, socket, listener);
  const serverFamily = server.family === 'inet6' ? 'inet6' : 'inet';
  server.name = inetAddress(serverFamily, target);
  server.peerName = inetAddress(serverFamily, endpointOf(socket.name));
  socket.peerName = inetAddress(family, target);
  kernel.net.loopback.packets += 3; // SYN, SYN-ACK, ACK
  if (!nonBlocking) return 0;
  socket.state = 'connecting';
  return EINPROGRESS;
}

function connectDatagram(
  kernel: Kernel,
  task: Task,
  socket: Socket,
  bytes: Uint8Array,
  family: number,
): number | Failure {
  if (family === AF_UNSPEC) {
    socket.peer = null;
    socket.peerName = null;
    socket.state = 'unconnected';
    return 0;
  }
  if (isUnix(socket)) {
    const target = findUnix(kernel, task, bytes);
    if (failed(target)) return target;
    if (target.type !== socket.type) return EPROTOTYPE;
    if (target.peer !== null && target.peer !== socket) return EPERM;
    socket.peer = target;
    socket.peerName = target.name;
    socket.state = 'connected';
    return 0;
  }
  const target = routeTo(socket, bytes);
  if (failed(target)) return target;
  const bound = socket.name === null ? bindFree(kernel, socket, target.host) : 0;
  if (failed(bound)) return bound;
  const inetFamily = socket.family === 'inet6' ? 'inet6' : 'inet';
  const own = endpointOf(socket.name);
  if (own.host === ANY4 || own.host === ANY6)
    socket.name = inetAddress(inetFamily, { host: target.host, port: own.port });
  socket.peerName = inetAddress(inetFamily, target);
  socket.state = 'connected';
  return 0;
}

/** The next connection in line. */
export function acceptFrom(
  kernel: Kernel,
  task: Task,
  listener: Socket,
  nonBlocking: boolean,
): Socket | Failure {
  if (!isConnectionOriented(listener)) return EOPNOTSUPP;
  if (listener.state !== 'listening') return EINVAL;
  const [next] = listener.pending;
  if (next === undefined) {
    if (listener.readShut) return EINVAL;
    return nonBlocking
      ? EAGAIN
      : waitOn(kernel, task, listener.readable, listener.receiveTimeoutNs, 'inet_csk_accept');
  }
  return next;
}

/** The connection is accepted: it leaves the line. */
export function takePending(kernel: Kernel, listener: Socket): void {
  listener.pending.shift();
  wakeUp(kernel, listener.writable);
}

export function shutdownSocket(kernel: Kernel, socket: Socket, how: number): number | Failure {
  if (how < SHUT_RD || how > SHUT_RDWR) return EINVAL;
  const { peer } = socket;
  if (!isUnix(socket) && socket.state === 'listening') {
    if (how !== SHUT_WR) stopListening(kernel, socket);
    return 0;
  }
  const isConnected = socket.state === 'connected' || socket.state === 'connecting';
  if (!isConnected && !(isUnix(socket) || socket.state === 'disconnected')) return ENOTCONN;
  if (how !== SHUT_WR) socket.readShut = true;
  if (how !== SHUT_RD) socket.writeShut = true;
  if (peer !== null && isConnectionOriented(socket)) {
    if (how !== SHUT_RD) peer.readShut = true;
    if (how !== SHUT_WR && isUnix(socket)) peer.writeShut = true;
    wakeUp(kernel, peer.readable);
    wakeUp(kernel, peer.writable);
  }
  wakeUp(kernel, socket.readable);
  wakeUp(kernel, socket.writable);
  return 0;
}

function stopListening(kernel: Kernel, socket: Socket): void {
  socket.state = 'unconnected';
  for (const server of socket.pending.splice(0)) closeSocket(kernel, server);
  wakeUp(kernel, socket.readable);
  wakeUp(kernel, socket.writable);
}

/** The last open file is gone. Unread data makes the other end see a reset. */
export function closeSocket(kernel: Kernel, socket: Socket): void {
  if (socket.closed) return;
  socket.closed = true;
  kernel.net.sockets.delete(socket);
  if (isUnix(socket)) unbindUnix(kernel, socket);
  if (socket.state === 'listening') stopListening(kernel, socket);
  const { peer } = socket;
  if (peer !== null && isConnectionOriented(socket)) {
    if (socket.buffer.length > 0) peer.error = ECONNRESET_NUMBER;
    peer.peer = null;
    peer.state = 'disconnected';
    peer.readShut = true;
    if (isUnix(socket)) peer.writeShut = true;
    wakeUp(kernel, peer.readable);
    wakeUp(kernel, peer.writable);
  }
  socket.peer = null;
  if (!isConnectionOriented(socket)) forgetDatagramPeer(kernel, socket);
  clearQueue(kernel, socket);
  wakeUp(kernel, socket.readable);
  wakeUp(kernel, socket.writable);
}

/** Datagram sockets that were connected to a closed one hear ECONNREFUSED when they send. */
function forgetDatagramPeer(kernel: Kernel, socket: Socket): void {
  for (const other of kernel.net.sockets) {
    if (other.peer !== socket) continue;
    wakeUp(kernel, other.readable);
    wakeUp(kernel, other.writable);
  }
}
