// Figures of a run, for --stats.
import { compilerStatistics, machineNs, traceHash } from '../../kernel/index.ts';
import type { CompilerSwitch, OpenMachine } from '../worker/machine.ts';

/** Counters since power-on; what the compiler did, since the machine was opened. */
export interface RunStats {
  readonly virtualNs: number;
  /** Of user mode. */
  readonly instructions: number;
  readonly syscalls: number;
  readonly faults: number;
  readonly contextSwitches: number;
  readonly traceHash: string;
  /** Of the instructions, those that ran in compiled code. */
  readonly compiledInstructions: number;
  readonly regions: number;
  readonly compileMs: number;
  readonly wasmBytes: number;
}

export function statsOf({ engine: { kernel } }: OpenMachine): RunStats {
  const compiled = compilerStatistics(kernel.machine);
  return {
    virtualNs: machineNs(kernel),
    instructions: kernel.trap.instructions,
    syscalls: kernel.trap.syscalls,
    faults: kernel.trap.pageFaults,
    contextSwitches: kernel.sched.runQueues.reduce((sum, queue) => sum + queue.contextSwitches, 0),
    traceHash: traceHash(kernel),
    compiledInstructions: compiled.executed,
    regions: compiled.regions,
    compileMs: compiled.milliseconds,
    wasmBytes: compiled.bytes,
  };
}

/** What the host measured; it differs from run to run. */
export interface HostFigures {
  readonly compiler: CompilerSwitch;
  /** From the order to start the command until its exit. */
  readonly hostMs: number;
  readonly bootHostMs: number;
}

/** What --stats writes: figures of the command alone, but the hash, which is over the whole run. */
export function figuresOf(before: RunStats, after: RunStats, host: HostFigures) {
  const grown = (name: Exclude<keyof RunStats, 'traceHash'>): number => after[name] - before[name];
  const instructions = grown('instructions');
  const { compiler, hostMs, bootHostMs } = host;
  return {
    hostMs,
    bootHostMs,
    virtualNs: grown('virtualNs'),
    instructions,
    /** Of host time: a million of them is one MIPS. null where there is nothing to divide, as below. */
    instructionsPerSecond: hostMs > 0 ? Math.round((instructions * 1000) / hostMs) : null,
    compiler,
    compiledShare: instructions > 0 ? grown('compiledInstructions') / instructions : null,
    regionsCompiled: grown('regions'),
    compileMs: grown('compileMs'),
    wasmBytes: grown('wasmBytes'),
    syscalls: grown('syscalls'),
    faults: grown('faults'),
    contextSwitches: grown('contextSwitches'),
    traceHash: after.traceHash,
  };
}
