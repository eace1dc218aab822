// Sending: bytes and files go straight into the receiver's queue.
import {
  BLOCKED, EAGAIN, ECONNREFUSED, ECONNRESET, EDESTADDRREQ, EISCONN, EMSGSIZE, ENOTCONN, EPERM, EPIPE, EPROTOTYPE, ETIMEDOUT,
  failed, type Failure,
} from '../abi/errno.ts'; // prettier-ignore
import { SI_USER, SIGPIPE } from '../abi/signal.ts';
import { IPPROTO_UDP, MSG } from '../abi/socket.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import { keepProgress, takeProgress } from '../lib/progress.ts';
import type { Task } from '../sched/task.ts';
import { signalTask } from '../signal/send.ts';
import { newSignalInfo } from '../signal/state.ts';
import type { Kernel } from '../state.ts';
import { charge } from '../time/clock.ts';
import { waitOn } from './connect.ts';
import { ANY4, bindFree, endpointOf, findInet, inetAddress, routeTo } from './ports.ts';
import { gather, putMessage, queueRoom, vectorLength, type Vector } from './queue.ts';
import { credentialsOf, isConnectionOriented, isStream, isUnix, type Socket, type Ucred } from './socket.ts';
import { findUnix } from './unix-names.ts';

export interface Sending {
  readonly vector: Vector;
  readonly flags: number;
  readonly nonBlocking: boolean;
  /** sockaddr of the receiver, null for the connected one. */
  readonly to: Uint8Array | null;
  readonly files: readonly OpenFile[];
  /** SCM_CREDENTIALS, checked; null for the sender's own. */
  readonly credentials: Ucred | null;
}

const CHUNK_BYTES = 32_768;
const UDP_MAX_BYTES = 65_507;

export function sendOn(kernel: Kernel, task: Task, socket: Socket, sending: Sending): number | Failure {
  return isConnectionOriented(socket)
    ? sendConnected(kernel, task, socket, sending)
    : sendDatagram(kernel, task, socket, sending);
}

function brokenPipe(kernel: Kernel, task: Task, socket: Socket, sending: Sending): Failure {
  if ((sending.flags & MSG.NOSIGNAL) === 0 && isStream(socket)) {
    signalTask(
      kernel,
      task,
      newSignalInfo(SIGPIPE, SI_USER, { pid: task.process.pid, uid: task.credentials.uid }),
    );
  }
  return EPIPE;
}

/** Errors of the past are told once. */
export function takeError(socket: Socket): Failure | 0 {
  const { error } = socket;
  socket.error = 0;
  if (error === 104) return ECONNRESET;
  if (error === 111) return ECONNREFUSED;
  return error === 110 ? ETIMEDOUT : 0;
}

function sendConnected(kernel: Kernel, task: Task, socket: Socket, sending: Sending): number | Failure {
  const length = vectorLength(sending.vector);
  let done = takeProgress(socket.sending, task);
  if (sending.to !== null && isUnix(socket)) return socket.state === 'connected' ? EISCONN : ENOTCONN;
  for (;;) {
    const { peer } = socket;
    if (socket.state === 'unconnected' || socket.state === 'listening')
      return isUnix(socket) ? ENOTCONN : brokenPipe(kernel, task, socket, sending);
    if (socket.error !== 0 && !isUnix(socket)) return done > 0 ? done : takeError(socket) || EPIPE;
    if (socket.writeShut) return done > 0 ? done : brokenPipe(kernel, task, socket, sending);
    if (peer === null) return done > 0 ? done : sendToNobody(kernel, task, socket, sending, length);
    if (length === 0 && isStream(socket)) return 0;
    if (!isStream(socket) && length > socket.sendBytes) return EMSGSIZE;
    const room = isStream(socket)
      ? queueRoom(peer)
      : queueRoom(peer) >= length || peer.buffer.length === 0
        ? length
        : 0;
    if (room === 0 && length > 0) return waitForRoom(kernel, task, socket, sending, peer, done);
    const count = isStream(socket) ? Math.min(length - done, room, CHUNK_BYTES) : length;
    const bytes = gather(kernel, sending.vector, done, count);
    const files = done > 0 ? [] : sending.files;
    const credentials = sending.credentials ?? credentialsOf(task);
    const put = failed(bytes)
      ? bytes
      : putMessage(kernel, peer, bytes, { from: socket.name, credentials, files });
    if (failed(put)) {
      if (put === BLOCKED) keepProgress(socket.sending, task, done);
      return put !== BLOCKED && done > 0 ? done : put;
    }
    countPacket(kernel, socket, count);
    charge(kernel, 'pipeTransfer');
    done += count;
    if (done >= length) return done;
  }
}

/** TCP's first write after the other end has closed goes out and is answered with a reset; the next one fails. */
function sendToNobody(
  kernel: Kernel,
  task: Task,
  socket: Socket,
  sending: Sending,
  length: number,
): number | Failure {
  if (isUnix(socket) || socket.broken) return brokenPipe(kernel, task, socket, sending);
  socket.broken = true;
  return length;
}

function waitForRoom(
  kernel: Kernel,
  task: Task,
  socket: Socket,
  sending: Sending,
  peer: Socket,
  done: number,
): number | Failure {
  if (sending.nonBlocking) return done > 0 ? done : EAGAIN;
  const waits = waitOn(kernel, task, peer.writable, socket.sendTimeoutNs, 'sock_alloc_send_pskb');
  if (waits !== BLOCKED) return done > 0 ? done : waits;
  keepProgress(socket.sending, task, done);
  return waits;
}

/** Counts what goes over lo. */
function countPacket(kernel: Kernel, socket: Socket, bytes: number): void {
  if (isUnix(socket)) return;
  kernel.net.loopback.packets++;
  kernel.net.loopback.bytes += bytes;
}

function sendDatagram(kernel: Kernel, task: Task, socket: Socket, sending: Sending): number | Failure {
  if (socket.writeShut) return brokenPipe(kernel, task, socket, sending);
  const length = vectorLength(sending.vector);
  if (length > (isUnix(socket) ? socket.sendBytes - 32 : UDP_MAX_BYTES)) return EMSGSIZE;
  const error = takeError(socket);
  if (failed(error)) return error;
  return isUnix(socket)
    ? sendUnixDatagram(kernel, task, socket, sending, length)
    : sendUdp(kernel, task, socket, sending, length);
}

function sendUnixDatagram(
  kernel: Kernel,
  task: Task,
  socket: Socket,
  sending: Sending,
  length: number,
): number | Failure {
  const target = sending.to === null ? (socket.peer ?? ENOTCONN) : findUnix(kernel, task, sending.to);
  if (failed(target)) return target;
  if (target.type !== socket.type) return EPROTOTYPE;
  if (target.closed) {
    socket.peer = null;
    socket.state = 'unconnected';
    return ECONNREFUSED;
  }
  if (target.peer !== null && target.peer !== socket) return EPERM;
  if (target.readShut) return EPIPE;
  const isFull =
    target.messages.length > kernel.net.maxDatagrams ||
    (queueRoom(target) < length && target.buffer.length > 0);
  if (isFull)
    return sending.nonBlocking
      ? EAGAIN
      : waitOn(kernel, task, target.writable, socket.sendTimeoutNs, 'unix_wait_for_peer');
  const bytes = gather(kernel, sending.vector, 0, length);
  if (failed(bytes)) return bytes;
  const credentials = sending.credentials ?? credentialsOf(task);
  const put = putMessage(kernel, target, bytes, {
    from: socket.name,
    credentials,
    files: sending.files,
  });
  charge(kernel, 'pipeTransfer');
  return failed(put) ? put : length;
}

/** UDP: what nobody hears, or a full queue cannot take, is lost; a connected sender hears of the former. */
function sendUdp(
  kernel: Kernel,
  task: Task,
  socket: Socket,
  sending: Sending,
  length: number,
): number | Failure {
  const to = sending.to ?? socket.peerName?.bytes;
  if (to === undefined) return EDESTADDRREQ;
  const target = routeTo(socket, to);
  if (failed(target)) return target;
  const bytes = gather(kernel, sending.vector, 0, length);
  if (failed(bytes)) return bytes;
  const bound = socket.name === null ? bindFree(kernel, socket, ANY4) : 0;
  if (failed(bound)) return bound;
  countPacket(kernel, socket, length);
  const own = endpointOf(socket.name);
  const fromHost = own.host === ANY4 || /^0+$/.test(own.host) ? target.host : own.host;
  const from = { host: fromHost, port: own.port };
  const receiver = findInet(
    kernel,
    IPPROTO_UDP,
    target,
    (candidate) => candidate.peerName === null || candidate.peerName.key === `${from.host}/${from.port}`,
  );
  if (receiver === undefined) {
    if (socket.peerName !== null) socket.error = 111;
    return length;
  }
  if (queueRoom(receiver) < length) return length;
  const shown = inetAddress(receiver.family === 'inet6' ? 'inet6' : 'inet', from);
  const put = putMessage(kernel, receiver, bytes, {
    from: shown,
    credentials: credentialsOf(task),
    files: [],
  });
  charge(kernel, 'pipeTransfer');
  return failed(put) ? put : length;
}
