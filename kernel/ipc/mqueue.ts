// POSIX message queues (mq_overview(7)): named queues of messages with priorities; a descriptor is an open file.
import {
  BLOCKED, EACCES, EAGAIN, EBADF, EBUSY, EEXIST, EINVAL, EMSGSIZE, ENAMETOOLONG, ENOENT, ENOSPC, EPERM, ETIMEDOUT, failed,
  type Failure,
} from '../abi/errno.ts'; // prettier-ignore
import { CAP, capabilityBit } from '../abi/capability.ts';
import { NAME_MAX, O } from '../abi/open-flags.ts';
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../abi/poll.ts';
import { SI_MESGQ } from '../abi/signal.ts';
import { fileOperations } from '../fs/vfs/inode.ts';
import { newAnonymousFile, type OpenFile } from '../fs/vfs/open-file.ts';
import { moveToUser, transferLength } from '../fs/vfs/transfer.ts';
import { bytesOfLatin1 } from '../lib/bytes.ts';
import { callDeadlineAt, deadlinePassed } from '../sched/call-progress.ts';
import type { Task, Tid } from '../sched/task.ts';
import { newWaitQueue, sleepOn, wakeUp, type WaitQueue } from '../sched/wait-queue.ts';
import { signalProcess } from '../signal/send.ts';
import { newSignalInfo } from '../signal/state.ts';
import type { Kernel } from '../state.ts';
import { appendBytes, clearBuffer, copyBytes, newPageBuffer, type PageBuffer } from './page-buffer.ts';

interface MqMessage {
  readonly priority: number;
  readonly length: number;
  readonly buffer: PageBuffer;
}

export interface Mqueue {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** Highest priority first, oldest first among equals. */
  messages: MqMessage[];
  /** Open descriptors; an unlinked queue goes with its last one. */
  users: number;
  linked: boolean;
  /** Who is told when a message comes to the empty queue. */
  notify: { readonly pid: Tid; readonly signal: number; readonly value: bigint } | null;
  readable: WaitQueue;
  writable: WaitQueue;
}

export interface MqueueState {
  queues: Map<string, Mqueue>;
  /** /proc/sys/fs/mqueue: msg_max, msgsize_max, queues_max. */
  maxMessages: number;
  maxBytes: number;
  maxQueues: number;
}

const MQ_PRIO_MAX = 32_768;
const HARD_MAX_MESSAGES = 65_536;
const HARD_MAX_BYTES = 16 << 20;

const queueOf = (file: OpenFile): Mqueue => file.data as Mqueue;

/** The queue of a descriptor's file, or EBADF. */
export const mqueueOf = (file: OpenFile): Mqueue | Failure =>
  file.operations === 'mqueue' ? queueOf(file) : EBADF;

function mayOpen(task: Task, queue: Mqueue, flags: number): boolean {
  const access = flags & O.ACCMODE;
  const wanted = (access === O.WRONLY ? 0 : 4) | (access === O.RDONLY ? 0 : 2);
  const { fsuid, fsgid, groups, effective } = task.credentials;
  const shift = fsuid === queue.uid ? 6 : fsgid === queue.gid || groups.includes(queue.gid) ? 3 : 0;
  return ((queue.mode >> shift) & wanted) === wanted || (effective & capabilityBit(CAP.DAC_OVERRIDE)) !== 0n;
}

export interface MqueueLimits {
  readonly maxMessages: number;
  readonly maxBytes: number;
}

/** mq_open(3); `limits` null takes the defaults. */
export function openMqueue(
  kernel: Kernel, task: Task, name: string, flags: number, mode: number, limits: MqueueLimits | null,
): OpenFile | Failure {
  if (name === '' || name === '.' || name === '..') return EINVAL;
  if (name.includes('/')) return EACCES;
  if (name.length > NAME_MAX) return ENAMETOOLONG;
  const state = kernel.ipc.mqueues;
  let queue = state.queues.get(name);
  if (queue !== undefined && flags & O.CREAT && flags & O.EXCL) return EEXIST;
  if (queue !== undefined && !mayOpen(task, queue, flags)) return EACCES;
  if (queue === undefined) {
    if ((flags & O.CREAT) === 0) return ENOENT;
    const made = newMqueue(kernel, task, name, mode, limits);
    if (failed(made)) return made;
    queue = made;
  }
  const file = newAnonymousFile(kernel, 'mqueue', queue, flags & (O.ACCMODE | O.NONBLOCK), 'file', `[mqueue:${name}]`);
  if (failed(file)) return file;
  state.queues.set(name, queue);
  queue.users++;
  return file;
} // prettier-ignore

function newMqueue(
  kernel: Kernel,
  task: Task,
  name: string,
  mode: number,
  limits: MqueueLimits | null,
): Mqueue | Failure {
  const state = kernel.ipc.mqueues;
  const privileged = (task.credentials.effective & capabilityBit(CAP.SYS_RESOURCE)) !== 0n;
  const { maxMessages, maxBytes } = limits ?? state;
  const most = privileged
    ? { messages: HARD_MAX_MESSAGES, bytes: HARD_MAX_BYTES }
    : { messages: state.maxMessages, bytes: state.maxBytes };
  if (maxMessages <= 0 || maxBytes <= 0 || maxMessages > most.messages || maxBytes > most.bytes)
    return EINVAL;
  if (state.queues.size >= state.maxQueues && !privileged) return ENOSPC;
  return {
    name, mode: mode & 0o777 & ~task.fs.umask, uid: task.credentials.fsuid, gid: task.credentials.fsgid, maxMessages, maxBytes,
    messages: [], users: 0, linked: true, notify: null, readable: newWaitQueue(), writable: newWaitQueue(),
  }; // prettier-ignore
}

/** mq_unlink(3). */
export function unlinkMqueue(kernel: Kernel, task: Task, name: string): number | Failure {
  const queue = kernel.ipc.mqueues.queues.get(name);
  if (queue === undefined) return ENOENT;
  const { fsuid, effective } = task.credentials;
  if (fsuid !== queue.uid && (effective & capabilityBit(CAP.FOWNER)) === 0n) return EPERM;
  queue.linked = false;
  kernel.ipc.mqueues.queues.delete(name);
  dropIfUnused(kernel, queue);
  return 0;
}

function dropIfUnused(kernel: Kernel, queue: Mqueue): void {
  if (queue.linked || queue.users > 0) return;
  for (const { buffer } of queue.messages.splice(0)) clearBuffer(kernel, buffer);
}

/** Waits on one side of the queue, until an absolute virtual time (Infinity: for ever). */
function waitUntil(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  queue: WaitQueue,
  untilNs: number,
  wchan: string,
): Failure {
  if (file.flags & O.NONBLOCK) return EAGAIN;
  if (deadlinePassed(kernel, task)) return ETIMEDOUT;
  const waits = sleepOn(kernel, task, queue, wchan);
  if (waits === BLOCKED) callDeadlineAt(kernel, task, untilNs);
  return waits;
}

/** mq_timedsend(2). */
export function sendToMqueue(
  kernel: Kernel, task: Task, file: OpenFile, priority: number, length: number, untilNs: number, read: () => Uint8Array | Failure,
): number | Failure {
  const queue = mqueueOf(file);
  if (failed(queue)) return queue;
  if (!file.writable) return EBADF;
  if (priority >= MQ_PRIO_MAX) return EINVAL;
  if (length > queue.maxBytes) return EMSGSIZE;
  if (queue.messages.length >= queue.maxMessages) return waitUntil(kernel, task, file, queue.writable, untilNs, 'wq_sleep');
  const bytes = read();
  if (failed(bytes)) return bytes;
  const buffer = newPageBuffer('pipe');
  const kept = appendBytes(kernel, buffer, bytes);
  if (failed(kept)) return kept;
  const wasEmpty = queue.messages.length === 0;
  const behind = queue.messages.findIndex((other) => other.priority < priority);
  queue.messages.splice(behind < 0 ? queue.messages.length : behind, 0, { priority, length, buffer });
  if (wasEmpty && queue.readable.waiters.size === 0) notify(kernel, task, queue);
  wakeUp(kernel, queue.readable);
  return 0;
} // prettier-ignore

/** Tells the registered process, once. */
function notify(kernel: Kernel, sender: Task, queue: Mqueue): void {
  const { notify: who } = queue;
  if (who === null) return;
  queue.notify = null;
  const process = kernel.tasks.get(who.pid)?.process;
  if (process === undefined || who.signal === 0) return;
  const { uid } = sender.credentials;
  signalProcess(
    kernel,
    process,
    newSignalInfo(who.signal, SI_MESGQ, { pid: sender.process.pid, uid, value: who.value }),
  );
}

/** mq_timedreceive(2): `write` delivers the text and its priority before the message is taken. */
export function receiveFromMqueue(
  kernel: Kernel, task: Task, file: OpenFile, room: number, untilNs: number, write: (bytes: Uint8Array, priority: number) => number | Failure,
): number | Failure {
  const queue = mqueueOf(file);
  if (failed(queue)) return queue;
  if (!file.readable) return EBADF;
  if (room < queue.maxBytes) return EMSGSIZE;
  const [message] = queue.messages;
  if (message === undefined) return waitUntil(kernel, task, file, queue.readable, untilNs, 'wq_sleep');
  const bytes = new Uint8Array(message.length);
  const copied = copyBytes(kernel, message.buffer, 0, message.length, { kind: 'kernel', bytes }, 0);
  const written = failed(copied) ? copied : write(bytes, message.priority);
  if (failed(written)) return written;
  queue.messages.shift();
  clearBuffer(kernel, message.buffer);
  wakeUp(kernel, queue.writable);
  return message.length;
} // prettier-ignore

/** mq_notify(3): one process at a time; null takes its own registration away. */
export function setNotify(
  task: Task,
  queue: Mqueue,
  wanted: { signal: number; value: bigint } | null,
): number | Failure {
  const { pid } = task.process;
  if (wanted === null) {
    if (queue.notify?.pid === pid) queue.notify = null;
    return 0;
  }
  if (queue.notify !== null) return EBUSY;
  queue.notify = { pid, ...wanted };
  return 0;
}

fileOperations['mqueue'] = {
  /** What read(2) shows of a queue (mq_overview(7), /dev/mqueue). */
  read(kernel, _task, file, into, position) {
    const queue = queueOf(file);
    const size = queue.messages.reduce((sum, { length }) => sum + length, 0);
    const text = bytesOfLatin1(
      `QSIZE:${String(size).padEnd(10)} NOTIFY:${String(queue.notify?.signal === 0 ? 1 : 0).padEnd(5)} SIGNO:${String(queue.notify?.signal ?? 0).padEnd(5)} NOTIFY_PID:${String(queue.notify?.pid ?? 0).padEnd(6)}\n`,
    );
    const part = text.subarray(position, position + transferLength(into));
    return part.length === 0 ? 0 : moveToUser(kernel, into, 0, part);
  },
  poll(_kernel, file) {
    const queue = queueOf(file);
    let events = 0;
    if (queue.messages.length > 0) events |= POLLIN | POLLRDNORM;
    if (queue.messages.length < queue.maxMessages) events |= POLLOUT | POLLWRNORM;
    return { events, queues: [queue.readable, queue.writable] };
  },
  release(kernel, file) {
    const queue = queueOf(file);
    queue.users--;
    dropIfUnused(kernel, queue);
  },
};
