// /proc/PID/fdinfo/N: position and flags, and what special files add (proc(5)).
import { O } from '../abi/open-flags.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';

/** Further lines by the name of the file operations. */
export const fileInfoLines: Record<string, (kernel: Kernel, file: OpenFile) => string> = {};

export function fileInfo(kernel: Kernel, _reader: Task, file: OpenFile, closeOnExec: boolean): string {
  const flags = (file.flags & ~O.CLOEXEC) | (closeOnExec ? O.CLOEXEC : 0);
  const head = `pos:\t${file.position}\nflags:\t0${flags.toString(8)}\nmnt_id:\t${file.mount}\nino:\t${file.inode.number}\n`;
  return head + (fileInfoLines[file.operations]?.(kernel, file) ?? '');
}
