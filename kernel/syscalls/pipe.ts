// pipe(2) and pipe2(2).
import { EINVAL, failed, type Failure } from '../abi/errno.ts';
import { O } from '../abi/open-flags.ts';
import { closeDescriptor, installFile } from '../fs/vfs/file-table.ts';
import { newAnonymousFileOf, newAnonymousInode, putFile, type OpenFile } from '../fs/vfs/open-file.ts';
import { newPipe, type Pipe, type PipeEnd } from '../ipc/pipe.ts';
import { put32 } from '../lib/bytes.ts';
import { faultInUser, writeUser } from '../mm/user-memory.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { FLAGS, POINTER, syscall } from './declare.ts';

interface PipeFiles {
  readonly read: OpenFile;
  readonly write: OpenFile;
}

/** The two open ends of a new pipe; both show the same inode. */
export function openPipe(kernel: Kernel, flags: number): PipeFiles | Failure {
  const inode = newAnonymousInode(kernel, 'fifo');
  if (failed(inode)) return inode;
  const pipe: Pipe = newPipe();
  const end: PipeEnd = { pipe, writerOpens: -1, fifo: '' };
  const read = newAnonymousFileOf(kernel, inode, 'pipe', end, O.RDONLY | (flags & O.NONBLOCK), 'pipe');
  if (failed(read)) return read;
  const write = newAnonymousFileOf(kernel, inode, 'pipe', end, O.WRONLY | (flags & O.NONBLOCK), 'pipe');
  if (failed(write)) {
    pipe.readers = 1;
    putFile(kernel, read);
    return write;
  }
  pipe.readers = pipe.writers = 1;
  return { read, write };
}

const ALLOWED = O.CLOEXEC | O.NONBLOCK | O.DIRECT;

function makePipe(kernel: Kernel, task: Task, address: number, flags: number): number | Failure {
  if (flags & ~ALLOWED) return EINVAL;
  const reachable = faultInUser(kernel, task, address, 8, 'write');
  if (failed(reachable)) return reachable;
  const files = openPipe(kernel, flags);
  if (failed(files)) return files;
  const closeOnExec = (flags & O.CLOEXEC) !== 0;
  const readFd = installFile(kernel, task, files.read, closeOnExec);
  const writeFd = failed(readFd) ? readFd : installFile(kernel, task, files.write, closeOnExec);
  if (failed(writeFd)) {
    if (failed(readFd)) putFile(kernel, files.read);
    else closeDescriptor(kernel, task, readFd);
    putFile(kernel, files.write);
    return writeFd;
  }
  const pair = new Uint8Array(8);
  put32(pair, 0, readFd);
  put32(pair, 4, writeFd);
  const written = writeUser(kernel, task, address, pair);
  return failed(written) ? written : 0;
}

export const pipe = syscall({
  number: 22,
  name: 'pipe',
  args: { fds: POINTER },
  run: (kernel, task, { fds }) => makePipe(kernel, task, fds, 0),
});

export const pipe2 = syscall({
  number: 293,
  name: 'pipe2',
  args: { fds: POINTER, flags: FLAGS },
  missing: 'O_DIRECT is accepted, but packets are not kept apart',
  run: (kernel, task, { fds, flags }) => makePipe(kernel, task, fds, flags),
});
