// Looking at a machine from outside: disassembly, what instructions there are, CPUs as bytes for snapshots.

import type { Machine } from './cpu.ts';
import type { DisassembledInstruction } from './decode/disassemble.ts';
import { disassembleOne } from './decode/disassemble.ts';
import { families } from './isa/index.ts';
import { CONTEXT, RAM_BASE, SYSTEM } from './layout.ts';
import { contextOf } from './cpu.ts';
import { CONTEXT_BYTES, loadContext, saveContext } from './registers.ts';
import { dropCaches, setPageTable, setTsc, translate } from './run.ts';

/** Instructions from a virtual address of the CPU's current page table; fewer where the next page is not there. */
export function disassemble(
  machine: Machine,
  cpu: number,
  address: number,
  count: number,
): DisassembledInstruction[] {
  const found: DisassembledInstruction[] = [];
  const bytes = new Uint8Array(32);
  let next = address;
  while (found.length < count) {
    let length = 0;
    while (length < 16) {
      const physical = translate(machine, cpu, next + length, 'read');
      if (physical < 0) break;
      const part = Math.min(16 - length, 4096 - (physical % 4096));
      bytes.set(machine.bytes.subarray(RAM_BASE + physical, RAM_BASE + physical + part), length);
      length += part;
    }
    if (length === 0) break;
    const one = disassembleOne(machine.code.map, bytes, 0, length, next);
    found.push(one);
    next += one.length;
  }
  return found;
}

export interface InstructionCoverage {
  readonly mnemonic: string;
  readonly forms: number;
  readonly feature: string;
  readonly missing?: string;
}

/** Every declared instruction, for the coverage page. */
export function instructionCoverage(): InstructionCoverage[] {
  return families
    .flatMap((family) => family.instructions)
    .map(({ mnemonic, forms, feature, missing }) => ({
      mnemonic,
      forms: forms.length,
      feature: feature ?? 'base',
      ...(missing === undefined ? {} : { missing }),
    }));
}

/** A frozen CPU: its saved context, then CR3, the time-stamp counter and the system registers. */
const SYSTEM_AT = 16;
export const FROZEN_CPU_BYTES = CONTEXT_BYTES + SYSTEM_AT + SYSTEM.end - SYSTEM.first;

export function freezeCpus(machine: Machine): Uint8Array[] {
  return Array.from({ length: machine.config.cpuCount }, (_unused, cpu) => {
    const frozen = new Uint8Array(FROZEN_CPU_BYTES);
    saveContext(machine, cpu, frozen);
    const context = contextOf(cpu);
    const copy = (from: number, to: number, length: number): void =>
      frozen.set(machine.bytes.subarray(context + from, context + from + length), CONTEXT_BYTES + to);
    copy(CONTEXT.cr3, 0, 8);
    copy(CONTEXT.tsc, 8, 8);
    copy(SYSTEM.first, SYSTEM_AT, SYSTEM.end - SYSTEM.first);
    return frozen;
  });
}

/** Also for RAM that was written behind the machine's back: every cache is emptied. */
export function thawCpus(machine: Machine, frozen: readonly Uint8Array[]): void {
  frozen.forEach((bytes, cpu) => {
    loadContext(machine, cpu, bytes.subarray(0, CONTEXT_BYTES));
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const wide = (at: number): number => view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
    setPageTable(machine, cpu, wide(CONTEXT_BYTES));
    setTsc(machine, cpu, wide(CONTEXT_BYTES + 8));
    if (bytes.length < FROZEN_CPU_BYTES) return;
    const system = bytes.subarray(CONTEXT_BYTES + SYSTEM_AT, FROZEN_CPU_BYTES);
    machine.bytes.set(system, contextOf(cpu) + SYSTEM.first);
  });
  dropCaches(machine);
}
