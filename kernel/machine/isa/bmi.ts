// Bit manipulation: BMI1 and BMI2, and LZCNT and TZCNT, which execute as BSR and BSF where they are not there.

import type { Code } from '../exec/wasm.ts';
import { i32, i64, select } from '../exec/wasm.ts';
import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Family, Feature, Helper, Instruction } from './declare.ts';
import { instruction } from './declare.ts';

const NONE = i32.const(0);
const ALL = i64.const(-1);
const RDX = 2;
const isZero = (value: Code): Code => i64.eqz(value);
const isNotZero = (value: Code): Code => i64.ne(value, i64.const(0));
const less1 = (value: Code): Code => i64.sub(value, i64.const(1));

/** Result and carry of an operation on one or two sources, in the order of the operands; S and Z follow, O is clear. */
type Combine = (e: InstructionEmitter, first: Code, second: Code) => { value: Code; carry: Code };

function combining(mnemonic: string, feature: Feature, encoding: string, operands: string, combine: Combine): Instruction {
  return instruction({
    mnemonic,
    source: `SDM vol. 2, ${mnemonic.toUpperCase()}`,
    feature,
    forms: [[encoding, operands]],
    writes: 'OSZAPC',
    emit(e, target, first, second) {
      if (first === undefined) return;
      const a = e.read(first);
      const { value, carry } = combine(e, a, second === undefined ? a : e.read(second));
      const result = e.zero(e.let('i64', value));
      const kept = e.let('i32', carry); // before a source is overwritten
      e.write(target, result);
      e.flagsOf(result, kept, NONE);
    },
  });
} // prettier-ignore

const bextr: Combine = (e, value, control) => {
  const start = e.let('i64', i64.and(control, i64.const(255)));
  const length = e.let('i64', i64.and(i64.shr_u(control, i64.const(8)), i64.const(255)));
  const moved = select(i64.lt_u(start, i64.const(64)), i64.shr_u(value, start), i64.const(0));
  const mask = select(i64.lt_u(length, i64.const(64)), less1(i64.shl(i64.const(1), length)), ALL);
  return { value: i64.and(moved, mask), carry: NONE };
};

const bzhi: Combine = (e, value, index) => {
  const width = i64.const(e.size * 8);
  const from = e.let('i64', i64.and(index, i64.const(255)));
  const isInside = e.let('i32', i64.lt_u(from, width));
  const kept = select(isInside, i64.and(value, less1(i64.shl(i64.const(1), from))), value);
  return { value: kept, carry: i32.eqz(isInside) };
};

const lowest: Instruction[] = [
  combining('blsi', 'bmi1', 'VEX.LZ.0F38 F3 /3', 'By,Ey', (_e, a) => ({
    value: i64.and(i64.sub(i64.const(0), a), a),
    carry: isNotZero(a),
  })),
  combining('blsmsk', 'bmi1', 'VEX.LZ.0F38 F3 /2', 'By,Ey', (_e, a) => ({
    value: i64.xor(less1(a), a),
    carry: isZero(a),
  })),
  combining('blsr', 'bmi1', 'VEX.LZ.0F38 F3 /1', 'By,Ey', (_e, a) => ({
    value: i64.and(less1(a), a),
    carry: isZero(a),
  })),
];

/** lzcnt, tzcnt: of zero the operand's width, with carry. */
function count(mnemonic: string, feature: Feature, opcode: string, find: (e: InstructionEmitter, value: Code) => Code): Instruction {
  return combining(mnemonic, feature, `F3 0F ${opcode} /r`, 'Gv,Ev', (e, value) => ({
    value: find(e, value),
    carry: isZero(value),
  }));
} // prettier-ignore

/** sarx, shlx, shrx: no flags. */
function shiftBy(mnemonic: string, prefix: string, shift: (value: Code, by: Code) => Code): Instruction {
  return instruction({
    mnemonic,
    source: 'SDM vol. 2B, SARX/SHLX/SHRX',
    feature: 'bmi2',
    forms: [[`VEX.LZ.${prefix}.0F38 F7 /r`, 'Gy,Ey,By']],
    emit(e, target, source, by) {
      if (by === undefined) return;
      const value = mnemonic === 'sarx' ? e.readSigned(source) : e.read(source);
      e.write(target, shift(value, i64.and(e.read(by), i64.const(e.size * 8 - 1))));
    },
  });
}

const mulx = instruction({
  mnemonic: 'mulx',
  source: 'SDM vol. 2B, MULX: where both targets are one register it gets the upper half',
  feature: 'bmi2',
  forms: [['VEX.LZ.F2.0F38 F6 /r', 'Gy,By,Ey']],
  emit(e, high, low, source) {
    if (source === undefined) return;
    const a = e.register(RDX, e.size);
    const b = e.read(source);
    const product = e.let('i64', i64.mul(a, b));
    const upper = e.let('i64', e.size === 8 ? e.call('mulHigh', a, b) : i64.shr_u(product, i64.const(32)));
    e.write(low, product);
    e.write(high, upper);
  },
});

const rorx = instruction({
  mnemonic: 'rorx',
  source: 'SDM vol. 2B, RORX',
  feature: 'bmi2',
  forms: [['VEX.LZ.F2.0F3A F0 /r ib', 'Gy,Ey,Ib']],
  emit(e, target, source, count) {
    if (count === undefined) return;
    const a = e.read(source);
    const by = e.read(count);
    const turned =
      e.size === 8 ? i64.rotr(a, by) : i64.extend_i32_u(i32.rotr(i32.wrap_i64(a), i32.wrap_i64(by)));
    e.write(target, turned);
  },
});

/** bitsDeposit(value, mask), bitsExtract(value, mask): a turn for each bit of the mask. */
function scatter(name: string, step: (f: Emitter, lowest: Code, number: Code, value: Code) => Code): Helper {
  return {
    name,
    parameters: ['i64', 'i64'],
    result: 'i64',
    emit(f, value, mask) {
      const [left, number, result] = [f.variable('i64'), f.variable('i64'), f.variable('i64')];
      left.set(mask);
      number.set(i64.const(0));
      result.set(i64.const(0));
      f.loop((leave) => {
        leave(isZero(left.get));
        const bit = f.let('i64', i64.and(left.get, i64.sub(i64.const(0), left.get)));
        result.set(i64.or(result.get, step(f, bit, number.get, value)));
        left.set(i64.xor(left.get, bit));
        number.set(i64.add(number.get, i64.const(1)));
      });
      return result.get;
    },
  };
}

function parallel(mnemonic: string, prefix: string, helper: string): Instruction {
  return instruction({
    mnemonic,
    source: `SDM vol. 2B, ${mnemonic.toUpperCase()}`,
    feature: 'bmi2',
    forms: [[`VEX.LZ.${prefix}.0F38 F5 /r`, 'Gy,By,Ey']],
    emit(e, target, source, mask) {
      if (mask !== undefined) e.write(target, e.call(helper, e.read(source), e.read(mask)));
    },
  });
}

export const bmi: Family = {
  instructions: [
    combining('andn', 'bmi1', 'VEX.LZ.0F38 F2 /r', 'Gy,By,Ey', (_e, a, b) => ({
      value: i64.and(i64.xor(a, ALL), b),
      carry: NONE,
    })),
    combining('bextr', 'bmi1', 'VEX.LZ.0F38 F7 /r', 'Gy,Ey,By', bextr),
    combining('bzhi', 'bmi2', 'VEX.LZ.0F38 F5 /r', 'Gy,Ey,By', bzhi),
    ...lowest,
    count('lzcnt', 'lzcnt', 'BD', (e, a) => i64.sub(i64.clz(a), i64.const(64 - e.size * 8))),
    count('tzcnt', 'bmi1', 'BC', (e, a) =>
      e.size === 8 ? i64.ctz(a) : i64.ctz(i64.or(a, i64.const(1n << BigInt(e.size * 8)))),
    ),
    mulx,
    rorx,
    parallel('pdep', 'F2', 'bitsDeposit'),
    parallel('pext', 'F3', 'bitsExtract'),
    shiftBy('sarx', 'F3', i64.shr_s),
    shiftBy('shlx', '66', i64.shl),
    shiftBy('shrx', 'F2', i64.shr_u),
  ],
  helpers: [
    scatter('bitsDeposit', (_f, lowest, number, value) =>
      select(i64.eqz(i64.and(i64.shr_u(value, number), i64.const(1))), i64.const(0), lowest),
    ),
    scatter('bitsExtract', (_f, lowest, number, value) =>
      i64.shl(i64.extend_i32_u(isNotZero(i64.and(value, lowest))), number),
    ),
  ],
};
