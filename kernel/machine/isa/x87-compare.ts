// x87 comparisons: FCOM, FUCOM, FICOM, FTST into the status word, FCOMI and FUCOMI into the flags, and FXAM.

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, select } from '../exec/wasm.ts';
import type { Form, Instruction } from './declare.ts';
import { codesOf, comparison, fromFloat, fromInteger } from './x87-fast.ts';
import { KIND } from './x87-general.ts';
import type { Ending, Real, Stack } from './x87-stack.ts';
import { anyOf, begin, clearC1, finish, pop, realOf, setCodes, unlessValid } from './x87-stack.ts';
import {
  C0,
  C1,
  C2,
  C3,
  CLASS,
  SLOT,
  isClass,
  notePointers,
  signOf,
  waitForExceptions,
} from './x87-state.ts';
import { call, codeOf, declare, declareGeneral, indexOf, one, zero } from './x87-support.ts';

/** ST(0) and another number into the status word. */
function compare(e: InstructionEmitter, stack: Stack, other: Real, pops: number, ending: Ending): void {
  const { less, equal, odd } = comparison(e, realOf(e, stack, 0), other);
  const unless = anyOf(unlessValid(e, stack, 0), ending.unless, odd);
  const after = { ...stack };
  setCodes(after, e.let('i32', codesOf(less, equal)));
  clearC1(after);
  pop(e, after, pops);
  finish(e, stack, after, { ...ending, unless });
}
function compareRegisters(mnemonic: string, forms: readonly Form[], quiet: boolean, pops: number): Instruction {
  return declare(mnemonic, forms, (e, sti) => {
    const stack = begin(e);
    const i = sti === undefined ? 1 : indexOf(e, sti);
    const other = realOf(e, stack, i);
    const general = (): void => call(e, 'x87CompareStack', codeOf(i), quiet ? one : zero, i32.const(pops));
    compare(e, stack, other, pops, { unless: unlessValid(e, stack, i), general });
  });
} // prettier-ignore
function compareMemory(mnemonic: string, forms: readonly Form[], isInteger: boolean, pops: number): Instruction {
  return declare(mnemonic, forms, (e, source) => {
    const stack = begin(e);
    const value = isInteger ? e.readSigned(source) : e.read(source);
    const kind = isInteger ? KIND.integer : source.size === 8 ? KIND.double : KIND.single;
    const general = (): void => call(e, 'x87CompareMemory', value, i32.const(kind), i32.const(pops));
    const other = isInteger ? fromInteger(e, value) : fromFloat(e, value, source.size);
    compare(e, stack, other, pops, { unless: undefined, general, memory: source });
  });
} // prettier-ignore
/** FCOMI and FUCOMI leave C1. */
function compareToFlags(mnemonic: string, form: string, quiet: boolean, pops: number): Instruction {
  return declare(mnemonic, [[form, 'STi']], (e, sti) => {
    const stack = begin(e);
    const i = indexOf(e, sti);
    const { less, equal, odd } = comparison(e, realOf(e, stack, 0), realOf(e, stack, i));
    const unless = e.let('i32', anyOf(unlessValid(e, stack, 0), unlessValid(e, stack, i), odd) ?? zero);
    const [carry, parity, isZero] = [e.variable('i32'), e.variable('i32'), e.variable('i32')];
    carry.set(less);
    parity.set(zero);
    isZero.set(equal);
    const after = { ...stack };
    pop(e, after, pops);
    const setFlags = (): void =>
      e.setFlags({ C: carry.get, P: parity.get, Z: isZero.get, O: zero, S: zero, A: zero });
    const general = (): void => {
      const codes = e.let('i32', e.call('x87CompareFlags', e.context, codeOf(i), quiet ? one : zero, i32.const(pops))); // prettier-ignore
      const has = (code: number): Code => i32.ne(i32.and(codes, i32.const(code)), zero);
      carry.set(has(C0));
      parity.set(has(C2));
      isZero.set(has(C3));
    };
    finish(e, stack, after, { unless, general, beforeLeaving: setFlags });
    setFlags();
  });
} // prettier-ignore

export const comparisons: readonly Instruction[] = [
  compareMemory('fcom', [['D8 /2', 'Md'], ['DC /2', 'Mq']], false, 0),
  compareMemory('fcomp', [['D8 /3', 'Md'], ['DC /3', 'Mq']], false, 1),
  compareMemory('ficom', [['DA /2', 'Md'], ['DE /2', 'Mw']], true, 0),
  compareMemory('ficomp', [['DA /3', 'Md'], ['DE /3', 'Mw']], true, 1),
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
    const general = (): void => call(e, 'x87CompareMemory', i64.const(0), i32.const(KIND.integer), zero);
    compare(e, begin(e), { significand: i64.const(0), exponent: zero }, 0, { unless: undefined, general });
  }),
  declareGeneral('fxam', [['D9 E5', '']], (e) => {
    waitForExceptions(e);
    call(e, 'x87Operand', zero);
    const codes: readonly (readonly [number, number])[] = [
      [CLASS.quiet | CLASS.signalling, C0], [CLASS.normal, C2], [CLASS.infinite, C0 | C2], [CLASS.zero, C3],
      [CLASS.empty, C0 | C3], [CLASS.denormal, C2 | C3],
    ]; // prettier-ignore
    let code: Code = zero;
    for (const [kind, value] of codes) code = select(isClass(e, SLOT.a, kind), i32.const(value), code);
    const status = i32.or(code, i32.shl(signOf(e, SLOT.a), i32.const(9)));
    e.set('fsw', i32.or(i32.and(e.get('fsw'), i32.const(~(C0 | C1 | C2 | C3))), status));
    notePointers(e);
  }),
]; // prettier-ignore
