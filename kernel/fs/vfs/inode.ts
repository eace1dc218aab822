// The inode and the tables of operations that a file system brings. Kernel objects hold inodes by reference;
// getInode/putInode count users, so that an unlinked file lives until its last close.
import type { Failure } from '../../abi/errno.ts';
import type { AddressSpace } from '../../mm/address-space.ts';
import type { Kernel } from '../../state.ts';
import type { Task } from '../../sched/task.ts';
import type { WaitQueue } from '../../sched/wait-queue.ts';
import type { OpenFile } from './open-file.ts';

export type FileKind = 'file' | 'directory' | 'symlink' | 'block' | 'char' | 'fifo' | 'socket';

export interface Inode {
  readonly number: number;
  /** The super block's id in kernel.vfs.superBlocks. */
  readonly superBlock: number;
  /** Name of the file system type: picks inode operations. */
  readonly fs: string;
  kind: FileKind;
  /** Permission bits with setuid, setgid and sticky (07777). */
  mode: number;
  uid: number;
  gid: number;
  size: number;
  linkCount: number;
  /** For block and char: makeDevice(major, minor) of abi/device. */
  device: number;
  /** Wall-clock ns since 1970. */
  atimeNs: number;
  mtimeNs: number;
  ctimeNs: number;
  btimeNs: number;
  /** 512-byte sectors in use, st_blocks. */
  blocks: number;
  /** Users: dentries, open files, maps. */
  users: number;
  dirty: boolean;
  pages: AddressSpace | null;
  /** What the file system keeps: plain data, its shape known to that file system. */
  data: unknown;
  /** Name in fileOperations of what an open file of this inode does (default: the file system's, by kind). */
  fileOperations: string;
  /** inotify and lock records live with their folders, keyed by inode. */
  generation: number;
}

/** What stat(2) shows that is not in the inode, or a directory entry for getdents. */
export interface DirectoryEntry {
  readonly name: string;
  readonly inode: number;
  readonly kind: FileKind;
  /** Position (cookie) of the entry after this one. */
  readonly next: number;
}

/**
 * Operations of a file system on inodes. All may give BLOCKED (metadata must be read first): then nothing has changed.
 * vfs/ has checked names, permissions, mount rules and existence before it calls. Names are byte strings (latin1: one
 * char per byte), so any file name survives.
 */
export interface InodeOperations {
  lookup(kernel: Kernel, directory: Inode, name: string): Inode | Failure;
  create?(kernel: Kernel, directory: Inode, name: string, mode: number, owner: NewOwner): Inode | Failure;
  mkdir?(kernel: Kernel, directory: Inode, name: string, mode: number, owner: NewOwner): Inode | Failure;
  mknod?(kernel: Kernel, directory: Inode, name: string, kind: FileKind, mode: number, device: number, owner: NewOwner): Inode | Failure;
  symlink?(kernel: Kernel, directory: Inode, name: string, target: string, owner: NewOwner): Inode | Failure;
  link?(kernel: Kernel, directory: Inode, name: string, inode: Inode): number | Failure;
  unlink?(kernel: Kernel, directory: Inode, name: string, inode: Inode): number | Failure;
  rmdir?(kernel: Kernel, directory: Inode, name: string, inode: Inode): number | Failure;
  rename?(kernel: Kernel, from: Inode, name: string, to: Inode, newName: string, flags: number): number | Failure;
  readlink?(kernel: Kernel, inode: Inode): string | Failure;
  /** Entries from a cookie (0: start); at most `max`. */
  readDirectory?(kernel: Kernel, directory: Inode, position: number, max: number): readonly DirectoryEntry[] | Failure;
  truncate?(kernel: Kernel, inode: Inode, size: number): number | Failure;
  setAttributes?(kernel: Kernel, inode: Inode): number | Failure; // mode, owner, times have changed: make them durable later
  /** The last user is gone: free the inode's blocks when linkCount is 0. */
  evict?(kernel: Kernel, inode: Inode): number | Failure;
  getXattr?(kernel: Kernel, inode: Inode, name: string): Uint8Array | Failure;
  setXattr?(kernel: Kernel, inode: Inode, name: string, value: Uint8Array | null, flags: number): number | Failure;
  listXattr?(kernel: Kernel, inode: Inode): readonly string[] | Failure;
  fallocate?(kernel: Kernel, inode: Inode, mode: number, offset: number, length: number): number | Failure;
  /** Makes the inode (and its data, already written back) durable. */
  fsync?(kernel: Kernel, inode: Inode, dataOnly: boolean): number | Failure;
}

export interface NewOwner {
  readonly uid: number;
  readonly gid: number;
}

/** User memory to read from or write to, or a kernel buffer: what moves through read and write. */
export type Transfer =
  | { readonly kind: 'user'; readonly task: Task; readonly address: number; readonly length: number }
  | { readonly kind: 'kernel'; readonly bytes: Uint8Array };

/** What an open file does: by name, from fileOperations. Every function may give BLOCKED with nothing changed. */
export interface FileOperations {
  open?(kernel: Kernel, task: Task, file: OpenFile): number | Failure;
  /** Called when the last reference to the open file is dropped. Never blocks. */
  release?(kernel: Kernel, file: OpenFile): void;
  /** Reads at `position` (or the stream) and gives the count. The caller moves file.position. */
  read?(kernel: Kernel, task: Task, file: OpenFile, into: Transfer, position: number): number | Failure;
  write?(kernel: Kernel, task: Task, file: OpenFile, from: Transfer, position: number): number | Failure;
  seek?(kernel: Kernel, file: OpenFile, offset: number, whence: number): number | Failure;
  ioctl?(kernel: Kernel, task: Task, file: OpenFile, request: number, argument: number): number | Failure;
  /** POLL* bits that hold now, and the queues to sleep on for a change. */
  poll?(kernel: Kernel, file: OpenFile): { events: number; queues: readonly WaitQueue[] };
  mmap?(kernel: Kernel, task: Task, file: OpenFile): number | Failure;
  readDirectory?(kernel: Kernel, file: OpenFile, position: number, max: number): readonly DirectoryEntry[] | Failure;
  fsync?(kernel: Kernel, file: OpenFile, dataOnly: boolean): number | Failure;
  /** True for pipes, ttys, sockets: no position (ESPIPE). */
  readonly stream?: boolean;
}

export const inodeOperations: Record<string, InodeOperations> = {};
export const fileOperations: Record<string, FileOperations> = {};
