// SysV message queues (msgget(2), msgop(2)): typed messages, each in page frames of its own.
import {
  BLOCKED,
  E2BIG,
  EACCES,
  EAGAIN,
  EINVAL,
  ENOMSG,
  ERESTARTNOHAND,
  ERESTARTSYS,
  failed,
  type Failure,
} from '../abi/errno.ts';
import { IPC_NOWAIT, MSG_EXCEPT, MSG_NOERROR } from '../abi/sysv.ts';
import { callProgress } from '../sched/call-progress.ts';
import type { Task } from '../sched/task.ts';
import { newWaitQueue, sleepOn, wakeUp, type WaitQueue } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { wallNow } from '../time/clock.ts';
import { appendBytes, clearBuffer, copyBytes, newPageBuffer } from './page-buffer.ts';
import { getObject, mayUse, objectOf } from './sysv.ts';
import type { Message, MessageQueue } from './sysv-state.ts';

/** msgget(2). */
export function getQueue(kernel: Kernel, task: Task, key: number, flags: number): number | Failure {
  const { queues, sequences, limits } = kernel.ipc.sysv;
  return getObject(task, queues, sequences, 'msg', limits.msgmni, key, flags, () => 0, (permissions): MessageQueue => ({
    permissions, messages: [], bytes: 0, maxBytes: limits.msgmnb, sendNs: 0, receiveNs: 0, changeNs: wallNow(kernel),
    lastSendPid: 0, lastReceivePid: 0, senders: newWaitQueue(), receivers: newWaitQueue(),
  })); // prettier-ignore
}

/** Sleeps; the call then knows that it has slept, so that a queue removed meanwhile gives EIDRM. */
function waitOn(kernel: Kernel, task: Task, queue: WaitQueue, wchan: string): Failure {
  const waits = sleepOn(kernel, task, queue, wchan);
  if (waits === BLOCKED) callProgress(task);
  return waits === ERESTARTSYS ? ERESTARTNOHAND : waits;
}

/** msgsnd(2), with the text read by `read` once there is room. */
export function sendMessage(
  kernel: Kernel, task: Task, id: number, type: number, length: number, flags: number, read: () => Uint8Array | Failure,
): number | Failure {
  const { queues, limits } = kernel.ipc.sysv;
  if (length > limits.msgmax || type < 1) return EINVAL;
  const queue = objectOf(task, queues, id);
  if (failed(queue)) return queue;
  if (!mayUse(task, queue.permissions, 0o222)) return EACCES;
  const isFull = queue.bytes + length > queue.maxBytes || queue.messages.length + 1 > queue.maxBytes;
  if (isFull) return flags & IPC_NOWAIT ? EAGAIN : waitOn(kernel, task, queue.senders, 'do_msgsnd');
  const bytes = read();
  if (failed(bytes)) return bytes;
  const buffer = newPageBuffer('pipe');
  const kept = appendBytes(kernel, buffer, bytes);
  if (failed(kept)) return kept;
  queue.messages.push({ type, length, buffer });
  queue.bytes += length;
  queue.sendNs = wallNow(kernel);
  queue.lastSendPid = task.process.pid;
  wakeUp(kernel, queue.receivers);
  return 0;
} // prettier-ignore

/** The message that msgrcv's type asks for: any, the first of a type, or the first of the lowest type up to -type. */
function findMessage(queue: MessageQueue, type: number, flags: number): Message | undefined {
  if (type === 0) return queue.messages[0];
  if (type > 0)
    return queue.messages.find((message) => (message.type === type) !== ((flags & MSG_EXCEPT) !== 0));
  let lowest: Message | undefined;
  for (const message of queue.messages)
    if (message.type <= -type && message.type < (lowest?.type ?? Infinity)) lowest = message;
  return lowest;
}

/** msgrcv(2): `write` puts type and text into the program's buffer before the message is taken. */
export function receiveMessage(
  kernel: Kernel, task: Task, id: number, room: number, type: number, flags: number, write: (type: number, bytes: Uint8Array) => number | Failure,
): number | Failure {
  const queue = objectOf(task, kernel.ipc.sysv.queues, id);
  if (failed(queue)) return queue;
  if (!mayUse(task, queue.permissions, 0o444)) return EACCES;
  const message = findMessage(queue, type, flags);
  if (message === undefined) return flags & IPC_NOWAIT ? ENOMSG : waitOn(kernel, task, queue.receivers, 'do_msgrcv');
  if (message.length > room && (flags & MSG_NOERROR) === 0) return E2BIG;
  const bytes = new Uint8Array(Math.min(message.length, room));
  const copied = copyBytes(kernel, message.buffer, 0, bytes.length, { kind: 'kernel', bytes }, 0);
  const written = failed(copied) ? copied : write(message.type, bytes);
  if (failed(written)) return written;
  dropMessage(kernel, queue, message);
  queue.receiveNs = wallNow(kernel);
  queue.lastReceivePid = task.process.pid;
  wakeUp(kernel, queue.senders);
  return bytes.length;
} // prettier-ignore

function dropMessage(kernel: Kernel, queue: MessageQueue, message: Message): void {
  queue.messages.splice(queue.messages.indexOf(message), 1);
  queue.bytes -= message.length;
  clearBuffer(kernel, message.buffer);
}

/** IPC_RMID: those who wait get EIDRM. */
export function removeQueue(kernel: Kernel, queue: MessageQueue): void {
  kernel.ipc.sysv.queues.delete(queue.permissions.id);
  for (const message of [...queue.messages]) dropMessage(kernel, queue, message);
  wakeUp(kernel, queue.senders);
  wakeUp(kernel, queue.receivers);
}
