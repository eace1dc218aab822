// execve of a program and opening it for writing refuse each other (ETXTBSY), for as long as one of the two lasts.
import { describe, expect, it } from 'vitest';
import { ETXTBSY } from '../abi/errno.ts';
import { O } from '../abi/open-flags.ts';
import { latin1, put16, put32, put64 } from '../lib/bytes.ts';
import { forkMm, putMm } from '../mm/mm-life.ts';
import type { Task } from '../sched/task.ts';
import { BASE, callKernel, must, type CallKernel } from './calls.test-kernel.ts';

const ADDRESS = 0x40_0000;
const HEADER = 64;
const PROGRAM_HEADER = 56;

/** A static ELF program of one segment. */
function program(): Uint8Array {
  const bytes = new Uint8Array(HEADER + PROGRAM_HEADER);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  put16(bytes, 16, 2); // ET_EXEC
  put16(bytes, 18, 62);
  put64(bytes, 24, ADDRESS + HEADER);
  put64(bytes, 32, HEADER);
  put16(bytes, 54, PROGRAM_HEADER);
  put16(bytes, 56, 1);
  put32(bytes, HEADER, 1); // PT_LOAD, readable and executable, the whole file
  put32(bytes, HEADER + 4, 5);
  put64(bytes, HEADER + 16, ADDRESS);
  put64(bytes, HEADER + 32, bytes.length);
  put64(bytes, HEADER + 40, bytes.length);
  put64(bytes, HEADER + 48, 4096);
  return bytes;
}

interface Bench extends CallKernel {
  readonly writer: Task;
  /** A task that may run a program. */
  readonly runner: Task;
  exec(path: string): number;
  openAs(flags: number): number;
}

function bench(): Bench {
  const test = callKernel();
  const [writer, runner] = [test.task(), test.task()];
  for (const path of ['/program', '/other']) {
    const fd = must(test.open(writer, path, O.CREAT | O.WRONLY));
    test.write(writer, fd, latin1(program()));
    test.call(writer, 'fchmod', fd, 0o755);
    test.close(writer, fd);
  }
  const exec = (path: string): number => {
    const room = runner.mm?.startStack === 0 ? BASE : (runner.mm?.startStack ?? 0);
    return test.call(runner, 'execve', test.put(runner, room, `${path}\0`), 0, 0);
  };
  return { ...test, writer, runner, exec, openAs: (flags) => test.open(writer, '/program', flags) };
}

const running = (): Bench => {
  const test = bench();
  expect(test.exec('/program')).toBe(0);
  return test;
};

describe('a program that runs', () => {
  const shared = running();
  it.each([
    ['O_WRONLY', O.WRONLY],
    ['O_RDWR', O.RDWR],
    ['O_RDONLY | O_TRUNC', O.TRUNC],
    ['O_CREAT | O_WRONLY | O_TRUNC', O.CREAT | O.WRONLY | O.TRUNC],
  ])('is not opened with %s', (_case, flags) => {
    expect(shared.openAs(flags)).toBe(ETXTBSY);
    expect(shared.readFile(shared.writer, '/program')).toBe(latin1(program()));
  });

  it('is not truncated by name, but unlinked', () => {
    const test = running();
    const path = test.put(test.writer, BASE, '/program\0');
    expect(test.call(test.writer, 'truncate', path, 0)).toBe(ETXTBSY);
    expect(test.call(test.writer, 'unlink', path)).toBe(0);
    expect(test.openAs(O.CREAT | O.WRONLY)).toBeGreaterThanOrEqual(0); // another file of that name
  });

  it('is writable after the last of its memories, those of children among them', () => {
    const { kernel, runner, openAs } = running();
    const mm = runner.mm;
    if (mm === null) throw new Error('no memory');
    const child = must(forkMm(kernel, mm));
    runner.mm = null;
    putMm(kernel, mm);
    expect(openAs(O.WRONLY)).toBe(ETXTBSY);
    putMm(kernel, child);
    expect(openAs(O.WRONLY)).toBeGreaterThanOrEqual(0);
  });

  it('is writable after an exec of another, even of itself in between', () => {
    const { exec, openAs } = running();
    expect(exec('/program')).toBe(0);
    expect(openAs(O.WRONLY)).toBe(ETXTBSY);
    expect(exec('/other')).toBe(0);
    expect(openAs(O.WRONLY)).toBeGreaterThanOrEqual(0);
  });
});

describe('a file that is open for writing', () => {
  it.each([
    ['O_WRONLY', O.WRONLY],
    ['O_RDWR', O.RDWR],
  ])('is not executed: %s', (_case, flags) => {
    const test = bench();
    const fd = must(test.openAs(flags));
    expect(test.exec('/program')).toBe(ETXTBSY);
    test.close(test.writer, fd);
    expect(test.exec('/program')).toBe(0);
  });
});
