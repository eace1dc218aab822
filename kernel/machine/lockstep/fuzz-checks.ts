// The fuzz machine and what must hold after a case: memory below guest RAM that is nobody's keeps a pattern, another CPU's
// registers stay, every TLB entry and extent leads into RAM.

import { contextOf } from '../cpu.ts';
import type { Machine } from '../cpu.ts';
import * as layout from '../layout.ts';
import { COMPILED, CONTEXT, EXTENT, SYSTEM } from '../layout.ts';
import type { CpuModel } from '../machine.ts';
import { createMachine } from '../run.ts';
import { FUZZ_FRAMES } from './fuzz-state.ts';

const { CODE_BASE, CODE_SLOTS, CODE_SLOT_BYTES, CPU_BASE, CPU_STRIDE, ENTRIES, ENTRY_BASE, ENTRY_BYTES, FRAME_CODE_BASE, RAM_BASE, TLB_ENTRIES } = layout; // prettier-ignore

export interface FuzzMachine {
  readonly machine: Machine;
  readonly canaries: readonly { readonly from: number; readonly bytes: Uint8Array }[];
  /** Registers and system registers of the CPU that never runs. */
  readonly bystander: Uint8Array;
}

const CPUS = 2;
const CANARY = 0xa5;

export function bootFuzzMachine(cpuModel: CpuModel, compiler: 'off' | 'on' | 'eager'): FuzzMachine {
  const machine = createMachine({ cpuCount: CPUS, memoryBytes: FUZZ_FRAMES * 4096, cpuModel });
  machine.compiler.settings = { enabled: compiler !== 'off', threshold: compiler === 'eager' ? 2 : 50 };
  const unused: readonly (readonly [number, number])[] = [
    [64, CPU_BASE],
    [CPU_BASE + CPUS * CPU_STRIDE, FRAME_CODE_BASE],
    [FRAME_CODE_BASE + 2 * FUZZ_FRAMES, CODE_BASE],
    [ENTRY_BASE + ENTRIES * ENTRY_BYTES, RAM_BASE],
  ];
  const canaries = unused.map(([from, end]) => {
    machine.bytes.fill(CANARY, from, end);
    return { from, bytes: new Uint8Array(end - from).fill(CANARY) };
  });
  return { machine, canaries, bystander: registersOf(machine, 1) };
}

function registersOf(machine: Machine, cpu: number): Uint8Array {
  const context = contextOf(cpu);
  const first = machine.bytes.slice(context, context + CONTEXT.savedEnd);
  const system = machine.bytes.slice(context + SYSTEM.first, context + SYSTEM.end);
  return Uint8Array.from([...first, ...system]);
}

const isEqual = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** What is wrong with the machine, if anything. */
export function findDamage(fuzz: FuzzMachine): string | undefined {
  const { machine, canaries, bystander } = fuzz;
  for (const { from, bytes } of canaries) {
    const now = machine.bytes.subarray(from, from + bytes.length);
    if (isEqual(now, bytes)) continue;
    const at = from + bytes.findIndex((byte, i) => byte !== now[i]);
    machine.bytes.set(bytes, from);
    return `memory at 0x${at.toString(16)}, outside guest RAM, was written`;
  }
  if (!isEqual(registersOf(machine, 1), bystander)) return "another CPU's registers changed";
  const zero = contextOf(0) + CONTEXT.zero;
  if (machine.view.getBigUint64(zero, true) !== 0n) return 'the zero register changed';
  return findWildTranslation(machine) ?? findWildExtent(machine);
}

const isPageOfRam = (host: number): boolean =>
  host >= RAM_BASE && host < RAM_BASE + FUZZ_FRAMES * 4096 && host % 4096 === 0;

function findWildTranslation({ words32 }: Machine): string | undefined {
  for (const [name, tlb] of [['read', CONTEXT.tlbRead], ['write', CONTEXT.tlbWrite], ['execute', CONTEXT.tlbExecute]] as const) {
    let at = (contextOf(0) + tlb) >> 2;
    for (let i = 0; i < TLB_ENTRIES; i++, at += 4) {
      const [low = -1, high = -1, addend = 0] = [words32[at], words32[at + 1], words32[at + 2]];
      if (low === -1 && high === -1) continue;
      const isRight =
        tlb === CONTEXT.tlbExecute
          ? addend >= CODE_BASE && addend < CODE_BASE + CODE_SLOTS * CODE_SLOT_BYTES
          : isPageOfRam((addend + low) >>> 0);
      if (!isRight) return `the ${name} TLB leads from 0x${(high >>> 0).toString(16)}:${(low >>> 0).toString(16)} to ${addend}`;
    }
  }
  return undefined;
} // prettier-ignore

/** Slots of compiled code: an extent must lie in RAM whole. */
function findWildExtent({ view }: Machine): string | undefined {
  const slots = layout.READ_SLOTS + layout.WRITE_SLOTS;
  for (let i = 0; i < slots; i++) {
    const at = contextOf(0) + COMPILED.slots + i * layout.EXTENT_BYTES;
    const size = view.getUint32(at + EXTENT.size, true);
    if (size === 0) continue;
    const low = view.getUint32(at + EXTENT.low, true);
    const first = (low + view.getUint32(at + EXTENT.addend, true)) >>> 0;
    const last = first + size - 1;
    if (first < RAM_BASE || last >= RAM_BASE + FUZZ_FRAMES * 4096)
      return `extent ${i} leads to 0x${first.toString(16)}, ${size} bytes`;
  }
  return undefined;
}
