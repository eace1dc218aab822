import { describe, expect, it } from 'vitest';
import {
  BLOCKED,
  E2BIG,
  EACCES,
  EAGAIN,
  EEXIST,
  EIDRM,
  EINVAL,
  ENOENT,
  ENOMSG,
  ERANGE,
} from '../abi/errno.ts';
import { bytesOfLatin1, get32, get64, latin1, put16, put64 } from '../lib/bytes.ts';
import { undoSemaphores } from '../ipc/semaphores.ts';
import type { Task } from '../sched/task.ts';
import { BASE, callKernel, must, type CallKernel } from './calls.test-kernel.ts';

const CREAT = 0o1000;
const EXCL = 0o2000;
const NOWAIT = 0o4000;

describe('shared memory', () => {
  it('is shared, counted, and goes with its last attachment', () => {
    const k = callKernel();
    const a = k.task();
    const b = k.task();
    const id = must(k.call(a, 'shmget', 0x1234, 10_000, CREAT | 0o600));
    expect(k.call(b, 'shmget', 0x1234, 0, 0)).toBe(id);
    const at = must(k.call(a, 'shmat', id, 0, 0));
    const there = must(k.call(b, 'shmat', id, 0, 0));
    k.put(a, at + 5000, 'shared');
    expect(latin1(k.take(b, there + 5000, 6))).toBe('shared');
    expect(k.readFile(a, '/proc/self/maps')).toMatch(/rw-s 00000000 00:00 0 +\/SYSV00001234 \(deleted\)\n/);
    expect(k.readFile(a, '/proc/sysvipc/shm')).toMatch(/\n +4660 +0 {3}600 +10000 /);
    expect(k.call(a, 'shmctl', id, 2, BASE)).toBe(0);
    expect(get64(k.take(a, BASE, 112), 88)).toBe(2);
    expect(k.call(a, 'shmctl', id, 0, 0)).toBe(0);
    expect(k.call(a, 'shmget', 0x1234, 0, 0)).toBe(ENOENT);
    expect(k.call(a, 'shmdt', at)).toBe(0);
    expect(k.call(a, 'shmdt', at)).toBe(EINVAL);
    expect(k.call(b, 'shmdt', there)).toBe(0);
    expect(k.kernel.ipc.sysv.segments.size).toBe(0);
  });

  it.each<[string, (k: CallKernel, t: Task) => number, number]>([
    ['an unknown key', (k, t) => k.call(t, 'shmget', 7, 4096, 0), ENOENT],
    [
      'a key that is taken',
      (k, t) => (k.call(t, 'shmget', 7, 4096, CREAT), k.call(t, 'shmget', 7, 4096, CREAT | EXCL)),
      EEXIST,
    ],
    [
      'a size beyond what is there',
      (k, t) => (k.call(t, 'shmget', 7, 4096, CREAT | 0o600), k.call(t, 'shmget', 7, 8192, 0)),
      EINVAL,
    ],
    ['no size', (k, t) => k.call(t, 'shmget', 0, 0, 0), EINVAL],
    ['an unknown id', (k, t) => k.call(t, 'shmat', 99, 0, 0), EINVAL],
    [
      'another user',
      (k, t) => k.call(k.task({ uid: 1000 }), 'shmat', must(k.call(t, 'shmget', 0, 10, 0o600)), 0, 0),
      EACCES,
    ],
  ])('refuses %s', (_case, act, errno) => {
    const k = callKernel();
    expect(act(k, k.task())).toBe(errno);
  });
});

function message(k: CallKernel, task: Task, type: number, text: string): number {
  const bytes = new Uint8Array(8 + text.length);
  put64(bytes, 0, type);
  bytes.set(bytesOfLatin1(text), 8);
  return k.put(task, BASE, bytes);
}

function receive(
  k: CallKernel,
  task: Task,
  id: number,
  type: number,
  flags = NOWAIT,
  size = 100,
): string | number {
  const got = k.call(task, 'msgrcv', id, BASE + 0x1000, size, type, flags);
  return got < 0
    ? got
    : `${get32(k.take(task, BASE + 0x1000, 8), 0)}:${latin1(k.take(task, BASE + 0x1008, got))}`;
}

describe('message queues', () => {
  it('give messages by type', () => {
    const k = callKernel();
    const task = k.task();
    const id = must(k.call(task, 'msgget', 0, CREAT | 0o600));
    for (const [type, text] of [[3, 'c'], [1, 'a'], [2, 'bb'], [3, 'd']] as const) {
      expect(k.call(task, 'msgsnd', id, message(k, task, type, text), text.length, 0)).toBe(0);
    } // prettier-ignore
    expect(receive(k, task, id, 2, NOWAIT, 1)).toBe(E2BIG);
    expect(receive(k, task, id, 2, NOWAIT | 0o10000, 1)).toBe('2:b');
    expect(receive(k, task, id, -3)).toBe('1:a');
    expect(receive(k, task, id, 3)).toBe('3:c');
    expect(receive(k, task, id, 9)).toBe(ENOMSG);
    expect(receive(k, task, id, 0)).toBe('3:d');
    expect(receive(k, task, id, 0, 0)).toBe(BLOCKED);
    expect(k.call(task, 'msgsnd', id, message(k, task, 0, 'x'), 1, 0)).toBe(EINVAL);
  });

  it('are full at 16 KiB; who waits while one is removed gets EIDRM', () => {
    const k = callKernel();
    const task = k.task();
    const id = must(k.call(task, 'msgget', 0, CREAT | 0o600));
    const large = 'x'.repeat(8192);
    for (let i = 0; i < 2; i++)
      expect(k.call(task, 'msgsnd', id, message(k, task, 1, large), 8192, 0)).toBe(0);
    expect(k.call(task, 'msgsnd', id, message(k, task, 1, 'x'), 1, NOWAIT)).toBe(EAGAIN);
    expect(k.call(task, 'msgsnd', id, message(k, task, 1, 'x'), 1, 0)).toBe(BLOCKED);
    const other = k.task();
    expect(k.call(other, 'msgctl', id, 0, 0)).toBe(0);
    expect(task.state).toBe('running');
    expect(k.call(task, 'msgsnd', id, BASE, 1, 0)).toBe(EIDRM);
    expect(k.kernel.memory.owner.filter((owner) => owner === 9).length).toBe(0);
  });
});

function operations(
  k: CallKernel,
  task: Task,
  ...list: readonly (readonly [number, number, number])[]
): readonly [number, number] {
  const bytes = new Uint8Array(6 * list.length);
  list.forEach(([number, change, flags], i) => {
    put16(bytes, 6 * i, number);
    put16(bytes, 6 * i + 2, change & 0xffff);
    put16(bytes, 6 * i + 4, flags);
  });
  return [k.put(task, BASE, bytes), list.length];
}

const UNDO = 0x1000;

describe('semaphores', () => {
  it('operate whole or not at all, wait, and undo', () => {
    const k = callKernel();
    const task = k.task();
    const id = must(k.call(task, 'semget', 0, 2, CREAT | 0o600));
    expect(k.call(task, 'semctl', id, 0, 16, 2)).toBe(0);
    expect(k.call(task, 'semop', id, ...operations(k, task, [0, -1, 0], [1, -1, NOWAIT]))).toBe(EAGAIN);
    expect(k.call(task, 'semctl', id, 0, 12, 0)).toBe(2);
    expect(k.call(task, 'semop', id, ...operations(k, task, [0, -2, UNDO], [1, 1, 0]))).toBe(0);
    expect(k.call(task, 'semop', id, ...operations(k, task, [0, 40_000 - 65_536, 0]))).toBe(BLOCKED);
    expect(k.call(task, 'semctl', id, 0, 14, 0)).toBe(0); // it runs again, so it no longer waits
    const waiter = k.task();
    expect(k.call(waiter, 'semop', id, ...operations(k, waiter, [0, -1, 0]))).toBe(BLOCKED);
    expect(k.call(task, 'semctl', id, 0, 14, 0)).toBe(1);
    undoSemaphores(k.kernel, task.process.pid);
    expect(waiter.state).toBe('running');
    expect(k.call(waiter, 'semop', id, ...operations(k, waiter, [0, -1, 0]))).toBe(0);
    expect(k.call(task, 'semctl', id, 0, 12, 0)).toBe(1);
    expect(k.call(task, 'semop', id, ...operations(k, task, [1, 32_767, 0]))).toBe(ERANGE);
    expect(k.call(task, 'semctl', id, 0, 16, 40_000)).toBe(ERANGE);
    expect(k.call(task, 'semctl', id, 0, 0, 0)).toBe(0);
    expect(k.call(task, 'semop', id, ...operations(k, task, [0, 1, 0]))).toBe(EINVAL);
  });
});
