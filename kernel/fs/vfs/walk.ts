// Path walk (man 7 path_resolution): from a text to a place in the tree, through mounts, `..`, symbolic links and the
// dentry cache. Nothing changes but the cache, so a walk that gives BLOCKED simply starts over.
import { ENAMETOOLONG, ENOENT, ENOTDIR, ELOOP, failed, type Failure } from '../../abi/errno.ts';
import { NAME_MAX } from '../../abi/open-flags.ts';
import type { Kernel } from '../../state.ts';
import type { Task } from '../../sched/task.ts';
import { charge, now } from '../../time/clock.ts';
import { addDentry, dropDentry, unhash, type Dentry } from './dentry.ts';
import { inodeOperations, type Inode } from './inode.ts';
import type { Path } from './path.ts';
import { checkPermission, MAY_EXEC } from './permission.ts';
import { touchAccessTime } from './times.ts';

const MAX_SYMLINKS = 40;

export interface WalkOptions {
  /** Follow a symbolic link in the last place. */
  readonly follow: boolean;
}

/** Where the last name of a path would be found. `name` is '' for the root itself. */
export interface ParentWalk {
  readonly directory: Path;
  readonly name: string;
  /** The path ended in a slash: it must be a directory. */
  readonly slash: boolean;
}

/** The place that a path names, from `base` (null: the working directory). */
export function walkPath(
  kernel: Kernel,
  task: Task,
  base: Path | null,
  text: string,
  options: WalkOptions,
): Path | Failure {
  const end = walk(kernel, task, base, text, { follow: options.follow, parent: false });
  return failed(end) ? end : end.directory;
}

/** Everything but the last name; that name is not looked up. */
export function walkParent(
  kernel: Kernel,
  task: Task,
  base: Path | null,
  text: string,
): ParentWalk | Failure {
  return walk(kernel, task, base, text, { follow: false, parent: true });
}

function walk(
  kernel: Kernel,
  task: Task,
  base: Path | null,
  text: string,
  options: { readonly follow: boolean; readonly parent: boolean },
): ParentWalk | Failure {
  if (text === '') return ENOENT;
  let path: Path = text.startsWith('/') ? task.fs.root : (base ?? task.fs.cwd);
  let rest = text;
  let symlinks = 0;
  for (;;) {
    let start = 0;
    while (rest.charCodeAt(start) === 47) start++;
    if (start === rest.length) return { directory: path, name: '', slash: true };
    let end = rest.indexOf('/', start);
    if (end < 0) end = rest.length;
    let after = end;
    while (rest.charCodeAt(after) === 47) after++;
    const isLast = after === rest.length;
    const slash = end < rest.length;
    const name = rest.slice(start, end);
    const searchable = checkSearchable(kernel, task, path);
    if (failed(searchable)) return searchable;
    if (isLast && options.parent) return { directory: path, name, slash };
    charge(kernel, 'pathComponent');
    if (name === '.') {
      if (isLast) return { directory: path, name: '', slash };
      rest = rest.slice(after);
      continue;
    }
    if (name === '..') {
      path = parentPath(kernel, task, path);
      if (isLast) return { directory: path, name: '', slash };
      rest = rest.slice(after);
      continue;
    }
    const dentry = lookupChild(kernel, path.dentry, name);
    if (failed(dentry)) return dentry;
    const { inode } = dentry;
    if (inode === null) return ENOENT;
    if (inode.kind === 'symlink' && (!isLast || slash || options.follow)) {
      if (++symlinks > MAX_SYMLINKS) return ELOOP;
      const target = followLink(kernel, task, inode);
      if (failed(target)) return target;
      if (typeof target !== 'string') {
        path = target;
        if (isLast) return slash && !isDirectory(path) ? ENOTDIR : { directory: path, name: '', slash };
        rest = rest.slice(after);
        continue;
      }
      if (target === '') return ENOENT;
      if (target.startsWith('/')) path = task.fs.root;
      rest = isLast ? target + (slash ? '/' : '') : `${target}/${rest.slice(after)}`;
      continue;
    }
    path = crossMounts(kernel, { mount: path.mount, dentry });
    if (isLast) {
      if (slash && !isDirectory(path)) return ENOTDIR;
      return { directory: path, name: '', slash };
    }
    rest = rest.slice(after);
  }
}

const isDirectory = (path: Path): boolean => path.dentry.inode?.kind === 'directory';

function checkSearchable(kernel: Kernel, task: Task, path: Path): number | Failure {
  const { inode } = path.dentry;
  if (inode === null) return ENOENT;
  if (inode.kind !== 'directory') return ENOTDIR;
  return checkPermission(kernel, task, inode, MAY_EXEC);
}

/** The child of a directory as the cache or the file system knows it; negative when there is none. */
export function lookupChild(kernel: Kernel, directory: Dentry, name: string): Dentry | Failure {
  const parent = directory.inode;
  if (parent === null) return ENOENT;
  const operations = inodeOperations[parent.fs];
  const cached = directory.children.get(name);
  if (cached !== undefined) {
    if (operations?.revalidate?.(kernel, parent, name, cached.inode) !== false) {
      cached.touchedNs = now(kernel);
      cached.referenced = true;
      return cached;
    }
    if (cached.users > 0 || cached.mounted > 0) unhash(kernel, cached);
    else dropDentry(kernel, cached);
  }
  if (name.length > NAME_MAX) return ENAMETOOLONG;
  if (operations === undefined) return ENOENT;
  const inode = parent.linkCount === 0 ? ENOENT : operations.lookup(kernel, parent, name);
  if (failed(inode) && inode !== ENOENT) return inode;
  return addDentry(kernel, directory, name, failed(inode) ? null : inode);
}

/** Where a symbolic link leads: a text to walk, or a place (magic links). */
export function followLink(kernel: Kernel, task: Task, inode: Inode): string | Path | Failure {
  const operations = inodeOperations[inode.fs];
  const place = operations?.followLink?.(kernel, task, inode) ?? null;
  if (place !== null) return place;
  const text = operations?.readlink?.(kernel, inode) ?? ENOENT;
  if (!failed(text)) touchAccessTime(kernel, inode, 0);
  return text;
}

/** Goes down into whatever is mounted here. */
export function crossMounts(kernel: Kernel, path: Path): Path {
  let current = path;
  while (current.dentry.mounted > 0) {
    const covering = findMountOn(kernel, current);
    if (covering === undefined) break;
    current = covering;
  }
  return current;
}

/** The root of the mount that covers exactly this place, the latest if several do. */
function findMountOn(kernel: Kernel, path: Path): Path | undefined {
  let found: Path | undefined;
  for (const mount of kernel.vfs.mounts.values()) {
    const covers =
      mount.parent === path.mount && mount.mountpoint === path.dentry && mount.id !== mount.parent;
    if (covers) found = { mount: mount.id, dentry: mount.root };
  }
  return found;
}

/** `..`: up through mounts, but never above the task's root. */
export function parentPath(kernel: Kernel, task: Task, path: Path): Path {
  let current = path;
  const { root } = task.fs;
  while (!(current.dentry === root.dentry && current.mount === root.mount)) {
    const mount = kernel.vfs.mounts.get(current.mount);
    if (mount !== undefined && current.dentry === mount.root && mount.parent !== mount.id) {
      current = { mount: mount.parent, dentry: mount.mountpoint };
      continue;
    }
    const { parent } = current.dentry;
    return parent === null ? current : crossMounts(kernel, { mount: current.mount, dentry: parent });
  }
  return current;
}
