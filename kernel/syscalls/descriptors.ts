// dup, fcntl and flock.
import { EBADF, EINVAL, EMFILE, EOVERFLOW, EPERM, ESRCH, failed, type Failure } from '../abi/errno.ts';
import { F, F_RDLCK, F_UNLCK, F_WRLCK, FD_CLOEXEC, LOCK, O } from '../abi/open-flags.ts';
import { anyFileOf, descriptorLimit, fileOf, installFile, replaceDescriptor } from '../fs/vfs/file-table.ts';
import type { RecordLock } from '../fs/vfs/lock-state.ts';
import { clearRange, findConflict, flockFile, setRecordLock } from '../fs/vfs/locks.ts';
import { getFile, putFile, type OpenFile } from '../fs/vfs/open-file.ts';
import { ownsOrMay } from '../fs/vfs/permission.ts';
import { pipeCapacity, setPipeCapacity } from '../ipc/pipe.ts';
import { get16, get32, getSigned32, getSigned64, put16, put32, put64 } from '../lib/bytes.ts';
import { readUser, writeUser } from '../mm/user-memory.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { FD, FLAGS, INT, syscall, UINT, POINTER } from './declare.ts';

export const dup = syscall({
  number: 32,
  name: 'dup',
  args: { fd: FD },
  run(kernel, task, { fd }) {
    const file = anyFileOf(task, fd);
    return failed(file) ? file : duplicate(kernel, task, file, 0, false);
  },
});

function duplicate(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  lowest: number,
  closeOnExec: boolean,
): number | Failure {
  const fd = installFile(kernel, task, getFile(file), closeOnExec, lowest);
  if (failed(fd)) putFile(kernel, file);
  return fd;
}

function dupTo(kernel: Kernel, task: Task, from: number, to: number, closeOnExec: boolean): number | Failure {
  const file = anyFileOf(task, from);
  if (failed(file)) return file;
  if (to < 0 || to >= descriptorLimit(kernel, task)) return EBADF;
  replaceDescriptor(kernel, task, to, getFile(file), closeOnExec);
  return to;
}

export const dup2 = syscall({
  number: 33,
  name: 'dup2',
  args: { from: FD, to: FD },
  run(kernel, task, { from, to }) {
    if (from !== to) return dupTo(kernel, task, from, to, false);
    const file = anyFileOf(task, from);
    return failed(file) ? file : to;
  },
});

export const dup3 = syscall({
  number: 292,
  name: 'dup3',
  args: { from: FD, to: FD, flags: FLAGS },
  run(kernel, task, { from, to, flags }) {
    if ((flags & ~O.CLOEXEC) !== 0 || from === to) return EINVAL;
    return dupTo(kernel, task, from, to, (flags & O.CLOEXEC) !== 0);
  },
});

const SETTABLE = O.APPEND | O.NONBLOCK | O.ASYNC | O.DIRECT | O.NOATIME;
const FLOCK_BYTES = 32;

function setFlags(task: Task, file: OpenFile, flags: number): number | Failure {
  if ((flags & O.NOATIME) !== 0 && (file.flags & O.NOATIME) === 0 && !ownsOrMay(task, file.inode))
    return EPERM;
  file.flags = (file.flags & ~SETTABLE) | (flags & SETTABLE);
  return 0;
}

/** struct flock: a range from its beginning, the position or the end of the file. */
function decodeFlock(
  bytes: Uint8Array,
  file: OpenFile,
  task: Task,
  ofd: boolean,
): { type: number; lock: RecordLock } | Failure {
  const type = get16(bytes, 0);
  const whence = get16(bytes, 2);
  const from = whence === 0 ? 0 : whence === 1 ? file.position : whence === 2 ? file.inode.size : -1;
  if (from < 0 || type > F_UNLCK) return EINVAL;
  if (ofd && get32(bytes, 24) !== 0) return EINVAL;
  let start = from + getSigned64(bytes, 8);
  const length = getSigned64(bytes, 16);
  let end = length === 0 ? Infinity : start + length - 1;
  if (length < 0) {
    end = start - 1;
    start += length;
  }
  if (start < 0) return EINVAL;
  if (end > Number.MAX_SAFE_INTEGER && end !== Infinity) return EOVERFLOW;
  const owner = ofd ? `f${file.id}` : `p${task.process.pid}`;
  return { type, lock: { owner, pid: ofd ? -1 : task.process.pid, exclusive: type === F_WRLCK, start, end } };
}

function lockCall(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  address: number,
  command: number,
): number | Failure {
  const bytes = readUser(kernel, task, address, FLOCK_BYTES);
  if (failed(bytes)) return bytes;
  const ofd = command === F.OFD_GETLK || command === F.OFD_SETLK || command === F.OFD_SETLKW;
  const decoded = decodeFlock(bytes, file, task, ofd);
  if (failed(decoded)) return decoded;
  const { type, lock } = decoded;
  if (command === F.GETLK || command === F.OFD_GETLK) {
    if (type === F_UNLCK) return EINVAL;
    const conflict = findConflict(file.inode, lock);
    const answer = bytes.slice();
    put16(answer, 0, conflict === undefined ? F_UNLCK : conflict.exclusive ? F_WRLCK : F_RDLCK);
    if (conflict !== undefined) {
      put16(answer, 2, 0);
      put64(answer, 8, conflict.start);
      put64(answer, 16, conflict.end === Infinity ? 0 : conflict.end - conflict.start + 1);
      put32(answer, 24, conflict.pid);
    }
    const written = writeUser(kernel, task, address, answer);
    return failed(written) ? written : 0;
  }
  if (type === F_UNLCK) {
    clearRange(kernel, file.inode, lock.owner, lock.start, lock.end);
    return 0;
  }
  if (type === F_RDLCK && !file.readable) return EBADF;
  if (type === F_WRLCK && !file.writable) return EBADF;
  return setRecordLock(kernel, task, file.inode, lock, command === F.SETLKW || command === F.OFD_SETLKW);
}

function ownerEx(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  address: number,
  command: number,
): number | Failure {
  const bytes = command === F.SETOWN_EX ? readUser(kernel, task, address, 8) : new Uint8Array(8);
  if (failed(bytes)) return bytes;
  if (command === F.SETOWN_EX) {
    const id = getSigned32(bytes, 4);
    file.owner = get32(bytes, 0) === 2 ? -id : id;
    return 0;
  }
  put32(bytes, 0, file.owner < 0 ? 2 : 1);
  put32(bytes, 4, Math.abs(file.owner));
  const written = writeUser(kernel, task, address, bytes);
  return failed(written) ? written : 0;
}

/** Commands that O_PATH descriptors answer too. */
const PATH_COMMANDS: readonly number[] = [F.DUPFD, F.DUPFD_CLOEXEC, F.GETFD, F.SETFD, F.GETFL];

export const fcntl = syscall({
  number: 72,
  name: 'fcntl',
  args: { fd: FD, command: INT, argument: POINTER },
  missing: 'leases, dnotify, seals and F_SETSIG give EINVAL; SIGIO is not sent',
  run(kernel, task, { fd, command, argument }) {
    const file = PATH_COMMANDS.includes(command) ? anyFileOf(task, fd) : fileOf(task, fd);
    if (failed(file)) return file;
    switch (command) {
      case F.DUPFD:
      case F.DUPFD_CLOEXEC: {
        const lowest = argument | 0;
        if (lowest < 0 || lowest >= descriptorLimit(kernel, task)) return EINVAL;
        const copy = duplicate(kernel, task, file, lowest, command === F.DUPFD_CLOEXEC);
        return copy === EMFILE ? EMFILE : copy;
      }
      case F.GETFD:
        return task.files.closeOnExec[fd] === true ? FD_CLOEXEC : 0;
      case F.SETFD:
        task.files.closeOnExec[fd] = (argument & FD_CLOEXEC) !== 0;
        return 0;
      case F.GETFL:
        return file.flags;
      case F.SETFL:
        return setFlags(task, file, argument | 0);
      case F.GETLK:
      case F.SETLK:
      case F.SETLKW:
      case F.OFD_GETLK:
      case F.OFD_SETLK:
      case F.OFD_SETLKW:
        return lockCall(kernel, task, file, argument, command);
      case F.SETOWN:
        if ((argument | 0) > 0 && !kernel.tasks.has(argument | 0)) return ESRCH;
        file.owner = argument | 0;
        return 0;
      case F.GETOWN:
        return file.owner;
      case F.SETOWN_EX:
      case F.GETOWN_EX:
        return ownerEx(kernel, task, file, argument, command);
      case F.GETSIG:
        return 0;
      case F.GETLEASE:
        return F_UNLCK;
      case F.GETPIPE_SZ:
        return pipeCapacity(file) ?? EBADF;
      case F.SETPIPE_SZ:
        return pipeCapacity(file) === undefined ? EBADF : setPipeCapacity(kernel, task, file, argument | 0);
      default:
        return EINVAL;
    }
  },
});

export const flock = syscall({
  number: 73,
  name: 'flock',
  args: { fd: FD, operation: UINT },
  run(kernel, task, { fd, operation }) {
    const file = fileOf(task, fd);
    if (failed(file)) return file;
    const kind = operation & ~LOCK.NB;
    if (kind !== LOCK.SH && kind !== LOCK.EX && kind !== LOCK.UN) return EINVAL;
    return flockFile(
      kernel,
      task,
      file,
      kind === LOCK.UN ? null : kind === LOCK.EX,
      (operation & LOCK.NB) === 0,
    );
  },
});
