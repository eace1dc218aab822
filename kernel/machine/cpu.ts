// The machine's record: the memory that holds RAM and CPU contexts, views of it, and caches that may be dropped.

import type { Compiler } from './compile/compiler.ts';
import type { CodeCache } from './decode/code-cache.ts';
import type { PortSpace } from './devices/ports.ts';
import type { Linker } from './exec/handlers.ts';
import { CPU_BASE, CPU_STRIDE } from './layout.ts';
import type { MachineConfig, Trap } from './machine.ts';

export interface Machine {
  readonly config: MachineConfig;
  readonly trap: Trap;
  readonly bytes: Uint8Array;
  readonly words16: Uint16Array;
  readonly words32: Int32Array;
  readonly view: DataView;
  /** Of each CPU the bytes that a saved context holds. */
  readonly contexts: readonly Uint8Array[];
  readonly linker: Linker;
  readonly code: CodeCache;
  readonly compiler: Compiler;
  /** Devices at I/O ports. */
  readonly ports: PortSpace;
  /** User-mode instructions that were interpreted, which tells when to look for hot code; no state. */
  readonly effort: { interpreted: number };
  readonly core: {
    run(context: number, budget: number): number;
    walk(context: number, linear: bigint, access: number): number;
    translate(context: number, low: number, high: number, access: number): number;
    flagBits(context: number): number;
    setFlagBits(context: number, word: number): void;
  };
}

/** Address of a CPU's context in the machine's memory. */
export function contextOf(cpu: number): number {
  return CPU_BASE + cpu * CPU_STRIDE;
}
