// What a task has open and where it stands: exe, cwd, root, fd/, fdinfo/, mounts, mountinfo (proc(5)).
import { EACCES, ENOENT, type Failure } from '../abi/errno.ts';
import { MS } from '../abi/open-flags.ts';
import { majorOf, minorOf } from '../abi/device.ts';
import type { Mount } from '../fs/vfs/mount-state.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import { pathText, type Path } from '../fs/vfs/path.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { fileInfo } from './file-info.ts';
import { escapeBytes } from './text.ts';
import { guard, procFile, procLink, TASK_DIRECTORIES, taskFile, type Subject } from './tree.ts';

/** How /proc names a place: its path as the reader sees it, or what an unnamed file is. */
export function placeText(kernel: Kernel, reader: Task, file: OpenFile): string {
  const { inode, dentry } = file;
  if (inode.fs === 'anonymous') {
    if (inode.kind === 'fifo') return `pipe:[${inode.number}]`;
    if (inode.kind === 'socket') return `socket:[${inode.number}]`;
    return `anon_inode:${dentry?.name ?? ''}`;
  }
  if (dentry === null) return '(unnamed)';
  return textOf(kernel, reader, { mount: file.mount, dentry });
}

export function textOf(kernel: Kernel, reader: Task, path: Path): string {
  return pathText(kernel, path, reader.fs.root) ?? `(unreachable)/${path.dentry.name}`;
}

function placeOf(file: OpenFile | null | undefined): Path | Failure {
  return file?.dentry ? { mount: file.mount, dentry: file.dentry } : ENOENT;
}

const fileOfSubject = ({ task, names }: Subject): OpenFile | null | undefined =>
  task.files.open[Number(names.at(-1))];

for (const directory of TASK_DIRECTORIES) {
  guard([
    procLink(
      `${directory}/exe`,
      (kernel, { task, reader }) => (task.mm?.exe ? placeText(kernel, reader, task.mm.exe) : ENOENT),
      (_kernel, { task }) => placeOf(task.mm?.exe),
    ),
    procLink(
      `${directory}/cwd`,
      (kernel, { task, reader }) => (isGone(task) ? ENOENT : textOf(kernel, reader, task.fs.cwd)),
      (_kernel, { task }) => (isGone(task) ? ENOENT : task.fs.cwd),
    ),
    procLink(
      `${directory}/root`,
      (kernel, { task, reader }) => (isGone(task) ? ENOENT : textOf(kernel, reader, task.fs.root)),
      (_kernel, { task }) => (isGone(task) ? ENOENT : task.fs.root),
    ),
    procLink(
      `${directory}/fd/{fd}`,
      (kernel, subject) => {
        const file = fileOfSubject(subject);
        return file ? placeText(kernel, subject.reader, file) : ENOENT;
      },
      (_kernel, subject) => placeOf(fileOfSubject(subject)),
    ),
    procFile(`${directory}/fdinfo/{fd}`, 0o400, (kernel, subject) => {
      const file = fileOfSubject(subject);
      if (!file) return ENOENT;
      const closeOnExec = subject.task.files.closeOnExec[Number(subject.names.at(-1))] === true;
      return fileInfo(kernel, subject.reader, file, closeOnExec);
    }),
  ]);
}

const isGone = (task: Task): boolean => task.state === 'zombie' || task.state === 'dead';

const FLAG_WORDS: readonly (readonly [number, string])[] = [
  [MS.NOSUID, ',nosuid'], [MS.NODEV, ',nodev'], [MS.NOEXEC, ',noexec'], [MS.NOATIME, ',noatime'],
  [MS.NODIRATIME, ',nodiratime'], [MS.RELATIME, ',relatime'], [MS.NOSYMFOLLOW, ',nosymfollow'],
]; // prettier-ignore

const mountWords = (mount: Mount): string =>
  FLAG_WORDS.map(([bit, word]) => ((mount.flags & bit) === 0 ? '' : word)).join('');

const UNFIT = ' \t\n\\#';

/** Mounts that the reader can reach from its root, with their place as it sees them. */
function visibleMounts(kernel: Kernel, task: Task): { mount: Mount; place: string }[] {
  return [...kernel.vfs.mounts.values()].flatMap((mount) => {
    const place = pathText(kernel, { mount: mount.id, dentry: mount.root }, task.fs.root);
    return place === undefined ? [] : [{ mount, place }];
  });
}

taskFile('mounts', 0o444, (kernel, { task }) => {
  if (isGone(task)) return EACCES;
  return visibleMounts(kernel, task)
    .map(({ mount, place }) => {
      const superBlock = kernel.vfs.superBlocks.get(mount.superBlock);
      const access = superBlock?.readOnly === true || (mount.flags & MS.RDONLY) !== 0 ? 'ro' : 'rw';
      const source = escapeBytes(mount.source === '' ? 'none' : mount.source, UNFIT);
      return `${source} ${escapeBytes(place, UNFIT)} ${superBlock?.fs ?? 'none'} ${access}${mountWords(mount)}${superBlock?.options ?? ''} 0 0\n`;
    })
    .join('');
});

taskFile('mountinfo', 0o444, (kernel, { task }) => {
  if (isGone(task)) return EACCES;
  return visibleMounts(kernel, task)
    .map(({ mount, place }) => {
      const superBlock = kernel.vfs.superBlocks.get(mount.superBlock);
      const device = superBlock?.deviceNumber ?? 0;
      const access = (mount.flags & MS.RDONLY) !== 0 ? 'ro' : 'rw';
      const root = pathInside(mount);
      const source = escapeBytes(mount.source === '' ? 'none' : mount.source, UNFIT);
      const parent = mount.parent === mount.id ? 1 : mount.parent;
      return (
        `${mount.id} ${parent} ${majorOf(device)}:${minorOf(device)} ${escapeBytes(root, UNFIT)} ${escapeBytes(place, UNFIT)} ` +
        `${access}${mountWords(mount)} - ${superBlock?.fs ?? 'none'} ${source} ${superBlock?.readOnly === true ? 'ro' : 'rw'}${superBlock?.options ?? ''}\n`
      );
    })
    .join('');
});

/** The mounted part of its file system: '/' unless it is a bind mount of a directory below. */
function pathInside(mount: Mount): string {
  const names: string[] = [];
  for (let dentry = mount.root; dentry.parent !== null; dentry = dentry.parent) names.push(dentry.name);
  return `/${names.reverse().join('/')}`;
}

procLink('/proc/mounts', () => 'self/mounts');
