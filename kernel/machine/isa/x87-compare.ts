// x87 comparisons: FCOM, FUCOM, FICOM, FTST into the status word, FCOMI and FUCOMI into the flags, and FXAM.

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, select } from '../exec/wasm.ts';
import type { Form, Instruction, Operand } from './declare.ts';
import {
  C0,
  C1,
  C2,
  C3,
  CLASS,
  SLOT,
  isClass,
  notePointers,
  put,
  setC1,
  setClass,
  signOf,
  waitForExceptions,
} from './x87-state.ts';
import type { Format } from './x87-support.ts';
import { call, declare, floatOf, fromMemory, one, zero } from './x87-support.ts';

const CONDITIONS = C0 | C2 | C3;
/** The condition codes and the pops of a comparison whose operands are in A and B. */
function finishCompare(e: InstructionEmitter, quiet: boolean, pops: number, memory?: Operand): void {
  const codes = e.let('i32', e.call('x87Compare', e.context, i32.const(quiet ? 1 : 0)));
  e.set('fsw', i32.or(i32.and(e.get('fsw'), i32.const(~CONDITIONS)), codes));
  call(e, 'x87FinishStore', i32.const(pops));
  notePointers(e, memory);
}
function compareRegisters(mnemonic: string, forms: readonly Form[], quiet: boolean, pops: number): Instruction {
  return declare(mnemonic, forms, (e, sti) => {
    waitForExceptions(e);
    call(e, 'x87Operands', zero, sti === undefined ? one : e.stIndex(sti));
    finishCompare(e, quiet, pops);
  });
} // prettier-ignore
function compareMemory(mnemonic: string, forms: readonly Form[], formatOf: (size: number) => Format, pops: number): Instruction {
  return declare(mnemonic, forms, (e, source) => {
    waitForExceptions(e);
    e.hostForRead(source);
    call(e, 'x87Operand', zero);
    fromMemory(e, formatOf(source.size), source, SLOT.b);
    finishCompare(e, false, pops, source);
  });
} // prettier-ignore
/** FCOMI and FCMOVcc leave C1 unless there is a stack fault. */
export function keepC1(e: InstructionEmitter): void {
  const fault = i32.or(isClass(e, SLOT.a, CLASS.empty), isClass(e, SLOT.b, CLASS.empty));
  const before = i32.and(i32.shr_u(e.get('fsw'), i32.const(9)), one);
  setC1(e, select(fault, zero, before));
}
function compareToFlags(mnemonic: string, form: string, quiet: boolean, pops: number): Instruction {
  return declare(mnemonic, [[form, 'STi']], (e, sti) => {
    waitForExceptions(e);
    call(e, 'x87Operands', zero, e.stIndex(sti));
    const codes = e.let('i32', e.call('x87Compare', e.context, i32.const(quiet ? 1 : 0)));
    const has = (code: number): Code => i32.ne(i32.and(codes, i32.const(code)), zero);
    keepC1(e);
    e.setFlags({ C: has(C0), P: has(C2), Z: has(C3), O: zero, S: zero, A: zero });
    call(e, 'x87FinishStore', i32.const(pops));
    notePointers(e);
  });
}

export const comparisons: readonly Instruction[] = [
  compareMemory('fcom', [['D8 /2', 'Md'], ['DC /2', 'Mq']], floatOf, 0),
  compareMemory('fcomp', [['D8 /3', 'Md'], ['DC /3', 'Mq']], floatOf, 1),
  compareMemory('ficom', [['DA /2', 'Md'], ['DE /2', 'Mw']], () => 'integer', 0),
  compareMemory('ficomp', [['DA /3', 'Md'], ['DE /3', 'Mw']], () => 'integer', 1),
  compareRegisters('fcom', [['D8 D0+i', 'STi'], ['DC D0+i', 'STi']], false, 0),
  compareRegisters('fcomp', [['D8 D8+i', 'STi'], ['DC D8+i', 'STi'], ['DE D0+i', 'STi']], false, 1),
  compareRegisters('fcompp', [['DE D9', '']], false, 2),
  compareRegisters('fucom', [['DD E0+i', 'STi']], true, 0),
  compareRegisters('fucomp', [['DD E8+i', 'STi']], true, 1),
  compareRegisters('fucompp', [['DA E9', '']], true, 2),
  compareToFlags('fcomi', 'DB F0+i', false, 0),
  compareToFlags('fcomip', 'DF F0+i', false, 1),
  compareToFlags('fucomi', 'DB E8+i', true, 0),
  compareToFlags('fucomip', 'DF E8+i', true, 1),
  declare('ftst', [['D9 E4', '']], (e) => {
    waitForExceptions(e);
    call(e, 'x87Operand', zero);
    put(e, SLOT.b, i64.const(0), zero);
    setClass(e, SLOT.b, i32.const(CLASS.zero));
    finishCompare(e, false, 0);
  }),
  declare('fxam', [['D9 E5', '']], (e) => {
    waitForExceptions(e);
    call(e, 'x87Operand', zero);
    const codes: readonly (readonly [number, number])[] = [
      [CLASS.quiet | CLASS.signalling, C0], [CLASS.normal, C2], [CLASS.infinite, C0 | C2], [CLASS.zero, C3],
      [CLASS.empty, C0 | C3], [CLASS.denormal, C2 | C3],
    ]; // prettier-ignore
    let code: Code = zero;
    for (const [kind, value] of codes) code = select(isClass(e, SLOT.a, kind), i32.const(value), code);
    const status = i32.or(code, i32.shl(signOf(e, SLOT.a), i32.const(9)));
    e.set('fsw', i32.or(i32.and(e.get('fsw'), i32.const(~(CONDITIONS | C1))), status));
    notePointers(e);
  }),
]; // prettier-ignore
