// Interrupt lines and their handlers: the folder that drives a device adds its handler when it is loaded.
import type { Kernel } from '../state.ts';

export interface IrqHandler {
  /** As /proc/interrupts shows it. */
  readonly name: string;
  handle(kernel: Kernel): void;
}

export const irqHandlers: Record<number, IrqHandler> = {};
