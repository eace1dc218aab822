// execve and execveat.
import { EBADF, EINVAL, ENOENT, failed, type Failure } from '../abi/errno.ts';
import { AT, AT_FDCWD } from '../abi/open-flags.ts';
import { anyFileOf } from '../fs/vfs/file-table.ts';
import { readUserString } from '../mm/user-memory.ts';
import type { ExecRequest } from '../process/exec-file.ts';
import { execTask } from '../process/exec.ts';
import { readStringVector } from '../process/user-strings.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { FD, FLAGS, PATH, POINTER, syscall } from './declare.ts';

const PATH_MAX = 4096;

export const execve = syscall({
  number: 59,
  name: 'execve',
  args: { path: PATH, argv: POINTER, envp: POINTER },
  run(kernel, task, { path, argv, envp }) {
    return readAndExec(kernel, task, path, argv, envp, (text) => ({
      base: null,
      file: null,
      shownName: text,
      noFollow: false,
    }));
  },
});

export const execveat = syscall({
  number: 322,
  name: 'execveat',
  args: { directory: FD, path: PATH, argv: POINTER, envp: POINTER, flags: FLAGS },
  run(kernel, task, { directory, path, argv, envp, flags }) {
    if ((flags & ~(AT.EMPTY_PATH | AT.SYMLINK_NOFOLLOW)) !== 0) return EINVAL;
    return readAndExec(kernel, task, path, argv, envp, (text) => place(task, directory, text, flags));
  },
});

type Place = Pick<ExecRequest, 'base' | 'file' | 'shownName' | 'noFollow'>;

/** Where execveat looks, and the /dev/fd name that the program sees. */
function place(task: Task, directory: number, text: string, flags: number): Place | Failure {
  const noFollow = (flags & AT.SYMLINK_NOFOLLOW) !== 0;
  if (text.startsWith('/') || directory === AT_FDCWD)
    return { base: null, file: null, shownName: text, noFollow };
  const file = anyFileOf(task, directory);
  if (failed(file)) return file;
  if (text === '') {
    if ((flags & AT.EMPTY_PATH) === 0) return ENOENT;
    return { base: null, file, shownName: `/dev/fd/${directory}`, noFollow };
  }
  if (file.dentry === null) return EBADF;
  return {
    base: { mount: file.mount, dentry: file.dentry },
    file: null,
    shownName: `/dev/fd/${directory}/${text}`,
    noFollow,
  };
}

function readAndExec(
  kernel: Kernel,
  task: Task,
  path: number,
  argvAddress: number,
  envpAddress: number,
  placeOf: (text: string) => Place | Failure,
): number | Failure {
  const text = readUserString(kernel, task, path, PATH_MAX);
  if (failed(text)) return text;
  const where = placeOf(text);
  if (failed(where)) return where;
  const argv = readStringVector(kernel, task, argvAddress);
  if (failed(argv)) return argv;
  const envp = readStringVector(kernel, task, envpAddress);
  if (failed(envp)) return envp;
  return execTask(kernel, task, { path: text, argv, envp, ...where });
}
