// Page-sized disk transfers that mm asks for (swapping). block/ puts a backend here when it is loaded and calls the
// completion by name when the device is done.
import type { Failure } from '../abi/errno.ts';
import type { Kernel } from '../state.ts';

export interface PageIo {
  readonly device: string;
  readonly write: boolean;
  /** 4096-byte block of the device. */
  readonly block: number;
  readonly frame: number;
  /** Entry of pageIoCompletions. */
  readonly done: string;
  /** Known to the completion: a swap entry. */
  readonly tag: number;
}

export interface SwapBackend {
  /** Queues the transfer; 0, or a Failure when it cannot be queued. Never blocks. */
  submitPageIo(kernel: Kernel, io: PageIo): number | Failure;
}

/** Filled by block/ under the name 'block'. */
export const swapBackends: Record<string, SwapBackend> = {};

export const pageIoCompletions: Record<string, (kernel: Kernel, io: PageIo, ok: boolean) => void> = {};
