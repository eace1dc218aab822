// The open file (Linux's struct file): shared by descriptors after dup and fork, counted.
import type { Dentry } from './dentry.ts';
import type { Inode } from './inode.ts';

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
}
