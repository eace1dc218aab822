// Records of file locks, kept in the inode that they lock.
import type { WaitQueue } from '../../sched/wait-queue.ts';

/** A byte range that a process (fcntl) or an open file (OFD) has locked; end is the last byte, Infinity to the end of file. */
export interface RecordLock {
  /** `p` and the pid, or `f` and the open file's id. */
  readonly owner: string;
  readonly pid: number;
  readonly exclusive: boolean;
  readonly start: number;
  readonly end: number;
}

export interface FileLocks {
  /** flock(2): owners are open files' ids. */
  flock: { readonly file: number; readonly pid: number; readonly exclusive: boolean }[];
  /** Sorted by start within an owner. */
  records: RecordLock[];
  wait: WaitQueue;
}
