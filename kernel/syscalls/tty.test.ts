import { describe, expect, it } from 'vitest';
import { BLOCKED, EAGAIN, EIO, ENOTTY, ENXIO, EPERM, ERESTARTSYS } from '../abi/errno.ts';
import * as T from '../abi/termios.ts';
import { mountAt } from '../fs/vfs/mounts.ts';
import { makeDirectory } from '../fs/vfs/namespace.ts';
import { walkPath } from '../fs/vfs/walk.ts';
import { bytesOfLatin1, get32, put32 } from '../lib/bytes.ts';
import { printk } from '../trace/printk.ts';
import { openHostTerminal, openTerminalFile } from '../tty/host-terminal.ts';
import { terminalInput, terminalRecent, terminalResize } from '../tty/terminals.ts';
import type { Task } from '../sched/task.ts';
import { BASE, callKernel, must, type CallKernel } from './calls.test-kernel.ts';

const O_RDWR = 2;
const O_NOCTTY = 0o400;
const O_NONBLOCK = 0o4000;

const type = (k: CallKernel, name: string, text: string): void =>
  terminalInput(k.kernel, name, bytesOfLatin1(text));

function withPts(k: CallKernel, task: Task): void {
  const made = makeDirectory(k.kernel, task, null, '/dev/pts', 0o755);
  if (made < 0 && made !== -17) must(made);
  must(
    mountAt(
      k.kernel,
      'devpts',
      'devpts',
      must(walkPath(k.kernel, task, null, '/dev/pts', { follow: true })),
      0,
      'gid=5,mode=620',
    ),
  );
}

describe('consoles', () => {
  it('echo, wait for a line and show what programs write', () => {
    const k = callKernel();
    const task = k.task();
    const fd = must(k.open(task, '/dev/tty1', O_RDWR));
    expect(task.process.tty).toBe('tty1');
    expect(k.read(task, fd)).toBe(BLOCKED);
    type(k, 'tty1', 'ls\r');
    expect(task.state).toBe('running');
    expect(k.read(task, fd)).toBe('ls\n');
    expect(k.write(task, fd, 'a\nb')).toBe(3);
    expect(k.screens.get('tty1')).toBe('ls\r\na\r\nb');
    expect(terminalRecent(k.kernel, 'tty1').length).toBe(8);
  });

  it('show the kernel log with its time', () => {
    const k = callKernel();
    k.advance(1_234_567_890);
    printk(k.kernel, 6, 'hello');
    printk(k.kernel, 7, 'too chatty');
    expect(k.screens.get('tty1')).toMatch(/^\[ {4}1\.2345\d\d\] hello\r\n$/);
  });

  it.each<[string, (t: T.Termios) => void, string, string | number]>([
    ['VMIN 1: at once', () => undefined, 'ab', 'ab'],
    ['VMIN 3: waits for three', (t) => (t.cc[T.CC.min] = 3), 'ab', BLOCKED],
    ['VMIN 3, three there', (t) => (t.cc[T.CC.min] = 3), 'abcd', 'abcd'],
    ['VMIN 0: nothing is an answer', (t) => (t.cc[T.CC.min] = 0), '', ''],
    ['VMIN 0, VTIME: waits', (t) => ((t.cc[T.CC.min] = 0), (t.cc[T.CC.time] = 5)), '', BLOCKED],
  ])('raw mode, %s', (_case, change, input, expected) => {
    const k = callKernel();
    const task = k.task();
    const fd = must(k.open(task, '/dev/tty1', O_RDWR));
    const termios = T.newTermios();
    termios.lflag = 0;
    change(termios);
    expect(
      k.call(task, 'ioctl', fd, T.TCSETS, k.put(task, BASE, T.putTermios(termios, T.TERMIOS_BYTES))),
    ).toBe(0);
    type(k, 'tty1', input);
    expect(k.read(task, fd)).toBe(expected);
  });

  it('keep background groups out', () => {
    const k = callKernel();
    const leader = k.task();
    const fd = must(k.open(leader, '/dev/tty1', O_RDWR));
    const other = k.task({ sid: leader.process.sid });
    other.process.tty = 'tty1';
    other.process.parent = leader.tid;
    const file = leader.files.open[fd];
    if (file) file.users++;
    other.files.open[fd] = file ?? null;
    expect(k.read(other, fd)).toBe(ERESTARTSYS);
    expect(other.process.shared.pendingMask | other.signals.pendingMask).toBe(1n << 20n);
    other.sighand.actions[21] = { handler: 1, flags: 0, restorer: 0, mask: 0n };
    other.process.shared.pendingMask = 0n;
    expect(k.read(other, fd)).toBe(EIO);
    expect(k.write(other, fd, 'x')).toBe(1);
    const pgid = new Uint8Array(4);
    put32(pgid, 0, other.process.pgid);
    expect(k.call(leader, 'ioctl', fd, T.TIOCSPGRP, k.put(leader, BASE, pgid))).toBe(0);
    expect(k.call(leader, 'ioctl', fd, T.TIOCGPGRP, BASE)).toBe(0);
    expect(get32(k.take(leader, BASE, 4), 0)).toBe(other.process.pgid);
    type(k, 'tty1', '\x03');
    expect(other.process.shared.pendingMask & 2n).toBe(2n);
    expect(leader.process.shared.pendingMask & 2n).toBe(0n);
  });

  it('tell the foreground about a new size, and refuse strangers', () => {
    const k = callKernel();
    const leader = k.task();
    leader.sighand.actions[28] = { handler: 0x1000, flags: 0, restorer: 0, mask: 0n };
    const fd = must(k.open(leader, '/dev/tty1', O_RDWR));
    terminalResize(k.kernel, 'tty1', 120, 40);
    expect(leader.process.shared.pendingMask).toBe(1n << 27n);
    expect(k.call(leader, 'ioctl', fd, T.TIOCGWINSZ, BASE)).toBe(0);
    expect([...k.take(leader, BASE, 4)]).toEqual([40, 0, 120, 0]);
    const stranger = k.task({ uid: 1000 });
    expect(k.open(stranger, '/dev/tty', O_RDWR)).toBe(ENXIO);
  });
});

describe('ptys', () => {
  it('connect a master and a slave', () => {
    const k = callKernel();
    const task = k.task();
    withPts(k, task);
    const master = must(k.open(task, '/dev/ptmx', O_RDWR | O_NOCTTY | O_NONBLOCK));
    expect(k.open(task, '/dev/pts/0', O_RDWR)).toBe(EIO); // still locked
    expect(k.call(task, 'ioctl', master, T.TIOCSPTLCK, k.put(task, BASE, new Uint8Array(4)))).toBe(0);
    expect(k.call(task, 'ioctl', master, T.TIOCGPTN, BASE)).toBe(0);
    expect(get32(k.take(task, BASE, 4), 0)).toBe(0);
    const slave = must(k.open(task, '/dev/pts/0', O_RDWR | O_NOCTTY));
    expect(k.write(task, slave, 'prompt\n')).toBe(7);
    expect(k.read(task, master)).toBe('prompt\r\n');
    expect(k.read(task, master)).toBe(EAGAIN);
    expect(k.write(task, master, 'in\r')).toBe(3);
    expect(k.read(task, master)).toBe('in\r\n');
    expect(k.read(task, slave)).toBe('in\n');
    k.close(task, slave);
    expect(k.read(task, master)).toBe(EIO);
    const again = must(k.open(task, '/dev/pts/0', O_RDWR | O_NOCTTY));
    k.close(task, master);
    expect(k.read(task, again)).toBe('');
    expect(k.write(task, again, 'x')).toBe(EIO);
    expect(k.open(task, '/dev/pts/0', O_RDWR)).toBe(-2);
  });

  it('held by the host go to its screen', () => {
    const k = callKernel();
    const task = k.task();
    withPts(k, task);
    const name = openHostTerminal(k.kernel, 100, 30);
    expect(name).toBe('pts/0');
    const file = must(openTerminalFile(k.kernel, task, name));
    if (typeof file === 'number') throw new Error('no file');
    task.files.open[5] = file;
    expect(k.write(task, 5, 'hi\n')).toBe(3);
    type(k, name, 'x\r');
    expect(k.read(task, 5)).toBe('x\n');
    expect(k.screens.get(name)).toBe('hi\r\nx\r\n');
    expect(k.call(task, 'ioctl', 5, T.TIOCSCTTY, 0)).toBe(0);
    expect(task.process.tty).toBe(name);
    expect(k.call(task, 'ioctl', 5, T.TIOCSTI, BASE)).toBe(0);
    const plain = k.task({ uid: 1000 });
    plain.files.open[5] = file;
    expect(k.call(plain, 'ioctl', 5, T.TIOCSTI, BASE)).toBe(EPERM);
    expect(k.call(plain, 'ioctl', 5, T.TIOCGPGRP, BASE)).toBe(ENOTTY);
  });
});

describe('memory devices', () => {
  it.each<[string, string, number, string | number, number]>([
    ['null', '/dev/null', 4, '', 3],
    ['zero', '/dev/zero', 4, '\0\0\0\0', 3],
    ['full', '/dev/full', 4, '\0\0\0\0', -28],
  ])('%s', (_case, path, count, read, written) => {
    const k = callKernel();
    const task = k.task();
    const fd = must(k.open(task, path, O_RDWR));
    expect(k.read(task, fd, count)).toBe(read);
    expect(k.write(task, fd, 'abc')).toBe(written);
  });

  it('kmsg gives records and takes lines', () => {
    const k = callKernel();
    const task = k.task();
    printk(k.kernel, 6, 'first');
    const fd = must(k.open(task, '/dev/kmsg', O_RDWR | O_NONBLOCK));
    expect(k.read(task, fd)).toMatch(/^6,0,\d+,-;first\n$/);
    expect(k.read(task, fd)).toBe(EAGAIN);
    expect(k.write(task, fd, '<3>from a program\n')).toBe(18);
    expect(k.read(task, fd)).toMatch(/^3,1,\d+,-;from a program\n$/);
  });
});
