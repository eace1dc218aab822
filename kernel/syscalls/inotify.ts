// inotify(7).
import { EINVAL, ENOTDIR, ENOENT, failed, type Failure } from '../abi/errno.ts';
import { AT, AT_FDCWD, O } from '../abi/open-flags.ts';
import { fileOf, installFile } from '../fs/vfs/file-table.ts';
import {
  addWatch,
  IN,
  IN_ALL_EVENTS,
  isInotify,
  newInotify,
  removeWatch,
  type Inotify,
} from '../fs/vfs/inotify.ts';
import { newAnonymousFile, putFile } from '../fs/vfs/open-file.ts';
import { checkPermission, MAY_READ } from '../fs/vfs/permission.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { FD, FLAGS, INT, PATH, syscall, UINT } from './declare.ts';
import { walkAt } from './path-arguments.ts';

function make(kernel: Kernel, task: Task, flags: number): number | Failure {
  if ((flags & ~(O.CLOEXEC | O.NONBLOCK)) !== 0) return EINVAL;
  const file = newAnonymousFile(
    kernel,
    'inotify',
    newInotify(),
    O.RDONLY | (flags & O.NONBLOCK),
    'file',
    'inotify',
  );
  if (failed(file)) return file;
  const fd = installFile(kernel, task, file, (flags & O.CLOEXEC) !== 0);
  if (failed(fd)) putFile(kernel, file);
  return fd;
}

export const inotifyInit = syscall({
  number: 253,
  name: 'inotify_init',
  args: {},
  run: (kernel, task) => make(kernel, task, 0),
});
export const inotifyInit1 = syscall({
  number: 294,
  name: 'inotify_init1',
  args: { flags: FLAGS },
  run: (kernel, task, { flags }) => make(kernel, task, flags),
});

function instanceOf(task: Task, fd: number): Inotify | Failure {
  const file = fileOf(task, fd);
  if (failed(file)) return file;
  return isInotify(file.data) ? file.data : EINVAL;
}

export const inotifyAddWatch = syscall({
  number: 254,
  name: 'inotify_add_watch',
  args: { fd: FD, path: PATH, mask: UINT },
  run(kernel, task, { fd, path, mask }) {
    if ((mask & IN_ALL_EVENTS) === 0) return EINVAL;
    if ((mask & IN.MASK_ADD) !== 0 && (mask & IN.MASK_CREATE) !== 0) return EINVAL;
    const instance = instanceOf(task, fd);
    if (failed(instance)) return instance;
    const place = walkAt(
      kernel,
      task,
      AT_FDCWD,
      path,
      (mask & IN.DONT_FOLLOW) !== 0 ? AT.SYMLINK_NOFOLLOW : 0,
    );
    if (failed(place)) return place;
    const { inode } = place.dentry;
    if (inode === null) return ENOENT;
    if ((mask & IN.ONLYDIR) !== 0 && inode.kind !== 'directory') return ENOTDIR;
    const allowed = checkPermission(kernel, task, inode, MAY_READ);
    return failed(allowed) ? allowed : addWatch(kernel, instance, inode, mask);
  },
});

export const inotifyRmWatch = syscall({
  number: 255,
  name: 'inotify_rm_watch',
  args: { fd: FD, watch: INT },
  run(kernel, task, { fd, watch }) {
    const instance = instanceOf(task, fd);
    return failed(instance) ? instance : removeWatch(kernel, instance, watch);
  },
});
