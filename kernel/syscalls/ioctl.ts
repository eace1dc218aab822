// ioctl(2): what every file answers (FIOCLEX, FIONBIO, FIOASYNC, FIOQSIZE, FIONREAD of regular files), and for the rest the
// file's own operations.
import { EFAULT, ENOTTY, failed, type Failure } from '../abi/errno.ts';
import { O } from '../abi/open-flags.ts';
import { FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX, FIONREAD, FIOQSIZE } from '../abi/termios.ts';
import { fileOf } from '../fs/vfs/file-table.ts';
import { operationsOf, type OpenFile } from '../fs/vfs/open-file.ts';
import { put64 } from '../lib/bytes.ts';
import { loadUser32, storeUser32, writeUser } from '../mm/user-memory.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { FD, POINTER, syscall, UINT } from './declare.ts';

function setFlag(
  kernel: Kernel,
  task: Task,
  file: OpenFile,
  argument: number,
  flag: number,
): number | Failure {
  const on = loadUser32(kernel, task, argument);
  if (failed(on)) return on;
  file.flags = on === 0 ? file.flags & ~flag : file.flags | flag;
  return 0;
}

function fileSize(kernel: Kernel, task: Task, file: OpenFile, argument: number): number | Failure {
  const { kind, size } = file.inode;
  if (kind !== 'file' && kind !== 'directory' && kind !== 'symlink') return ENOTTY;
  const bytes = new Uint8Array(8);
  put64(bytes, 0, size);
  const written = writeUser(kernel, task, argument, bytes);
  return failed(written) ? EFAULT : 0;
}

export const ioctl = syscall({
  number: 16,
  name: 'ioctl',
  args: { fd: FD, request: UINT, argument: POINTER },
  run(kernel, task, { fd, request, argument }) {
    const file = fileOf(task, fd);
    if (failed(file)) return file;
    switch (request) {
      case FIOCLEX:
      case FIONCLEX:
        task.files.closeOnExec[fd] = request === FIOCLEX;
        return 0;
      case FIONBIO:
        return setFlag(kernel, task, file, argument, O.NONBLOCK);
      case FIOASYNC:
        return setFlag(kernel, task, file, argument, O.ASYNC);
      case FIOQSIZE:
        return fileSize(kernel, task, file, argument);
      default:
        if (request === FIONREAD && file.inode.kind === 'file' && operationsOf(file).ioctl === undefined) {
          return storeUser32(kernel, task, argument, Math.max(0, file.inode.size - file.position));
        }
        return operationsOf(file).ioctl?.(kernel, task, file, request, argument) ?? ENOTTY;
    }
  },
});
