// mount(2) and umount2(2).
import { EINVAL, failed, type Failure } from '../abi/errno.ts';
import { PATH_MAX } from '../abi/open-flags.ts';
import { mountCall, unmountCall } from '../fs/vfs/mounts.ts';
import { latin1 } from '../lib/bytes.ts';
import { readUser, readUserString } from '../mm/user-memory.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { FLAGS, PATH, POINTER, syscall } from './declare.ts';
import { readPath } from './path-arguments.ts';

function optionalString(kernel: Kernel, task: Task, address: number): string | Failure {
  return address === 0 ? '' : readUserString(kernel, task, address, PATH_MAX);
}

/** Options are text up to a NUL or the end of the page that is readable. */
function readOptions(kernel: Kernel, task: Task, address: number): string | Failure {
  if (address === 0) return '';
  const bytes = readUser(kernel, task, address, 4096 - (address % 4096));
  if (failed(bytes)) return bytes;
  const end = bytes.indexOf(0);
  return end < 0 ? EINVAL : latin1(bytes.subarray(0, end));
}

const MS_MAGIC = 0xc0ed_0000;
const MS_MAGIC_MASK = 0xffff_0000;

export const mount = syscall({
  number: 165,
  name: 'mount',
  args: { source: PATH, target: PATH, type: POINTER, flags: FLAGS, data: POINTER },
  missing: 'propagation flags are accepted and do nothing; options of ext4 are ignored',
  run(kernel, task, { source, target, type, flags, data }) {
    const from = optionalString(kernel, task, source);
    if (failed(from)) return from;
    const at = readPath(kernel, task, target);
    if (failed(at)) return at;
    const fs = optionalString(kernel, task, type);
    if (failed(fs)) return fs;
    const options = readOptions(kernel, task, data);
    if (failed(options)) return options;
    const given = (flags & MS_MAGIC_MASK) >>> 0 === MS_MAGIC ? flags & ~MS_MAGIC_MASK : flags;
    return mountCall(kernel, task, from, at, fs, given, options);
  },
});

export const umount2 = syscall({
  number: 166,
  name: 'umount2',
  args: { target: PATH, flags: FLAGS },
  run(kernel, task, { target, flags }) {
    const at = readPath(kernel, task, target);
    return failed(at) ? at : unmountCall(kernel, task, at, flags);
  },
});
