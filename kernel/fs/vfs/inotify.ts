// inotify(7): watches on inodes, and the queues of events that a descriptor of inotify_init reads.
import { EAGAIN, EINVAL, failed, type Failure } from '../../abi/errno.ts';
import { O } from '../../abi/open-flags.ts';
import { bytesOfLatin1, put32 } from '../../lib/bytes.ts';
import type { Kernel } from '../../state.ts';
import { newWaitQueue, sleepOn, wakeUp, type WaitQueue } from '../../sched/wait-queue.ts';
import type { Dentry } from './dentry.ts';
import { fileOperations, type Inode } from './inode.ts';
import { getInode, putInode } from './inode-cache.ts';
import type { OpenFile } from './open-file.ts';
import { moveToUser, transferLength } from './transfer.ts';

export const IN = {
  ACCESS: 1, MODIFY: 2, ATTRIB: 4, CLOSE_WRITE: 8, CLOSE_NOWRITE: 0x10, OPEN: 0x20, MOVED_FROM: 0x40, MOVED_TO: 0x80,
  CREATE: 0x100, DELETE: 0x200, DELETE_SELF: 0x400, MOVE_SELF: 0x800, UNMOUNT: 0x2000, Q_OVERFLOW: 0x4000, IGNORED: 0x8000,
  ONLYDIR: 0x1000000, DONT_FOLLOW: 0x2000000, EXCL_UNLINK: 0x4000000, MASK_CREATE: 0x10000000, MASK_ADD: 0x20000000,
  ISDIR: 0x40000000, ONESHOT: 0x80000000,
} as const; // prettier-ignore
export const IN_ALL_EVENTS = 0xfff;

export interface InotifyEvent {
  readonly wd: number;
  readonly mask: number;
  readonly cookie: number;
  readonly name: string;
}

/** What an open file of inotify_init keeps. */
export interface Inotify {
  readonly kind: 'inotify';
  events: InotifyEvent[];
  /** wd → watch id */
  watches: Map<number, number>;
  lastWd: number;
  readable: WaitQueue;
}

export interface Watch {
  readonly id: number;
  readonly wd: number;
  mask: number;
  readonly inode: Inode;
  readonly owner: Inotify;
}

const MAX_QUEUED = 16_384;
const POLLIN = 1;
const POLLRDNORM = 0x40;

export const newInotify = (): Inotify => ({
  kind: 'inotify',
  events: [],
  watches: new Map(),
  lastWd: 0,
  readable: newWaitQueue(),
});

export function isInotify(data: unknown): data is Inotify {
  return typeof data === 'object' && data !== null && 'kind' in data && data.kind === 'inotify';
}

/** Adds or changes a watch and gives its descriptor. */
export function addWatch(kernel: Kernel, owner: Inotify, inode: Inode, mask: number): number | Failure {
  for (const [wd, id] of owner.watches) {
    const watch = kernel.vfs.watches.get(id);
    if (watch?.inode !== inode) continue;
    if ((mask & IN.MASK_CREATE) !== 0) return EINVAL;
    watch.mask = (mask & IN.MASK_ADD) !== 0 ? (watch.mask | mask) >>> 0 : mask;
    return wd;
  }
  const watch: Watch = {
    id: ++kernel.vfs.lastWatch,
    wd: ++owner.lastWd,
    mask,
    inode: getInode(kernel, inode),
    owner,
  };
  kernel.vfs.watches.set(watch.id, watch);
  owner.watches.set(watch.wd, watch.id);
  inode.watches.push(watch.id);
  return watch.wd;
}

/** Removes a watch; its owner reads IN_IGNORED. */
export function removeWatch(kernel: Kernel, owner: Inotify, wd: number, silent = false): number | Failure {
  const id = owner.watches.get(wd);
  const watch = id === undefined ? undefined : kernel.vfs.watches.get(id);
  if (watch === undefined) return EINVAL;
  owner.watches.delete(wd);
  kernel.vfs.watches.delete(watch.id);
  watch.inode.watches = watch.inode.watches.filter((other) => other !== watch.id);
  if (!silent) queueEvent(kernel, owner, { wd, mask: IN.IGNORED, cookie: 0, name: '' });
  putInode(kernel, watch.inode);
  return 0;
}

/**
 * Something happened to `inode`, or with `name` to an entry of the directory `inode`. With the dentry through which it
 * happened the watchers of its directory hear of it too.
 */
export function notify(
  kernel: Kernel,
  inode: Inode,
  mask: number,
  name = '',
  dentry: Dentry | null = null,
  cookie = 0,
): void {
  if (kernel.vfs.watches.size === 0) return;
  const isDirectory = inode.kind === 'directory' && name === '' ? IN.ISDIR : 0;
  if (inode.watches.length > 0) tell(kernel, inode, mask | isDirectory, name, cookie);
  const parent = dentry?.parent?.inode;
  if (parent && parent.watches.length > 0 && !dentry.unlinked)
    tell(kernel, parent, mask | isDirectory, dentry.name, cookie);
}

function tell(kernel: Kernel, inode: Inode, mask: number, name: string, cookie: number): void {
  for (const id of [...inode.watches]) {
    const watch = kernel.vfs.watches.get(id);
    if (watch === undefined || (watch.mask & mask & IN_ALL_EVENTS) === 0) continue;
    queueEvent(kernel, watch.owner, { wd: watch.wd, mask: mask >>> 0, cookie, name });
    if ((watch.mask & IN.ONESHOT) !== 0) removeWatch(kernel, watch.owner, watch.wd);
  }
}

/** The inode is gone for good: its watches end. */
export function notifyGone(kernel: Kernel, inode: Inode): void {
  if (inode.watches.length === 0) return;
  tell(kernel, inode, IN.DELETE_SELF, '', 0);
  for (const id of [...inode.watches]) {
    const watch = kernel.vfs.watches.get(id);
    if (watch !== undefined) removeWatch(kernel, watch.owner, watch.wd);
  }
}

function queueEvent(kernel: Kernel, owner: Inotify, event: InotifyEvent): void {
  const last = owner.events.at(-1);
  const isSame =
    last?.wd === event.wd &&
    last.mask === event.mask &&
    last.name === event.name &&
    last.cookie === event.cookie;
  if (isSame) return;
  if (owner.events.length < MAX_QUEUED) owner.events.push(event);
  else if (last?.mask !== IN.Q_OVERFLOW)
    owner.events.push({ wd: -1, mask: IN.Q_OVERFLOW, cookie: 0, name: '' });
  wakeUp(kernel, owner.readable);
}

/** Last close of an open file. */
export function notifyClose(kernel: Kernel, file: OpenFile): void {
  if ((file.flags & O.PATH) !== 0) return;
  notify(kernel, file.inode, file.writable ? IN.CLOSE_WRITE : IN.CLOSE_NOWRITE, '', file.dentry);
}

function encodeEvent(event: InotifyEvent): Uint8Array {
  const nameBytes = event.name === '' ? 0 : (event.name.length + 16) & ~15;
  const bytes = new Uint8Array(16 + nameBytes);
  put32(bytes, 0, event.wd);
  put32(bytes, 4, event.mask);
  put32(bytes, 8, event.cookie);
  put32(bytes, 12, nameBytes);
  bytes.set(bytesOfLatin1(event.name), 16);
  return bytes;
}

fileOperations['inotify'] = {
  stream: true,
  read(kernel, task, file, into) {
    const { data } = file;
    if (!isInotify(data)) return EINVAL;
    if (data.events.length === 0) {
      return (file.flags & O.NONBLOCK) !== 0 ? EAGAIN : sleepOn(kernel, task, data.readable, 'inotify_read');
    }
    let moved = 0;
    let taken = 0;
    for (const event of data.events) {
      const bytes = encodeEvent(event);
      if (moved + bytes.length > transferLength(into)) break;
      const put = moveToUser(kernel, into, moved, bytes);
      if (failed(put)) return put;
      moved += bytes.length;
      taken++;
    }
    if (taken === 0) return EINVAL;
    data.events.splice(0, taken);
    return moved;
  },
  poll(_kernel, file) {
    const { data } = file;
    if (!isInotify(data)) return { events: 0, queues: [] };
    return { events: data.events.length > 0 ? POLLIN | POLLRDNORM : 0, queues: [data.readable] };
  },
  release(kernel, file) {
    const { data } = file;
    if (!isInotify(data)) return;
    for (const wd of [...data.watches.keys()]) removeWatch(kernel, data, wd, true);
  },
};
