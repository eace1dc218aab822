// proc and sysfs as file-system types over the declarations of tree.ts. Inodes are made when a name is looked up and
// forgotten with their last user; a text is made when a file is read from its start, and kept in the open file, so that
// one reader sees one consistent text.
import { EACCES, EINVAL, EIO, ENOENT, EPERM, ESRCH, failed, type Failure } from '../abi/errno.ts';
import { SEEK } from '../abi/open-flags.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import { newInode, newSuperBlock, superBlockOf } from '../fs/vfs/inode-cache.ts';
import {
  fileOperations, inodeOperations, type DirectoryEntry, type Inode, type Transfer,
} from '../fs/vfs/inode.ts'; // prettier-ignore
import { permits, actorOf } from '../fs/vfs/permission.ts';
import { fileSystemTypes, type SuperBlock } from '../fs/vfs/super-block.ts';
import { moveFromUser, moveToUser, transferLength } from '../fs/vfs/transfer.ts';
import { assert } from '../lib/assert.ts';
import { bytesOfLatin1, latin1 } from '../lib/bytes.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { mayInspect } from './access.ts';
import { childOf, nodes, tidOf, variables, type Node, type Subject } from './tree.ts';

/** What an inode of proc or sysfs keeps. */
interface ProcInode {
  readonly path: string;
  readonly names: readonly string[];
  /** Start of the task that the names mean, so that a later task of the same number is told apart; -1 for none. */
  readonly startNs: number;
}

const PROC_MAGIC = 0x9fa0;
const SYSFS_MAGIC = 0x6265_6572;

const procInodeOf = (inode: Inode): ProcInode => inode.data as ProcInode;

function nodeOf(inode: Inode): Node {
  const node = nodes.get(procInodeOf(inode).path);
  assert(node !== undefined, 'an inode of proc names a declared path');
  return node;
}

/** Who asks: the task on this CPU, or init for the kernel's own reads. */
export function readerOf(kernel: Kernel): Task | undefined {
  return kernel.sched.runQueues[kernel.cpu]?.current ?? kernel.tasks.get(1);
}

/** The task that an inode is about; undefined when it has ended or was another one. */
function taskOfInode(kernel: Kernel, inode: Inode): Task | undefined {
  const { names, startNs } = procInodeOf(inode);
  const tid = tidOf(nodeOf(inode), names);
  if (tid === 0) return readerOf(kernel);
  const task = kernel.tasks.get(tid);
  return task?.startNs === startNs ? task : undefined;
}

function subjectOf(kernel: Kernel, inode: Inode): Subject | Failure {
  const task = taskOfInode(kernel, inode);
  const reader = readerOf(kernel);
  if (task === undefined || reader === undefined) return ESRCH;
  return { task, reader, names: procInodeOf(inode).names };
}

/** A stable number for a path (FNV-1a): the same file has the same number in every run. */
function inodeNumber(node: Node, names: readonly string[]): number {
  let hash = 0x811c9dc5;
  const text = `${node.path}\0${names.join('\0')}`;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0) + 2 ** 32; // above the numbers that ordinary file systems give
}

function makeInode(
  kernel: Kernel,
  superBlock: SuperBlock,
  node: Node,
  names: readonly string[],
): Inode | Failure {
  const tid = tidOf(node, names);
  const data: ProcInode = {
    path: node.path,
    names,
    startNs: tid === 0 ? -1 : (kernel.tasks.get(tid)?.startNs ?? -1),
  };
  const inode = newInode(kernel, superBlock, {
    number: node.path === '/proc' || node.path === '/sys' ? 1 : inodeNumber(node, names),
    kind: node.kind, mode: node.mode, data, fileOperations: node.kind === 'file' ? 'proc' : node.kind === 'directory' ? 'directory' : '',
  }); // prettier-ignore
  if (failed(inode)) return inode;
  refresh(kernel, inode);
  return inode;
}

/** Owner and link count follow the task and the tree. */
function refresh(kernel: Kernel, inode: Inode): void {
  const node = nodeOf(inode);
  if (node.kind === 'directory')
    inode.linkCount = 2 + [...node.children.values()].filter(({ kind }) => kind === 'directory').length;
  if (inode.fs === 'sysfs' && node.kind === 'file') inode.size = 4096;
  if (!node.path.startsWith('/proc/{pid}')) return;
  const task = taskOfInode(kernel, inode);
  if (task === undefined) return;
  const isOpenToOwner = task.mm === null || task.mm.dumpable || node.mode === 0o555;
  inode.uid = isOpenToOwner ? task.credentials.euid : 0;
  inode.gid = isOpenToOwner ? task.credentials.egid : 0;
}

/** Whether the names of an inode still mean what they meant. */
function isCurrent(kernel: Kernel, inode: Inode): boolean {
  const { path, names } = procInodeOf(inode);
  if (tidOf(nodeOf(inode), names) !== 0 && taskOfInode(kernel, inode) === undefined) return false;
  const parts = path.split('/').filter((part) => part.startsWith('{'));
  const last = parts.length - 1;
  const variable = variables[parts[last] ?? ''];
  if (variable === undefined) return nodeOf(inode).exists?.(kernel, names) !== false;
  return variable.has(kernel, names.slice(0, last), names[last] ?? '');
}

function lookup(kernel: Kernel, directory: Inode, name: string): Inode | Failure {
  if (!isCurrent(kernel, directory)) return ENOENT;
  const found = childOf(kernel, nodeOf(directory), procInodeOf(directory).names, name);
  return found === null
    ? ENOENT
    : makeInode(kernel, superBlockOf(kernel, directory), found.node, found.names);
}

/** Declared names come first, then the variable ones; a cookie above VARIABLE counts into the latter. */
const VARIABLE = 1_000_000;

function readDirectory(
  kernel: Kernel,
  directory: Inode,
  position: number,
  max: number,
): readonly DirectoryEntry[] | Failure {
  if (!isCurrent(kernel, directory)) return ENOENT;
  const node = nodeOf(directory);
  const { names } = procInodeOf(directory);
  const entries: DirectoryEntry[] = [];
  const declared = [...node.children.values()].filter(({ name }) => !name.startsWith('{'));
  for (let index = position; index < declared.length && entries.length < max; index++) {
    const child = declared[index];
    if (child === undefined || child.exists?.(kernel, names) === false) continue;
    entries.push({ name: child.name, inode: inodeNumber(child, names), kind: child.kind, next: index + 1 });
  }
  const under = node.children.get(node.variable);
  const variable = variables[node.variable];
  if (under === undefined || variable === undefined) return entries;
  const listed = variable.list(kernel, names);
  for (const [index, name] of listed.entries()) {
    if (entries.length >= max) break;
    const next = VARIABLE + 1 + (/^\d+$/.test(name) ? Number(name) : index);
    if (position >= next) continue;
    entries.push({ name, inode: inodeNumber(under, [...names, name]), kind: under.kind, next });
  }
  return entries;
}

function isAllowed(kernel: Kernel, inode: Inode): boolean {
  if (!nodeOf(inode).guarded) return true;
  const subject = subjectOf(kernel, inode);
  return !failed(subject) && mayInspect(subject.reader, subject.task);
}

const operations = {
  lookup,
  readDirectory,
  readlink(kernel: Kernel, inode: Inode): string | Failure {
    const subject = subjectOf(kernel, inode);
    if (failed(subject)) return subject === ESRCH ? ENOENT : subject;
    if (!isAllowed(kernel, inode)) return EACCES;
    return nodeOf(inode).link?.(kernel, subject) ?? ENOENT;
  },
  followLink(kernel: Kernel, _task: Task, inode: Inode): ReturnType<NonNullable<Node['follow']>> {
    const { follow } = nodeOf(inode);
    if (follow === null) return null;
    const subject = subjectOf(kernel, inode);
    if (failed(subject)) return ENOENT;
    return isAllowed(kernel, inode) ? follow(kernel, subject) : EACCES;
  },
  revalidate(kernel: Kernel, _directory: Inode, _name: string, inode: Inode | null): boolean {
    if (inode === null || !isCurrent(kernel, inode)) return false;
    refresh(kernel, inode);
    return true;
  },
  permission(kernel: Kernel, task: Task, inode: Inode, mask: number): number | Failure {
    if (nodeOf(inode).kind === 'directory' && nodeOf(inode).guarded && !isAllowed(kernel, inode))
      return EACCES;
    return permits(actorOf(task), inode, mask) ? 0 : EACCES;
  },
  setAttributes: (): Failure => EPERM,
  refresh,
};

inodeOperations['proc'] = operations;
inodeOperations['sysfs'] = operations;

/** An open file: the text as of the last read from the start. */
interface ProcFile {
  text: Uint8Array | null;
}

const openFileData = (file: OpenFile): ProcFile => file.data as ProcFile;

fileOperations['proc'] = {
  open(kernel, _task, file) {
    file.data = { text: null } satisfies ProcFile;
    if (!nodeOf(file.inode).guarded) return 0;
    return isAllowed(kernel, file.inode) ? 0 : EACCES;
  },
  read(kernel, _task, file, into, position) {
    const data = openFileData(file);
    if (position === 0 || data.text === null) {
      const made = makeText(kernel, file.inode);
      if (failed(made)) return made;
      data.text = made;
    }
    const part = data.text.subarray(position, position + transferLength(into));
    if (part.length === 0) return 0;
    return moveToUser(kernel, into, 0, part);
  },
  write: writeText,
  seek(_kernel, file, offset, whence) {
    const target = whence === SEEK.SET ? offset : whence === SEEK.CUR ? file.position + offset : -1;
    return target < 0 ? EINVAL : target;
  },
};

function makeText(kernel: Kernel, inode: Inode): Uint8Array | Failure {
  const { show } = nodeOf(inode);
  if (show === null) return EIO;
  const subject = subjectOf(kernel, inode);
  if (failed(subject)) return subject;
  const text = show(kernel, subject);
  return typeof text === 'string' ? bytesOfLatin1(text) : text;
}

const WRITE_BYTES = 4096;

function writeText(kernel: Kernel, _task: Task, file: OpenFile, from: Transfer): number | Failure {
  const { write } = nodeOf(file.inode);
  if (write === null) return EIO;
  const count = transferLength(from);
  const bytes = moveFromUser(kernel, from, 0, Math.min(count, WRITE_BYTES));
  if (failed(bytes)) return bytes;
  const subject = subjectOf(kernel, file.inode);
  if (failed(subject)) return subject;
  const result = write(kernel, subject, latin1(bytes));
  return failed(result) ? result : count;
}

function mountTree(kernel: Kernel, fs: 'proc' | 'sysfs', options: string): SuperBlock | Failure {
  for (const known of kernel.vfs.superBlocks.values()) if (known.fs === fs) return known;
  const root = nodes.get(fs === 'proc' ? '/proc' : '/sys');
  assert(root !== undefined, 'proc and sysfs have a root');
  const superBlock = newSuperBlock(kernel, { fs, source: fs, options });
  const inode = makeInode(kernel, superBlock, root, []);
  if (failed(inode)) return inode;
  superBlock.root = inode;
  return superBlock;
}

for (const [fs, magic] of [['sysfs', SYSFS_MAGIC], ['proc', PROC_MAGIC]] as const) {
  fileSystemTypes[fs] = {
    name: fs,
    needsDevice: false,
    magic,
    mount: (kernel, request) => mountTree(kernel, fs, request.options),
  };
} // prettier-ignore
