// Figures of a run, for --stats.
import { machineNs, traceHash } from '../../kernel/index.ts';
import type { OpenMachine } from '../worker/machine.ts';

export interface RunStats {
  readonly virtualNs: number;
  readonly instructions: number;
  readonly syscalls: number;
  readonly faults: number;
  readonly contextSwitches: number;
  readonly traceHash: string;
}

export function statsOf({ engine: { kernel } }: OpenMachine): RunStats {
  return {
    virtualNs: machineNs(kernel),
    instructions: kernel.trap.instructions,
    syscalls: kernel.trap.syscalls,
    faults: kernel.trap.pageFaults,
    contextSwitches: kernel.sched.runQueues.reduce((sum, queue) => sum + queue.contextSwitches, 0),
    traceHash: traceHash(kernel),
  };
}
