// Bitwise logic: and, or, xor, test, not.

import type { Code } from '../exec/wasm.ts';
import { i64 } from '../exec/wasm.ts';
import { classicForms } from './arithmetic.ts';
import type { Family, Instruction } from './declare.ts';
import { instruction } from './declare.ts';

function logical(
  mnemonic: string,
  row: number,
  digit: number,
  combine: (a: Code, b: Code) => Code,
): Instruction {
  return instruction({
    mnemonic,
    source: `SDM vol. 2, ${mnemonic.toUpperCase()}`,
    forms: classicForms(row, digit, true),
    writes: 'OSZAPC',
    emit(e, target, source) {
      const a = e.read(target);
      const b = e.read(source);
      const result = e.let('i64', combine(a, b));
      e.write(target, result);
      e.flags('logic', a, b, result);
    },
  });
}

export const test = instruction({
  mnemonic: 'test',
  source: 'SDM vol. 2B, TEST',
  forms: [
    ['84 /r', 'Eb,Gb'],
    ['85 /r', 'Ev,Gv'],
    ['A8 ib', 'AL,Ib'],
    ['A9 iz', 'rAX,Iz'],
    ['F6 /0 ib', 'Eb,Ib'],
    ['F6 /1 ib', 'Eb,Ib'],
    ['F7 /0 iz', 'Ev,Iz'],
    ['F7 /1 iz', 'Ev,Iz'],
  ],
  writes: 'OSZAPC',
  emit(e, left, right) {
    const a = e.read(left);
    const b = e.read(right);
    e.flags('logic', a, b, e.let('i64', i64.and(a, b)));
  },
});

export const not = instruction({
  mnemonic: 'not',
  source: 'SDM vol. 2B, NOT',
  forms: [
    ['F6 /2', 'Eb', 'lock'],
    ['F7 /2', 'Ev', 'lock'],
  ],
  emit: (e, target) => e.write(target, i64.xor(e.read(target), i64.const(-1))),
});

export const logic: Family = {
  instructions: [
    logical('and', 0x20, 4, i64.and),
    logical('or', 0x08, 1, i64.or),
    logical('xor', 0x30, 6, i64.xor),
    test,
    not,
  ],
};
