// A CPU's registers: live ones, and contexts saved as plain bytes (a prefix of the CPU's context, flags written out).
// Registers are named by REGISTER of machine.ts.

import type { Machine } from './cpu.ts';
import { contextOf } from './cpu.ts';
import { ARITHMETIC_FLAGS } from './exec/flags.ts';
import { CONTEXT, FCW_DEFAULT, MXCSR_DEFAULT } from './layout.ts';
import type { RegisterNumber } from './machine.ts';
import { flushTlb } from './run.ts';
import { REGISTER } from './machine.ts';

/** Bytes of a saved context. */
export const CONTEXT_BYTES = CONTEXT.savedEnd;
/** Bits that a program can set with POPF at CPL 3, and those that read as they are: bit 1 is always set. */
const RFLAGS_ALWAYS = 2;
const EMPTY_TAGS = 0xffff;
/** Linux's selectors of code and data. The low two bits of CS are the CPL that a context goes on with. */
const USER_CS = 0x33;
const USER_SS = 0x2b;
const KERNEL_CS = 0x10;
const KERNEL_SS = 0x18;

function offsetOf(register: RegisterNumber): number {
  if (register === REGISTER.rip) return CONTEXT.rip;
  if (register === REGISTER.rflags) return CONTEXT.rflags;
  if (register === REGISTER.fsBase) return CONTEXT.fsBase;
  return register === REGISTER.gsBase ? CONTEXT.gsBase : CONTEXT.gpr + register * 8;
}

function read64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}
function write64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

function flagsOf(machine: Machine, context: number): number {
  const others = (machine.words32[(context + CONTEXT.rflags) >> 2] ?? 0) & ~ARITHMETIC_FLAGS;
  return (others | machine.core.flagBits(context) | RFLAGS_ALWAYS) >>> 0;
}

/** Unsigned, rounded above 2^53. */
export function readRegister(machine: Machine, cpu: number, register: RegisterNumber): number {
  const context = contextOf(cpu);
  if (register === REGISTER.rflags) return flagsOf(machine, context);
  const at = (context + offsetOf(register)) >> 2;
  return ((machine.words32[at] ?? 0) >>> 0) + ((machine.words32[at + 1] ?? 0) >>> 0) * 2 ** 32;
}
/** The low 32 bits, unsigned. */
export function readRegister32(machine: Machine, cpu: number, register: RegisterNumber): number {
  const context = contextOf(cpu);
  if (register === REGISTER.rflags) return flagsOf(machine, context);
  return (machine.words32[(context + offsetOf(register)) >> 2] ?? 0) >>> 0;
}
export function readRegisterSigned(machine: Machine, cpu: number, register: RegisterNumber): number {
  const context = contextOf(cpu);
  if (register === REGISTER.rflags) return flagsOf(machine, context);
  const at = (context + offsetOf(register)) >> 2;
  return ((machine.words32[at] ?? 0) >>> 0) + (machine.words32[at + 1] ?? 0) * 2 ** 32;
}
export function readRegisterBig(machine: Machine, cpu: number, register: RegisterNumber): bigint {
  const context = contextOf(cpu);
  if (register === REGISTER.rflags) return BigInt(flagsOf(machine, context));
  return machine.view.getBigUint64(context + offsetOf(register), true);
}
/** A negative number becomes two's complement of 64 bits. */
export function writeRegister(machine: Machine, cpu: number, register: RegisterNumber, value: number): void {
  const context = contextOf(cpu);
  const at = (context + offsetOf(register)) >> 2;
  const high = Math.floor(value / 2 ** 32);
  machine.words32[at] = value - high * 2 ** 32;
  machine.words32[at + 1] = high;
  if (register === REGISTER.rflags) machine.core.setFlagBits(context, value % 2 ** 32);
}
export function writeRegisterBig(
  machine: Machine,
  cpu: number,
  register: RegisterNumber,
  value: bigint,
): void {
  // prettier-ignore
  const context = contextOf(cpu);
  machine.view.setBigUint64(context + offsetOf(register), BigInt.asUintN(64, value), true);
  if (register === REGISTER.rflags) machine.core.setFlagBits(context, Number(value & 0xffff_ffffn));
}

/** A context to start with: everything zero but control words, tags, RFLAGS, CS and SS. */
export function newContext(privilege: 'user' | 'kernel' = 'user'): Uint8Array {
  const context = new Uint8Array(CONTEXT_BYTES);
  const view = new DataView(context.buffer);
  view.setUint16(CONTEXT.fcw, FCW_DEFAULT, true);
  view.setUint16(CONTEXT.ftw, EMPTY_TAGS, true);
  view.setUint32(CONTEXT.mxcsr, MXCSR_DEFAULT, true);
  view.setUint32(CONTEXT.rflags, 0x202, true);
  const isUser = privilege === 'user';
  view.setUint16(CONTEXT.selectors + 2, isUser ? USER_CS : KERNEL_CS, true);
  view.setUint16(CONTEXT.selectors + 4, isUser ? USER_SS : KERNEL_SS, true);
  return context;
}

/** The fields between gsBase and cpl are the interpreter's own; a saved context holds zeros there. */
const OWN_FIRST = CONTEXT.zero;
const OWN_END = CONTEXT.xmm;

export function saveContext(machine: Machine, cpu: number, into?: Uint8Array): Uint8Array {
  const saved = into ?? new Uint8Array(CONTEXT_BYTES);
  const live = machine.contexts[cpu];
  if (live === undefined) return saved;
  saved.set(live);
  saved.fill(0, OWN_FIRST, OWN_END);
  const flags = flagsOf(machine, contextOf(cpu));
  saved[CONTEXT.rflags] = flags;
  saved[CONTEXT.rflags + 1] = flags >>> 8;
  saved[CONTEXT.rflags + 2] = flags >>> 16;
  return saved;
}

/** What of the CPU's own fields outlives a change of context; the others are set by every run. */
const KEPT = [
  CONTEXT.zero,
  CONTEXT.zero + 4,
  CONTEXT.page2,
  CONTEXT.page2 + 4,
  CONTEXT.cpl,
  CONTEXT.tsc,
  CONTEXT.tsc + 4,
  CONTEXT.cr3,
  CONTEXT.cr3 + 4,
] as const;
const kept = new Int32Array(KEPT.length);

export function loadContext(machine: Machine, cpu: number, saved: Uint8Array): void {
  const context = contextOf(cpu);
  const { words32 } = machine;
  for (let i = 0; i < KEPT.length; i++) kept[i] = words32[(context + (KEPT[i] ?? 0)) >> 2] ?? 0;
  machine.bytes.set(saved, context);
  for (let i = 0; i < KEPT.length; i++) words32[(context + (KEPT[i] ?? 0)) >> 2] = kept[i] ?? 0;
  machine.core.setFlagBits(context, words32[(context + CONTEXT.rflags) >> 2] ?? 0);
  setPrivilege(machine, cpu, (machine.bytes[context + CONTEXT.selectors + 2] ?? 0) & 3);
}

/** CPL is that of the code segment; what TLBs hold is for one privilege. */
function setPrivilege(machine: Machine, cpu: number, cpl: number): void {
  const at = (contextOf(cpu) + CONTEXT.cpl) >> 2;
  if (machine.words32[at] === cpl) return;
  machine.words32[at] = cpl;
  flushTlb(machine, cpu);
}

function viewOf(saved: Uint8Array): DataView {
  return new DataView(saved.buffer, saved.byteOffset, saved.byteLength);
}
export function contextRegister(saved: Uint8Array, register: RegisterNumber): number {
  return read64(viewOf(saved), offsetOf(register));
}
export function contextRegisterBig(saved: Uint8Array, register: RegisterNumber): bigint {
  return viewOf(saved).getBigUint64(offsetOf(register), true);
}
export function setContextRegister(saved: Uint8Array, register: RegisterNumber, value: number): void {
  write64(viewOf(saved), offsetOf(register), value);
}
