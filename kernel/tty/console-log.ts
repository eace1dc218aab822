// The kernel log on the console: at boot, and later what is urgent enough, with the virtual time as Linux prints it.
import { bytesOfLatin1 } from '../lib/bytes.ts';
import type { Kernel } from '../state.ts';
import { logSinks, type LogLine } from '../trace/printk.ts';
import { driverWrite } from './driver.ts';

const NS_PER_SECOND = 1_000_000_000;

/** "[   12.345678] " */
export function logStamp(atNs: number): string {
  const microseconds = Math.floor(atNs / 1000);
  const seconds = Math.floor(atNs / NS_PER_SECOND);
  return `[${String(seconds).padStart(5)}.${String(microseconds % 1_000_000).padStart(6, '0')}] `;
}

logSinks['console'] = (kernel: Kernel, line: LogLine) => {
  if (line.level >= kernel.tty.logLevel) return;
  const bytes = bytesOfLatin1(`${logStamp(line.atNs)}${line.text}\r\n`);
  for (const name of kernel.tty.logConsoles) {
    const terminal = kernel.tty.terminals.get(name);
    if (terminal === undefined) continue;
    terminal.line.column = 0;
    driverWrite(kernel, terminal, bytes);
  }
};
