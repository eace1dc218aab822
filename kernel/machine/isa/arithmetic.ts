// Binary integer arithmetic: add, adc, sub, sbb, cmp, and the one-operand inc, dec, neg.

import type { FlagRecipe, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i64 } from '../exec/wasm.ts';
import type { Family, Form, Instruction, Operand } from './declare.ts';
import { instruction } from './declare.ts';

/** The six forms of the eight classic operations; `row` is the opcode of the first. */
export function classicForms(row: number, digit: number, lockable: boolean): Form[] {
  const lock = lockable ? 'lock' : '';
  const opcode = (add: number): string => (row + add).toString(16).toUpperCase().padStart(2, '0');
  return [
    [`${opcode(0)} /r`, 'Eb,Gb', lock],
    [`${opcode(1)} /r`, 'Ev,Gv', lock],
    [`${opcode(2)} /r`, 'Gb,Eb'],
    [`${opcode(3)} /r`, 'Gv,Ev'],
    [`${opcode(4)} ib`, 'AL,Ib'],
    [`${opcode(5)} iz`, 'rAX,Iz'],
    [`80 /${digit} ib`, 'Eb,Ib', lock],
    [`81 /${digit} iz`, 'Ev,Iz', lock],
    [`83 /${digit} ib`, 'Ev,sIb', lock],
  ];
}

function binary(
  mnemonic: string,
  row: number,
  digit: number,
  emit: Instruction['emit'],
  lockable = true,
): Instruction {
  // prettier-ignore
  return instruction({
    mnemonic,
    source: `SDM vol. 2, ${mnemonic.toUpperCase()}`,
    forms: classicForms(row, digit, lockable),
    writes: 'OSZAPC',
    emit,
  });
}

/** With carry in: the recipe of the flags depends on nothing but the values. */
function withCarry(recipe: FlagRecipe, combine: (a: Code, b: Code) => Code) {
  return (e: InstructionEmitter, target: Operand, source: Operand): void => {
    const a = e.read(target);
    const b = e.read(source);
    const carry = e.let('i64', i64.extend_i32_u(e.flag('C')));
    const result = e.let('i64', combine(combine(a, b), carry));
    e.write(target, result);
    e.flags(recipe, a, b, result);
  };
}

function oneOperand(
  mnemonic: string,
  digit: number,
  opcodes: readonly [string, string],
  emit: Instruction['emit'],
  writes: string,
): Instruction {
  // prettier-ignore
  return instruction({
    mnemonic,
    source: `SDM vol. 2, ${mnemonic.toUpperCase()}`,
    forms: [
      [`${opcodes[0]} /${digit}`, 'Eb', 'lock'],
      [`${opcodes[1]} /${digit}`, 'Ev', 'lock'],
    ],
    writes,
    emit,
  });
}

export const add = binary('add', 0x00, 0, (e, target, source) => {
  const a = e.read(target);
  const b = e.read(source);
  const sum = e.add(a, b);
  e.write(target, sum); // may fault, so the flags come after it
  e.flags('add', a, b, sum);
});

export const sub = binary('sub', 0x28, 5, (e, target, source) => {
  const a = e.read(target);
  const b = e.read(source);
  const difference = e.sub(a, b);
  e.write(target, difference);
  e.flags('sub', a, b, difference);
});

export const cmp = binary('cmp', 0x38, 7, (e, target, source) => {
  const a = e.read(target);
  const b = e.read(source);
  e.flags('sub', a, b, e.sub(a, b));
}, false); // prettier-ignore

export const adc = binary('adc', 0x10, 2, withCarry('adc', i64.add));
export const sbb = binary('sbb', 0x18, 3, withCarry('sbb', i64.sub));

export const inc = oneOperand('inc', 0, ['FE', 'FF'], (e, target) => {
  const a = e.read(target);
  const result = e.add(a, i64.const(1));
  e.write(target, result);
  e.flags('inc', a, i64.const(1), result);
}, 'OSZAP'); // prettier-ignore

export const dec = oneOperand('dec', 1, ['FE', 'FF'], (e, target) => {
  const a = e.read(target);
  const result = e.sub(a, i64.const(1));
  e.write(target, result);
  e.flags('dec', a, i64.const(1), result);
}, 'OSZAP'); // prettier-ignore

export const neg = oneOperand('neg', 3, ['F6', 'F7'], (e, target) => {
  const a = e.read(target);
  const result = e.sub(i64.const(0), a);
  e.write(target, result);
  e.flags('sub', i64.const(0), a, result);
}, 'OSZAPC'); // prettier-ignore

export const arithmetic: Family = { instructions: [add, adc, sub, sbb, cmp, inc, dec, neg] };
