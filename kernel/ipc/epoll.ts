// epoll(7). A set holds entries in the order in which they take their turn; asking it asks its files.
//
// Level triggered entries are ready while their file is. For edge triggered ones the set must know whether something has
// happened since the last report. Each entry therefore stands in its file's wait queues under a negative number: no task
// has one, so waking the queue just takes it out, and an entry that is missing from one of its queues has had an edge.
import { EEXIST, EINVAL, ELOOP, ENOENT, EPERM, type Failure } from '../abi/errno.ts';
import {
  EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT, EPOLLWAKEUP, POLLERR, POLLHUP, POLLIN, POLLRDNORM,
} from '../abi/poll.ts'; // prettier-ignore
import { O } from '../abi/open-flags.ts';
import { fileOperations } from '../fs/vfs/inode.ts';
import { newAnonymousFile, type OpenFile } from '../fs/vfs/open-file.ts';
import { newWaitQueue, wakeUp, type WaitQueue } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { canPoll, pollFile, type PollState } from './poll.ts';

export interface EpollEntry {
  /** Negative: its place in wait queues. */
  readonly mark: number;
  readonly fd: number;
  readonly file: OpenFile;
  events: number;
  data: bigint;
  /** Queues in which the mark was put at the last report. */
  watched: WaitQueue[];
  /** EPOLLONESHOT: reported, silent until EPOLL_CTL_MOD. */
  disabled: boolean;
}

export interface EpollSet {
  /** By "fd:file id", in the order of their turns. */
  entries: Map<string, EpollEntry>;
  /** Changes of the set wake those who wait for it. */
  changed: WaitQueue;
}

export interface EpollEvent {
  readonly events: number;
  readonly data: bigint;
}

/** Deepest chain of sets that watch sets, as in Linux. */
const MAX_NESTING = 5;

export const epollSetOf = (file: OpenFile): EpollSet => file.data as EpollSet;
export const isEpoll = (file: OpenFile): boolean => file.operations === 'epoll';

export function newEpollFile(kernel: Kernel): OpenFile | Failure {
  const data: EpollSet = { entries: new Map(), changed: newWaitQueue() };
  return newAnonymousFile(kernel, 'epoll', data, O.RDWR, 'file', '[eventpoll]');
}

const keyOf = (fd: number, file: OpenFile): string => `${fd}:${file.id}`;

function forget(set: EpollSet, key: string, entry: EpollEntry): void {
  for (const queue of entry.watched) queue.waiters.delete(entry.mark);
  set.entries.delete(key);
}

/** Files that have been closed for good leave the set by themselves. */
function dropClosed(set: EpollSet): void {
  for (const [key, entry] of set.entries) if (entry.file.users <= 0) forget(set, key, entry);
}

function nesting(file: OpenFile, seen: readonly OpenFile[]): number {
  if (!isEpoll(file)) return 0;
  if (seen.includes(file)) return Infinity;
  let deepest = 0;
  for (const entry of epollSetOf(file).entries.values())
    deepest = Math.max(deepest, nesting(entry.file, [...seen, file]));
  return deepest + 1;
}

/** EPOLL_CTL_ADD. */
export function addEntry(
  kernel: Kernel,
  epoll: OpenFile,
  fd: number,
  file: OpenFile,
  event: EpollEvent,
): number | Failure {
  if (!canPoll(file)) return EPERM;
  if (file === epoll) return EINVAL;
  if (event.events & EPOLLEXCLUSIVE && (isEpoll(file) || event.events & EPOLLONESHOT)) return EINVAL;
  const set = epollSetOf(epoll);
  dropClosed(set);
  const key = keyOf(fd, file);
  if (set.entries.has(key)) return EEXIST;
  if (isEpoll(file) && nesting(file, [epoll]) >= MAX_NESTING) return ELOOP;
  set.entries.set(key, {
    mark: -++kernel.ipc.lastEpollEntry, fd, file, events: event.events | POLLERR | POLLHUP, data: event.data, watched: [],
    disabled: false,
  }); // prettier-ignore
  wakeUp(kernel, set.changed);
  return 0;
}

/** EPOLL_CTL_MOD: also arms a one-shot entry again, and counts as an edge. */
export function modifyEntry(
  kernel: Kernel,
  epoll: OpenFile,
  fd: number,
  file: OpenFile,
  event: EpollEvent,
): number | Failure {
  const set = epollSetOf(epoll);
  const entry = set.entries.get(keyOf(fd, file));
  if (entry === undefined) return ENOENT;
  if (event.events & EPOLLEXCLUSIVE || entry.events & EPOLLEXCLUSIVE) return EINVAL;
  entry.events = event.events | POLLERR | POLLHUP;
  entry.data = event.data;
  entry.disabled = false;
  for (const queue of entry.watched) queue.waiters.delete(entry.mark);
  entry.watched = [];
  wakeUp(kernel, set.changed);
  return 0;
}

/** EPOLL_CTL_DEL. */
export function removeEntry(epoll: OpenFile, fd: number, file: OpenFile): number | Failure {
  const set = epollSetOf(epoll);
  const key = keyOf(fd, file);
  const entry = set.entries.get(key);
  if (entry === undefined) return ENOENT;
  forget(set, key, entry);
  return 0;
}

const INTEREST = ~(EPOLLET | EPOLLEXCLUSIVE | EPOLLONESHOT | EPOLLWAKEUP);

/** Whether something has happened on the file since the entry was last reported. */
function hadEdge(entry: EpollEntry, queues: readonly WaitQueue[]): boolean {
  if (entry.watched.length === 0) return true;
  return queues.some((queue) => !entry.watched.includes(queue) || !queue.waiters.has(entry.mark));
}

function readyEvents(entry: EpollEntry, state: PollState): number {
  if (entry.disabled) return 0;
  const events = state.events & entry.events & INTEREST;
  if (events === 0 || (entry.events & EPOLLET) === 0) return events;
  return hadEdge(entry, state.queues) ? events : 0;
}

/** From now on a wake-up of these queues is an edge. */
function watch(entry: EpollEntry, queues: readonly WaitQueue[]): void {
  for (const queue of entry.watched) if (!queues.includes(queue)) queue.waiters.delete(entry.mark);
  for (const queue of queues) queue.waiters.add(entry.mark);
  entry.watched = [...queues];
}

/** Up to `max` events, and the queues to sleep on when there are none. Reported entries go to the end of the line. */
export function collectEvents(
  kernel: Kernel,
  epoll: OpenFile,
  max: number,
): { events: EpollEvent[]; queues: WaitQueue[] } {
  const set = epollSetOf(epoll);
  dropClosed(set);
  const found: EpollEvent[] = [];
  const queues: WaitQueue[] = [set.changed];
  const reported: [string, EpollEntry][] = [];
  for (const [key, entry] of set.entries) {
    if (found.length >= max) break;
    const state = pollFile(kernel, entry.file);
    queues.push(...state.queues);
    const events = readyEvents(entry, state);
    if (events === 0) continue;
    found.push({ events, data: entry.data });
    reported.push([key, entry]);
    if (entry.events & EPOLLET) watch(entry, state.queues);
    if (entry.events & EPOLLONESHOT) entry.disabled = true;
  }
  for (const [key, entry] of reported) {
    set.entries.delete(key);
    set.entries.set(key, entry);
  }
  return { events: found, queues };
}

/** A set is readable while one of its entries is ready. */
fileOperations['epoll'] = {
  stream: true,
  poll(kernel, file) {
    const set = epollSetOf(file);
    const queues: WaitQueue[] = [set.changed];
    let ready = false;
    for (const entry of set.entries.values()) {
      if (entry.file.users <= 0) continue;
      const state = pollFile(kernel, entry.file);
      queues.push(...state.queues);
      if (readyEvents(entry, state) !== 0) ready = true;
    }
    return { events: ready ? POLLIN | POLLRDNORM : 0, queues };
  },
  release(_kernel, file) {
    const set = epollSetOf(file);
    for (const [key, entry] of set.entries) forget(set, key, entry);
  },
};
