// What the host asks about the guest's files: a kernel thread takes one request after the other and answers through the
// door. A step that must wait for the disk starts over; what counts is kept in the request's data.
import { BLOCKED, EISDIR, failed, errnoNames, type Failure } from '../abi/errno.ts';
import { O } from '../abi/open-flags.ts';
import { changeOwner, statOf } from '../fs/vfs/attributes.ts';
import { writeFile } from '../fs/vfs/file-io.ts';
import { inodeOperations } from '../fs/vfs/inode.ts';
import { makeDirectory, removeDirectory, removeFile, renamePath } from '../fs/vfs/namespace.ts';
import { openPath } from '../fs/vfs/open.ts';
import { operationsOf, putFile } from '../fs/vfs/open-file.ts';
import type { Path } from '../fs/vfs/path.ts';
import { walkPath } from '../fs/vfs/walk.ts';
import { startKernelThread } from '../process/kernel-thread-start.ts';
import { kernelThreads } from '../sched/kernel-thread.ts';
import type { Task } from '../sched/task.ts';
import { sleepOn } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { findUser, readWholeFile, type ReadProgress } from './host-files.ts';
import type { GuestEntry, HostAsk, HostRequest } from './host-state.ts';

/** Starts the thread that serves the host's requests, if it is not there yet. */
export function startHostThread(kernel: Kernel): void {
  for (const task of kernel.tasks.values()) if (task.kernelThread?.name === 'host-requests') return;
  startKernelThread(kernel, 'host-requests', 'khostd', null);
}

kernelThreads['host-requests'] = (kernel: Kernel, task: Task): number => {
  const [request] = kernel.host.requests;
  if (request === undefined) return sleepOn(kernel, task, kernel.host.asked, 'host_requests');
  if (!kernel.host.booted) return sleepOn(kernel, task, kernel.host.bootWait, 'host_boot');
  const result = answer(kernel, task, request);
  if (result === BLOCKED) return BLOCKED;
  kernel.host.requests.shift();
  kernel.door.requestDone(
    request.id,
    typeof result === 'number' && failed(result) ? { errno: errnoNames.get(-result) ?? 'EIO' } : result,
  );
  return 0;
};

function answer(kernel: Kernel, task: Task, request: HostRequest): unknown {
  const { ask } = request;
  switch (ask.kind) {
    case 'list':
      return listDirectory(kernel, task, ask.path);
    case 'stat': {
      const entry = entryOf(kernel, task, ask.path, ask.path.slice(ask.path.lastIndexOf('/') + 1));
      return failed(entry) ? entry : { entry };
    }
    case 'read': {
      const progress = (request.data ??= { bytes: new Uint8Array(0), length: 0 }) as ReadProgress;
      const path = walkPath(kernel, task, null, ask.path, { follow: true });
      if (failed(path)) return path;
      if (path.dentry.inode?.kind === 'directory') return EISDIR;
      const bytes = readWholeFile(kernel, task, ask.path, ask.maxBytes, progress);
      return failed(bytes) ? bytes : { bytes };
    }
    case 'write':
      return writeWhole(kernel, task, request, ask);
    case 'mkdir': {
      // What was made stays made when giving it to its owner must wait for the disk.
      const made = request.data === null ? makeDirectory(kernel, task, null, ask.path, 0o755) : 0;
      if (failed(made)) return made;
      request.data ??= { passwd: { bytes: new Uint8Array(0), length: 0 } };
      return giveTo(kernel, task, request, ask.path, ask.owner);
    }
    case 'rename':
      return done(renamePath(kernel, task, null, ask.path, null, ask.to, 0));
    case 'remove': {
      const entry = entryOf(kernel, task, ask.path, '');
      if (failed(entry)) return entry;
      const isDirectory = entry.kind === 'directory';
      return done(
        isDirectory
          ? removeDirectory(kernel, task, null, ask.path)
          : removeFile(kernel, task, null, ask.path),
      );
    }
  }
}

const done = (result: number | Failure): object | Failure => (failed(result) ? result : {});

function entryOf(kernel: Kernel, task: Task, path: string, name: string): GuestEntry | Failure {
  const place = walkPath(kernel, task, null, path, { follow: false });
  return failed(place) ? place : entryAt(kernel, task, place, path, name);
}

function entryAt(kernel: Kernel, task: Task, place: Path, path: string, name: string): GuestEntry | Failure {
  const { inode } = place.dentry;
  if (inode === null) return walkPath(kernel, task, null, path, { follow: false }) as Failure;
  const stat = statOf(kernel, inode);
  let target: string | null = null;
  let opensAsDirectory = inode.kind === 'directory';
  if (inode.kind === 'symlink') {
    const text = inodeOperations[inode.fs]?.readlink?.(kernel, inode) ?? '';
    if (text === BLOCKED) return BLOCKED;
    target = typeof text === 'string' ? text : '';
    const end = walkPath(kernel, task, null, path, { follow: true });
    if (end === BLOCKED) return BLOCKED;
    opensAsDirectory = !failed(end) && end.dentry.inode?.kind === 'directory';
  }
  return {
    name,
    kind: inode.kind,
    size: stat.size,
    mode: inode.mode,
    uid: inode.uid,
    gid: inode.gid,
    mtimeNs: inode.mtimeNs,
    target,
    opensAsDirectory,
  };
}

/** A directory of more entries than this is listed in part. */
const MOST_ENTRIES = 20_000;

function listDirectory(kernel: Kernel, task: Task, path: string): { entries: GuestEntry[] } | Failure {
  const file = openPath(kernel, task, null, path, O.RDONLY | O.DIRECTORY);
  if (failed(file)) return file;
  try {
    const entries: GuestEntry[] = [];
    for (let position = 0; entries.length < MOST_ENTRIES;) {
      const read = operationsOf(file).readDirectory ?? undefined;
      const part =
        read !== undefined
          ? read(kernel, file, position, 200)
          : (inodeOperations[file.inode.fs]?.readDirectory?.(kernel, file.inode, position, 200) ?? []);
      if (failed(part)) return part;
      if (part.length === 0) break;
      for (const { name, next } of part) {
        position = next;
        if (name === '.' || name === '..') continue;
        const entry = entryOf(kernel, task, `${path}/${name}`, name);
        if (entry === BLOCKED) return BLOCKED;
        if (!failed(entry)) entries.push(entry); // it may have gone meanwhile
      }
    }
    return { entries };
  } finally {
    putFile(kernel, file);
  }
}

interface WriteProgress {
  opened: boolean;
  written: number;
  passwd: ReadProgress;
}

const CHUNK = 32_768;

function writeWhole(
  kernel: Kernel,
  task: Task,
  request: HostRequest,
  ask: Extract<HostAsk, { kind: 'write' }>,
): unknown {
  const progress = (request.data ??= {
    opened: false,
    written: 0,
    passwd: { bytes: new Uint8Array(0), length: 0 },
  }) as WriteProgress;
  const flags = O.WRONLY | O.CREAT | (progress.opened ? 0 : O.TRUNC);
  const file = openPath(kernel, task, null, ask.path, flags, ask.mode);
  if (failed(file)) return file;
  progress.opened = true;
  try {
    while (progress.written < ask.bytes.length) {
      const bytes = ask.bytes.subarray(progress.written, progress.written + CHUNK);
      const count = writeFile(kernel, task, file, { kind: 'kernel', bytes }, progress.written);
      if (failed(count)) return count;
      progress.written += count;
    }
  } finally {
    putFile(kernel, file);
  }
  return giveTo(kernel, task, request, ask.path, ask.owner);
}

/** Hands a new file to its owner. */
function giveTo(
  kernel: Kernel,
  task: Task,
  request: HostRequest,
  path: string,
  owner: string,
): object | Failure {
  if (owner === 'root') return {};
  const kept = request.data as Partial<WriteProgress> | null;
  const user = findUser(kernel, task, owner, kept?.passwd ?? { bytes: new Uint8Array(0), length: 0 });
  if (failed(user)) return user;
  const place = walkPath(kernel, task, null, path, { follow: true });
  if (failed(place)) return place;
  return done(changeOwner(kernel, task, place, user.uid, user.gid));
}
