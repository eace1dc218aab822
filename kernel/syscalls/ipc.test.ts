import { describe, expect, it } from 'vitest';
import { BLOCKED, EAGAIN, EINVAL, EPERM, EPIPE, ENXIO } from '../abi/errno.ts';
import { get32, getSigned32, put32, put64, putBig64, get16, put16, getBig64 } from '../lib/bytes.ts';
import { makeNode } from '../fs/vfs/namespace.ts';
import { runTimers } from '../time/timers.ts';
import { BASE, callKernel, must, type CallKernel } from './calls.test-kernel.ts';
import type { Task } from '../sched/task.ts';

const O_NONBLOCK = 0o4000;

function pipePair(k: CallKernel, task: Task, flags = 0): [number, number] {
  must(k.call(task, 'pipe2', BASE, flags));
  const bytes = k.take(task, BASE, 8);
  return [get32(bytes, 0), get32(bytes, 4)];
}

/** A copy of a descriptor in another task, as fork gives it. */
function share(from: Task, to: Task, fd: number): number {
  const file = from.files.open[fd];
  if (!file) throw new Error('no such descriptor');
  file.users++;
  to.files.open[fd] = file;
  return fd;
}

describe('pipes', () => {
  it('carry bytes, end with their writers and break with their readers', () => {
    const k = callKernel();
    const task = k.task();
    const [r, w] = pipePair(k, task);
    expect(k.write(task, w, 'hello')).toBe(5);
    expect(k.read(task, r, 3)).toBe('hel');
    expect(k.read(task, r, 10)).toBe('lo');
    expect(k.read(task, r)).toBe(BLOCKED);
    k.close(task, w);
    expect(k.read(task, r)).toBe('');
    const [r2, w2] = pipePair(k, task);
    k.close(task, r2);
    task.sighand.actions[13] = { handler: 1, flags: 0, restorer: 0, mask: 0n };
    expect(k.write(task, w2, 'x')).toBe(EPIPE);
  });

  it('hold 64 KiB, let a long write wait in the middle and go on where it was', () => {
    const k = callKernel();
    const writer = k.task();
    const reader = k.task();
    const [r, w] = pipePair(k, writer);
    share(writer, reader, r);
    const text = Array.from({ length: 100_000 }, (_, i) => String.fromCharCode(97 + (i % 26))).join('');
    expect(k.write(writer, w, text)).toBe(BLOCKED);
    expect(writer.state).toBe('sleeping');
    let got = '';
    for (let result = BLOCKED as number; got.length < text.length;) {
      got += String(must(k.read(reader, r)));
      if (result === BLOCKED) result = k.write(writer, w, text);
      if (result !== BLOCKED) expect(result).toBe(text.length);
    }
    expect(got).toBe(text);
  });

  it('keep writes of PIPE_BUF and less whole', () => {
    const k = callKernel();
    const task = k.task();
    const [r, w] = pipePair(k, task, O_NONBLOCK);
    expect(k.write(task, w, 'x'.repeat(65_536 - 100))).toBe(65_436);
    expect(k.write(task, w, 'y'.repeat(200))).toBe(EAGAIN);
    expect(k.write(task, w, 'y'.repeat(100))).toBe(100);
    expect(k.write(task, w, 'z'.repeat(5000))).toBe(EAGAIN);
    must(k.read(task, r, 4096));
    expect(k.write(task, w, 'z'.repeat(5000))).toBe(4096);
    k.close(task, r);
    k.close(task, w);
    expect(k.kernel.memory.owner.filter((owner) => owner === 9).length).toBe(0);
  });

  it('named: an open waits for the other end', () => {
    const k = callKernel();
    const a = k.task();
    const b = k.task();
    makeFifo(k, a, '/fifo');
    expect(k.open(a, '/fifo', 1 | O_NONBLOCK)).toBe(ENXIO);
    expect(k.open(a, '/fifo', 0)).toBe(BLOCKED);
    const w = must(k.open(b, '/fifo', 1));
    expect(k.write(b, w, 'hi')).toBe(2);
    const r = must(k.open(a, '/fifo', 0));
    k.close(b, w);
    expect(k.read(a, r)).toBe('hi');
    expect(k.read(a, r)).toBe('');
    k.close(a, r);
    expect(k.kernel.ipc.fifos.size).toBe(0);
  });
});

function makeFifo(k: CallKernel, task: Task, path: string): void {
  must(makeNode(k.kernel, task, null, path, 'fifo', 0o666, 0));
}

describe('poll and select', () => {
  it('report readiness, hang-ups and bad descriptors, and wait', () => {
    const k = callKernel();
    const task = k.task();
    const [r, w] = pipePair(k, task);
    const fds = new Uint8Array(24);
    [r, w, 99].forEach((fd, i) => {
      put32(fds, 8 * i, fd);
      put16(fds, 8 * i + 4, i === 1 ? 4 : 1);
    });
    k.put(task, BASE + 64, fds);
    expect(k.call(task, 'poll', BASE + 64, 3, -1)).toBe(2);
    const shown = k.take(task, BASE + 64, 24);
    expect([0, 1, 2].map((i) => get16(shown, 8 * i + 6))).toEqual([0, 4, 0x20]);
    expect(k.call(task, 'poll', BASE + 64, 1, 0)).toBe(0);
    expect(k.call(task, 'poll', BASE + 64, 1, 50)).toBe(BLOCKED);
    k.advance(60e6);
    runTimers(k.kernel, 60e6);
    expect(k.call(task, 'poll', BASE + 64, 1, 50)).toBe(0);
    k.write(task, w, 'x');
    k.close(task, w);
    expect(k.call(task, 'poll', BASE + 64, 1, 50)).toBe(1);
    expect(get16(k.take(task, BASE + 64, 8), 6)).toBe(0x11);
  });

  it('select gives the sets and the count', () => {
    const k = callKernel();
    const task = k.task();
    const [r, w] = pipePair(k, task);
    k.write(task, w, 'x');
    const set = new Uint8Array(8);
    set[0] = (1 << r) | (1 << w);
    k.put(task, BASE + 64, set);
    k.put(task, BASE + 128, set);
    expect(k.call(task, 'select', 8, BASE + 64, BASE + 128, 0, 0)).toBe(2);
    expect(k.take(task, BASE + 64, 1)[0]).toBe(1 << r);
    expect(k.take(task, BASE + 128, 1)[0]).toBe(1 << w);
  });

  it('ppoll holds its mask while it waits', () => {
    const k = callKernel();
    const task = k.task();
    const mask = new Uint8Array(8);
    putBig64(mask, 0, 0x10n);
    k.put(task, BASE + 64, mask);
    expect(k.call(task, 'ppoll', 0, 0, 0, BASE + 64, 8)).toBe(BLOCKED);
    expect(task.signals.blocked).toBe(0x10n);
    expect(task.signals.savedMask).toBe(0n);
    expect(k.call(task, 'ppoll', 0, 0, 0, BASE + 64, 4)).toBe(EINVAL);
  });
});

const EPOLLIN = 1;
const EPOLLET = 0x8000_0000;
const EPOLLONESHOT = 0x4000_0000;

function watch(
  k: CallKernel,
  task: Task,
  epfd: number,
  operation: number,
  fd: number,
  events: number,
  data: bigint,
): number {
  const event = new Uint8Array(12);
  put32(event, 0, events);
  putBig64(event, 4, data);
  return k.call(task, 'epoll_ctl', epfd, operation, fd, k.put(task, BASE + 256, event));
}

function ready(k: CallKernel, task: Task, epfd: number): (readonly [number, bigint])[] | number {
  const count = k.call(task, 'epoll_wait', epfd, BASE + 512, 16, 0);
  if (count < 0) return count;
  const bytes = k.take(task, BASE + 512, count * 12);
  return Array.from(
    { length: count },
    (_, i) => [get32(bytes, 12 * i), getBig64(bytes, 12 * i + 4)] as const,
  );
}

describe('epoll', () => {
  it('level triggered: again and again; edge triggered: once for each write; one-shot: once', () => {
    const k = callKernel();
    const task = k.task();
    const epfd = must(k.call(task, 'epoll_create1', 0));
    const pairs = [0, 1, 2].map(() => pipePair(k, task));
    [0, EPOLLET, EPOLLONESHOT].forEach((flag, i) => {
      expect(watch(k, task, epfd, 1, pairs[i]?.[0] ?? -1, EPOLLIN | flag, BigInt(i))).toBe(0);
    });
    expect(ready(k, task, epfd)).toEqual([]);
    for (const [, w] of pairs) k.write(task, w, 'x');
    expect(ready(k, task, epfd)).toEqual([[1, 0n], [1, 1n], [1, 2n]]); // prettier-ignore
    expect(ready(k, task, epfd)).toEqual([[1, 0n]]);
    for (const [, w] of pairs) k.write(task, w, 'y');
    expect(ready(k, task, epfd)).toEqual([[1, 1n], [1, 0n]]); // prettier-ignore
    expect(watch(k, task, epfd, 3, pairs[2]?.[0] ?? -1, EPOLLIN | EPOLLONESHOT, 5n)).toBe(0);
    expect(ready(k, task, epfd)).toContainEqual([1, 5n]);
  });

  it.each<[string, (k: CallKernel, task: Task, epfd: number, fd: number) => number, number]>([
    ['a file that cannot wait', (k, t, ep) => watch(k, t, ep, 1, must(k.open(t, '/', 0)), 1, 0n), EPERM],
    ['itself', (k, t, ep) => watch(k, t, ep, 1, ep, 1, 0n), EINVAL],
    ['a second time', (k, t, ep, fd) => (watch(k, t, ep, 1, fd, 1, 0n), watch(k, t, ep, 1, fd, 1, 0n)), -17],
    ['a change of what is not there', (k, t, ep, fd) => watch(k, t, ep, 3, fd, 1, 0n), -2],
    ['an unknown operation', (k, t, ep, fd) => watch(k, t, ep, 9, fd, 1, 0n), EINVAL],
  ])('refuses %s', (_case, act, errno) => {
    const k = callKernel();
    const task = k.task();
    const [r] = pipePair(k, task);
    expect(act(k, task, must(k.call(task, 'epoll_create1', 0)), r)).toBe(errno);
  });

  it('forgets closed files and can be watched itself', () => {
    const k = callKernel();
    const task = k.task();
    const inner = must(k.call(task, 'epoll_create1', 0));
    const outer = must(k.call(task, 'epoll_create1', 0));
    const [r, w] = pipePair(k, task);
    watch(k, task, inner, 1, r, EPOLLIN, 1n);
    watch(k, task, outer, 1, inner, EPOLLIN, 2n);
    expect(watch(k, task, inner, 1, outer, EPOLLIN, 3n)).toBe(-40);
    k.write(task, w, 'x');
    expect(ready(k, task, outer)).toEqual([[1, 2n]]);
    k.close(task, r);
    expect(ready(k, task, outer)).toEqual([]);
  });
});

describe('eventfd, timerfd, signalfd', () => {
  it('count', () => {
    const k = callKernel();
    const task = k.task();
    const fd = must(k.call(task, 'eventfd2', 3, O_NONBLOCK));
    const one = new Uint8Array(8);
    one[0] = 4;
    expect(k.write(task, fd, String.fromCharCode(...one))).toBe(8);
    expect(k.read(task, fd, 8)).toBe('\x07\0\0\0\0\0\0\0');
    expect(k.read(task, fd, 8)).toBe(EAGAIN);
    expect(k.read(task, fd, 4)).toBe(EINVAL);
  });

  it('expire periodically', () => {
    const k = callKernel();
    const task = k.task();
    const fd = must(k.call(task, 'timerfd_create', 1, 0));
    const value = new Uint8Array(32);
    put64(value, 8, 10_000_000);
    put64(value, 24, 5_000_000);
    expect(k.call(task, 'timerfd_settime', fd, 0, k.put(task, BASE, value), 0)).toBe(0);
    expect(k.read(task, fd, 8)).toBe(BLOCKED);
    k.advance(26e6);
    runTimers(k.kernel, 26e6);
    expect(task.state).toBe('running');
    expect(k.read(task, fd, 8)).toBe('\x03\0\0\0\0\0\0\0');
    expect(k.call(task, 'timerfd_gettime', fd, BASE)).toBe(0);
    expect(get32(k.take(task, BASE, 32), 24)).toBeLessThanOrEqual(9_000_000);
  });

  it('show blocked signals', () => {
    const k = callKernel();
    const task = k.task();
    task.signals.blocked = 1n << 9n;
    const mask = new Uint8Array(8);
    putBig64(mask, 0, 1n << 9n);
    const fd = must(k.call(task, 'signalfd4', -1, k.put(task, BASE, mask), 8, 0));
    expect(k.read(task, fd, 128)).toBe(BLOCKED);
    must(k.call(task, 'kill', task.tid, 10));
    const record = k.read(task, fd, 128);
    expect(typeof record === 'string' && record.charCodeAt(0)).toBe(10);
    expect(
      getSigned32(
        Uint8Array.from(String(record), (c) => c.charCodeAt(0)),
        12,
      ),
    ).toBe(task.tid);
  });
});
