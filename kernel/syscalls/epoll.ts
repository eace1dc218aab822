// epoll_create(2), epoll_ctl(2), epoll_wait(2) and their like.
import {
  BLOCKED,
  EBADF,
  EINVAL,
  EPERM,
  ERESTARTNOHAND,
  ERESTARTSYS,
  failed,
  type Failure,
} from '../abi/errno.ts';
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLL_EVENT_BYTES } from '../abi/poll.ts';
import { O } from '../abi/open-flags.ts';
import { readTimespec, TIMESPEC_BYTES } from '../abi/time.ts';
import { fileOf } from '../fs/vfs/file-table.ts';
import { addEntry, collectEvents, isEpoll, modifyEntry, newEpollFile, removeEntry } from '../ipc/epoll.ts';
import { canPoll } from '../ipc/poll.ts';
import { enterMask, leaveMask } from '../ipc/signal-mask.ts';
import { get32, getBig64, put32, putBig64 } from '../lib/bytes.ts';
import { faultInUser, readUser, writeUser } from '../mm/user-memory.ts';
import { callDeadline, deadlinePassed } from '../sched/call-progress.ts';
import type { Task } from '../sched/task.ts';
import { sleepOnAll } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { FD, FLAGS, INT, POINTER, SIZE, syscall } from './declare.ts';
import { install } from './eventfd.ts';

export const epoll_create1 = syscall({
  number: 291,
  name: 'epoll_create1',
  args: { flags: FLAGS },
  run: (kernel, task, { flags }) =>
    flags & ~O.CLOEXEC ? EINVAL : install(kernel, task, newEpollFile(kernel), flags),
});

export const epoll_create = syscall({
  number: 213,
  name: 'epoll_create',
  args: { size: INT },
  run: (kernel, task, { size }) => (size <= 0 ? EINVAL : install(kernel, task, newEpollFile(kernel), 0)),
});

export const epoll_ctl = syscall({
  number: 233,
  name: 'epoll_ctl',
  args: { epfd: FD, operation: INT, fd: FD, event: POINTER },
  run(kernel, task, { epfd, operation, fd, event }) {
    let wanted = { events: 0, data: 0n };
    if (operation !== EPOLL_CTL_DEL) {
      const bytes = readUser(kernel, task, event, EPOLL_EVENT_BYTES);
      if (failed(bytes)) return bytes;
      wanted = { events: get32(bytes, 0), data: getBig64(bytes, 4) };
    }
    const epoll = fileOf(task, epfd);
    const file = fileOf(task, fd);
    if (failed(epoll) || failed(file)) return EBADF;
    if (!canPoll(file)) return EPERM;
    if (file === epoll || !isEpoll(epoll)) return EINVAL;
    switch (operation) {
      case EPOLL_CTL_ADD:
        return addEntry(kernel, epoll, fd, file, wanted);
      case EPOLL_CTL_MOD:
        return modifyEntry(kernel, epoll, fd, file, wanted);
      case EPOLL_CTL_DEL:
        return removeEntry(epoll, fd, file);
      default:
        return EINVAL;
    }
  },
});

const MAX_EVENTS = Math.floor(0x7fff_ffff / EPOLL_EVENT_BYTES);
/** Linux gives all at once; a set with more ready entries gives the rest at the next call. */
const EVENTS_AT_ONCE = 256;

function wait(
  kernel: Kernel,
  task: Task,
  epfd: number,
  address: number,
  max: number,
  timeoutNs: number | null,
): number | Failure {
  if (max <= 0 || max > MAX_EVENTS) return EINVAL;
  const epoll = fileOf(task, epfd);
  if (failed(epoll)) return epoll;
  if (!isEpoll(epoll)) return EINVAL;
  // The room must be there before events are taken, for a reported edge does not come back.
  const count = Math.min(max, EVENTS_AT_ONCE);
  const reachable = faultInUser(kernel, task, address, count * EPOLL_EVENT_BYTES, 'write');
  if (failed(reachable)) return reachable;
  const { events, queues } = collectEvents(kernel, epoll, count);
  if (events.length === 0) {
    if (timeoutNs === 0 || deadlinePassed(kernel, task)) return 0;
    const waits = sleepOnAll(kernel, task, queues, 'ep_poll');
    if (waits === ERESTARTSYS) return ERESTARTNOHAND;
    callDeadline(kernel, task, timeoutNs);
    return waits;
  }
  const bytes = new Uint8Array(events.length * EPOLL_EVENT_BYTES);
  events.forEach((event, index) => {
    put32(bytes, index * EPOLL_EVENT_BYTES, event.events);
    putBig64(bytes, index * EPOLL_EVENT_BYTES + 4, event.data);
  });
  const written = writeUser(kernel, task, address, bytes);
  return failed(written) ? written : events.length;
}

export const epoll_wait = syscall({
  number: 232,
  name: 'epoll_wait',
  args: { epfd: FD, events: POINTER, max: INT, timeout: INT },
  run: (kernel, task, { epfd, events, max, timeout }) =>
    wait(kernel, task, epfd, events, max, timeout < 0 ? null : timeout * 1_000_000),
});

function waitMasked(
  kernel: Kernel, task: Task, epfd: number, events: number, max: number, timeoutNs: number | null, mask: number, size: number,
): number | Failure {
  let set: bigint | null = null;
  if (mask !== 0) {
    if (size !== 8) return EINVAL;
    const bytes = readUser(kernel, task, mask, 8);
    if (failed(bytes)) return bytes;
    set = getBig64(bytes, 0);
  }
  enterMask(task, set);
  const result = wait(kernel, task, epfd, events, max, timeoutNs);
  return result === BLOCKED ? result : leaveMask(task, set, result);
} // prettier-ignore

export const epoll_pwait = syscall({
  number: 281,
  name: 'epoll_pwait',
  args: { epfd: FD, events: POINTER, max: INT, timeout: INT, mask: POINTER, size: SIZE },
  run: (kernel, task, { epfd, events, max, timeout, mask, size }) =>
    waitMasked(kernel, task, epfd, events, max, timeout < 0 ? null : timeout * 1_000_000, mask, size),
});

export const epoll_pwait2 = syscall({
  number: 441,
  name: 'epoll_pwait2',
  args: { epfd: FD, events: POINTER, max: INT, timeout: POINTER, mask: POINTER, size: SIZE },
  run(kernel, task, { epfd, events, max, timeout, mask, size }) {
    let timeoutNs: number | null = null;
    if (timeout !== 0) {
      const bytes = readUser(kernel, task, timeout, TIMESPEC_BYTES);
      if (failed(bytes)) return bytes;
      timeoutNs = readTimespec(bytes);
      if (timeoutNs === null) return EINVAL;
    }
    return waitMasked(kernel, task, epfd, events, max, timeoutNs === Infinity ? null : timeoutNs, mask, size);
  },
});
