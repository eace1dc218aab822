// eventfd(2): a counter of 64 bits; reading takes it (or 1 of it), writing adds.
import { EAGAIN, EINVAL, failed, type Failure } from '../abi/errno.ts';
import { O } from '../abi/open-flags.ts';
import { POLLERR, POLLIN, POLLOUT } from '../abi/poll.ts';
import { fileOperations } from '../fs/vfs/inode.ts';
import { newAnonymousFile, type OpenFile } from '../fs/vfs/open-file.ts';
import { moveFromUser, moveToUser, transferLength } from '../fs/vfs/transfer.ts';
import { getBig64, putBig64 } from '../lib/bytes.ts';
import { newWaitQueue, sleepOn, wakeUp, type WaitQueue } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';

export interface EventCounter {
  count: bigint;
  readonly semaphore: boolean;
  changed: WaitQueue;
}

const MAX_COUNT = 0xffff_ffff_ffff_fffen;

export const eventCounterOf = (file: OpenFile): EventCounter => file.data as EventCounter;

export function newEventFile(
  kernel: Kernel,
  count: number,
  semaphore: boolean,
  flags: number,
): OpenFile | Failure {
  const data: EventCounter = { count: BigInt(count), semaphore, changed: newWaitQueue() };
  return newAnonymousFile(kernel, 'eventfd', data, O.RDWR | flags, 'file', '[eventfd]');
}

fileOperations['eventfd'] = {
  stream: true,
  read(kernel, task, file, into) {
    const counter = eventCounterOf(file);
    if (transferLength(into) < 8) return EINVAL;
    if (counter.count === 0n)
      return file.flags & O.NONBLOCK ? EAGAIN : sleepOn(kernel, task, counter.changed, 'eventfd_read');
    const taken = counter.semaphore ? 1n : counter.count;
    const bytes = new Uint8Array(8);
    putBig64(bytes, 0, taken);
    const moved = moveToUser(kernel, into, 0, bytes);
    if (failed(moved)) return moved;
    counter.count -= taken;
    wakeUp(kernel, counter.changed);
    return 8;
  },
  write(kernel, task, file, from) {
    const counter = eventCounterOf(file);
    if (transferLength(from) < 8) return EINVAL;
    const bytes = moveFromUser(kernel, from, 0, 8);
    if (failed(bytes)) return bytes;
    const added = getBig64(bytes, 0);
    if (added > MAX_COUNT) return EINVAL;
    if (counter.count + added > MAX_COUNT) {
      return file.flags & O.NONBLOCK ? EAGAIN : sleepOn(kernel, task, counter.changed, 'eventfd_write');
    }
    counter.count += added;
    wakeUp(kernel, counter.changed);
    return 8;
  },
  poll(_kernel, file) {
    const { count, changed } = eventCounterOf(file);
    let events = 0;
    if (count > 0n) events |= POLLIN;
    if (count < MAX_COUNT) events |= POLLOUT;
    if (count > MAX_COUNT) events |= POLLERR;
    return { events, queues: [changed] };
  },
};
