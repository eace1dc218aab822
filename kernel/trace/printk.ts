// The kernel log: what dmesg, /dev/kmsg and the boot screen show.
import type { Kernel } from '../state.ts';
import { now } from '../time/clock.ts';

export interface LogLine {
  readonly sequence: number;
  readonly level: number; // 0 emergency … 7 debug, as syslog(2)
  readonly atNs: number;
  readonly text: string;
}

export interface KernelLog {
  lines: LogLine[];
  nextSequence: number;
}

const KEPT_LINES = 2_000;

export const newKernelLog = (): KernelLog => ({ lines: [], nextSequence: 0 });

/** Who else shows log lines (the console); by name, added by tty. */
export const logSinks: Record<string, (kernel: Kernel, line: LogLine) => void> = {};

/** Adds a line to the kernel log. */
export function printk(kernel: Kernel, level: number, text: string): void {
  const line = { sequence: kernel.log.nextSequence++, level, atNs: now(kernel), text };
  kernel.log.lines.push(line);
  if (kernel.log.lines.length > KEPT_LINES) kernel.log.lines.splice(0, KEPT_LINES / 4);
  for (const sink of Object.values(logSinks)) sink(kernel, line);
}
