// poll(2), ppoll(2), select(2), pselect6(2).
import { BLOCKED, EBADF, EINVAL, ERESTARTNOHAND, ERESTARTSYS, failed, type Failure } from '../abi/errno.ts';
import {
  POLLERR, POLLFD_BYTES, POLLHUP, POLLNVAL, SELECT_EXCEPT, SELECT_READ, SELECT_WRITE,
} from '../abi/poll.ts'; // prettier-ignore
import { RLIMIT } from '../abi/resource.ts';
import { putTimespec, putTimeval, readTimespec, readTimeval, TIMESPEC_BYTES } from '../abi/time.ts';
import { fileOf } from '../fs/vfs/file-table.ts';
import { pollFile } from '../ipc/poll.ts';
import { enterMask, leaveMask } from '../ipc/signal-mask.ts';
import { get16, get64, getBig64, getSigned32, getSigned64, put16 } from '../lib/bytes.ts';
import { readUser, writeUser } from '../mm/user-memory.ts';
import { callDeadline, deadlinePassed } from '../sched/call-progress.ts';
import type { Task } from '../sched/task.ts';
import { sleepOnAll, type WaitQueue } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { now } from '../time/clock.ts';
import { INT, POINTER, SIZE, syscall, UINT } from './declare.ts';

const NS_PER_MS = 1_000_000;

/** Sleeps until a queue is woken or the timeout is over: BLOCKED, a restart code, or 0 when time is up. */
function waitOrTimeOut(
  kernel: Kernel,
  task: Task,
  queues: readonly WaitQueue[],
  timeoutNs: number | null,
  wchan: string,
): number | Failure {
  if (timeoutNs === 0 || deadlinePassed(kernel, task)) return 0;
  const waits = sleepOnAll(kernel, task, queues, wchan);
  if (waits === ERESTARTSYS) return ERESTARTNOHAND;
  callDeadline(kernel, task, timeoutNs);
  return waits;
}

function pollDescriptors(
  kernel: Kernel,
  task: Task,
  address: number,
  count: number,
  timeoutNs: number | null,
): number | Failure {
  if (count > (task.process.rlimits[RLIMIT.NOFILE]?.current ?? Infinity)) return EINVAL;
  const bytes = count === 0 ? new Uint8Array(0) : readUser(kernel, task, address, count * POLLFD_BYTES);
  if (failed(bytes)) return bytes;
  const queues: WaitQueue[] = [];
  let ready = 0;
  for (let at = 0; at < bytes.length; at += POLLFD_BYTES) {
    const fd = getSigned32(bytes, at);
    const wanted = get16(bytes, at + 4) | POLLERR | POLLHUP;
    let found = 0;
    if (fd >= 0) {
      const file = fileOf(task, fd);
      if (failed(file)) found = POLLNVAL;
      else {
        const state = pollFile(kernel, file);
        found = state.events & wanted;
        queues.push(...state.queues);
      }
    }
    put16(bytes, at + 6, found);
    if (found !== 0) ready++;
  }
  if (ready === 0) {
    const waits = waitOrTimeOut(kernel, task, queues, timeoutNs, 'poll_schedule_timeout');
    if (failed(waits)) return waits;
  }
  const written = count === 0 ? 0 : writeUser(kernel, task, address, bytes);
  return failed(written) ? written : ready;
}

export const poll = syscall({
  number: 7,
  name: 'poll',
  args: { fds: POINTER, count: UINT, timeout: INT },
  run: (kernel, task, { fds, count, timeout }) =>
    pollDescriptors(kernel, task, fds, count, timeout < 0 ? null : timeout * NS_PER_MS),
});

/** A timeout in user memory: null when there is none, undefined when it is not valid. */
function readTimeout(
  kernel: Kernel,
  task: Task,
  address: number,
  read: typeof readTimespec,
): number | null | undefined | Failure {
  if (address === 0) return null;
  const bytes = readUser(kernel, task, address, TIMESPEC_BYTES);
  if (failed(bytes)) return bytes;
  const ns = read(bytes);
  if (ns === null) return undefined;
  return ns === Infinity ? null : ns;
}

/** Writes back how much of the timeout is left, as Linux does unless the personality is sticky. */
function writeRemaining(
  kernel: Kernel,
  task: Task,
  address: number,
  timeoutNs: number | null,
  put: typeof putTimespec,
): void {
  if (address === 0 || timeoutNs === null) return;
  const deadline = task.call?.deadlineNs ?? -1;
  const left = deadline < 0 ? timeoutNs : Math.max(0, deadline - now(kernel));
  const bytes = new Uint8Array(TIMESPEC_BYTES);
  put(bytes, 0, left);
  writeUser(kernel, task, address, bytes); // a timeout in read-only memory is no error
}

function readMask(kernel: Kernel, task: Task, address: number, size: number): bigint | null | Failure {
  if (address === 0) return null;
  if (size !== 8) return EINVAL;
  const bytes = readUser(kernel, task, address, 8);
  return failed(bytes) ? bytes : getBig64(bytes, 0);
}

export const ppoll = syscall({
  number: 271,
  name: 'ppoll',
  args: { fds: POINTER, count: UINT, timeout: POINTER, mask: POINTER, maskSize: SIZE },
  run(kernel, task, { fds, count, timeout, mask, maskSize }) {
    const timeoutNs = readTimeout(kernel, task, timeout, readTimespec);
    if (failed(timeoutNs)) return timeoutNs;
    if (timeoutNs === undefined) return EINVAL;
    const set = readMask(kernel, task, mask, maskSize);
    if (failed(set)) return set;
    enterMask(task, set);
    const result = pollDescriptors(kernel, task, fds, count, timeoutNs);
    if (result === BLOCKED) return result;
    if (result !== ERESTARTNOHAND) writeRemaining(kernel, task, timeout, timeoutNs, putTimespec);
    return leaveMask(task, set, result);
  },
});

const FD_SETSIZE_MAX = 1_048_576;

interface SelectSet {
  readonly address: number;
  readonly wanted: number;
}

function selectDescriptors(
  kernel: Kernel, task: Task, count: number, addresses: readonly [number, number, number], timeoutNs: number | null,
): number | Failure {
  if (count < 0) return EINVAL;
  const limit = Math.min(count, Math.max(task.files.open.length, 0), FD_SETSIZE_MAX);
  const size = Math.ceil(count > limit ? Math.max(limit, 1) / 64 : count / 64) * 8;
  const wantedEvents = [SELECT_READ, SELECT_WRITE, SELECT_EXCEPT];
  const sets: (SelectSet & { readonly bits: Uint8Array; readonly found: Uint8Array })[] = [];
  for (const [index, address] of addresses.entries()) {
    if (address === 0) continue;
    const bits = size === 0 ? new Uint8Array(0) : readUser(kernel, task, address, size);
    if (failed(bits)) return bits;
    sets.push({ address, wanted: wantedEvents[index] ?? 0, bits: bits.slice(), found: new Uint8Array(size) });
  }
  const queues: WaitQueue[] = [];
  let ready = 0;
  for (let fd = 0; fd < Math.min(count, size * 8); fd++) {
    const byte = fd >> 3;
    const bit = 1 << (fd & 7);
    if (!sets.some(({ bits }) => ((bits[byte] ?? 0) & bit) !== 0)) continue;
    const file = fileOf(task, fd);
    if (failed(file)) return EBADF;
    const state = pollFile(kernel, file);
    queues.push(...state.queues);
    for (const { bits, found, wanted } of sets) {
      if (((bits[byte] ?? 0) & bit) === 0 || (state.events & wanted) === 0) continue;
      found[byte] = (found[byte] ?? 0) | bit;
      ready++;
    }
  }
  if (ready === 0) {
    const waits = waitOrTimeOut(kernel, task, queues, timeoutNs, 'do_select');
    if (failed(waits)) return waits;
  }
  for (const { address, found } of sets) {
    const written = size === 0 ? 0 : writeUser(kernel, task, address, found);
    if (failed(written)) return written;
  }
  return ready;
} // prettier-ignore

export const select = syscall({
  number: 23,
  name: 'select',
  args: { count: INT, readSet: POINTER, writeSet: POINTER, exceptSet: POINTER, timeout: POINTER },
  run(kernel, task, { count, readSet, writeSet, exceptSet, timeout }) {
    const timeoutNs = readSelectTimeout(kernel, task, timeout);
    if (failed(timeoutNs)) return timeoutNs;
    if (timeoutNs === undefined) return EINVAL;
    const result = selectDescriptors(kernel, task, count, [readSet, writeSet, exceptSet], timeoutNs);
    if (result !== BLOCKED && result !== ERESTARTNOHAND)
      writeRemaining(kernel, task, timeout, timeoutNs, putTimeval);
    return result;
  },
});

/** select's timeval may hold a second and more of microseconds; only negative parts are refused. */
function readSelectTimeout(kernel: Kernel, task: Task, address: number): number | null | undefined | Failure {
  return readTimeout(kernel, task, address, (bytes) => {
    const seconds = getSigned64(bytes, 0);
    const us = getSigned64(bytes, 8);
    if (us < 1_000_000) return readTimeval(bytes);
    return seconds < 0 ? null : seconds * 1_000_000_000 + us * 1000;
  });
}

export const pselect6 = syscall({
  number: 270,
  name: 'pselect6',
  args: {
    count: INT,
    readSet: POINTER,
    writeSet: POINTER,
    exceptSet: POINTER,
    timeout: POINTER,
    maskAndSize: POINTER,
  },
  run(kernel, task, { count, readSet, writeSet, exceptSet, timeout, maskAndSize }) {
    const timeoutNs = readTimeout(kernel, task, timeout, readTimespec);
    if (failed(timeoutNs)) return timeoutNs;
    if (timeoutNs === undefined) return EINVAL;
    let set: bigint | null | Failure = null;
    if (maskAndSize !== 0) {
      const pair = readUser(kernel, task, maskAndSize, 16);
      if (failed(pair)) return pair;
      set = readMask(kernel, task, get64(pair, 0), get64(pair, 8));
      if (failed(set)) return set;
    }
    enterMask(task, set);
    const result = selectDescriptors(kernel, task, count, [readSet, writeSet, exceptSet], timeoutNs);
    if (result === BLOCKED) return result;
    if (result !== ERESTARTNOHAND) writeRemaining(kernel, task, timeout, timeoutNs, putTimespec);
    return leaveMask(task, set, result);
  },
});
