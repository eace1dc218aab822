// The inode and the tables of operations that a file system brings. Kernel objects hold inodes by reference;
// getInode/putInode count users, so that an unlinked file lives until its last close.
import type { Failure } from '../../abi/errno.ts';
import type { AddressSpace } from '../../mm/address-space.ts';
import type { Kernel } from '../../state.ts';
import type { Task } from '../../sched/task.ts';
import type { WaitQueue } from '../../sched/wait-queue.ts';
import type { FileLocks } from './lock-state.ts';
import type { OpenFile } from './open-file.ts';
import type { Path } from './path.ts';

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
  generation: number;
  /** Slab object that the inode owns, or -1. */
  slab: number;
  /** Virtual time of the last use, so that the shrinker leaves alone what a call holds right now. */
  touchedNs: number;
  /** Open files that write to it; negative: memories that execute it (i_writecount). Either refuses the other with ETXTBSY. */
  writers: number;
  /** flock(2) and fcntl(2) locks, made at the first one. */
  locks: FileLocks | null;
  /** inotify watches on it: ids of watches in kernel.vfs.watches. */
  watches: number[];
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
  /** Inodes live in memory only (tmpfs, proc): unused ones stay until the file system forgets them. */
  readonly inMemory?: boolean;
  /** The inode of a name, ENOENT, or BLOCKED. Users are counted by vfs/. */
  lookup(kernel: Kernel, directory: Inode, name: string): Inode | Failure;
  create?(kernel: Kernel, directory: Inode, name: string, mode: number, owner: NewOwner): Inode | Failure;
  mkdir?(kernel: Kernel, directory: Inode, name: string, mode: number, owner: NewOwner): Inode | Failure;
  mknod?(
    kernel: Kernel,
    directory: Inode,
    name: string,
    kind: FileKind,
    mode: number,
    device: number,
    owner: NewOwner,
  ): Inode | Failure;
  symlink?(kernel: Kernel, directory: Inode, name: string, target: string, owner: NewOwner): Inode | Failure;
  link?(kernel: Kernel, directory: Inode, name: string, inode: Inode): number | Failure;
  unlink?(kernel: Kernel, directory: Inode, name: string, inode: Inode): number | Failure;
  rmdir?(kernel: Kernel, directory: Inode, name: string, inode: Inode): number | Failure;
  rename?(
    kernel: Kernel,
    from: Inode,
    name: string,
    to: Inode,
    newName: string,
    flags: number,
  ): number | Failure;
  readlink?(kernel: Kernel, inode: Inode): string | Failure;
  /** Entries from a cookie (0: start), `.` and `..` among them; at most `max`. */
  readDirectory?(
    kernel: Kernel,
    directory: Inode,
    position: number,
    max: number,
  ): readonly DirectoryEntry[] | Failure;
  truncate?(kernel: Kernel, inode: Inode, size: number): number | Failure;
  setAttributes?(kernel: Kernel, inode: Inode): number | Failure; // mode, owner, times have changed: make them durable later
  /** evict must read or wait: the evict thread calls it. */
  readonly evictsLater?: boolean;
  /** Nobody uses the inode and it has no links: free it. BLOCKED only where evictsLater, or while pages are busy. */
  evict?(kernel: Kernel, inode: Inode): number | Failure;
  getXattr?(kernel: Kernel, inode: Inode, name: string): Uint8Array | Failure;
  setXattr?(
    kernel: Kernel,
    inode: Inode,
    name: string,
    value: Uint8Array | null,
    flags: number,
  ): number | Failure;
  listXattr?(kernel: Kernel, inode: Inode): readonly string[] | Failure;
  fallocate?(kernel: Kernel, inode: Inode, mode: number, offset: number, length: number): number | Failure;
  /** Makes the inode (and its data, already written back) durable. */
  fsync?(kernel: Kernel, inode: Inode, dataOnly: boolean): number | Failure;
  /** An unnamed file with no link (O_TMPFILE); link() may name it later. */
  tmpfile?(kernel: Kernel, directory: Inode, mode: number, owner: NewOwner): Inode | Failure;
  /**
   * Makes room for a write of [offset, offset + length) and gives how many bytes of it may go on (ENOSPC: none).
   * Called with the pages at hand, right before they are filled; sets inode.size when the file grows.
   */
  prepareWrite?(kernel: Kernel, inode: Inode, offset: number, length: number): number | Failure;
  /** Next offset of data or of a hole at or behind `offset` (ENXIO behind the end). */
  seekData?(kernel: Kernel, inode: Inode, offset: number, whence: 'data' | 'hole'): number | Failure;
  /** File systems whose names come and go by themselves (proc): false makes vfs/ look up anew. */
  revalidate?(kernel: Kernel, directory: Inode, name: string, inode: Inode | null): boolean;
  /** Magic links (/proc/PID/exe): where they lead, or null for an ordinary link whose text readlink gives. */
  followLink?(kernel: Kernel, task: Task, inode: Inode): Path | null | Failure;
  /** Instead of the mode bits; `mask` as access(2). */
  permission?(kernel: Kernel, task: Task, inode: Inode, mask: number): number | Failure;
  /** The first inode of its file system has attributes that are not written down: see that they will be. */
  dirtied?(kernel: Kernel, inode: Inode): void;
  /** stat(2) is about to show the inode: bring its fields up to date. */
  refresh?(kernel: Kernel, inode: Inode): void;
}

export interface NewOwner {
  readonly uid: number;
  readonly gid: number;
}

/** User memory to read from or write to, or a kernel buffer: what moves through read and write. */
export type Transfer =
  | { readonly kind: 'user'; readonly task: Task; readonly address: number; readonly length: number }
  | {
      readonly kind: 'kernel';
      readonly bytes: Uint8Array;
      /** The running call moves nothing else, so that what was moved before it slept may be kept in task.call. */
      readonly resumable?: boolean;
    };

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
  readDirectory?(
    kernel: Kernel,
    file: OpenFile,
    position: number,
    max: number,
  ): readonly DirectoryEntry[] | Failure;
  fsync?(kernel: Kernel, file: OpenFile, dataOnly: boolean): number | Failure;
  /** True for pipes, ttys, sockets: no position (ESPIPE). */
  readonly stream?: boolean;
}

export const inodeOperations: Record<string, InodeOperations> = {};
export const fileOperations: Record<string, FileOperations> = {};
