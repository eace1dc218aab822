// VfsState: super blocks, mounts, the dentry cache, open files and inotify.
import { newWaitQueue, type WaitQueue } from '../../sched/wait-queue.ts';
import type { Dentry } from './dentry.ts';
import type { Inode } from './inode.ts';
import type { Mount } from './mount-state.ts';
import type { SuperBlock } from './super-block.ts';
import type { Watch } from './inotify.ts';

export interface VfsState {
  superBlocks: Map<number, SuperBlock>;
  /** By id, in the order of mounting. */
  mounts: Map<number, Mount>;
  /** The mount at the root of the tree, 0 before mountRoot. */
  rootMount: number;
  lastSuperBlock: number;
  lastMount: number;
  lastFile: number;
  lastAnonymousDevice: number;
  openFiles: number;
  /** /proc/sys/fs/file-max */
  maxFiles: number;
  /** /proc/sys/fs/nr_open */
  maxDescriptors: number;
  /** Every dentry but roots, longest in the cache first. */
  dentries: Set<Dentry>;
  negativeDentries: number;
  /** Inodes that nobody uses but whose pages may be of use again. */
  unusedInodes: Set<Inode>;
  inodeCount: number;
  /** Inodes without links and users that their file system could not free at once: the evict thread's work. */
  doomed: Set<Inode>;
  doomedThread: WaitQueue;
  /** Woken when one of them is gone. */
  doomedDone: WaitQueue;
  /** Kernel threads that file systems need and that could not start yet. */
  wantedThreads: { readonly name: string; readonly comm: string; readonly data: unknown }[];
  /** Threads that were asked for: a device's journal, 'evict'. */
  threads: Set<string>;
  /** What file systems keep about mounts that are under way, by device name. */
  mounting: Map<string, unknown>;
  /** Super block of inodes without a file system (pipes, sockets, anonymous files), 0 until the first one. */
  anonymousSuperBlock: number;
  watches: Map<number, Watch>;
  lastWatch: number;
  lastMoveCookie: number;
  /** Super blocks that are being unmounted: others wait for the end. */
  unmounting: Set<number>;
  unmounted: WaitQueue;
  /** Who waits for which fcntl lock owner, to find deadlocks: waiting owner → owner. */
  lockWaits: Map<string, string>;
}

export const newVfsState = (): VfsState => ({
  superBlocks: new Map(), mounts: new Map(), rootMount: 0, lastSuperBlock: 0, lastMount: 0, lastFile: 0,
  lastAnonymousDevice: 0, openFiles: 0, maxFiles: 100_000, maxDescriptors: 1_048_576, dentries: new Set(),
  negativeDentries: 0, unusedInodes: new Set(), inodeCount: 0, doomed: new Set(),
  doomedThread: newWaitQueue(), doomedDone: newWaitQueue(), wantedThreads: [], threads: new Set(), mounting: new Map(), anonymousSuperBlock: 0, watches: new Map(), lastWatch: 0,
  lastMoveCookie: 0, unmounting: new Set(), unmounted: newWaitQueue(), lockWaits: new Map(),
}); // prettier-ignore
