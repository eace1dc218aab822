// The system registers of a CPU (layout.ts SYSTEM): their state after power-on, as Linux leaves it when it starts user
// mode, and what the kernel asks about privilege and interrupts.

import type { Machine } from './cpu.ts';
import { contextOf } from './cpu.ts';
import { xsaveComponents } from './isa/cpuid-leaves.ts';
import { CONTEXT, SYSTEM } from './layout.ts';

/** SDM 3A 2.5. */
export const CR0 = { PE: 1, MP: 2, EM: 4, TS: 8, ET: 0x10, NE: 0x20, WP: 0x1_0000, AM: 0x4_0000, NW: 0x2000_0000, CD: 0x4000_0000, PG: 0x8000_0000 } as const; // prettier-ignore
export const CR4 = { TSD: 4, DE: 8, PSE: 0x10, PAE: 0x20, PGE: 0x80, PCE: 0x100, OSFXSR: 0x200, OSXMMEXCPT: 0x400, FSGSBASE: 0x1_0000, OSXSAVE: 0x4_0000 } as const; // prettier-ignore
/** SDM 3A 2.2.1. */
export const EFER = { SCE: 1, LME: 0x100, LMA: 0x400, NXE: 0x800 } as const;

/** Physical addresses have 40 bits (CPUID 0x80000008); the bits above are reserved in entries, NX without EFER.NXE. */
export const PTE_RESERVED = 0x000f_ff00_0000_0000n;

const CR4_BASE = CR4.PSE | CR4.PAE | CR4.PGE | CR4.OSFXSR | CR4.OSXMMEXCPT;
/** User code in 32-bit mode would have selector 0x23, the kernel 0x10. */
const STAR_OF_LINUX = 0x0023_0010n << 32n;
const PAT_AFTER_RESET = 0x0007_0406_0007_0406n;
const APIC = { base: 0xfee0_0000, enabled: 0x800, bootstrap: 0x100 } as const;
/** Fast strings; neither branch trace store nor precise event sampling is there. */
const MISC_ENABLE = 0x1801n;
/** MTRRs on, write-back where none says otherwise. */
const MTRR_DEFAULT = 0x806n;
const DR6_AFTER_RESET = 0xffff_0ff0n;
const DR7_AFTER_RESET = 0x400n;

export function resetSystemState(
  view: DataView,
  context: number,
  cpu: number,
  features: readonly string[],
): void {
  const set = (field: number, value: bigint): void => {
    view.setBigUint64(context + field, value, true);
  };
  for (let field = SYSTEM.first; field < SYSTEM.end; field += 8) set(field, 0n);
  let cr4 = CR4_BASE;
  if (features.includes('fsgsbase')) cr4 |= CR4.FSGSBASE;
  if (features.includes('xsave')) cr4 |= CR4.OSXSAVE;
  set(SYSTEM.cr0, BigInt(CR0.PG + (CR0.AM | CR0.WP | CR0.NE | CR0.ET | CR0.MP | CR0.PE)));
  set(SYSTEM.cr4, BigInt(cr4));
  set(SYSTEM.cr4Valid, BigInt(cr4 | CR4.TSD | CR4.PCE));
  set(SYSTEM.xcr0, BigInt(xsaveComponents(features)));
  set(SYSTEM.xcr0Valid, BigInt(xsaveComponents(features)));
  set(SYSTEM.efer, BigInt(EFER.SCE | EFER.LME | EFER.LMA | EFER.NXE));
  set(SYSTEM.pteReserved, PTE_RESERVED);
  set(SYSTEM.star, STAR_OF_LINUX);
  set(SYSTEM.tscAux, BigInt(cpu));
  set(SYSTEM.apicBase, BigInt(APIC.base + APIC.enabled + (cpu === 0 ? APIC.bootstrap : 0)));
  set(SYSTEM.pat, PAT_AFTER_RESET);
  set(SYSTEM.miscEnable, MISC_ENABLE);
  set(SYSTEM.mtrrDefault, MTRR_DEFAULT);
  set(SYSTEM.dr + 6 * 8, DR6_AFTER_RESET);
  set(SYSTEM.dr + 7 * 8, DR7_AFTER_RESET);
  view.setUint32(context + SYSTEM.gdtLimit, 0x7f, true);
}

/** 0 while the CPU runs kernel code, 3 in user mode. */
export function privilegeOf(machine: Machine, cpu: number): number {
  return machine.view.getUint32(contextOf(cpu) + CONTEXT.cpl, true);
}

const INTERRUPT_FLAG = 0x200;

/** Would the CPU take an interrupt now? To ask right after run(): the instruction behind STI or MOV SS comes first. */
export function takesInterrupts(machine: Machine, cpu: number): boolean {
  const context = contextOf(cpu);
  const { view } = machine;
  if ((view.getUint32(context + CONTEXT.rflags, true) & INTERRUPT_FLAG) === 0) return false;
  if (view.getUint32(context + SYSTEM.shadowSet, true) === 0) return true;
  return (
    view.getBigUint64(context + SYSTEM.shadowEnd, true) !== view.getBigUint64(context + CONTEXT.tsc, true)
  );
}
