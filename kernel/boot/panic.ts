// The end of a kernel that cannot go on.
import type { Kernel } from '../state.ts';
import { printk } from '../trace/printk.ts';

/** Writes the reason to the log and stops the machine. */
export function panic(kernel: Kernel, why: string): void {
  printk(kernel, 0, `Kernel panic - not syncing: ${why}`);
  printk(kernel, 0, `---[ end Kernel panic - not syncing: ${why} ]---`);
  kernel.powerState = 'panic';
}
