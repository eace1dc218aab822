import { describe, expect, it } from 'vitest';
import {
  BLOCKED, EADDRINUSE, EAFNOSUPPORT, EAGAIN, ECONNREFUSED, EINPROGRESS, EINVAL, EMSGSIZE, ENETUNREACH, ENOTCONN, ENOTSOCK, EPIPE,
  EPROTOTYPE,
} from '../abi/errno.ts'; // prettier-ignore
import { bytesOfLatin1, get32, latin1, put16, put32, put64 } from '../lib/bytes.ts';
import type { Task } from '../sched/task.ts';
import { BASE, callKernel, must, type CallKernel } from './calls.test-kernel.ts';

const AF_UNIX = 1;
const AF_INET = 2;
const STREAM = 1;
const DGRAM = 2;
const NONBLOCK = 0o4000;
const MSG_NOSIGNAL = 0x4000;

function unixAddress(k: CallKernel, task: Task, name: string): readonly [number, number] {
  const bytes = new Uint8Array(2 + name.length);
  put16(bytes, 0, AF_UNIX);
  bytes.set(bytesOfLatin1(name), 2);
  return [k.put(task, BASE + 0x100, bytes), bytes.length];
}

function inetAddress(
  k: CallKernel,
  task: Task,
  host: readonly number[],
  port: number,
): readonly [number, number] {
  const bytes = new Uint8Array(16);
  put16(bytes, 0, AF_INET);
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  bytes.set(host, 4);
  return [k.put(task, BASE + 0x100, bytes), 16];
}

function pair(k: CallKernel, task: Task, type = STREAM): [number, number] {
  must(k.call(task, 'socketpair', AF_UNIX, type, 0, BASE));
  const bytes = k.take(task, BASE, 8);
  return [get32(bytes, 0), get32(bytes, 4)];
}

const send = (k: CallKernel, task: Task, fd: number, text: string, flags = MSG_NOSIGNAL): number =>
  k.call(
    task,
    'sendto',
    fd,
    text === '' ? BASE + 0x1000 : k.put(task, BASE + 0x1000, text),
    text.length,
    flags,
    0,
    0,
  );

function receive(k: CallKernel, task: Task, fd: number, count = 100, flags = 0): string | number {
  const got = k.call(task, 'recvfrom', fd, BASE + 0x2000, count, flags, 0, 0);
  return got < 0 ? got : latin1(k.take(task, BASE + 0x2000, Math.min(got, count)));
}

/** struct msghdr with one piece of data and control bytes; gives its address. */
function message(
  k: CallKernel,
  task: Task,
  text: Uint8Array,
  control: Uint8Array,
  controlRoom = control.length,
): number {
  const at = BASE + 0x4000;
  const header = new Uint8Array(56);
  const piece = new Uint8Array(16);
  put64(piece, 0, k.put(task, at + 0x200, text));
  put64(piece, 8, text.length);
  put64(header, 16, k.put(task, at + 0x100, piece));
  put64(header, 24, 1);
  put64(header, 32, control.length > 0 ? k.put(task, at + 0x400, control) : at + 0x400);
  put64(header, 40, controlRoom);
  return k.put(task, at, header);
}

describe('AF_UNIX', () => {
  it('streams connect by name, carry bytes, and end', () => {
    const k = callKernel();
    const server = k.task();
    const client = k.task({ uid: 1000 });
    const l = must(k.call(server, 'socket', AF_UNIX, STREAM, 0));
    expect(k.call(server, 'bind', l, ...unixAddress(k, server, '/sock\0'))).toBe(0);
    expect(
      k.call(
        server,
        'bind',
        must(k.call(server, 'socket', AF_UNIX, STREAM, 0)),
        ...unixAddress(k, server, '/sock\0'),
      ),
    ).toBe(EADDRINUSE);
    const c = must(k.call(client, 'socket', AF_UNIX, STREAM, 0));
    client.credentials = { ...client.credentials, effective: ~0n & ((1n << 41n) - 1n) };
    expect(k.call(client, 'connect', c, ...unixAddress(k, client, '/sock\0'))).toBe(ECONNREFUSED);
    expect(k.call(server, 'listen', l, 5)).toBe(0);
    expect(k.call(server, 'accept', l, 0, 0)).toBe(BLOCKED);
    expect(k.call(client, 'connect', c, ...unixAddress(k, client, '/sock\0'))).toBe(0);
    expect(server.state).toBe('running');
    const a = must(k.call(server, 'accept', l, 0, 0));
    expect(send(k, client, c, 'hello')).toBe(5);
    expect(receive(k, server, a, 3)).toBe('hel');
    expect(receive(k, server, a, 100, 2)).toBe('lo'); // MSG_PEEK
    expect(receive(k, server, a)).toBe('lo');
    expect(receive(k, server, a)).toBe(BLOCKED);
    expect(
      k.call(server, 'getsockopt', a, 1, 17, BASE, k.put(server, BASE + 64, Uint8Array.of(12, 0, 0, 0))),
    ).toBe(0);
    expect([0, 4].map((at) => get32(k.take(server, BASE, 12), at))).toEqual([client.tid, 1000]);
    k.close(client, c);
    expect(receive(k, server, a)).toBe('');
    expect(send(k, server, a, 'x')).toBe(EPIPE);
    expect(k.open(server, '/sock', 0)).toBe(-6);
  });

  it('abstract names belong to their socket', () => {
    const k = callKernel();
    const task = k.task();
    const s = must(k.call(task, 'socket', AF_UNIX, DGRAM, 0));
    const c = must(k.call(task, 'socket', AF_UNIX, DGRAM, 0));
    expect(k.call(task, 'bind', s, ...unixAddress(k, task, '\0name'))).toBe(0);
    expect(k.call(task, 'connect', c, ...unixAddress(k, task, '\0other'))).toBe(ECONNREFUSED);
    expect(
      k.call(
        task,
        'connect',
        must(k.call(task, 'socket', AF_UNIX, STREAM, 0)),
        ...unixAddress(k, task, '\0name'),
      ),
    ).toBe(EPROTOTYPE);
    expect(k.call(task, 'connect', c, ...unixAddress(k, task, '\0name'))).toBe(0);
    send(k, task, c, 'one');
    send(k, task, c, '');
    send(k, task, c, 'three');
    expect(receive(k, task, s, 2)).toBe('on');
    expect(receive(k, task, s)).toBe('');
    expect(receive(k, task, s)).toBe('three');
    k.close(task, s);
    expect(send(k, task, c, 'x')).toBe(ECONNREFUSED);
    expect(k.kernel.net.unixNames.size).toBe(0);
  });

  it('pass open files and credentials', () => {
    const k = callKernel();
    const task = k.task();
    const [a, b] = pair(k, task);
    must(k.call(task, 'pipe2', BASE, 0));
    const r = get32(k.take(task, BASE, 8), 0);
    const w = get32(k.take(task, BASE, 8), 4);
    const control = new Uint8Array(24);
    put64(control, 0, 20);
    put32(control, 8, 1);
    put32(control, 12, 1);
    put32(control, 16, r);
    expect(k.call(task, 'sendmsg', a, message(k, task, Uint8Array.of(65), control), 0)).toBe(1);
    k.close(task, r);
    expect(k.write(task, w, 'kept open')).toBe(9); // the file in flight is a reader
    const at = message(k, task, new Uint8Array(4), new Uint8Array(0), 64);
    expect(k.call(task, 'recvmsg', b, at, 0)).toBe(1);
    const received = k.take(task, BASE + 0x4400, 24);
    expect([get32(received, 0), get32(received, 8), get32(received, 12)]).toEqual([20, 1, 1]);
    expect(k.read(task, get32(received, 16))).toBe('kept open');
    k.call(task, 'setsockopt', b, 1, 16, k.put(task, BASE, Uint8Array.of(1, 0, 0, 0)), 4);
    send(k, task, a, 'x');
    expect(k.call(task, 'recvmsg', b, message(k, task, new Uint8Array(4), new Uint8Array(0), 64), 0)).toBe(1);
    const credentials = k.take(task, BASE + 0x4400, 28);
    expect([get32(credentials, 0), get32(credentials, 12), get32(credentials, 16)]).toEqual([
      28,
      2,
      task.tid,
    ]);
  });

  it('files without room are dropped and reported', () => {
    const k = callKernel();
    const task = k.task();
    const [a, b] = pair(k, task);
    const control = new Uint8Array(24);
    put64(control, 0, 20);
    put32(control, 8, 1);
    put32(control, 12, 1);
    put32(control, 16, a);
    must(k.call(task, 'sendmsg', a, message(k, task, Uint8Array.of(65), control), 0));
    const at = message(k, task, new Uint8Array(4), new Uint8Array(0), 8);
    expect(k.call(task, 'recvmsg', b, at, 0)).toBe(1);
    expect(get32(k.take(task, at, 56), 48)).toBe(8); // MSG_CTRUNC
  });

  it('shut down one way, keep packets apart, and free their pages', () => {
    const k = callKernel();
    const task = k.task();
    const [a, b] = pair(k, task, 5);
    send(k, task, a, 'one');
    send(k, task, a, 'two');
    expect(receive(k, task, b)).toBe('one');
    expect(k.call(task, 'shutdown', a, 1)).toBe(0);
    expect(receive(k, task, b)).toBe('two');
    expect(receive(k, task, b)).toBe('');
    expect(send(k, task, b, 'still')).toBe(5);
    expect(receive(k, task, a)).toBe('still');
    send(k, task, b, 'left over');
    k.close(task, a);
    k.close(task, b);
    expect(k.kernel.memory.owner.filter((owner) => owner === 10).length).toBe(0);
    expect(k.kernel.net.sockets.size).toBe(0);
  });

  it('a sender waits for room and goes on where it was', () => {
    const k = callKernel();
    const sender = k.task();
    const [a, b] = pair(k, sender);
    const reader = k.task();
    const file = sender.files.open[b];
    if (file) file.users++;
    reader.files.open[b] = file ?? null;
    const text = 'x'.repeat(300_000);
    expect(k.write(sender, a, text)).toBe(BLOCKED);
    let got = 0;
    for (let result = BLOCKED as number; got < text.length;) {
      got += String(must(k.read(reader, b))).length;
      if (result === BLOCKED) result = k.write(sender, a, text);
    }
    expect(got).toBe(text.length);
  });

  it.each<[string, (k: CallKernel, t: Task) => number, number]>([
    ['a file that is no socket', (k, t) => k.call(t, 'listen', must(k.open(t, '/dev/null', 2)), 1), ENOTSOCK],
    ['another family', (k, t) => k.call(t, 'socket', 16, 3, 0), EAFNOSUPPORT],
    [
      'an unnamed listener',
      (k, t) => k.call(t, 'listen', must(k.call(t, 'socket', AF_UNIX, STREAM, 0)), 1),
      EINVAL,
    ],
    ['accept on what does not listen', (k, t) => k.call(t, 'accept', pair(k, t)[0], 0, 0), EINVAL],
    [
      'sending before connecting',
      (k, t) => send(k, t, must(k.call(t, 'socket', AF_UNIX, STREAM, 0)), 'x'),
      ENOTCONN,
    ],
    [
      'a datagram that is too large',
      (k, t) => send(k, t, pair(k, t, DGRAM)[0], 'x'.repeat(213_000)),
      EMSGSIZE,
    ],
    ['an empty queue', (k, t) => Number(receive(k, t, pair(k, t)[0], 1, 0x40)), EAGAIN],
  ])('refuses %s', (_case, act, errno) => {
    const k = callKernel();
    expect(act(k, k.task())).toBe(errno);
  });
});

describe('AF_INET on loopback', () => {
  it('TCP connects, carries bytes and shows addresses', () => {
    const k = callKernel();
    const task = k.task();
    const l = must(k.call(task, 'socket', AF_INET, STREAM, 0));
    expect(k.call(task, 'bind', l, ...inetAddress(k, task, [0, 0, 0, 0], 8080))).toBe(0);
    expect(k.call(task, 'listen', l, 5)).toBe(0);
    const c = must(k.call(task, 'socket', AF_INET, STREAM, 0));
    expect(k.call(task, 'connect', c, ...inetAddress(k, task, [127, 0, 0, 1], 8080))).toBe(0);
    const a = must(k.call(task, 'accept', l, BASE, k.put(task, BASE + 64, Uint8Array.of(16, 0, 0, 0))));
    expect([...k.take(task, BASE + 4, 4)]).toEqual([127, 0, 0, 1]);
    expect(send(k, task, c, 'GET /')).toBe(5);
    expect(receive(k, task, a)).toBe('GET /');
    k.call(task, 'shutdown', a, 1);
    expect(receive(k, task, c)).toBe('');
    expect(k.readFile(task, '/proc/net/tcp')).toMatch(/ 0: 00000000:1F90 00000000:0000 0A /);
    const n = must(k.call(task, 'socket', AF_INET, STREAM | NONBLOCK, 0));
    expect(k.call(task, 'connect', n, ...inetAddress(k, task, [127, 0, 0, 1], 8080))).toBe(EINPROGRESS);
    expect(k.call(task, 'connect', n, ...inetAddress(k, task, [127, 0, 0, 1], 8080))).toBe(0);
    const x = must(k.call(task, 'socket', AF_INET, STREAM, 0));
    expect(k.call(task, 'connect', x, ...inetAddress(k, task, [127, 0, 0, 1], 9))).toBe(ECONNREFUSED);
    expect(k.call(task, 'connect', x, ...inetAddress(k, task, [8, 8, 8, 8], 53))).toBe(ENETUNREACH);
  });

  it('UDP carries datagrams and loses those that nobody hears', () => {
    const k = callKernel();
    const task = k.task();
    const s = must(k.call(task, 'socket', AF_INET, DGRAM, 0));
    const c = must(k.call(task, 'socket', AF_INET, DGRAM, 0));
    must(k.call(task, 'bind', s, ...inetAddress(k, task, [127, 0, 0, 1], 5000)));
    const [address, length] = inetAddress(k, task, [127, 0, 0, 1], 5000);
    expect(k.call(task, 'sendto', c, k.put(task, BASE + 0x1000, 'ping'), 4, 0, address, length)).toBe(4);
    expect(receive(k, task, s)).toBe('ping');
    const [other] = inetAddress(k, task, [127, 0, 0, 1], 5001);
    expect(k.call(task, 'sendto', c, BASE + 0x1000, 4, 0, other, length)).toBe(4);
    expect(receive(k, task, s)).toBe(BLOCKED);
  });
});
