import { describe, expect, it } from 'vitest';
import { BLOCKED, EAGAIN, EBADF, EBUSY, EEXIST, EINVAL, EMSGSIZE, ENOENT, ETIMEDOUT } from '../abi/errno.ts';
import { get32, latin1, put32, put64 } from '../lib/bytes.ts';
import { runTimers } from '../time/timers.ts';
import type { Task } from '../sched/task.ts';
import { BASE, callKernel, must, type CallKernel } from './calls.test-kernel.ts';

const CREAT_RDWR = 0o102;
const EXCL = 0o200;
const NONBLOCK = 0o4000;

const open = (k: CallKernel, task: Task, flags: number, attributes = 0): number =>
  k.call(task, 'mq_open', k.put(task, BASE, 'queue\0'), flags, 0o600, attributes);

function attributes(k: CallKernel, task: Task, messages: number, bytes: number): number {
  const block = new Uint8Array(64);
  put64(block, 8, messages);
  put64(block, 16, bytes);
  return k.put(task, BASE + 0x100, block);
}

const send = (k: CallKernel, task: Task, fd: number, text: string, priority: number, timeout = 0): number =>
  k.call(task, 'mq_timedsend', fd, k.put(task, BASE + 0x200, text), text.length, priority, timeout);

function receive(k: CallKernel, task: Task, fd: number, room = 16): string | number {
  const got = k.call(task, 'mq_timedreceive', fd, BASE + 0x300, room, BASE + 0x400, 0);
  return got < 0
    ? got
    : `${get32(k.take(task, BASE + 0x400, 4), 0)}:${latin1(k.take(task, BASE + 0x300, got))}`;
}

describe('POSIX message queues', () => {
  it('give the highest priority first, the oldest among equals', () => {
    const k = callKernel();
    const task = k.task();
    const fd = must(open(k, task, CREAT_RDWR | NONBLOCK, attributes(k, task, 4, 16)));
    for (const [text, priority] of [['low', 1], ['high', 9], ['low too', 1], ['mid', 5]] as const) {
      expect(send(k, task, fd, text, priority)).toBe(0);
    } // prettier-ignore
    expect(send(k, task, fd, 'x', 0)).toBe(EAGAIN);
    expect([0, 1, 2, 3].map(() => receive(k, task, fd))).toEqual(['9:high', '5:mid', '1:low', '1:low too']);
    expect(receive(k, task, fd)).toBe(EAGAIN);
    expect(k.kernel.memory.owner.filter((owner) => owner === 9).length).toBe(0);
  });

  it('wait, time out, tell who asked, and go with their last descriptor', () => {
    const k = callKernel();
    const task = k.task();
    const fd = must(open(k, task, CREAT_RDWR, attributes(k, task, 1, 16)));
    const event = new Uint8Array(64);
    put32(event, 8, 10);
    expect(k.call(task, 'mq_notify', fd, k.put(task, BASE + 0x500, event))).toBe(0);
    expect(k.call(k.task(), 'mq_notify', fd, 0)).toBe(EBADF);
    expect(k.call(task, 'mq_notify', fd, BASE + 0x500)).toBe(EBUSY);
    task.signals.blocked = 1n << 9n;
    expect(send(k, task, fd, 'first', 0)).toBe(0);
    expect(task.process.shared.pendingMask).toBe(1n << 9n);
    task.process.shared.pendingMask = 0n;
    const until = new Uint8Array(16);
    put64(until, 0, 1_700_000_001);
    k.put(task, BASE + 0x600, until);
    expect(send(k, task, fd, 'second', 0, BASE + 0x600)).toBe(BLOCKED);
    k.advance(2e9);
    runTimers(k.kernel, 2e9);
    expect(send(k, task, fd, 'second', 0, BASE + 0x600)).toBe(ETIMEDOUT);
    expect(k.call(task, 'mq_unlink', BASE)).toBe(0);
    expect(open(k, task, 2)).toBe(ENOENT);
    expect(receive(k, task, fd)).toBe('0:first');
    k.close(task, fd);
  });

  it.each<[string, (k: CallKernel, t: Task) => number, number]>([
    ['a queue that is not there', (k, t) => open(k, t, 2), ENOENT],
    ['one that is', (k, t) => (open(k, t, CREAT_RDWR), open(k, t, CREAT_RDWR | EXCL)), EEXIST],
    ['absurd limits', (k, t) => open(k, t, CREAT_RDWR, attributes(k, t, 0, 16)), EINVAL],
    [
      'a message that is too long',
      (k, t) => send(k, t, must(open(k, t, CREAT_RDWR, attributes(k, t, 1, 2))), 'abc', 0),
      EMSGSIZE,
    ],
    [
      'a buffer that is too small',
      (k, t) => Number(receive(k, t, must(open(k, t, CREAT_RDWR)), 10)),
      EMSGSIZE,
    ],
    ['a file that is no queue', (k, t) => send(k, t, must(k.open(t, '/dev/null', 2)), 'x', 0), EBADF],
  ])('refuse %s', (_case, act, errno) => {
    const k = callKernel();
    expect(act(k, k.task())).toBe(errno);
  });
});
