// open(2): walk, create, check, and make the open file. A call that blocks has created nothing yet, except that a file
// made by O_CREAT without O_EXCL may be found by the second start.
import {
  EACCES, EEXIST, EINVAL, EISDIR, ELOOP, ENOENT, ENOTDIR, ENXIO, EOPNOTSUPP, EPERM, EROFS, ETXTBSY, failed, type Failure,
} from '../../abi/errno.ts'; // prettier-ignore
import { MS, O, O_TMPFILE_BIT } from '../../abi/open-flags.ts';
import { S_ISGID } from '../../abi/stat.ts';
import type { Kernel } from '../../state.ts';
import type { Task } from '../../sched/task.ts';
import { slabFree } from '../../mm/slab.ts';
import { truncateInode } from './attributes.ts';
import { charOperations, findBlockDevice } from './devices.ts';
import { instantiate, newRootDentry, type Dentry } from './dentry.ts';
import { inodeOperations, type FileOperations, type Inode, type NewOwner } from './inode.ts';
import { putInode } from './inode-cache.ts';
import { notify, IN } from './inotify.ts';
import { newOpenFile, operationsOf, type OpenFile } from './open-file.ts';
import { putPath, type Path } from './path.ts';
import {
  checkPermission,
  checkWritable,
  isReadOnly,
  MAY_EXEC,
  MAY_READ,
  MAY_WRITE,
  inGroup,
  actorOf,
  ownsOrMay,
} from './permission.ts';
import { crossMounts, followLink, lookupChild, walkParent, walkPath } from './walk.ts';

const CREATION_FLAGS = O.CREAT | O.EXCL | O.NOCTTY | O.TRUNC | O.CLOEXEC;
const MAX_LINKS = 40;

/** Opens what a path names, from `base` (null: the working directory). `mode` counts only when a file is made. */
export function openPath(
  kernel: Kernel,
  task: Task,
  base: Path | null,
  text: string,
  flags: number,
  mode = 0,
): OpenFile | Failure {
  if ((flags & O.PATH) !== 0) {
    const path = walkPath(kernel, task, base, text, { follow: (flags & O.NOFOLLOW) === 0 });
    if (failed(path)) return path;
    if ((flags & O.DIRECTORY) !== 0 && path.dentry.inode?.kind !== 'directory') return ENOTDIR;
    return path.dentry.inode === null
      ? ENOENT
      : newOpenFile(kernel, path.dentry.inode, path, flags & (O.PATH | O.DIRECTORY | O.NOFOLLOW), '');
  }
  if ((flags & O_TMPFILE_BIT) !== 0) return openTemporary(kernel, task, base, text, flags, mode);
  if ((flags & O.CREAT) !== 0) return openCreating(kernel, task, base, text, flags, mode);
  const path = walkPath(kernel, task, base, text, { follow: (flags & O.NOFOLLOW) === 0 });
  return failed(path) ? path : openAt(kernel, task, path, flags);
}

function openCreating(
  kernel: Kernel,
  task: Task,
  base: Path | null,
  text: string,
  flags: number,
  mode: number,
): OpenFile | Failure {
  let from = base;
  let rest = text;
  for (let links = 0; links <= MAX_LINKS; links++) {
    const parent = walkParent(kernel, task, from, rest);
    if (failed(parent)) return parent;
    const { directory, name, slash } = parent;
    if (name === '' || name === '.' || name === '..') return (flags & O.EXCL) !== 0 ? EEXIST : EISDIR;
    if (slash) return EISDIR;
    const dentry = lookupChild(kernel, directory.dentry, name);
    if (failed(dentry)) return dentry;
    if (dentry.inode === null) return createAndOpen(kernel, task, directory, dentry, flags, mode);
    if ((flags & O.EXCL) !== 0) return EEXIST;
    if (dentry.inode.kind !== 'symlink') {
      const path = crossMounts(kernel, { mount: directory.mount, dentry });
      if (path.dentry.inode?.kind === 'directory') return EISDIR;
      return openAt(kernel, task, path, flags);
    }
    if ((flags & O.NOFOLLOW) !== 0) return ELOOP;
    const target = followLink(kernel, task, dentry.inode);
    if (failed(target)) return target;
    if (typeof target !== 'string') return openAt(kernel, task, target, flags);
    from = directory;
    rest = target;
  }
  return ELOOP;
}

function createAndOpen(
  kernel: Kernel,
  task: Task,
  directory: Path,
  dentry: Dentry,
  flags: number,
  mode: number,
): OpenFile | Failure {
  const parent = directory.dentry.inode;
  if (parent === null || parent.linkCount === 0) return ENOENT;
  const writable = checkWritable(kernel, directory);
  if (failed(writable)) return writable;
  const allowed = checkPermission(kernel, task, parent, MAY_WRITE | MAY_EXEC);
  if (failed(allowed)) return allowed;
  if ((flags & O.DIRECTORY) !== 0) return EINVAL;
  const create = inodeOperations[parent.fs]?.create;
  if (create === undefined) return EACCES;
  const inode = create(kernel, parent, dentry.name, newMode(task, parent, mode), newOwner(task, parent));
  if (failed(inode)) return inode;
  instantiate(kernel, dentry, inode);
  notify(kernel, parent, IN.CREATE, dentry.name);
  return makeFile(kernel, task, { mount: directory.mount, dentry }, inode, flags & ~O.TRUNC);
}

/** Mode of a new file: umask; a foreign group's setgid bit only for members. */
export function newMode(task: Task, parent: Inode, mode: number): number {
  let bits = mode & 0o7777 & ~task.fs.umask;
  const inherits = (parent.mode & S_ISGID) !== 0;
  if (inherits && (bits & 0o2010) === 0o2010 && !inGroup(actorOf(task), parent.gid)) bits &= ~S_ISGID;
  return bits;
}

/** Owner of a new file: the task, or the group of a setgid directory. */
export function newOwner(task: Task, parent: Inode): NewOwner {
  const inherits = (parent.mode & S_ISGID) !== 0;
  return { uid: task.credentials.fsuid, gid: inherits ? parent.gid : task.credentials.fsgid };
}

function openTemporary(
  kernel: Kernel,
  task: Task,
  base: Path | null,
  text: string,
  flags: number,
  mode: number,
): OpenFile | Failure {
  if ((flags & O.DIRECTORY) === 0 || (flags & O.ACCMODE) === O.RDONLY) return EINVAL;
  const directory = walkPath(kernel, task, base, text, { follow: true });
  if (failed(directory)) return directory;
  const parent = directory.dentry.inode;
  if (parent?.kind !== 'directory') return ENOTDIR;
  const writable = checkWritable(kernel, directory);
  if (failed(writable)) return writable;
  const allowed = checkPermission(kernel, task, parent, MAY_WRITE | MAY_EXEC);
  if (failed(allowed)) return allowed;
  const tmpfile = inodeOperations[parent.fs]?.tmpfile;
  if (tmpfile === undefined) return EOPNOTSUPP;
  const inode = tmpfile(kernel, parent, newMode(task, parent, mode), newOwner(task, parent));
  if (failed(inode)) return inode;
  const dentry = newRootDentry(kernel, inode, `#${inode.number}`);
  dentry.unlinked = true;
  return makeFile(
    kernel,
    task,
    { mount: directory.mount, dentry },
    inode,
    flags & ~(O_TMPFILE_BIT | O.DIRECTORY | O.CREAT),
  );
}

/** Opens the inode at a place that a walk has found. */
export function openAt(kernel: Kernel, task: Task, path: Path, flags: number): OpenFile | Failure {
  const { inode } = path.dentry;
  if (inode === null) return ENOENT;
  if (inode.kind === 'symlink') return ELOOP;
  if ((flags & O.DIRECTORY) !== 0 && inode.kind !== 'directory') return ENOTDIR;
  const access = flags & O.ACCMODE;
  const wantsWrite = access !== O.RDONLY || (flags & O.TRUNC) !== 0;
  if (inode.kind === 'directory' && wantsWrite) return EISDIR;
  const isDevice = inode.kind === 'char' || inode.kind === 'block';
  if (isDevice && ((kernel.vfs.mounts.get(path.mount)?.flags ?? 0) & MS.NODEV) !== 0) return EACCES;
  const mask = (access === O.WRONLY ? 0 : MAY_READ) | (wantsWrite ? MAY_WRITE : 0);
  const allowed = checkPermission(kernel, task, inode, mask);
  if (failed(allowed)) return allowed;
  if (wantsWrite && (inode.kind === 'file' || inode.kind === 'directory') && isReadOnly(kernel, path))
    return EROFS;
  if ((flags & O.NOATIME) !== 0 && !ownsOrMay(task, inode)) return EPERM;
  if (wantsWrite && inode.kind === 'file' && inode.writers < 0) return ETXTBSY;
  if ((flags & O.TRUNC) !== 0 && inode.kind === 'file' && inode.size > 0) {
    const truncated = truncateInode(kernel, inode, 0);
    if (failed(truncated)) return truncated;
  }
  return makeFile(kernel, task, path, inode, flags);
}

function operationsName(kernel: Kernel, inode: Inode): string | Failure {
  if (inode.fileOperations !== '') return inode.fileOperations;
  if (inode.kind === 'char') return charOperations(inode.device) ?? ENXIO;
  if (inode.kind === 'block')
    return findBlockDevice(kernel, inode.device) === undefined ? ENXIO : 'block-file';
  return ENXIO; // a socket is reached by connect
}

function makeFile(kernel: Kernel, task: Task, path: Path, inode: Inode, flags: number): OpenFile | Failure {
  const operations = operationsName(kernel, inode);
  if (typeof operations !== 'string') return operations;
  const file = newOpenFile(kernel, inode, path, flags | O.LARGEFILE, operations);
  if (failed(file)) return file;
  const open: FileOperations['open'] = operationsOf(file).open;
  const opened = open?.(kernel, task, file) ?? 0;
  if (failed(opened)) {
    discard(kernel, file, path);
    return opened;
  }
  file.flags &= ~CREATION_FLAGS;
  notify(kernel, inode, IN.OPEN, '', file.dentry);
  return file;
}

/** Takes back a file that was never open. */
function discard(kernel: Kernel, file: OpenFile, path: Path): void {
  if (file.writable && file.inode.kind === 'file') file.inode.writers--;
  kernel.vfs.openFiles--;
  slabFree(kernel, 'filp', file.slab);
  putPath(kernel, path);
  putInode(kernel, file.inode);
}
