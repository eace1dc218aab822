// Consoles, and what terminals printed lately.
import { recentBytes } from '../tty/recent.ts';
import type { Kernel } from '../state.ts';

/** Virtual consoles that a person may look at. */
export const consoleNames = (kernel: Kernel): string[] =>
  [...kernel.tty.terminals.values()]
    .filter(({ driver, index }) => driver === 'console' && index >= 1 && index <= 6)
    .map(({ name }) => name);

/** The last output of a terminal; empty when there is no such terminal. */
export function recentOutput(kernel: Kernel, terminal: string): Uint8Array {
  const found = kernel.tty.terminals.get(terminal);
  return found === undefined ? new Uint8Array() : recentBytes(found.recent);
}
