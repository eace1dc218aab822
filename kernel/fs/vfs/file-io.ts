// Reading and writing open files: the common entrance for all kinds, and regular files through the page cache.
//
// A read or write that sleeps half-way keeps what it has moved in task.call and goes on from there. A write brings the
// user's bytes and the pages together first, then lets the file system make room (prepareWrite), then copies: nothing
// between these last two steps can sleep, so that size, blocks and content always belong together.
import { BLOCKED, EBADF, EINVAL, EISDIR, failed, type Failure } from '../../abi/errno.ts';
import { O } from '../../abi/open-flags.ts';
import { writeBytes, fillPhysical } from '../../machine/index.ts';
import type { AddressSpace } from '../../mm/address-space.ts';
import { getFrame, putFrame } from '../../mm/buddy.ts';
import { grabPage, markDirty, readPage, truncatePages } from '../../mm/page-cache.ts';
import { writeBackSpace } from '../../mm/write-back.ts';
import { callProgress } from '../../sched/call-progress.ts';
import type { Kernel } from '../../state.ts';
import type { Task } from '../../sched/task.ts';
import { chargeNs } from '../../time/clock.ts';
import { costs } from '../../time/costs.ts';
import { dropPrivilegesOnWrite } from './attributes.ts';
import { writableLength } from './file-limits.ts';
import { fileOperations, inodeOperations, type Inode, type Transfer } from './inode.ts';
import { IN, notify } from './inotify.ts';
import { operationsOf, type OpenFile } from './open-file.ts';
import { touchFileAccess, touchModified } from './times.ts';
import { moveFrameToUser, moveFromUser, transferLength } from './transfer.ts';

const PAGE = 4096;
/** Pages that one step of a write fills. */
const CHUNK_PAGES = 16;

/** Reads at `position`; the caller moves file.position. */
export function readFile(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  into: Transfer,
  position: number,
): number | Failure {
  if (!file.readable) return EBADF;
  if (file.inode.kind === 'directory') return EISDIR;
  const { read } = operationsOf(file);
  if (read === undefined) return EINVAL;
  const count = read(kernel, task, file, into, position);
  if (failed(count)) return count;
  task.io.readChars += count;
  task.io.readCalls++;
  if (count > 0) notify(kernel, file.inode, IN.ACCESS, '', file.dentry);
  return count;
}

/** Writes at `position` (O_APPEND: at the end); the caller moves file.position. */
export function writeFile(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  from: Transfer,
  position: number,
): number | Failure {
  if (!file.writable) return EBADF;
  const { write } = operationsOf(file);
  if (write === undefined) return EINVAL;
  const count = write(kernel, task, file, from, position);
  if (failed(count)) return count;
  task.io.writeChars += count;
  task.io.writeCalls++;
  if (count > 0) notify(kernel, file.inode, IN.MODIFY, '', file.dentry);
  return count;
}

const isResumable = (transfer: Transfer): boolean => transfer.kind === 'user' || transfer.resumable === true;

/** Bytes that an earlier start of this call has moved. */
function doneSoFar(task: Task, transfer: Transfer): number {
  return isResumable(transfer) ? (task.call?.done ?? 0) : 0;
}

/** The end of a transfer that cannot go on: BLOCKED keeps what was moved, an error shows only when nothing was. */
function stop(task: Task, transfer: Transfer, done: number, why: Failure): number | Failure {
  if (why !== BLOCKED) return done > 0 ? done : why;
  if (done > 0 && isResumable(transfer)) callProgress(task).done = done;
  return why;
}

/** Reads from an address space whose content ends at `size`. */
export function readCached(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  space: AddressSpace,
  size: number,
  into: Transfer,
  position: number,
): number | Failure {
  // prettier-ignore
  const length = Math.min(transferLength(into), Math.max(0, size - position));
  let done = doneSoFar(task, into);
  while (done < length) {
    const at = position + done;
    const offset = at % PAGE;
    const frame = readPage(kernel, space, (at - offset) / PAGE, file.readAhead);
    if (failed(frame)) return stop(task, into, done, frame);
    const count = Math.min(PAGE - offset, length - done);
    chargeNs(kernel, (costs.copyPage.ns * count) / PAGE);
    const moved = moveFrameToUser(kernel, into, done, frame * PAGE + offset, count);
    if (failed(moved)) return stop(task, into, done, moved);
    done += count;
  }
  return done;
}

/** The range of pages that one step of a write covers. */
function stepLength(position: number, left: number): number {
  return Math.min(left, CHUNK_PAGES * PAGE - (position % PAGE));
}

/** Pages for [position, position + length), pinned; those wholly overwritten or behind the end are not read. */
function grabPages(
  kernel: Kernel,
  space: AddressSpace,
  size: number,
  position: number,
  length: number,
  fresh: number[],
): number[] | Failure {
  // prettier-ignore
  const frames: number[] = [];
  const end = position + length;
  for (let start = position - (position % PAGE); start < end; start += PAGE) {
    const coversContent = position <= start && end >= Math.min(start + PAGE, size);
    const overwrite = start >= size || coversContent;
    const isCached = space.pages.has(start / PAGE);
    const frame = grabPage(kernel, space, start / PAGE, { overwrite });
    if (!failed(frame) && !isCached && overwrite) fresh.push(start / PAGE);
    if (failed(frame)) {
      for (const pinned of frames) putFrame(kernel, pinned);
      return frame;
    }
    getFrame(kernel, frame);
    frames.push(frame);
  }
  return frames;
}

/** Pages that were taken to be overwritten and then were not: they do not hold what the disk holds. */
function dropFresh(kernel: Kernel, space: AddressSpace, fresh: readonly number[], keepBefore: number): void {
  for (const index of fresh) if (index * PAGE >= keepBefore) truncatePages(kernel, space, index, index + 1);
}

/** Copies bytes into grabbed pages; what lies behind the old end in them and is not written becomes zero. */
function fillPages(
  kernel: Kernel,
  space: AddressSpace,
  frames: readonly number[],
  size: number,
  position: number,
  bytes: Uint8Array,
): void {
  const end = position + bytes.length;
  let start = position - (position % PAGE);
  for (const frame of frames) {
    if (start >= end) return;
    const from = Math.max(start, position);
    const to = Math.min(start + PAGE, end);
    if (start >= size && from > start) fillPhysical(kernel.machine, frame * PAGE, 0, from - start);
    if (to >= size && to < start + PAGE)
      fillPhysical(kernel.machine, frame * PAGE + (to - start), 0, start + PAGE - to);
    writeBytes(kernel.machine, frame * PAGE + (from - start), bytes.subarray(from - position, to - position));
    markDirty(kernel, space, start / PAGE);
    start += PAGE;
  }
}

/** Asks for room; tells how much of the step may be written. */
export type PrepareWrite = (position: number, length: number) => number | Failure;

/** Writes `length` bytes of a transfer into an address space, step by step. `sizeOf` is asked anew at each step. */
export function writeCached(
  kernel: Kernel,
  task: Task,
  space: AddressSpace,
  sizeOf: () => number,
  from: Transfer,
  position: number,
  length: number,
  prepare: PrepareWrite,
): number | Failure {
  // prettier-ignore
  let done = doneSoFar(task, from);
  while (done < length) {
    const at = position + done;
    const step = stepLength(at, length - done);
    const bytes = moveFromUser(kernel, from, done, step);
    if (failed(bytes)) return stop(task, from, done, bytes);
    const size = sizeOf();
    const fresh: number[] = [];
    const frames = grabPages(kernel, space, size, at, step, fresh);
    if (failed(frames)) {
      dropFresh(kernel, space, fresh, 0);
      return stop(task, from, done, frames);
    }
    chargeNs(kernel, (costs.copyPage.ns * step) / PAGE);
    const granted = prepare(at, step);
    if (!failed(granted)) fillPages(kernel, space, frames, size, at, bytes.subarray(0, granted));
    for (const frame of frames) putFrame(kernel, frame);
    dropFresh(kernel, space, fresh, failed(granted) ? 0 : at + granted);
    if (failed(granted)) return stop(task, from, done, granted);
    done += granted;
    if (granted < step) break;
  }
  return done;
}

function isStart(data: unknown): data is { position: number } {
  return typeof data === 'object' && data !== null && 'position' in data;
}

function writeRegular(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  from: Transfer,
  position: number,
): number | Failure {
  const { inode } = file;
  const space = inode.pages;
  if (space === null) return EINVAL;
  const kept = isResumable(from) ? task.call?.data : null;
  const start = isStart(kept) ? kept.position : (file.flags & O.APPEND) !== 0 ? inode.size : position;
  const length = writableLength(kernel, task, inode, start, transferLength(from));
  if (failed(length)) return length;
  const prepareWrite = inodeOperations[inode.fs]?.prepareWrite;
  const prepare: PrepareWrite = (at, count) => {
    if (prepareWrite !== undefined) return prepareWrite(kernel, inode, at, count);
    inode.size = Math.max(inode.size, at + count);
    return count;
  };
  let count = writeCached(kernel, task, space, () => inode.size, from, start, length, prepare);
  if (!failed(count) && count > 0) {
    touchModified(kernel, inode);
    dropPrivilegesOnWrite(kernel, task, inode);
    if ((file.flags & O.DSYNC) !== 0) {
      const synced = syncFile(kernel, file, (file.flags & O.SYNC) !== O.SYNC);
      if (synced === BLOCKED) count = stop(task, from, count, BLOCKED);
      else if (failed(synced)) return synced;
    }
  }
  if (count === BLOCKED && task.call !== null && task.call.done > 0) task.call.data = { position: start };
  return count;
}

/** fsync(2): pages, then the file system's part. May give BLOCKED. */
export function syncFile(kernel: Kernel, file: OpenFile, dataOnly: boolean): number | Failure {
  const { fsync } = operationsOf(file);
  return fsync === undefined ? EINVAL : fsync(kernel, file, dataOnly);
}

export function syncInode(kernel: Kernel, inode: Inode, dataOnly: boolean): number | Failure {
  if (inode.pages !== null) {
    const written = writeBackSpace(kernel, inode.pages, { wait: true });
    if (failed(written)) return written;
  }
  return inodeOperations[inode.fs]?.fsync?.(kernel, inode, dataOnly) ?? 0;
}

fileOperations['file'] = {
  read(kernel, task, file, into, position) {
    const space = file.inode.pages;
    if (space === null) return EINVAL;
    const count = readCached(kernel, task, file, space, file.inode.size, into, position);
    if (!failed(count)) touchFileAccess(kernel, file);
    return count;
  },
  write: writeRegular,
  fsync: (kernel, file, dataOnly) => syncInode(kernel, file.inode, dataOnly),
};

fileOperations['directory'] = {
  readDirectory(kernel, file, position, max) {
    const entries =
      inodeOperations[file.inode.fs]?.readDirectory?.(kernel, file.inode, position, max) ?? EINVAL;
    if (!failed(entries)) touchFileAccess(kernel, file);
    return entries;
  },
  fsync: (kernel, file, dataOnly) => syncInode(kernel, file.inode, dataOnly),
};
