// The dentry: a name in a directory and the inode it leads to, or none (negative). The cache holds every dentry that a
// walk has met; the shrinker takes leaves that nobody uses. An unlinked directory entry that is in use leaves the tree
// and keeps its inode.
import { failed, type Failure } from '../../abi/errno.ts';
import { slabAllocate, slabFree } from '../../mm/slab.ts';
import type { Kernel } from '../../state.ts';
import { now } from '../../time/clock.ts';
import { getInode, putInode } from './inode-cache.ts';
import type { Inode } from './inode.ts';

export interface Dentry {
  name: string; // one char per byte
  parent: Dentry | null; // null for a root
  inode: Inode | null;
  children: Map<string, Dentry>;
  /** Open files, cwds, mounts that hold it. */
  users: number;
  /** How many mounts cover it. */
  mounted: number;
  /** Removed from its directory (shown with " (deleted)"). */
  unlinked: boolean;
  /** Slab object that the dentry owns, or -1. */
  slab: number;
  /** Virtual time of the last use by a path walk. */
  touchedNs: number;
  /** Used since the shrinker last came by. */
  referenced: boolean;
}

/** A dentry without a place in a tree: the root of a super block, an anonymous file, an unnamed temporary file. */
export function newRootDentry(kernel: Kernel, inode: Inode, name = '/'): Dentry {
  getInode(kernel, inode);
  return {
    name, parent: null, inode, children: new Map(), users: 0, mounted: 0, unlinked: false, slab: -1,
    touchedNs: now(kernel), referenced: true,
  }; // prettier-ignore
}

/** Enters a name under its parent; `inode` null makes it negative. */
export function addDentry(
  kernel: Kernel,
  parent: Dentry,
  name: string,
  inode: Inode | null,
): Dentry | Failure {
  const slab = slabAllocate(kernel, 'dentry');
  if (failed(slab)) return slab;
  const dentry: Dentry = {
    name, parent, inode: null, children: new Map(), users: 0, mounted: 0, unlinked: false, slab,
    touchedNs: now(kernel), referenced: true,
  }; // prettier-ignore
  if (inode !== null) dentry.inode = getInode(kernel, inode);
  else kernel.vfs.negativeDentries++;
  parent.children.set(name, dentry);
  kernel.vfs.dentries.add(dentry);
  return dentry;
}

/** A negative dentry gets its inode. */
export function instantiate(kernel: Kernel, dentry: Dentry, inode: Inode): void {
  if (dentry.inode === null) kernel.vfs.negativeDentries--;
  dentry.inode = getInode(kernel, inode);
}

/** The name was removed: the dentry turns negative, or leaves the tree when it is in use. */
export function deleteDentry(kernel: Kernel, dentry: Dentry): void {
  const { inode } = dentry;
  if (inode === null) return;
  pruneChildren(kernel, dentry);
  if (dentry.users > 0 || dentry.children.size > 0) {
    unhash(kernel, dentry);
    return;
  }
  dentry.inode = null;
  kernel.vfs.negativeDentries++;
  putInode(kernel, inode);
}

/** Takes a dentry out of its directory's cache; who holds it goes on using it. */
export function unhash(kernel: Kernel, dentry: Dentry): void {
  if (dentry.parent?.children.get(dentry.name) === dentry) dentry.parent.children.delete(dentry.name);
  dentry.unlinked = true;
  kernel.vfs.dentries.delete(dentry);
  if (dentry.inode === null) kernel.vfs.negativeDentries--;
  if (dentry.users === 0) freeDentry(kernel, dentry);
}

/** Takes a dentry that nobody uses out of the cache. */
export function dropDentry(kernel: Kernel, dentry: Dentry): void {
  for (const child of [...dentry.children.values()])
    if (child.users === 0 && child.mounted === 0) dropDentry(kernel, child);
  if (dentry.users > 0 || dentry.children.size > 0 || dentry.mounted > 0) return;
  if (dentry.parent?.children.get(dentry.name) === dentry) dentry.parent.children.delete(dentry.name);
  if (kernel.vfs.dentries.delete(dentry) && dentry.inode === null) kernel.vfs.negativeDentries--;
  freeDentry(kernel, dentry);
}

function freeDentry(kernel: Kernel, dentry: Dentry): void {
  if (dentry.slab >= 0) slabFree(kernel, 'dentry', dentry.slab);
  dentry.slab = -1;
  const { inode } = dentry;
  dentry.inode = null;
  if (inode !== null) putInode(kernel, inode);
}

export function getDentry(dentry: Dentry): Dentry {
  dentry.users++;
  return dentry;
}

/** Drops a user; one that has left the tree goes with its last. */
export function putDentry(kernel: Kernel, dentry: Dentry): void {
  if (--dentry.users > 0 || !dentry.unlinked) return;
  freeDentry(kernel, dentry);
}

/** rename(2): the dentry takes another name in another directory; names have been cleared by the caller. */
export function moveDentry(dentry: Dentry, parent: Dentry, name: string): void {
  if (dentry.parent?.children.get(dentry.name) === dentry) dentry.parent.children.delete(dentry.name);
  dentry.parent = parent;
  dentry.name = name;
  parent.children.set(name, dentry);
}

/** A call that runs now may hold what it touched within this time. */
const IN_USE_NS = 10_000_000;

/** The shrinker's part: frees up to `count` leaves that nobody has used lately. Gives how many went. */
export function shrinkDentries(kernel: Kernel, count: number): number {
  const { dentries } = kernel.vfs;
  let freed = 0;
  let scanned = 0;
  for (const dentry of dentries) {
    if (freed >= count || ++scanned > 4 * count) break;
    if (dentry.users > 0 || dentry.mounted > 0 || dentry.children.size > 0) continue;
    if (now(kernel) - dentry.touchedNs < IN_USE_NS) continue;
    if (dentry.referenced) {
      dentry.referenced = false;
      dentries.delete(dentry); // behind the others; the loop meets it again last
      dentries.add(dentry);
      continue;
    }
    dropDentry(kernel, dentry);
    freed++;
  }
  return freed;
}

/** Drops every unused dentry below one, for unmounting and drop_caches. */
export function pruneChildren(kernel: Kernel, dentry: Dentry): void {
  for (const child of [...dentry.children.values()]) dropDentry(kernel, child);
}
