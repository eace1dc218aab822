// Receiving: bytes and files out of the socket's own queue.
import { BLOCKED, EAGAIN, EINVAL, ENOTCONN, failed, type Failure } from '../abi/errno.ts';
import { MSG } from '../abi/socket.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import type { Task } from '../sched/task.ts';
import { wakeUp } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { charge } from '../time/clock.ts';
import { waitOn } from './connect.ts';
import { peekBytes, scatter, takeBytes, vectorLength, type Vector } from './queue.ts';
import { takeError } from './send.ts';
import {
  isConnectionOriented,
  isStream,
  isUnix,
  type Address,
  type Message,
  type Socket,
  type Ucred,
} from './socket.ts';

export interface Received {
  /** Bytes moved; with MSG_TRUNC the true length of a datagram. */
  readonly count: number;
  readonly flags: number;
  readonly from: Address | null;
  readonly credentials: Ucred | null;
  /** Files that came along; the receiver installs or drops each. With MSG_PEEK these are further references to be made. */
  readonly files: readonly OpenFile[];
}

const NOTHING: Received = { count: 0, flags: 0, from: null, credentials: null, files: [] };

/** Takes what there is; `prepare` runs before anything is taken and may refuse (control messages must be writable). */
export function receiveFrom(
  kernel: Kernel,
  task: Task,
  socket: Socket,
  vector: Vector,
  flags: number,
  nonBlocking: boolean,
): Received | Failure {
  if (flags & MSG.OOB) return EINVAL;
  if (flags & MSG.ERRQUEUE) return EAGAIN;
  if (isConnectionOriented(socket) && (socket.state === 'unconnected' || socket.state === 'listening')) {
    return isUnix(socket) && isStream(socket) ? EINVAL : ENOTCONN;
  }
  const wanted = vectorLength(vector);
  const enough =
    flags & MSG.WAITALL && isStream(socket) && !nonBlocking ? Math.min(wanted, socket.receiveBytes) : 1;
  const [first] = socket.messages;
  const available = socket.buffer.length;
  if (
    first === undefined ||
    (isStream(socket) && available < enough && !socket.readShut && socket.error === 0)
  ) {
    const ended = endOfInput(socket, first);
    if (ended !== null) return ended;
    if (wanted === 0 && isStream(socket)) return NOTHING;
    if (nonBlocking) return EAGAIN;
    const waits = waitOn(
      kernel,
      task,
      socket.readable,
      socket.receiveTimeoutNs,
      isStream(socket) ? 'unix_stream_read_generic' : 'wait_for_packet',
    );
    if (waits === BLOCKED || first === undefined) return waits;
  }
  if (first === undefined) return NOTHING;
  return isStream(socket)
    ? takeStream(kernel, socket, vector, flags, first)
    : takePacket(kernel, socket, vector, flags, first);
}

/** What a read of an empty queue gives at once: an error, or the end. */
function endOfInput(socket: Socket, first: Message | undefined): Received | Failure | null {
  if (first !== undefined) return null;
  const error = takeError(socket);
  if (failed(error)) return error;
  return socket.readShut || socket.state === 'disconnected' ? NOTHING : null;
}

/** Bytes of as many messages as fit, up to one that brings files. */
function takeStream(
  kernel: Kernel,
  socket: Socket,
  vector: Vector,
  flags: number,
  first: Message,
): Received | Failure {
  const passesCredentials = socket.options.get('1:16') === 1;
  let limit = first.length;
  for (let i = 1; i < socket.messages.length; i++) {
    const next = socket.messages[i];
    if (next === undefined || next.files.length > 0 || first.files.length > 0) break;
    if (passesCredentials && next.credentials.pid !== first.credentials.pid) break;
    limit += next.length;
  }
  const bytes = peekBytes(kernel, socket, Math.min(limit, vectorLength(vector)));
  if (failed(bytes)) return bytes;
  const moved = scatter(kernel, vector, bytes);
  if (failed(moved)) return moved;
  const { files, from, credentials } = first;
  if ((flags & MSG.PEEK) === 0) {
    first.files = [];
    for (let left = moved; left > 0;) {
      const length = socket.messages[0]?.length ?? left;
      takeBytes(kernel, socket, Math.min(left, length), false);
      left -= Math.min(left, length);
    }
    wakeUp(kernel, socket.writable);
    if (socket.peer !== null) wakeUp(kernel, socket.peer.writable);
  }
  charge(kernel, 'pipeTransfer');
  return { count: moved, flags: 0, from, credentials, files };
}

/** One whole packet; what does not fit is lost. */
function takePacket(
  kernel: Kernel,
  socket: Socket,
  vector: Vector,
  flags: number,
  first: Message,
): Received | Failure {
  const { length, files, from, credentials } = first;
  const room = vectorLength(vector);
  const bytes = peekBytes(kernel, socket, Math.min(length, room));
  if (failed(bytes)) return bytes;
  const moved = scatter(kernel, vector, bytes);
  if (failed(moved)) return moved;
  if ((flags & MSG.PEEK) === 0) {
    first.files = [];
    takeBytes(kernel, socket, length, true);
    wakeUp(kernel, socket.writable);
    if (socket.peer !== null) wakeUp(kernel, socket.peer.writable);
  }
  charge(kernel, 'pipeTransfer');
  const isCut = length > room;
  const count = isCut && flags & MSG.TRUNC ? length : moved;
  const eor = socket.type === 'seqpacket' ? MSG.EOR : 0;
  return { count, flags: (isCut ? MSG.TRUNC : 0) | eor, from, credentials, files };
}
