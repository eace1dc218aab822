// Reading whole guest files from the kernel on the host's behalf, and the users of /etc/passwd. Steps that may be started
// over: what was read stays in the caller's record.
import { EFBIG, ENOENT, failed, type Failure } from '../abi/errno.ts';
import { O } from '../abi/open-flags.ts';
import { readFile } from '../fs/vfs/file-io.ts';
import { openPath } from '../fs/vfs/open.ts';
import { putFile } from '../fs/vfs/open-file.ts';
import { latin1 } from '../lib/bytes.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';

export interface PasswdUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly home: string;
  readonly shell: string;
}

/** A file that is being read as a whole. */
export interface ReadProgress {
  bytes: Uint8Array;
  length: number;
}

const CHUNK = 32_768;

/** The whole of a file of at most `maxBytes`. BLOCKED keeps what was read in `progress`: call again. */
export function readWholeFile(
  kernel: Kernel,
  task: Task,
  path: string,
  maxBytes: number,
  progress: ReadProgress,
): Uint8Array | Failure {
  const file = openPath(kernel, task, null, path, O.RDONLY | O.NONBLOCK);
  if (failed(file)) return file;
  try {
    for (;;) {
      const chunk = new Uint8Array(CHUNK);
      const count = readFile(kernel, task, file, { kind: 'kernel', bytes: chunk }, progress.length);
      if (failed(count)) return count;
      if (count === 0) return progress.bytes.subarray(0, progress.length);
      if (progress.length + count > maxBytes) return EFBIG;
      append(progress, chunk.subarray(0, count));
    }
  } finally {
    putFile(kernel, file);
  }
}

function append(progress: ReadProgress, bytes: Uint8Array): void {
  if (progress.length + bytes.length > progress.bytes.length) {
    const larger = new Uint8Array(Math.max(CHUNK, progress.bytes.length * 2, progress.length + bytes.length));
    larger.set(progress.bytes.subarray(0, progress.length));
    progress.bytes = larger;
  }
  progress.bytes.set(bytes, progress.length);
  progress.length += bytes.length;
}

const PASSWD_BYTES = 1 << 20;

/** The user of a name in the guest's /etc/passwd; root is there even without the file. */
export function findUser(
  kernel: Kernel,
  task: Task,
  name: string,
  progress: ReadProgress,
): PasswdUser | Failure {
  const bytes = readWholeFile(kernel, task, '/etc/passwd', PASSWD_BYTES, progress);
  if (failed(bytes)) return bytes === ENOENT && name === 'root' ? ROOT : bytes;
  for (const line of latin1(bytes).split('\n')) {
    const [user, , uid, gid, , home = '/', shell = '/bin/sh'] = line.split(':');
    if (user !== name || !/^\d+$/.test(uid ?? '') || !/^\d+$/.test(gid ?? '')) continue;
    return { name, uid: Number(uid), gid: Number(gid), groups: [Number(gid)], home, shell };
  }
  return name === 'root' ? ROOT : ENOENT;
}

const ROOT: PasswdUser = { name: 'root', uid: 0, gid: 0, groups: [0], home: '/root', shell: '/bin/sh' };
