// read, write and their relatives: positions, vectors, seeking, copying between descriptors.
import {
  BLOCKED, EBADF, EINVAL, EISDIR, ENXIO, EOPNOTSUPP, EOVERFLOW, ESPIPE, EFAULT, failed, type Failure,
} from '../abi/errno.ts'; // prettier-ignore
import { MAX_RW_COUNT, O, SEEK } from '../abi/open-flags.ts';
import { fileOf } from '../fs/vfs/file-table.ts';
import { readFile, writeFile } from '../fs/vfs/file-io.ts';
import { inodeOperations, type Transfer } from '../fs/vfs/inode.ts';
import { superBlockOf } from '../fs/vfs/inode-cache.ts';
import { operationsOf, type OpenFile } from '../fs/vfs/open-file.ts';
import { get64 } from '../lib/bytes.ts';
import { faultInUser, loadUser64, readUser, storeUser64, writeUser } from '../mm/user-memory.ts';
import { callData } from '../sched/call-progress.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { FD, FLAGS, INT, LONG, POINTER, SIZE, syscall, userBuffer } from './declare.ts';

const isStream = (file: OpenFile): boolean => operationsOf(file).stream === true;

/** Addresses above the user half fault before anything moves. */
const USER_END = 0x7fff_ffff_f000;
const isUserRange = (address: number, length: number): boolean => address + length <= USER_END;

function readAtPosition(kernel: Kernel, task: Task, file: OpenFile, into: Transfer): number | Failure {
  const count = readFile(kernel, task, file, into, file.position);
  if (!failed(count) && !isStream(file)) file.position += count;
  return count;
}

function writeAtPosition(kernel: Kernel, task: Task, file: OpenFile, from: Transfer): number | Failure {
  const count = writeFile(kernel, task, file, from, file.position);
  if (failed(count) || isStream(file)) return count;
  file.position =
    (file.flags & O.APPEND) !== 0 && file.inode.kind === 'file' ? file.inode.size : file.position + count;
  return count;
}

export const read = syscall({
  number: 0,
  name: 'read',
  args: { fd: FD, buffer: userBuffer('out', 'count'), count: SIZE },
  run(kernel, task, { fd, buffer, count }) {
    const file = fileOf(task, fd);
    if (failed(file)) return file;
    if (!file.readable) return EBADF;
    const length = Math.min(count, MAX_RW_COUNT);
    if (!isUserRange(buffer, length)) return EFAULT;
    return readAtPosition(kernel, task, file, { kind: 'user', task, address: buffer, length });
  },
});

export const write = syscall({
  number: 1,
  name: 'write',
  args: { fd: FD, buffer: userBuffer('in', 'count'), count: SIZE },
  run(kernel, task, { fd, buffer, count }) {
    const file = fileOf(task, fd);
    if (failed(file)) return file;
    if (!file.writable) return EBADF;
    const length = Math.min(count, MAX_RW_COUNT);
    if (!isUserRange(buffer, length)) return EFAULT;
    return writeAtPosition(kernel, task, file, { kind: 'user', task, address: buffer, length });
  },
});

export const pread64 = syscall({
  number: 17,
  name: 'pread64',
  args: { fd: FD, buffer: userBuffer('out', 'count'), count: SIZE, offset: LONG },
  run(kernel, task, { fd, buffer, count, offset }) {
    if (offset < 0) return EINVAL;
    const file = fileOf(task, fd);
    if (failed(file)) return file;
    if (isStream(file)) return ESPIPE;
    if (!file.readable) return EBADF;
    const length = Math.min(count, MAX_RW_COUNT);
    if (!isUserRange(buffer, length)) return EFAULT;
    return readFile(kernel, task, file, { kind: 'user', task, address: buffer, length }, offset);
  },
});

export const pwrite64 = syscall({
  number: 18,
  name: 'pwrite64',
  args: { fd: FD, buffer: userBuffer('in', 'count'), count: SIZE, offset: LONG },
  run(kernel, task, { fd, buffer, count, offset }) {
    if (offset < 0) return EINVAL;
    const file = fileOf(task, fd);
    if (failed(file)) return file;
    if (isStream(file)) return ESPIPE;
    if (!file.writable) return EBADF;
    const length = Math.min(count, MAX_RW_COUNT);
    if (!isUserRange(buffer, length)) return EFAULT;
    return writeFile(kernel, task, file, { kind: 'user', task, address: buffer, length }, offset);
  },
});

const MAX_VECTORS = 1024;
/** What one call moves through a kernel buffer; the rest is left to the caller's next call, as with any short count. */
const MAX_GATHER = 1 << 20;

interface Piece {
  readonly address: number;
  readonly length: number;
}

function readVectors(kernel: Kernel, task: Task, address: number, count: number): Piece[] | Failure {
  if (count < 0 || count > MAX_VECTORS) return EINVAL;
  if (count === 0) return [];
  const bytes = readUser(kernel, task, address, count * 16);
  if (failed(bytes)) return bytes;
  const pieces: Piece[] = [];
  let total = 0;
  for (let index = 0; index < count; index++) {
    const piece = { address: get64(bytes, index * 16), length: get64(bytes, index * 16 + 8) };
    if (piece.length > Number.MAX_SAFE_INTEGER) return EINVAL;
    if (!isUserRange(piece.address, piece.length)) return EFAULT;
    const length = Math.min(piece.length, MAX_RW_COUNT - total);
    if (length > 0) pieces.push({ address: piece.address, length });
    total += length;
  }
  return pieces;
}

function clip(pieces: readonly Piece[], most: number): { pieces: Piece[]; total: number } {
  const kept: Piece[] = [];
  let total = 0;
  for (const piece of pieces) {
    const length = Math.min(piece.length, most - total);
    if (length === 0) break;
    kept.push({ address: piece.address, length });
    total += length;
  }
  return { pieces: kept, total };
}

type Direction = 'read' | 'write';

/** `position` null: the file's own, which moves. */
function moveVector(
  kernel: Kernel,
  task: Task,
  direction: Direction,
  fd: number,
  vectors: number,
  count: number,
  position: number | null,
): number | Failure {
  const file = fileOf(task, fd);
  if (failed(file)) return file;
  if (!(direction === 'read' ? file.readable : file.writable)) return EBADF;
  if (position !== null && isStream(file)) return ESPIPE;
  const all = readVectors(kernel, task, vectors, count);
  if (failed(all)) return all;
  const [only] = all;
  if (all.length === 1 && only !== undefined)
    return moveOne(kernel, task, direction, file, { kind: 'user', task, ...only }, position);
  const { pieces, total } = clip(all, MAX_GATHER);
  return direction === 'read'
    ? scatter(kernel, task, file, pieces, total, position)
    : gather(kernel, task, file, pieces, total, position);
}

function moveOne(
  kernel: Kernel,
  task: Task,
  direction: Direction,
  file: OpenFile,
  transfer: Transfer,
  position: number | null,
): number | Failure {
  if (direction === 'read') {
    return position === null
      ? readAtPosition(kernel, task, file, transfer)
      : readFile(kernel, task, file, transfer, position);
  }
  return position === null
    ? writeAtPosition(kernel, task, file, transfer)
    : writeFile(kernel, task, file, transfer, position);
}

/** Reads into a kernel buffer, then to the pieces, which are made accessible first. */
function scatter(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  pieces: readonly Piece[],
  total: number,
  position: number | null,
): number | Failure {
  for (const piece of pieces) {
    const ready = faultInUser(kernel, task, piece.address, piece.length, 'write');
    if (failed(ready)) return ready;
  }
  const bytes = new Uint8Array(total);
  const got = moveOne(kernel, task, 'read', file, { kind: 'kernel', bytes }, position);
  if (failed(got)) return got;
  let at = 0;
  for (const piece of pieces) {
    const length = Math.min(piece.length, got - at);
    if (length <= 0) break;
    const written = writeUser(kernel, task, piece.address, bytes.subarray(at, at + length));
    if (failed(written)) return written;
    at += length;
  }
  return got;
}

/** Brings the pieces together in a kernel buffer and writes that. */
function gather(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  pieces: readonly Piece[],
  total: number,
  position: number | null,
): number | Failure {
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const piece of pieces) {
    const part = readUser(kernel, task, piece.address, piece.length);
    if (failed(part)) return part;
    bytes.set(part, at);
    at += part.length;
  }
  return moveOne(kernel, task, 'write', file, { kind: 'kernel', bytes, resumable: true }, position);
}

export const readv = syscall({
  number: 19,
  name: 'readv',
  args: { fd: FD, vectors: POINTER, count: INT },
  run: (kernel, task, { fd, vectors, count }) => moveVector(kernel, task, 'read', fd, vectors, count, null),
});

export const writev = syscall({
  number: 20,
  name: 'writev',
  args: { fd: FD, vectors: POINTER, count: INT },
  run: (kernel, task, { fd, vectors, count }) => moveVector(kernel, task, 'write', fd, vectors, count, null),
});

export const preadv = syscall({
  number: 295,
  name: 'preadv',
  args: { fd: FD, vectors: POINTER, count: INT, offset: LONG },
  run: (kernel, task, { fd, vectors, count, offset }) =>
    offset < 0 ? EINVAL : moveVector(kernel, task, 'read', fd, vectors, count, offset),
});

export const pwritev = syscall({
  number: 296,
  name: 'pwritev',
  args: { fd: FD, vectors: POINTER, count: INT, offset: LONG },
  run: (kernel, task, { fd, vectors, count, offset }) =>
    offset < 0 ? EINVAL : moveVector(kernel, task, 'write', fd, vectors, count, offset),
});

const RWF_HIPRI = 1;

export const preadv2 = syscall({
  number: 327,
  name: 'preadv2',
  args: { fd: FD, vectors: POINTER, count: INT, offset: LONG, high: LONG, flags: FLAGS },
  missing: 'RWF_NOWAIT gives EOPNOTSUPP',
  run(kernel, task, { fd, vectors, count, offset, flags }) {
    if ((flags & ~RWF_HIPRI) !== 0) return EOPNOTSUPP;
    return moveVector(kernel, task, 'read', fd, vectors, count, offset === -1 ? null : offset);
  },
});

export const pwritev2 = syscall({
  number: 328,
  name: 'pwritev2',
  args: { fd: FD, vectors: POINTER, count: INT, offset: LONG, high: LONG, flags: FLAGS },
  missing: 'RWF_DSYNC, RWF_SYNC, RWF_NOWAIT and RWF_APPEND give EOPNOTSUPP',
  run(kernel, task, { fd, vectors, count, offset, flags }) {
    if ((flags & ~RWF_HIPRI) !== 0) return EOPNOTSUPP;
    return moveVector(kernel, task, 'write', fd, vectors, count, offset === -1 ? null : offset);
  },
});

function seek(kernel: Kernel, file: OpenFile, offset: number, whence: number): number | Failure {
  const { inode } = file;
  const own = operationsOf(file).seek;
  if (own !== undefined) return own(kernel, file, offset, whence);
  const end = inode.kind === 'block' ? (blockSize(kernel, file) ?? 0) : inode.size;
  let position: number | Failure;
  if (whence === SEEK.SET) position = offset;
  else if (whence === SEEK.CUR) position = file.position + offset;
  else if (whence === SEEK.END) position = end + offset;
  else if (whence === SEEK.DATA || whence === SEEK.HOLE) {
    const kind = whence === SEEK.DATA ? 'data' : 'hole';
    const find = inodeOperations[inode.fs]?.seekData;
    if (offset < 0 || offset >= end) return ENXIO;
    // Without holes in mind a file is all data, with one hole at its end (man 2 lseek).
    position = find === undefined ? (kind === 'data' ? offset : end) : find(kernel, inode, offset, kind);
    if (failed(position)) return position;
  } else return EINVAL;
  if (position < 0) return EINVAL;
  if (inode.kind === 'file' && position > superBlockOf(kernel, inode).maxFileBytes) return EINVAL;
  return position;
}

function blockSize(kernel: Kernel, file: OpenFile): number | undefined {
  for (const disk of kernel.block.devices.values())
    if (disk.device === file.inode.device) return disk.blockCount * 4096;
  return undefined;
}

export const lseek = syscall({
  number: 8,
  name: 'lseek',
  args: { fd: FD, offset: LONG, whence: INT },
  run(kernel, task, { fd, offset, whence }) {
    const file = fileOf(task, fd);
    if (failed(file)) return file;
    if (isStream(file)) return ESPIPE;
    const position = seek(kernel, file, offset, whence);
    if (failed(position)) return position;
    if (position > Number.MAX_SAFE_INTEGER) return EOVERFLOW;
    file.position = position;
    return position;
  },
});

const COPY_CHUNK = 65_536;

interface CopyProgress {
  done: number;
}

/** Moves bytes from one open file to another through a kernel buffer, chunk by chunk; what was moved is kept when it sleeps. */
function copyBetween(
  kernel: Kernel,
  task: Task,
  from: OpenFile,
  fromPosition: number,
  to: OpenFile,
  toPosition: number | null,
  count: number,
): number | Failure {
  // prettier-ignore
  const kept = task.call?.data as CopyProgress | null | undefined; // made below
  let done = kept?.done ?? 0;
  while (done < count) {
    const left = from.inode.kind === 'file' ? Math.max(1, from.inode.size - fromPosition - done) : COPY_CHUNK;
    const bytes = new Uint8Array(Math.min(COPY_CHUNK, count - done, left));
    const got = readFile(kernel, task, from, { kind: 'kernel', bytes }, fromPosition + done);
    const put =
      failed(got) || got === 0
        ? got
        : moveOne(
            kernel,
            task,
            'write',
            to,
            { kind: 'kernel', bytes: bytes.subarray(0, got) },
            toPosition === null ? null : toPosition + done,
          );
    if (failed(put)) {
      if (put !== BLOCKED) return done > 0 ? done : put;
      if (done > 0) callData<CopyProgress>(task, () => ({ done: 0 })).done = done;
      return put;
    }
    if (put === 0) break;
    done += put;
  }
  return done;
}

export const sendfile = syscall({
  number: 40,
  name: 'sendfile',
  args: { out: FD, in: FD, offset: POINTER, count: SIZE },
  run(kernel, task, { out, in: source, offset, count }) {
    const from = fileOf(task, source);
    if (failed(from)) return from;
    const to = fileOf(task, out);
    if (failed(to)) return to;
    if (!from.readable || !to.writable) return EBADF;
    if (isStream(from) || from.inode.kind === 'directory' || (to.flags & O.APPEND) !== 0) return EINVAL;
    const given = offset === 0 ? from.position : loadUser64(kernel, task, offset);
    if (failed(given)) return given;
    const moved = copyBetween(kernel, task, from, given, to, null, Math.min(count, MAX_RW_COUNT));
    if (failed(moved)) return moved;
    if (offset === 0) from.position = given + moved;
    else {
      const stored = storeUser64(kernel, task, offset, given + moved);
      if (failed(stored)) return stored;
    }
    return moved;
  },
});

export const copyFileRange = syscall({
  number: 326,
  name: 'copy_file_range',
  args: { in: FD, inOffset: POINTER, out: FD, outOffset: POINTER, count: SIZE, flags: FLAGS },
  run(kernel, task, { in: source, inOffset, out, outOffset, count, flags }) {
    if (flags !== 0) return EINVAL;
    const from = fileOf(task, source);
    if (failed(from)) return from;
    const to = fileOf(task, out);
    if (failed(to)) return to;
    if (!from.readable || !to.writable || (to.flags & O.APPEND) !== 0) return EBADF;
    if (from.inode.kind === 'directory' || to.inode.kind === 'directory') return EISDIR;
    if (from.inode.kind !== 'file' || to.inode.kind !== 'file') return EINVAL;
    const fromPosition = inOffset === 0 ? from.position : loadUser64(kernel, task, inOffset);
    if (failed(fromPosition)) return fromPosition;
    const toPosition = outOffset === 0 ? to.position : loadUser64(kernel, task, outOffset);
    if (failed(toPosition)) return toPosition;
    const length = Math.min(count, MAX_RW_COUNT);
    const overlaps =
      from.inode === to.inode && fromPosition < toPosition + length && toPosition < fromPosition + length;
    if (overlaps && length > 0) return EINVAL;
    const moved = copyBetween(kernel, task, from, fromPosition, to, toPosition, length);
    if (failed(moved)) return moved;
    if (inOffset === 0) from.position = fromPosition + moved;
    else if (failed(storeUser64(kernel, task, inOffset, fromPosition + moved))) return EFAULT;
    if (outOffset === 0) to.position = toPosition + moved;
    else if (failed(storeUser64(kernel, task, outOffset, toPosition + moved))) return EFAULT;
    return moved;
  },
});
