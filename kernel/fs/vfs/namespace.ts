// Making, linking, removing and renaming names. Each function checks in Linux's order, calls the file system once, and
// then brings the dentry cache in line, so that a BLOCKED from the file system leaves all as it was.
import {
  EBUSY, EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, EPERM, EXDEV, failed, type Failure,
} from '../../abi/errno.ts'; // prettier-ignore
import { FS_CAPABILITY, RENAME } from '../../abi/open-flags.ts';
import { S_ISGID } from '../../abi/stat.ts';
import type { Kernel } from '../../state.ts';
import type { Task } from '../../sched/task.ts';
import { deleteDentry, dropDentry, instantiate, moveDentry, unhash, type Dentry } from './dentry.ts';
import { inodeOperations, type FileKind, type Inode } from './inode.ts';
import { IN, notify, notifyGone } from './inotify.ts';
import { newMode, newOwner } from './open.ts';
import type { Path } from './path.ts';
import {
  checkDelete,
  checkPermission,
  checkWritable,
  hasCapability,
  MAY_EXEC,
  MAY_WRITE,
} from './permission.ts';
import { lookupChild, walkParent, type ParentWalk } from './walk.ts';

const isDots = (name: string): boolean => name === '.' || name === '..' || name === '';

interface NewPlace {
  readonly directory: Path;
  readonly parent: Inode;
  readonly dentry: Dentry;
}

/** Where a new name goes: the parent is there and writable, the name is free. */
function placeFor(
  kernel: Kernel,
  task: Task,
  base: Path | null,
  text: string,
  isDirectory: boolean,
): NewPlace | Failure {
  const walked = walkParent(kernel, task, base, text);
  if (failed(walked)) return walked;
  const { directory, name, slash } = walked;
  if (isDots(name)) return EEXIST;
  const dentry = lookupChild(kernel, directory.dentry, name);
  if (failed(dentry)) return dentry;
  if (dentry.inode !== null) return EEXIST;
  if (slash && !isDirectory) return ENOENT;
  const writable = checkWritable(kernel, directory);
  if (failed(writable)) return writable;
  const parent = directory.dentry.inode;
  if (parent === null || parent.linkCount === 0) return ENOENT;
  const allowed = checkPermission(kernel, task, parent, MAY_WRITE | MAY_EXEC);
  return failed(allowed) ? allowed : { directory, parent, dentry };
}

function settle(kernel: Kernel, place: NewPlace, inode: Inode | Failure): number | Failure {
  if (failed(inode)) return inode;
  instantiate(kernel, place.dentry, inode);
  notify(
    kernel,
    place.parent,
    inode.kind === 'directory' ? IN.CREATE | IN.ISDIR : IN.CREATE,
    place.dentry.name,
  );
  return 0;
}

export function makeDirectory(
  kernel: Kernel,
  task: Task,
  base: Path | null,
  text: string,
  mode: number,
): number | Failure {
  const place = placeFor(kernel, task, base, text, true);
  if (failed(place)) return place;
  const { parent, dentry } = place;
  const mkdir = inodeOperations[parent.fs]?.mkdir;
  if (mkdir === undefined) return EPERM;
  const bits = (mode & 0o1777 & ~task.fs.umask) | (parent.mode & S_ISGID);
  return settle(kernel, place, mkdir(kernel, parent, dentry.name, bits, newOwner(task, parent)));
}

export function makeNode(
  kernel: Kernel,
  task: Task,
  base: Path | null,
  text: string,
  kind: FileKind,
  mode: number,
  device: number,
): number | Failure {
  // prettier-ignore
  const place = placeFor(kernel, task, base, text, false);
  if (failed(place)) return place;
  const { parent, dentry } = place;
  if ((kind === 'char' || kind === 'block') && !hasCapability(task, FS_CAPABILITY.MKNOD)) return EPERM;
  const operations = inodeOperations[parent.fs];
  const owner = newOwner(task, parent);
  const bits = newMode(task, parent, mode);
  if (kind === 'file') {
    if (operations?.create === undefined) return EPERM;
    return settle(kernel, place, operations.create(kernel, parent, dentry.name, bits, owner));
  }
  if (operations?.mknod === undefined) return EPERM;
  return settle(kernel, place, operations.mknod(kernel, parent, dentry.name, kind, bits, device, owner));
}

/** bind(2) of a local socket: as makeNode, and gives the inode. */
export function makeSocketNode(kernel: Kernel, task: Task, text: string, mode: number): Inode | Failure {
  const place = placeFor(kernel, task, null, text, false);
  if (failed(place)) return place;
  const { parent, dentry } = place;
  const operations = inodeOperations[parent.fs];
  if (operations?.mknod === undefined) return EPERM;
  const inode = operations.mknod(
    kernel,
    parent,
    dentry.name,
    'socket',
    newMode(task, parent, mode),
    0,
    newOwner(task, parent),
  );
  const settled = settle(kernel, place, inode);
  return failed(settled) ? settled : inode;
}

export function makeSymlink(
  kernel: Kernel,
  task: Task,
  target: string,
  base: Path | null,
  text: string,
): number | Failure {
  if (target === '') return ENOENT;
  const place = placeFor(kernel, task, base, text, false);
  if (failed(place)) return place;
  const { parent, dentry } = place;
  const symlink = inodeOperations[parent.fs]?.symlink;
  if (symlink === undefined) return EPERM;
  return settle(kernel, place, symlink(kernel, parent, dentry.name, target, newOwner(task, parent)));
}

/** link(2): another name for what `from` is. */
export function makeLink(
  kernel: Kernel,
  task: Task,
  from: Path,
  base: Path | null,
  text: string,
): number | Failure {
  const { inode } = from.dentry;
  if (inode === null) return ENOENT;
  const place = placeFor(kernel, task, base, text, false);
  if (failed(place)) return place;
  const { parent, dentry, directory } = place;
  if (from.mount !== directory.mount || inode.superBlock !== parent.superBlock) return EXDEV;
  if (inode.kind === 'directory') return EPERM;
  const link = inodeOperations[parent.fs]?.link;
  if (link === undefined) return EPERM;
  const linked = link(kernel, parent, dentry.name, inode);
  if (failed(linked)) return linked;
  notify(kernel, inode, IN.ATTRIB, '', from.dentry);
  return settle(kernel, place, inode);
}

interface Victim {
  readonly directory: Path;
  readonly parent: Inode;
  readonly dentry: Dentry;
  readonly inode: Inode;
}

function victimOf(kernel: Kernel, walked: ParentWalk): Victim | Failure {
  const { directory, name } = walked;
  const dentry = lookupChild(kernel, directory.dentry, name);
  if (failed(dentry)) return dentry;
  const parent = directory.dentry.inode;
  if (dentry.inode === null || parent === null) return ENOENT;
  return { directory, parent, dentry, inode: dentry.inode };
}

export function removeFile(kernel: Kernel, task: Task, base: Path | null, text: string): number | Failure {
  const walked = walkParent(kernel, task, base, text);
  if (failed(walked)) return walked;
  if (isDots(walked.name)) return EISDIR;
  const victim = victimOf(kernel, walked);
  if (failed(victim)) return victim;
  const { parent, dentry, inode } = victim;
  if (walked.slash) return inode.kind === 'directory' ? EISDIR : ENOTDIR;
  const writable = checkWritable(kernel, walked.directory);
  if (failed(writable)) return writable;
  const allowed = checkDelete(kernel, task, parent, inode);
  if (failed(allowed)) return allowed;
  if (inode.kind === 'directory') return EISDIR;
  if (dentry.mounted > 0) return EBUSY;
  const result = inodeOperations[parent.fs]?.unlink?.(kernel, parent, dentry.name, inode) ?? EPERM;
  if (failed(result)) return result;
  notify(kernel, parent, IN.DELETE, dentry.name);
  notify(kernel, inode, IN.ATTRIB);
  if (inode.linkCount === 0) notifyGone(kernel, inode);
  deleteDentry(kernel, dentry);
  return 0;
}

export function removeDirectory(
  kernel: Kernel,
  task: Task,
  base: Path | null,
  text: string,
): number | Failure {
  const walked = walkParent(kernel, task, base, text);
  if (failed(walked)) return walked;
  if (isDots(walked.name)) {
    if (/(^|\/)\.\.\/*$/.test(text)) return ENOTEMPTY;
    return /(^|\/)\.\/*$/.test(text) ? EINVAL : EBUSY;
  }
  const victim = victimOf(kernel, walked);
  if (failed(victim)) return victim;
  const { parent, dentry, inode } = victim;
  const writable = checkWritable(kernel, walked.directory);
  if (failed(writable)) return writable;
  const allowed = checkDelete(kernel, task, parent, inode);
  if (failed(allowed)) return allowed;
  if (inode.kind !== 'directory') return ENOTDIR;
  if (dentry.mounted > 0) return EBUSY;
  const result = inodeOperations[parent.fs]?.rmdir?.(kernel, parent, dentry.name, inode) ?? EPERM;
  if (failed(result)) return result;
  notify(kernel, parent, IN.DELETE | IN.ISDIR, dentry.name);
  notifyGone(kernel, inode);
  deleteDentry(kernel, dentry);
  return 0;
}

function isBelow(dentry: Dentry, ancestor: Dentry): boolean {
  for (let current: Dentry | null = dentry; current !== null; current = current.parent)
    if (current === ancestor) return true;
  return false;
}

/** renameat2(2). */
export function renamePath(
  kernel: Kernel,
  task: Task,
  fromBase: Path | null,
  fromText: string,
  toBase: Path | null,
  toText: string,
  flags: number,
): number | Failure {
  // prettier-ignore
  if ((flags & ~(RENAME.NOREPLACE | RENAME.EXCHANGE)) !== 0) return EINVAL;
  if (flags === (RENAME.NOREPLACE | RENAME.EXCHANGE)) return EINVAL;
  const exchange = flags === RENAME.EXCHANGE;
  const from = walkParent(kernel, task, fromBase, fromText);
  if (failed(from)) return from;
  const to = walkParent(kernel, task, toBase, toText);
  if (failed(to)) return to;
  if (from.directory.mount !== to.directory.mount) return EXDEV;
  if (isDots(from.name)) return EBUSY;
  if (isDots(to.name)) return flags === RENAME.NOREPLACE ? EEXIST : EBUSY;
  const writable = checkWritable(kernel, from.directory);
  if (failed(writable)) return writable;
  const source = victimOf(kernel, from);
  if (failed(source)) return source;
  const target = lookupChild(kernel, to.directory.dentry, to.name);
  if (failed(target)) return target;
  const toParent = to.directory.dentry.inode;
  if (toParent === null || toParent.linkCount === 0) return ENOENT;
  if (flags === RENAME.NOREPLACE && target.inode !== null) return EEXIST;
  if (exchange && target.inode === null) return ENOENT;
  const sourceIsDirectory = source.inode.kind === 'directory';
  const targetIsDirectory = target.inode?.kind === 'directory';
  if (!sourceIsDirectory && from.slash) return ENOTDIR;
  if (!sourceIsDirectory && to.slash && (!exchange || !targetIsDirectory)) return ENOTDIR;
  if (isBelow(to.directory.dentry, source.dentry)) return EINVAL;
  if (isBelow(from.directory.dentry, target)) return exchange ? EINVAL : ENOTEMPTY;
  if (source.inode === target.inode) return 0; // two names of one file: nothing to do
  const leaving = checkDelete(kernel, task, source.parent, source.inode);
  if (failed(leaving)) return leaving;
  const arriving = target.inode === null
    ? checkPermission(kernel, task, toParent, MAY_WRITE | MAY_EXEC)
    : checkDelete(kernel, task, toParent, target.inode); // prettier-ignore
  if (failed(arriving)) return arriving;
  if (target.inode !== null && !exchange) {
    if (sourceIsDirectory && !targetIsDirectory) return ENOTDIR;
    if (!sourceIsDirectory && targetIsDirectory) return EISDIR;
  }
  if (
    sourceIsDirectory &&
    source.parent !== toParent &&
    failed(checkPermission(kernel, task, source.inode, MAY_WRITE))
  ) {
    return checkPermission(kernel, task, source.inode, MAY_WRITE); // its '..' changes
  }
  if (source.dentry.mounted > 0 || target.mounted > 0) return EBUSY;
  const rename = inodeOperations[source.parent.fs]?.rename;
  if (rename === undefined || source.inode.superBlock !== toParent.superBlock) return EXDEV;
  const result = rename(kernel, source.parent, from.name, toParent, to.name, flags);
  if (failed(result)) return result;
  moveNames(
    kernel,
    source,
    target,
    { parent: to.directory.dentry, inode: toParent, name: to.name },
    exchange,
  );
  return 0;
}

function moveNames(
  kernel: Kernel,
  source: Victim,
  target: Dentry,
  to: { parent: Dentry; inode: Inode; name: string },
  exchange: boolean,
): void {
  // prettier-ignore
  const { dentry, inode } = source;
  const replaced = target.inode;
  const oldName = dentry.name;
  const oldParent = source.directory.dentry;
  const isDirectory = inode.kind === 'directory' ? IN.ISDIR : 0;
  const cookie = ++kernel.vfs.lastMoveCookie;
  notify(kernel, source.parent, IN.MOVED_FROM | isDirectory, oldName, null, cookie);
  notify(kernel, to.inode, IN.MOVED_TO | isDirectory, to.name, null, cookie);
  notify(kernel, inode, IN.MOVE_SELF);
  if (exchange) {
    if (target.parent?.children.get(target.name) === target) target.parent.children.delete(target.name);
    moveDentry(dentry, to.parent, to.name);
    target.parent = oldParent;
    target.name = oldName;
    oldParent.children.set(oldName, target);
    return;
  }
  if (replaced !== null) {
    if (replaced.linkCount === 0 || replaced.kind === 'directory') notifyGone(kernel, replaced);
    unhash(kernel, target);
  } else dropDentry(kernel, target);
  moveDentry(dentry, to.parent, to.name);
}
