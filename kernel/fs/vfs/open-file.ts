// The open file (Linux's struct file): shared by descriptors after dup and fork, counted.
import { ENFILE, failed, type Failure } from '../../abi/errno.ts';
import { O } from '../../abi/open-flags.ts';
import { assert } from '../../lib/assert.ts';
import { slabAllocate, slabFree } from '../../mm/slab.ts';
import type { Kernel } from '../../state.ts';
import { newInode, newSuperBlock, getInode, putInode } from './inode-cache.ts';
import { newRootDentry, type Dentry } from './dentry.ts';
import { fileOperations, type FileOperations, type Inode } from './inode.ts';
import { notifyClose } from './inotify.ts';
import { dropLocksOfFile } from './locks.ts';
import { getPath, putPath } from './path.ts';

export interface OpenFile {
  readonly id: number;
  users: number;
  readonly inode: Inode;
  /** Where it was opened; pipes and sockets have none. */
  readonly dentry: Dentry | null;
  /** The mount's id through which it was opened. */
  readonly mount: number;
  /** O_* status flags that fcntl(F_GETFL) shows. */
  flags: number;
  readonly readable: boolean;
  readonly writable: boolean;
  position: number;
  /** Name of the entry in fileOperations. */
  operations: string;
  /** What its operations keep: plain data (a pipe, a tty index, an epoll set …). */
  data: unknown;
  readAhead: { start: number; size: number; async: number; previous: number };
  /** F_SETOWN / SIGIO. */
  owner: number;
  /** Slab object, or -1. */
  slab: number;
}

const NO_OPERATIONS: FileOperations = {};

/** What an open file does. */
export function operationsOf(file: OpenFile): FileOperations {
  return fileOperations[file.operations] ?? NO_OPERATIONS;
}

/** A new open file with one user. Takes a user of the inode and of the place. */
export function newOpenFile(
  kernel: Kernel,
  inode: Inode,
  place: { readonly dentry: Dentry; readonly mount: number } | null,
  flags: number,
  operations: string,
): OpenFile | Failure {
  if (kernel.vfs.openFiles >= kernel.vfs.maxFiles) return ENFILE;
  const slab = slabAllocate(kernel, 'filp');
  if (failed(slab)) return slab;
  kernel.vfs.openFiles++;
  getInode(kernel, inode);
  if (place !== null) getPath(kernel, place);
  const access = flags & O.ACCMODE;
  const isPath = (flags & O.PATH) !== 0;
  const writable = !isPath && (access === O.WRONLY || access === O.RDWR);
  if (writable && inode.kind === 'file') inode.writers++;
  return {
    id: ++kernel.vfs.lastFile, users: 1, inode, dentry: place?.dentry ?? null, mount: place?.mount ?? 0,
    flags, readable: !isPath && access !== O.WRONLY, writable, position: 0, operations, data: null,
    readAhead: { start: 0, size: 0, async: 0, previous: -1 }, owner: 0, slab,
  }; // prettier-ignore
}

/** A file without a name (a pipe's end, a socket, an epoll set): `flags` are O_ access and status flags. */
export function newAnonymousFile(
  kernel: Kernel,
  operations: string,
  data: unknown,
  flags: number,
  kind: Inode['kind'] = 'file',
  name = 'anon_inode',
): OpenFile | Failure {
  const inode = newAnonymousInode(kernel, kind);
  if (failed(inode)) return inode;
  return newAnonymousFileOf(kernel, inode, operations, data, flags, name);
}

/** As newAnonymousFile, for an inode of newAnonymousInode (the two ends of a pipe share one). */
export function newAnonymousFileOf(
  kernel: Kernel,
  inode: Inode,
  operations: string,
  data: unknown,
  flags: number,
  name: string,
): OpenFile | Failure {
  const dentry = newRootDentry(kernel, inode, name);
  dentry.unlinked = true;
  const file = newOpenFile(kernel, inode, { dentry, mount: 0 }, flags, operations);
  if (failed(file)) {
    dentry.inode = null;
    putInode(kernel, inode);
    return file;
  }
  file.data = data;
  file.dentry?.children.clear();
  return file;
}

/** An inode without a file system; freed with its last open file. */
export function newAnonymousInode(kernel: Kernel, kind: Inode['kind'], mode = 0o600): Inode | Failure {
  const { vfs } = kernel;
  let superBlock = vfs.superBlocks.get(vfs.anonymousSuperBlock);
  if (superBlock === undefined) {
    superBlock = newSuperBlock(kernel, { fs: 'anonymous', source: 'anon_inodefs' });
    vfs.anonymousSuperBlock = superBlock.id;
  }
  return newInode(kernel, superBlock, { number: superBlock.nextInode++, kind, mode });
}

/** For as long as a program runs from the file, opening it for writing gives ETXTBSY (deny_write_access). */
export function denyWriteAccess(file: OpenFile): void {
  assert(file.inode.writers <= 0, 'a program that runs is not open for writing');
  file.inode.writers--;
}

export function allowWriteAccess(file: OpenFile): void {
  file.inode.writers++;
}

export function getFile(file: OpenFile): OpenFile {
  file.users++;
  return file;
}

/** Drops a reference; the last one releases the file. Never blocks. */
export function putFile(kernel: Kernel, file: OpenFile): void {
  if (--file.users > 0) return;
  notifyClose(kernel, file);
  operationsOf(file).release?.(kernel, file);
  dropLocksOfFile(kernel, file);
  if (file.writable && file.inode.kind === 'file') file.inode.writers--;
  kernel.vfs.openFiles--;
  if (file.slab >= 0) slabFree(kernel, 'filp', file.slab);
  if (file.dentry !== null) putPath(kernel, { mount: file.mount, dentry: file.dentry });
  putInode(kernel, file.inode);
}
