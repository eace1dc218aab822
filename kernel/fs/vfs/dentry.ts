// The dentry: a name in a directory and the inode it leads to, or none (negative).
import type { Inode } from './inode.ts';

export interface Dentry {
  readonly name: string; // one char per byte
  parent: Dentry | null; // null for a root
  inode: Inode | null;
  children: Map<string, Dentry>;
  /** Open files, cwds, mounts that hold it. */
  users: number;
  /** Id of the mount that covers it, or 0. */
  mounted: number;
  /** Removed from its directory (shown with " (deleted)"). */
  unlinked: boolean;
}
