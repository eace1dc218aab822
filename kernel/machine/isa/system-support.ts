// What the system instructions share: fields of SYSTEM, faults out of helpers, going on after a change of privilege.

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, ret } from '../exec/wasm.ts';
import { CONTEXT, CPU_BASE, CPU_STRIDE, EXIT, SYSTEM } from '../layout.ts';
import { VECTOR } from '../machine.ts';

/** What helpers return that may fault. */
export const HELPER = { done: 0, fault: 1 } as const;

export const fieldOf = (f: Emitter, at: number): Code => i64.load(f.context, at);
export const setField = (f: Emitter, at: number, value: Code): void =>
  f.emit(i64.store(f.context, value, at));
export const wordOf = (f: Emitter, at: number): Code => i32.load(f.context, at);
export const setWord = (f: Emitter, at: number, value: Code): void => f.emit(i32.store(f.context, value, at));

/** In a helper: stores the exception and reports it. */
export function failIf(f: Emitter, condition: Code, vector: number, error: Code = i32.const(0)): void {
  f.unlikely(condition, () => {
    setWord(f, CONTEXT.trapVector, i32.const(vector));
    setWord(f, CONTEXT.trapError, error);
    f.emit(ret(i32.const(HELPER.fault)));
  });
}
/** In a helper: passes on what another one stored. */
export function passFault(f: Emitter, failed: Code): void {
  f.unlikely(failed, () => f.emit(ret(i32.const(HELPER.fault))));
}

export const isNotCanonical = (address: Code): Code =>
  i64.ne(i64.shr_s(i64.shl(address, i64.const(16)), i64.const(16)), address);

/** Selectors as numbers: es cs ss ds fs gs. */
export const SEGMENT = { es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5 } as const;
export const selectorOf = (f: Emitter, segment: number): Code =>
  i32.load16_u(f.context, CONTEXT.selectors + segment * 2);

const ioPrivilege = (f: Emitter): Code =>
  i32.and(i32.wrap_i64(i64.shr_u(f.get('rflags'), i64.const(12))), i32.const(3));
/** CPL > IOPL: no port and no interrupt flag for this code. */
export const lacksIoPrivilege = (f: Emitter): Code => i32.gt_u(f.get('cpl'), ioPrivilege(f));

/** The instruction is done; CPL or what page tables mean has changed, so the CPU's caches are emptied. */
export function goOnPrivileged(e: InstructionEmitter, address: Code): void {
  e.emit(i64.store(e.context, address, CONTEXT.rip));
  e.emit(ret(i32.const(EXIT.privilege)));
}

export const cpuNumberOf = (f: Emitter): Code =>
  i32.div_u(i32.sub(f.context, i32.const(CPU_BASE)), i32.const(CPU_STRIDE));

/** Instructions counted since run() began, this one included. */
const countedInRun = (f: Emitter): Code =>
  i64.extend_i32_u(i32.sub(wordOf(f, CONTEXT.budget), wordOf(f, CONTEXT.remaining)));
/** The time-stamp counter: its value when the run began, and one tick for each instruction since. */
export const tscNow = (f: Emitter): Code => i64.add(fieldOf(f, CONTEXT.tsc), countedInRun(f));
export const setTscNow = (f: Emitter, value: Code): void =>
  setField(f, CONTEXT.tsc, i64.sub(value, countedInRun(f)));

/** No interrupt between this instruction and the next (STI, loads of SS). */
export function holdInterruptsOff(f: Emitter): void {
  setWord(f, SYSTEM.shadowSet, i32.const(1));
  setField(f, SYSTEM.shadowEnd, tscNow(f));
}

/** #GP(0) when a 64-bit value has bits outside the mask. */
export function raiseIfReserved(e: InstructionEmitter, value: Code, allowed: bigint): void {
  const others = i64.and(value, i64.const(BigInt.asIntN(64, ~allowed)));
  e.raiseIf(i64.ne(others, i64.const(0)), VECTOR.generalProtection);
}
