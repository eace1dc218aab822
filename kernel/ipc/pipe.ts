// Pipes and named pipes (pipe(7), fifo(7)): bytes between writers and readers, at most 16 pages unless F_SETPIPE_SZ says so.
import {
  BLOCKED,
  EAGAIN,
  EBUSY,
  EINVAL,
  ENOTTY,
  ENXIO,
  EPERM,
  EPIPE,
  failed,
  type Failure,
} from '../abi/errno.ts';
import { CAP, capabilityBit } from '../abi/capability.ts';
import { O } from '../abi/open-flags.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../abi/poll.ts';
import { SI_USER, SIGPIPE } from '../abi/signal.ts';
import { FIONREAD } from '../abi/termios.ts';
import { fileOperations, type FileOperations, type Transfer } from '../fs/vfs/inode.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import { transferLength } from '../fs/vfs/transfer.ts';
import { keepProgress, takeProgress, type Progress } from '../lib/progress.ts';
import { FRAME_BYTES } from '../mm/physical.ts';
import { storeUser32 } from '../mm/user-memory.ts';
import type { Task, Tid } from '../sched/task.ts';
import { newWaitQueue, sleepOn, wakeUp, type WaitQueue } from '../sched/wait-queue.ts';
import { signalTask } from '../signal/send.ts';
import { newSignalInfo } from '../signal/state.ts';
import type { Kernel } from '../state.ts';
import { charge } from '../time/clock.ts';
import {
  appendFrom,
  clearBuffer,
  copyBytes,
  dropBytes,
  newPageBuffer,
  tailRoom,
  type PageBuffer,
} from './page-buffer.ts';

export const PIPE_BUF = 4096;
const DEFAULT_PAGES = 16;

export interface Pipe {
  buffer: PageBuffer;
  capacityPages: number;
  /** Open ends. */
  readers: number;
  writers: number;
  /** How often each end was opened, so that an open can tell that its partner came, even if it has gone again. */
  readerOpens: number;
  writerOpens: number;
  /** Opens of a named pipe that wait for the other end. */
  openingReaders: Map<Tid, Opening>;
  openingWriters: Map<Tid, Opening>;
  readable: WaitQueue;
  writable: WaitQueue;
  writing: Progress;
}

interface Opening {
  /** Tells the task from another of the same tid. */
  readonly startNs: number;
  /** How often the other end had been opened when the wait began. */
  readonly partnerOpens: number;
}

export const newPipe = (): Pipe => ({
  buffer: newPageBuffer('pipe'), capacityPages: DEFAULT_PAGES, readers: 0, writers: 0, readerOpens: 0, writerOpens: 0,
  openingReaders: new Map(), openingWriters: new Map(), readable: newWaitQueue(), writable: newWaitQueue(), writing: new Map(),
}); // prettier-ignore

/** What an open end keeps. */
export interface PipeEnd {
  readonly pipe: Pipe;
  /** Writers that had come when a reader opened: without a newer one, an absent writer is not a hang-up. */
  readonly writerOpens: number;
  /** Key in kernel.ipc.fifos, '' for pipe(2). */
  readonly fifo: string;
}

export const pipeEndOf = (file: OpenFile): PipeEnd => file.data as PipeEnd;

function living(kernel: Kernel, openings: Map<Tid, Opening>): number {
  for (const [tid, { startNs }] of openings) {
    const task = kernel.tasks.get(tid);
    const waits = task?.startNs === startNs && !task.flags.exiting && task.process.groupExit === null;
    if (!waits) openings.delete(tid);
  }
  return openings.size;
}

const readersOf = (kernel: Kernel, pipe: Pipe): number =>
  pipe.readers + (pipe.openingReaders.size > 0 ? living(kernel, pipe.openingReaders) : 0);
const writersOf = (kernel: Kernel, pipe: Pipe): number =>
  pipe.writers + (pipe.openingWriters.size > 0 ? living(kernel, pipe.openingWriters) : 0);

/** Bytes that fit now. */
function roomOf(pipe: Pipe): number {
  return Math.max(0, pipe.capacityPages - pipe.buffer.frames.length) * FRAME_BYTES + tailRoom(pipe.buffer);
}

function readPipe(kernel: Kernel, task: Task, file: OpenFile, into: Transfer): number | Failure {
  const { pipe } = pipeEndOf(file);
  const count = transferLength(into);
  if (count === 0) return 0;
  if (pipe.buffer.length === 0) {
    if (writersOf(kernel, pipe) === 0) return 0;
    return file.flags & O.NONBLOCK ? EAGAIN : sleepOn(kernel, task, pipe.readable, 'pipe_read');
  }
  const moved = copyBytes(kernel, pipe.buffer, 0, count, into, 0);
  if (failed(moved)) return moved;
  dropBytes(kernel, pipe.buffer, moved);
  charge(kernel, 'pipeTransfer');
  wakeUp(kernel, pipe.writable);
  return moved;
}

/** Up to PIPE_BUF bytes go in whole or not at all; more goes in as room appears, and waits in between. */
function writePipe(kernel: Kernel, task: Task, file: OpenFile, from: Transfer): number | Failure {
  const { pipe } = pipeEndOf(file);
  const count = transferLength(from);
  let done = takeProgress(pipe.writing, task);
  if (count === 0) return 0;
  for (;;) {
    if (readersOf(kernel, pipe) === 0) {
      signalTask(
        kernel,
        task,
        newSignalInfo(SIGPIPE, SI_USER, { pid: task.process.pid, uid: task.credentials.uid }),
      );
      return done > 0 ? done : EPIPE;
    }
    const room = roomOf(pipe);
    const wanted = Math.min(count - done, room);
    const fits = count <= PIPE_BUF ? room >= count : room > 0;
    if (!fits) return waitForRoom(kernel, task, file, pipe, done);
    const added = appendFrom(kernel, pipe.buffer, from, done, Math.min(wanted, 16 * FRAME_BYTES));
    if (failed(added)) {
      if (added === BLOCKED) keepProgress(pipe.writing, task, done);
      return added !== BLOCKED && done > 0 ? done : added;
    }
    done += added;
    charge(kernel, 'pipeTransfer');
    wakeUp(kernel, pipe.readable);
    if (done === count) return done;
  }
}

function waitForRoom(kernel: Kernel, task: Task, file: OpenFile, pipe: Pipe, done: number): number | Failure {
  if (file.flags & O.NONBLOCK) return done > 0 ? done : EAGAIN;
  const waits = sleepOn(kernel, task, pipe.writable, 'pipe_write');
  if (waits !== BLOCKED && done > 0) return done;
  if (waits === BLOCKED) keepProgress(pipe.writing, task, done);
  return waits;
}

function pollPipe(kernel: Kernel, file: OpenFile): ReturnType<NonNullable<FileOperations['poll']>> {
  const { pipe, writerOpens } = pipeEndOf(file);
  let events = 0;
  if (file.readable) {
    if (pipe.buffer.length > 0) events |= POLLIN | POLLRDNORM;
    if (writersOf(kernel, pipe) === 0 && pipe.writerOpens !== writerOpens) events |= POLLHUP;
  }
  if (file.writable) {
    if (pipe.buffer.length === 0 || pipe.buffer.frames.length < pipe.capacityPages)
      events |= POLLOUT | POLLWRNORM;
    if (readersOf(kernel, pipe) === 0) events |= POLLERR;
  }
  return { events, queues: [pipe.readable, pipe.writable] };
}

function releasePipe(kernel: Kernel, file: OpenFile): void {
  const { pipe, fifo } = pipeEndOf(file);
  if (file.readable) pipe.readers--;
  if (file.writable) pipe.writers--;
  wakeUp(kernel, pipe.readable);
  wakeUp(kernel, pipe.writable);
  if (pipe.readers > 0 || pipe.writers > 0) return;
  clearBuffer(kernel, pipe.buffer);
  if (fifo !== '' && living(kernel, pipe.openingReaders) === 0 && living(kernel, pipe.openingWriters) === 0) {
    kernel.ipc.fifos.delete(fifo);
  }
}

/** Opening a named pipe waits for the other end (fifo(7)). */
function openFifo(kernel: Kernel, task: Task, file: OpenFile): number | Failure {
  const { inode } = file;
  const key = `${inode.superBlock}:${inode.number}`;
  const pipe = kernel.ipc.fifos.get(key) ?? newPipe();
  const waiting = waitForPartner(kernel, task, file, pipe);
  if (failed(waiting)) {
    const used = pipe.readers + pipe.writers + pipe.openingReaders.size + pipe.openingWriters.size > 0;
    if (used) kernel.ipc.fifos.set(key, pipe);
    else kernel.ipc.fifos.delete(key);
    return waiting;
  }
  kernel.ipc.fifos.set(key, pipe);
  file.operations = 'pipe';
  if (file.readable) pipe.readers++;
  if (file.writable) pipe.writers++;
  if (file.readable) pipe.readerOpens++;
  file.data = { pipe, writerOpens: file.writable ? -1 : pipe.writerOpens, fifo: key } satisfies PipeEnd;
  if (file.writable) pipe.writerOpens++;
  wakeUp(kernel, pipe.readable);
  wakeUp(kernel, pipe.writable);
  return 0;
}

function waitForPartner(kernel: Kernel, task: Task, file: OpenFile, pipe: Pipe): 0 | Failure {
  if (file.readable && file.writable) return 0;
  const [mine, partners, partnerOpens, queue] = file.readable
    ? ([pipe.openingReaders, writersOf(kernel, pipe), pipe.writerOpens, pipe.readable] as const)
    : ([pipe.openingWriters, readersOf(kernel, pipe), pipe.readerOpens, pipe.writable] as const);
  const known = mine.get(task.tid);
  const cameWhileWaiting = known?.startNs === task.startNs && known.partnerOpens !== partnerOpens;
  mine.delete(task.tid);
  if (partners > 0 || cameWhileWaiting) return 0;
  if (file.flags & O.NONBLOCK) return file.readable ? 0 : ENXIO;
  const waits = sleepOn(kernel, task, queue, 'wait_for_partner');
  if (waits === BLOCKED) {
    mine.set(task.tid, { startNs: task.startNs, partnerOpens: known?.partnerOpens ?? partnerOpens });
    wakeUp(kernel, file.readable ? pipe.writable : pipe.readable);
  }
  return waits;
}

const ends: FileOperations = {
  stream: true,
  release: releasePipe,
  read: readPipe,
  write: writePipe,
  poll: pollPipe,
  ioctl(kernel, task, file, request, argument) {
    return request === FIONREAD
      ? storeUser32(kernel, task, argument, pipeEndOf(file).pipe.buffer.length)
      : ENOTTY;
  },
};
fileOperations['pipe'] = ends;
fileOperations['fifo'] = { ...ends, open: openFifo };

/** F_GETPIPE_SZ. */
export function pipeCapacity(file: OpenFile): number | undefined {
  return file.operations === 'pipe' ? pipeEndOf(file).pipe.capacityPages * FRAME_BYTES : undefined;
}

/** F_SETPIPE_SZ: rounded up to a power of two of pages; gives the capacity. */
export function setPipeCapacity(kernel: Kernel, task: Task, file: OpenFile, bytes: number): number | Failure {
  if (bytes < 0 || bytes > 0x8000_0000) return EINVAL;
  let pages = 1;
  while (pages * FRAME_BYTES < bytes) pages *= 2;
  const { pipe } = pipeEndOf(file);
  const privileged = (task.credentials.effective & capabilityBit(CAP.SYS_RESOURCE)) !== 0n;
  if (pages > pipe.capacityPages && pages * FRAME_BYTES > kernel.ipc.pipeMaxBytes && !privileged)
    return EPERM;
  if (pages < pipe.buffer.frames.length) return EBUSY;
  pipe.capacityPages = pages;
  wakeUp(kernel, pipe.writable);
  return pages * FRAME_BYTES;
}
