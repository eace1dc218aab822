// A mount: a super block's tree (or a part of it) hung over a directory.
import type { Dentry } from './dentry.ts';

export interface Mount {
  readonly id: number;
  /** The mount that it hangs in; its own id at the root of all. */
  parent: number;
  /** The directory in the parent that it covers. */
  mountpoint: Dentry;
  readonly root: Dentry;
  readonly superBlock: number;
  readonly source: string;
  /** MS_* bits of the mount itself: RDONLY NOSUID NODEV NOEXEC NOATIME NODIRATIME RELATIME. */
  flags: number;
  /** Open files, working directories and mounts inside. */
  users: number;
}
