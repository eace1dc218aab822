// POSIX message queues: mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr.
import { EINVAL, failed, type Failure } from '../abi/errno.ts';
import { O, PATH_MAX } from '../abi/open-flags.ts';
import { SIGNAL_COUNT } from '../abi/signal.ts';
import { readTimespec, TIMESPEC_BYTES } from '../abi/time.ts';
import { fileOf } from '../fs/vfs/file-table.ts';
import {
  mqueueOf,
  openMqueue,
  receiveFromMqueue,
  sendToMqueue,
  setNotify,
  unlinkMqueue,
  type MqueueLimits,
} from '../ipc/mqueue.ts';
import { getBig64, getSigned32, getSigned64, put64 } from '../lib/bytes.ts';
import { readUser, readUserString, storeUser32, writeUser } from '../mm/user-memory.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { FD, INT, MODE, PATH, POINTER, SIZE, syscall, UINT } from './declare.ts';
import { install } from './eventfd.ts';

const ATTR_BYTES = 64;
const SIGEV_SIGNAL = 0;
const SIGEV_NONE = 1;

export const mq_open = syscall({
  number: 240,
  name: 'mq_open',
  args: { name: PATH, flags: INT, mode: MODE, attributes: POINTER },
  missing: 'there is no /dev/mqueue to list queues',
  run(kernel, task, { name, flags, mode, attributes }) {
    const text = readUserString(kernel, task, name, PATH_MAX);
    if (failed(text)) return text;
    let limits: MqueueLimits | null = null;
    if (attributes !== 0 && flags & O.CREAT) {
      const bytes = readUser(kernel, task, attributes, ATTR_BYTES);
      if (failed(bytes)) return bytes;
      limits = { maxMessages: getSigned64(bytes, 8), maxBytes: getSigned64(bytes, 16) };
    }
    return install(kernel, task, openMqueue(kernel, task, text, flags, mode, limits), flags);
  },
});

export const mq_unlink = syscall({
  number: 241,
  name: 'mq_unlink',
  args: { name: PATH },
  run(kernel, task, { name }) {
    const text = readUserString(kernel, task, name, PATH_MAX);
    return failed(text) ? text : unlinkMqueue(kernel, task, text);
  },
});

/** The absolute end of a wait, given as wall-clock time; Infinity for none. */
function endOfWait(kernel: Kernel, task: Task, address: number): number | Failure {
  if (address === 0) return Infinity;
  const bytes = readUser(kernel, task, address, TIMESPEC_BYTES);
  if (failed(bytes)) return bytes;
  const ns = readTimespec(bytes);
  return ns === null ? EINVAL : Math.max(0, ns - kernel.time.wallBaseNs);
}

export const mq_timedsend = syscall({
  number: 242,
  name: 'mq_timedsend',
  args: { queue: FD, message: POINTER, length: SIZE, priority: UINT, timeout: POINTER },
  run(kernel, task, { queue, message, length, priority, timeout }) {
    const until = endOfWait(kernel, task, timeout);
    if (failed(until)) return until;
    const file = fileOf(task, queue);
    if (failed(file)) return file;
    return sendToMqueue(kernel, task, file, priority, length, until, () =>
      readUser(kernel, task, message, length),
    );
  },
});

export const mq_timedreceive = syscall({
  number: 243,
  name: 'mq_timedreceive',
  args: { queue: FD, message: POINTER, length: SIZE, priority: POINTER, timeout: POINTER },
  run(kernel, task, { queue, message, length, priority, timeout }) {
    const until = endOfWait(kernel, task, timeout);
    if (failed(until)) return until;
    const file = fileOf(task, queue);
    if (failed(file)) return file;
    return receiveFromMqueue(kernel, task, file, length, until, (bytes, found) => {
      const told = priority === 0 ? 0 : storeUser32(kernel, task, priority, found);
      return failed(told) ? told : writeUser(kernel, task, message, bytes);
    });
  },
});

export const mq_notify = syscall({
  number: 244,
  name: 'mq_notify',
  args: { queue: FD, event: POINTER },
  missing: 'SIGEV_THREAD gives EINVAL: it needs AF_NETLINK',
  run(kernel, task, { queue, event }) {
    let wanted: { signal: number; value: bigint } | null = null;
    if (event !== 0) {
      const bytes = readUser(kernel, task, event, 64);
      if (failed(bytes)) return bytes;
      const kind = getSigned32(bytes, 12);
      const signal = getSigned32(bytes, 8);
      if (kind !== SIGEV_SIGNAL && kind !== SIGEV_NONE) return EINVAL;
      if (kind === SIGEV_SIGNAL && (signal < 1 || signal > SIGNAL_COUNT)) return EINVAL;
      wanted = { signal: kind === SIGEV_NONE ? 0 : signal, value: getBig64(bytes, 0) };
    }
    const file = fileOf(task, queue);
    if (failed(file)) return file;
    const found = mqueueOf(file);
    return failed(found) ? found : setNotify(task, found, wanted);
  },
});

export const mq_getsetattr = syscall({
  number: 245,
  name: 'mq_getsetattr',
  args: { queue: FD, wanted: POINTER, old: POINTER },
  run(kernel, task, { queue, wanted, old }) {
    const given = wanted === 0 ? null : readUser(kernel, task, wanted, ATTR_BYTES);
    if (failed(given)) return given;
    const flags = given === null ? 0 : getSigned64(given, 0);
    if (flags !== 0 && flags !== O.NONBLOCK) return EINVAL;
    const file = fileOf(task, queue);
    if (failed(file)) return file;
    const found = mqueueOf(file);
    if (failed(found)) return found;
    if (old !== 0) {
      const bytes = new Uint8Array(ATTR_BYTES);
      [file.flags & O.NONBLOCK, found.maxMessages, found.maxBytes, found.messages.length].forEach(
        (value, i) => put64(bytes, 8 * i, value),
      );
      const written = writeUser(kernel, task, old, bytes);
      if (failed(written)) return written;
    }
    if (given !== null) file.flags = (file.flags & ~O.NONBLOCK) | flags;
    return 0;
  },
});
