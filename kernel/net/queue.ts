// The receive queue of a socket: messages whose bytes lie in page frames.
import { failed, type Failure } from '../abi/errno.ts';
import { getFile, putFile, type OpenFile } from '../fs/vfs/open-file.ts';
import type { Transfer } from '../fs/vfs/inode.ts';
import { moveFromUser, moveToUser, transferLength } from '../fs/vfs/transfer.ts';
import { appendBytes, clearBuffer, copyBytes, dropBytes } from '../ipc/page-buffer.ts';
import { wakeUp } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { isStream, type Message, type Socket } from './socket.ts';

/** Pieces of memory that one call reads or writes, in order. */
export type Vector = readonly Transfer[];

type NewMessage = Pick<Message, 'from' | 'credentials'> & { readonly files: readonly OpenFile[] };

export const vectorLength = (vector: Vector): number =>
  vector.reduce((sum, transfer) => sum + transferLength(transfer), 0);

/** `length` bytes from `offset` on, out of all pieces. */
export function gather(kernel: Kernel, vector: Vector, offset: number, length: number): Uint8Array | Failure {
  const bytes = new Uint8Array(length);
  let start = 0;
  for (const transfer of vector) {
    const size = transferLength(transfer);
    const from = Math.max(offset, start);
    const end = Math.min(offset + length, start + size);
    if (from < end) {
      const part = moveFromUser(kernel, transfer, from - start, end - from);
      if (failed(part)) return part;
      bytes.set(part, from - offset);
    }
    start += size;
  }
  return bytes;
}

/** Puts bytes at the start of the pieces. */
export function scatter(kernel: Kernel, vector: Vector, bytes: Uint8Array): number | Failure {
  let done = 0;
  for (const transfer of vector) {
    if (done >= bytes.length) break;
    const part = bytes.subarray(done, done + transferLength(transfer));
    if (part.length === 0) continue;
    const moved = moveToUser(kernel, transfer, 0, part);
    if (failed(moved)) return moved;
    done += part.length;
  }
  return done;
}

/** Bytes that the receiver still takes. */
export const queueRoom = (socket: Socket): number => Math.max(0, socket.receiveBytes - socket.buffer.length);

/** Adds a message; small pieces of a stream join the last one. Its files each get a reference. */
export function putMessage(
  kernel: Kernel,
  socket: Socket,
  bytes: Uint8Array,
  message: NewMessage,
): number | Failure {
  const added = appendBytes(kernel, socket.buffer, bytes);
  if (failed(added)) return added;
  const last = socket.messages.at(-1);
  const joins =
    isStream(socket) &&
    last !== undefined &&
    message.files.length === 0 &&
    last.credentials.pid === message.credentials.pid;
  if (joins) last.length += bytes.length;
  else
    socket.messages.push({
      ...message,
      files: message.files.map((file) => getFile(file)),
      length: bytes.length,
    });
  wakeUp(kernel, socket.readable);
  return added;
}

/** Bytes at the head of the queue. */
export function peekBytes(kernel: Kernel, socket: Socket, count: number): Uint8Array | Failure {
  const bytes = new Uint8Array(Math.min(count, socket.buffer.length));
  const copied = copyBytes(kernel, socket.buffer, 0, bytes.length, { kind: 'kernel', bytes }, 0);
  return failed(copied) ? copied : bytes;
}

/** Removes bytes from the first message, and the message when `whole` or when nothing of it is left. */
export function takeBytes(kernel: Kernel, socket: Socket, count: number, whole: boolean): void {
  const [first] = socket.messages;
  if (first === undefined) return;
  const dropped = whole ? first.length : Math.min(count, first.length);
  dropBytes(kernel, socket.buffer, dropped);
  first.length -= dropped;
  if (whole || first.length === 0) socket.messages.shift();
}

/** Throws everything away, files in flight too. */
export function clearQueue(kernel: Kernel, socket: Socket): void {
  const messages = socket.messages.splice(0);
  clearBuffer(kernel, socket.buffer);
  for (const { files } of messages) for (const file of files) putFile(kernel, file);
}
