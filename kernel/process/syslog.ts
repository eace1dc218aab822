// syslog(2): the kernel log as klogctl and old dmesg read it: lines "<6>[    1.234567] text".
import type { Failure } from '../abi/errno.ts';
import { bytesOfLatin1 } from '../lib/bytes.ts';
import type { Task } from '../sched/task.ts';
import { sleepOn, wakeUp } from '../sched/wait-queue.ts';
import type { Kernel } from '../state.ts';
import { logSinks, type LogLine } from '../trace/printk.ts';

export const LOG_BUFFER_BYTES = 262_144;

logSinks['syslog'] = (kernel) => {
  wakeUp(kernel, kernel.process.logArrived);
};

/** A line as syslog shows it. */
export function formatLogLine(line: LogLine): string {
  const us = Math.floor(line.atNs / 1000);
  const seconds = String(Math.floor(us / 1_000_000)).padStart(5);
  return `<${line.level}>[${seconds}.${String(us % 1_000_000).padStart(6, '0')}] ${line.text}\n`;
}

/** The newest lines since the last clear that fit, for SYSLOG_ACTION_READ_ALL. */
export function readWholeLog(kernel: Kernel, length: number): Uint8Array {
  const lines = kernel.log.lines
    .filter(({ sequence }) => sequence >= kernel.process.logClearedAt)
    .map(formatLogLine);
  let total = 0;
  let first = lines.length;
  while (first > 0 && total + (lines[first - 1]?.length ?? 0) <= length) total += lines[--first]?.length ?? 0;
  return bytesOfLatin1(lines.slice(first).join(''));
}

const unread = (kernel: Kernel): LogLine[] =>
  kernel.log.lines.filter(({ sequence }) => sequence >= kernel.process.logReadAt);

export const unreadBytes = (kernel: Kernel): number =>
  unread(kernel).reduce((sum, line) => sum + formatLogLine(line).length, 0);

/** SYSLOG_ACTION_READ: takes the oldest unread lines, or sleeps. The caller calls tookLog when they have been handed over. */
export function readNewLog(
  kernel: Kernel,
  task: Task,
  length: number,
): { bytes: Uint8Array; next: number } | Failure {
  let text = '';
  let next = kernel.process.logReadAt;
  for (const line of unread(kernel)) {
    const shown = formatLogLine(line);
    if (text.length + shown.length > length) break;
    text += shown;
    next = line.sequence + 1;
  }
  if (text === '') return sleepOn(kernel, task, kernel.process.logArrived, 'syslog');
  return { bytes: bytesOfLatin1(text), next };
}
