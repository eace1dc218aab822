// The computer as the kernel sees it: physical memory, CPUs, page-table roots, traps. The door is index.ts.
//
// Everything architectural (RAM, CPU contexts) lies in one WebAssembly.Memory; what can be computed again (predecoded
// code, TLBs) lies beside it and may be dropped at any instant. A CPU runs user code until something needs the kernel:
// run() then returns a Trap. The kernel, written in TypeScript, is "ring 0": it reads and writes the CPU's registers
// through the functions below, changes page tables with plain physical stores, and calls run() again.

/** x86-64-v2 or v3, as the psABI has the levels; cpuid.ts says what else each has. */
export type CpuModel = 'v2' | 'v3';

/** What a machine is built from; fixed for its life. */
export interface MachineConfig {
  readonly cpuCount: number; // 1 to 16
  readonly memoryBytes: number; // a multiple of 4096, 64 MiB to 3 GiB
  readonly cpuModel: CpuModel;
}

/** General registers by their number in the instruction encoding, then the others that a trap frame holds. */
export const REGISTER = {
  rax: 0, rcx: 1, rdx: 2, rbx: 3, rsp: 4, rbp: 5, rsi: 6, rdi: 7,
  r8: 8, r9: 9, r10: 10, r11: 11, r12: 12, r13: 13, r14: 14, r15: 15,
  rip: 16, rflags: 17, fsBase: 18, gsBase: 19,
} as const; // prettier-ignore
export type RegisterNumber = (typeof REGISTER)[keyof typeof REGISTER];

/**
 * Why run() came back.
 * - budget: exactly the asked number of instructions was executed;
 * - syscall: a SYSCALL was executed: RCX and R11 are set and RIP is behind it, as the manual says, still counted;
 * - exception: a fault or trap; RIP is the faulting instruction's (behind it for traps: int3, single step);
 * - halt: HLT at CPL 0.
 */
export type TrapKind = 'budget' | 'syscall' | 'exception' | 'halt';

/** One record per machine, overwritten by each run(). */
export interface Trap {
  kind: TrapKind;
  vector: number; // 0 #DE … 14 #PF …, for exceptions
  errorCode: number;
  address: number; // CR2 for #PF (above 2^53 it is rounded; then it is not canonical user space anyway)
  executed: number; // instructions completed in this run()
  cpl: number; // privilege of the code that was left: 3, or 0 in kernel code
}

export const VECTOR = {
  divideError: 0, debug: 1, breakpoint: 3, overflow: 4, boundRange: 5, invalidOpcode: 6, deviceNotAvailable: 7,
  doubleFault: 8, invalidTss: 10, segmentNotPresent: 11, stackFault: 12, generalProtection: 13, pageFault: 14,
  floatingPoint: 16, alignmentCheck: 17, simdFloatingPoint: 19,
} as const; // prettier-ignore

/** #PF error code bits, SDM 3A 4.7. */
export const PAGE_FAULT = { present: 1, write: 2, user: 4, reserved: 8, instruction: 16 } as const;

/** Page-table entry bits, SDM 3A 4.5. Entries are 64 bits little-endian in guest RAM; NX is bit 63. */
export const PTE = {
  present: 1,
  write: 2,
  user: 4,
  accessed: 32,
  dirty: 64,
  large: 128,
  global: 256,
} as const;
