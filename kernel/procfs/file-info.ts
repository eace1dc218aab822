// /proc/PID/fdinfo/N: position and flags, and what special files add (proc(5)).
import { O } from '../abi/open-flags.ts';
import { epollSetOf } from '../ipc/epoll.ts';
import { eventCounterOf } from '../ipc/eventfd.ts';
import { signalFileOf } from '../ipc/signalfd.ts';
import { timerFileLeft, timerFileOf } from '../ipc/timerfd.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { hexMask } from './text.ts';

/** Further lines by the name of the file operations. */
export const fileInfoLines: Record<string, (kernel: Kernel, file: OpenFile) => string> = {
  eventfd: (_kernel, file) => `eventfd-count: ${eventCounterOf(file).count.toString(16).padStart(16)}\n`,
  signalfd: (_kernel, file) => `sigmask:\t${hexMask(signalFileOf(file).mask)}\n`,
  timerfd(kernel, file) {
    const timer = timerFileOf(file);
    const pair = (ns: number): string => `(${Math.floor(ns / 1e9)}, ${Math.floor(ns) % 1e9})`;
    const left = timerFileLeft(kernel, timer);
    return (
      `clockid: ${timer.clock}\nticks: ${timer.count}\nsettime flags: 0${timer.settimeFlags.toString(8)}\n` +
      `it_value: ${pair(left)}\nit_interval: ${pair(timer.intervalNs)}\n`
    );
  },
  epoll(kernel, file) {
    const entries = [...epollSetOf(file).entries.values()].filter((entry) => entry.file.users > 0);
    return entries
      .map(({ fd, events, data, file: watched }) => {
        const number = watched.inode.number.toString(16);
        const device = (kernel.vfs.superBlocks.get(watched.inode.superBlock)?.deviceNumber ?? 0).toString(16);
        return `tfd: ${String(fd).padStart(8)} events: ${events.toString(16).padStart(8)} data: ${data.toString(16).padStart(16)}  pos:${watched.position} ino:${number} sdev:${device}\n`;
      })
      .join('');
  },
};

export function fileInfo(kernel: Kernel, _reader: Task, file: OpenFile, closeOnExec: boolean): string {
  const flags = (file.flags & ~O.CLOEXEC) | (closeOnExec ? O.CLOEXEC : 0);
  const head = `pos:\t${file.position}\nflags:\t0${flags.toString(8)}\nmnt_id:\t${file.mount}\nino:\t${file.inode.number}\n`;
  return head + (fileInfoLines[file.operations]?.(kernel, file) ?? '');
}
