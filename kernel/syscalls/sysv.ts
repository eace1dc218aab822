// SysV IPC: shmget shmat shmdt shmctl, msgget msgsnd msgrcv msgctl, semget semop semtimedop semctl.
import { E2BIG, EACCES, EINVAL, ENOSYS, EPERM, failed, type Failure } from '../abi/errno.ts';
import { CAP, capabilityBit } from '../abi/capability.ts';
import { MAP, PROT } from '../abi/mman.ts';
import {
  getPerm, IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT, MSG_COPY, MSG_INFO, MSG_STAT, MSG_STAT_ANY, MSQID_BYTES, msqidMaxBytes,
  putPerm, putWords, SEM, SEMBUF_BYTES, SEMID_BYTES, SHM, SHM_DEST, SHM_LOCKED, SHMID_BYTES,
} from '../abi/sysv.ts'; // prettier-ignore
import { readTimespec, TIMESPEC_BYTES } from '../abi/time.ts';
import { getQueue, receiveMessage, removeQueue, sendMessage } from '../ipc/message-queues.ts';
import {
  getSet,
  operate,
  removeSet,
  setValues,
  undoSemaphores,
  waiterCount,
  type SemaphoreOperation,
} from '../ipc/semaphores.ts';
import { attachmentAt, getSegment, removeSegment, segmentPages } from '../ipc/shared-segments.ts';
import { highestIndex, mayUse, objectAt, objectOf, ownsObject, setOwner } from '../ipc/sysv.ts';
import type { MessageQueue, SemaphoreSet, SharedSegment } from '../ipc/sysv-state.ts';
import { get16, getSigned64, put16, put32, put64 } from '../lib/bytes.ts';
import { mapMemory, unmapMemory } from '../mm/map.ts';
import { readUser, writeUser } from '../mm/user-memory.ts';
import { processExitHooks } from '../process/exit.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { wallNow } from '../time/clock.ts';
import { FLAGS, INT, LONG, POINTER, SIZE, syscall, UINT } from './declare.ts';

processExitHooks['sysv-semaphores'] = (kernel, process) => {
  undoSemaphores(kernel, process.pid);
};

const done = (moved: number | Failure): number | Failure => (failed(moved) ? moved : 0);
const seconds = (ns: number): number => Math.floor(ns / 1e9);
const PAGE = 4096;

export const shmget = syscall({
  number: 29,
  name: 'shmget',
  args: { key: INT, size: SIZE, flags: FLAGS },
  missing: 'SHM_HUGETLB gives ordinary pages',
  run: (kernel, task, { key, size, flags }) => getSegment(kernel, task, key, size, flags),
});

export const shmat = syscall({
  number: 30,
  name: 'shmat',
  args: { id: INT, address: POINTER, flags: FLAGS },
  run(kernel, task, { id, address, flags }) {
    const segment = objectOf(task, kernel.ipc.sysv.segments, id);
    if (failed(segment)) return segment;
    const isReadOnly = (flags & SHM.RDONLY) !== 0;
    if (!mayUse(task, segment.permissions, isReadOnly ? 0o444 : 0o666)) return EACCES;
    if (task.mm === null) return EINVAL;
    let place = address;
    if (place % PAGE !== 0) {
      if ((flags & SHM.RND) === 0) return EINVAL;
      place -= place % PAGE;
      if (place === 0 && flags & SHM.REMAP) return EINVAL;
    }
    if (flags & SHM.REMAP && address === 0) return EINVAL;
    const fixed = address === 0 ? 0 : flags & SHM.REMAP ? MAP.fixed : MAP.fixedNoReplace | MAP.fixed;
    const protection = PROT.read | (isReadOnly ? 0 : PROT.write) | (flags & SHM.EXEC ? PROT.execute : 0);
    const name = `/SYSV${(segment.permissions.key >>> 0).toString(16).padStart(8, '0')} (deleted)`;
    const mapped = mapMemory(kernel, task.mm, {
      address: place, length: segment.sizeBytes, protection, flags: MAP.shared | fixed, space: segment.space, name,
      limits: task.process.rlimits,
    }); // prettier-ignore
    if (failed(mapped)) return fixed !== 0 && (flags & SHM.REMAP) === 0 ? EINVAL : mapped;
    segment.attachNs = wallNow(kernel);
    segment.lastPid = task.process.pid;
    return mapped;
  },
});

export const shmdt = syscall({
  number: 67,
  name: 'shmdt',
  args: { address: POINTER },
  run(kernel, task, { address }) {
    if (task.mm === null || address % PAGE !== 0) return EINVAL;
    let found = attachmentAt(kernel, task.mm, address);
    if (found === undefined) return EINVAL;
    const { segment } = found;
    segment.detachNs = wallNow(kernel);
    segment.lastPid = task.process.pid;
    for (; found !== undefined; found = attachmentAt(kernel, task.mm, address)) {
      const { start, end } = found.vma;
      const unmapped = unmapMemory(kernel, task.mm, start, end - start);
      if (failed(unmapped)) return unmapped;
    }
    return 0;
  },
});

function segmentBytes(segment: SharedSegment): Uint8Array {
  const bytes = new Uint8Array(SHMID_BYTES);
  const mode =
    segment.permissions.mode | (segment.destroyed ? SHM_DEST : 0) | (segment.locked ? SHM_LOCKED : 0);
  putPerm(bytes, { ...segment.permissions, mode });
  putWords(bytes, [
    segment.sizeBytes,
    seconds(segment.attachNs),
    seconds(segment.detachNs),
    seconds(segment.changeNs),
  ]);
  put32(bytes, 80, segment.creatorPid);
  put32(bytes, 84, segment.lastPid);
  put64(bytes, 88, segment.space.mapCount);
  return bytes;
}

export const shmctl = syscall({
  number: 31,
  name: 'shmctl',
  args: { id: INT, command: INT, buffer: POINTER },
  missing: 'SHM_LOCK keeps the flag, but pages may still be swapped',
  run(kernel, task, { id, command, buffer }) {
    const { segments, limits } = kernel.ipc.sysv;
    if (command === IPC_INFO) {
      const bytes = new Uint8Array(72);
      putWords(bytes, [limits.shmmax, 1, limits.shmmni, limits.shmmni, limits.shmall], 0);
      const written = writeUser(kernel, task, buffer, bytes);
      return failed(written) ? written : highestIndex(segments);
    }
    if (command === SHM.INFO) {
      const bytes = new Uint8Array(48);
      put32(bytes, 0, segments.size);
      const resident = [...segments.values()].reduce((sum, { space }) => sum + space.pages.size, 0);
      const swapped = [...segments.values()].reduce((sum, { space }) => sum + space.swapped.size, 0);
      putWords(bytes, [segmentPages(kernel), resident, swapped, 0, 0], 8);
      const written = writeUser(kernel, task, buffer, bytes);
      return failed(written) ? written : highestIndex(segments);
    }
    if (command === SHM.STAT || command === SHM.STAT_ANY) {
      const found = objectAt(segments, id);
      if (failed(found)) return found;
      if (command === SHM.STAT && !mayUse(task, found.object.permissions, 0o444)) return EACCES;
      const written = writeUser(kernel, task, buffer, segmentBytes(found.object));
      return failed(written) ? written : found.id;
    }
    const segment = objectOf(task, segments, id);
    if (failed(segment)) return segment;
    switch (command) {
      case IPC_STAT:
        if (!mayUse(task, segment.permissions, 0o444)) return EACCES;
        return done(writeUser(kernel, task, buffer, segmentBytes(segment)));
      case IPC_SET: {
        const bytes = readUser(kernel, task, buffer, SHMID_BYTES);
        if (failed(bytes)) return bytes;
        segment.changeNs = wallNow(kernel);
        return setOwner(task, segment, getPerm(bytes));
      }
      case IPC_RMID:
        if (!ownsObject(task, segment.permissions)) return EPERM;
        removeSegment(kernel, segment);
        return 0;
      case SHM.LOCK:
      case SHM.UNLOCK:
        if (
          !ownsObject(task, segment.permissions) &&
          (task.credentials.effective & capabilityBit(CAP.IPC_LOCK)) === 0n
        )
          return EPERM;
        segment.locked = command === SHM.LOCK;
        return 0;
      default:
        return EINVAL;
    }
  },
});

export const msgget = syscall({
  number: 68,
  name: 'msgget',
  args: { key: INT, flags: FLAGS },
  run: (kernel, task, { key, flags }) => getQueue(kernel, task, key, flags),
});

export const msgsnd = syscall({
  number: 69,
  name: 'msgsnd',
  args: { id: INT, message: POINTER, size: SIZE, flags: FLAGS },
  run(kernel, task, { id, message, size, flags }) {
    const type = readUser(kernel, task, message, 8);
    if (failed(type)) return type;
    return sendMessage(kernel, task, id, getSigned64(type, 0), size, flags, () =>
      readUser(kernel, task, message + 8, size),
    );
  },
});

export const msgrcv = syscall({
  number: 70,
  name: 'msgrcv',
  args: { id: INT, message: POINTER, size: SIZE, type: LONG, flags: FLAGS },
  missing: 'MSG_COPY gives ENOSYS, as without CONFIG_CHECKPOINT_RESTORE',
  run(kernel, task, { id, message, size, type, flags }) {
    if (flags & MSG_COPY) return ENOSYS;
    if (size > Number.MAX_SAFE_INTEGER) return EINVAL;
    return receiveMessage(kernel, task, id, size, type, flags, (found, text) => {
      const bytes = new Uint8Array(8 + text.length);
      put64(bytes, 0, found);
      bytes.set(text, 8);
      return writeUser(kernel, task, message, bytes);
    });
  },
});

function queueBytes(queue: MessageQueue): Uint8Array {
  const bytes = new Uint8Array(MSQID_BYTES);
  putPerm(bytes, queue.permissions);
  putWords(bytes, [seconds(queue.sendNs), seconds(queue.receiveNs), seconds(queue.changeNs), queue.bytes, queue.messages.length, queue.maxBytes]); // prettier-ignore
  put32(bytes, 96, queue.lastSendPid);
  put32(bytes, 100, queue.lastReceivePid);
  return bytes;
}

export const msgctl = syscall({
  number: 71,
  name: 'msgctl',
  args: { id: INT, command: INT, buffer: POINTER },
  run(kernel, task, { id, command, buffer }) {
    const { queues, limits } = kernel.ipc.sysv;
    if (command === IPC_INFO || command === MSG_INFO) {
      const bytes = new Uint8Array(32);
      const all = [...queues.values()];
      const isInfo = command === MSG_INFO;
      const pool = isInfo ? queues.size : Math.floor((limits.msgmni * limits.msgmnb) / 1024);
      const map = isInfo ? all.reduce((sum, { messages }) => sum + messages.length, 0) : limits.msgmnb;
      const tql = isInfo ? all.reduce((sum, queue) => sum + queue.bytes, 0) : limits.msgmnb;
      [pool, map, limits.msgmax, limits.msgmnb, limits.msgmni, 16, tql].forEach((value, index) =>
        put32(bytes, 4 * index, value),
      );
      put16(bytes, 28, 0xffff);
      const written = writeUser(kernel, task, buffer, bytes);
      return failed(written) ? written : highestIndex(queues);
    }
    if (command === MSG_STAT || command === MSG_STAT_ANY) {
      const found = objectAt(queues, id);
      if (failed(found)) return found;
      if (command === MSG_STAT && !mayUse(task, found.object.permissions, 0o444)) return EACCES;
      const written = writeUser(kernel, task, buffer, queueBytes(found.object));
      return failed(written) ? written : found.id;
    }
    const queue = objectOf(task, queues, id);
    if (failed(queue)) return queue;
    switch (command) {
      case IPC_STAT:
        if (!mayUse(task, queue.permissions, 0o444)) return EACCES;
        return done(writeUser(kernel, task, buffer, queueBytes(queue)));
      case IPC_SET:
        return setQueue(kernel, task, queue, buffer);
      case IPC_RMID:
        if (!ownsObject(task, queue.permissions)) return EPERM;
        removeQueue(kernel, queue);
        return 0;
      default:
        return EINVAL;
    }
  },
});

/** IPC_SET of a queue; only the privileged may raise its size above the limit. */
function setQueue(kernel: Kernel, task: Task, queue: MessageQueue, buffer: number): number | Failure {
  const bytes = readUser(kernel, task, buffer, MSQID_BYTES);
  if (failed(bytes)) return bytes;
  const maxBytes = msqidMaxBytes(bytes);
  const mayRaise = (task.credentials.effective & capabilityBit(CAP.SYS_RESOURCE)) !== 0n;
  if (!ownsObject(task, queue.permissions)) return EPERM;
  if (maxBytes > kernel.ipc.sysv.limits.msgmnb && !mayRaise) return EPERM;
  queue.maxBytes = maxBytes;
  queue.changeNs = wallNow(kernel);
  return setOwner(task, queue, getPerm(bytes));
}

export const semget = syscall({
  number: 64,
  name: 'semget',
  args: { key: INT, count: INT, flags: FLAGS },
  run: (kernel, task, { key, count, flags }) => getSet(kernel, task, key, count, flags),
});

function semaphoreCall(
  kernel: Kernel,
  task: Task,
  id: number,
  address: number,
  count: number,
  timeoutNs: number | null,
): number | Failure {
  if (count < 1 || id < 0) return EINVAL;
  if (count > kernel.ipc.sysv.semaphoreLimits.semopm) return E2BIG;
  const bytes = readUser(kernel, task, address, count * SEMBUF_BYTES);
  if (failed(bytes)) return bytes;
  const operations = Array.from({ length: count }, (_, index): SemaphoreOperation => {
    const at = index * SEMBUF_BYTES;
    return {
      number: get16(bytes, at),
      change: (get16(bytes, at + 2) << 16) >> 16,
      flags: get16(bytes, at + 4),
    };
  });
  return operate(kernel, task, id, operations, timeoutNs);
}

export const semop = syscall({
  number: 65,
  name: 'semop',
  args: { id: INT, operations: POINTER, count: UINT },
  run: (kernel, task, { id, operations, count }) => semaphoreCall(kernel, task, id, operations, count, null),
});

export const semtimedop = syscall({
  number: 220,
  name: 'semtimedop',
  args: { id: INT, operations: POINTER, count: UINT, timeout: POINTER },
  run(kernel, task, { id, operations, count, timeout }) {
    if (timeout === 0) return semaphoreCall(kernel, task, id, operations, count, null);
    const bytes = readUser(kernel, task, timeout, TIMESPEC_BYTES);
    if (failed(bytes)) return bytes;
    const ns = readTimespec(bytes);
    if (ns === null) return EINVAL;
    return semaphoreCall(kernel, task, id, operations, count, ns === Infinity ? null : ns);
  },
});

function setBytes(set: SemaphoreSet): Uint8Array {
  const bytes = new Uint8Array(SEMID_BYTES);
  putPerm(bytes, set.permissions);
  putWords(bytes, [seconds(set.operationNs), 0, seconds(set.changeNs), 0, set.semaphores.length]);
  return bytes;
}

export const semctl = syscall({
  number: 66,
  name: 'semctl',
  args: { id: INT, number: INT, command: INT, argument: POINTER },
  run(kernel, task, { id, number, command, argument }) {
    const { sets, semaphoreLimits } = kernel.ipc.sysv;
    if (command === IPC_INFO || command === SEM.INFO) {
      const { semmns, semmni, semmsl, semopm } = semaphoreLimits;
      const isInfo = command === SEM.INFO;
      const total = [...sets.values()].reduce((sum, { semaphores }) => sum + semaphores.length, 0);
      const words = [
        semmns,
        semmni,
        semmns,
        semmns,
        semmsl,
        semopm,
        semopm,
        isInfo ? sets.size : 24,
        32_767,
        isInfo ? total : 32_767,
      ];
      const bytes = new Uint8Array(40);
      words.forEach((word, index) => put32(bytes, 4 * index, word));
      const written = writeUser(kernel, task, argument, bytes);
      return failed(written) ? written : highestIndex(sets);
    }
    if (command === SEM.STAT || command === SEM.STAT_ANY) {
      const found = objectAt(sets, id);
      if (failed(found)) return found;
      if (command === SEM.STAT && !mayUse(task, found.object.permissions, 0o444)) return EACCES;
      const written = writeUser(kernel, task, argument, setBytes(found.object));
      return failed(written) ? written : found.id;
    }
    const set = objectOf(task, sets, id);
    if (failed(set)) return set;
    switch (command) {
      case IPC_STAT:
        if (!mayUse(task, set.permissions, 0o444)) return EACCES;
        return done(writeUser(kernel, task, argument, setBytes(set)));
      case IPC_SET: {
        const bytes = readUser(kernel, task, argument, SEMID_BYTES);
        if (failed(bytes)) return bytes;
        set.changeNs = wallNow(kernel);
        return setOwner(task, set, getPerm(bytes));
      }
      case IPC_RMID:
        if (!ownsObject(task, set.permissions)) return EPERM;
        removeSet(kernel, set);
        return 0;
      default:
        return semaphoreCommand(kernel, task, set, number, command, argument);
    }
  },
});

function semaphoreCommand(
  kernel: Kernel, task: Task, set: SemaphoreSet, number: number, command: number, argument: number,
): number | Failure {
  const isChange = command === SEM.SETVAL || command === SEM.SETALL;
  if (!mayUse(task, set.permissions, isChange ? 0o222 : 0o444)) return EACCES;
  if (command === SEM.GETALL) {
    const bytes = new Uint8Array(2 * set.semaphores.length);
    set.semaphores.forEach(({ value }, index) => put16(bytes, 2 * index, value));
    return done(writeUser(kernel, task, argument, bytes));
  }
  if (command === SEM.SETALL) {
    const bytes = readUser(kernel, task, argument, 2 * set.semaphores.length);
    if (failed(bytes)) return bytes;
    return setValues(kernel, task, set, new Map(set.semaphores.map((_, index) => [index, get16(bytes, 2 * index)])));
  }
  const semaphore = set.semaphores[number];
  if (semaphore === undefined) return EINVAL;
  switch (command) {
    case SEM.GETVAL:
      return semaphore.value;
    case SEM.GETPID:
      return semaphore.lastPid;
    case SEM.GETNCNT:
      return waiterCount(kernel, semaphore.waitGrow);
    case SEM.GETZCNT:
      return waiterCount(kernel, semaphore.waitZero);
    case SEM.SETVAL:
      return setValues(kernel, task, set, new Map([[number, argument | 0]]));
    default:
      return EINVAL;
  }
} // prettier-ignore
