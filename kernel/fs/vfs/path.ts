// A place in the tree: a mount and a dentry in it.
import type { Dentry } from './dentry.ts';

export interface Path {
  readonly mount: number; // id in kernel.vfs.mounts
  readonly dentry: Dentry;
}
