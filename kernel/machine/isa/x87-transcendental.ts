// x87 exponential and logarithms: F2XM1, FYL2X, FYL2XP1, by series with some 120 bits, then rounded once to 64 bits
// (SDM vol. 1, 8.3.7 to 8.3.10).
//
// Deviation: results are correctly rounded; those of real CPUs may differ by one in the last place, and C1 with them.
// Where the manual leaves the result undefined (F2XM1 beyond ±1, FYL2XP1 beyond 1 - √½) it is near that of some CPUs.

import type { Emitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, select } from '../exec/wasm.ts';
import type { Family, Helper, Instruction } from './declare.ts';
import type { Wide } from './x87-round.ts';
import { FORMAT, round, shiftRight, unpack } from './x87-round.ts';
import {
  BIAS, CLASS, FLAG, RETURN, SLOT, TOP_BIT, classOf, copySlot, either, exponentOf, invalid, isClass, noteDenormals,
  put, raise, signOf,
} from './x87-state.ts'; // prettier-ignore
import { onStack, one, zero } from './x87-support.ts';
import type { Float } from './x87-wide.ts';
import {
  constant, difference, factorials, normalized, oddReciprocals, product, quotient, series, sum, wideHelpers, wideVariable,
} from './x87-wide.ts'; // prettier-ignore

const LN2 = 0xb172_17f7_d1cf_79ab_c9e3_b398_03f2_f6afn; // Q0
const TWO_OVER_LN2 = 0xb8aa_3b29_5c17_f0bb_be87_fed0_691d_3e89n; // Q2
const SQRT_2 = 0xb504_f333_f9de_6484n; // a significand
const bit = (condition: Code): Code => i64.extend_i32_u(condition);
const done = (f: Emitter): void => f.emit(RETURN);
const signedZero = (f: Emitter, signBit: Code): void => {
  put(f, SLOT.r, i64.const(0), signBit);
  done(f);
};
const infinity = (f: Emitter, signBit: Code): void => {
  put(f, SLOT.r, TOP_BIT, i32.or(signBit, i32.const(0x7fff)));
  done(f);
};
const refuse = (f: Emitter): void => {
  invalid(f);
  done(f);
};
/** Exact results that no CPU calls exact. */
function sayInexact(f: Emitter): void {
  const denormal = i32.eqz(i32.and(exponentOf(f, SLOT.r), i32.const(0x7fff)));
  raise(f, select(denormal, i32.const(FLAG.precision | FLAG.underflow), i32.const(FLAG.precision)));
}
/** Rounds an argument so small that CPUs take it for its function's value. */
export function roundTiny(f: Emitter, sign: Code, exponent: Code, high: Code, low: Code): void {
  round(f, sign, exponent, high, low, FORMAT.extended);
  sayInexact(f);
}
/** Rounds what is known to be inexact. */
export function roundInexact(f: Emitter, sign: Code, value: Float): void {
  round(f, sign, value.exponent, value.high, i64.or(value.low, i64.const(1)), FORMAT.extended);
}

/** x87Exponential(context): R = 2^A - 1, with (e^y - 1)/y = Σ y^k/(k+1)! for y = A·ln 2. */
const exponential: Helper = {
  name: 'x87Exponential',
  parameters: ['i32'],
  emit(f, context) {
    f.when(f.call('x87NoNumber', context), () => done(f));
    const sign = f.let('i32', signOf(f, SLOT.a));
    noteDenormals(f, classOf(f, SLOT.a));
    copySlot(f, SLOT.r, SLOT.a);
    f.when(isClass(f, SLOT.a, CLASS.zero), () => done(f));
    f.when(isClass(f, SLOT.a, CLASS.infinite), () => {
      f.when(sign, () => put(f, SLOT.r, TOP_BIT, i32.const(0xbfff)));
      done(f);
    });
    const x = unpack(f, SLOT.a);
    f.when(i32.ge_s(x.exponent, i32.const(0)), () => {
      // Only ±1 has a defined result; CPUs leave the others, and say inexact for all
      const isOne = i32.and(i32.eqz(x.exponent), i64.eq(x.significand, TOP_BIT));
      f.when(i32.and(isOne, sign), () => put(f, SLOT.r, TOP_BIT, i32.const(0x8000 | (BIAS - 1))));
      raise(f, FLAG.precision);
      done(f);
    });
    const y = normalized(
      f,
      product(f, { high: x.significand, low: i64.const(0) }, constant(LN2)),
      x.exponent,
    );
    const fixed = shiftRight(f, y.high, y.low, i32.sub(i32.const(-1), y.exponent));
    const factor = series(f, fixed, factorials(1, 1, 30), sign);
    const result = normalized(f, product(f, y, factor), i32.add(y.exponent, i32.const(1)));
    roundInexact(f, sign, result);
  },
};

/** log2 of (1 + s)/(1 - s) as a float, for s = ratio · 2^exponent with a ratio in Q0 of at least 2^-3, |s| ≤ 0.18. */
function logarithm(f: Emitter, ratio: Wide, exponent: Code): Float {
  const s = shiftRight(f, ratio.high, ratio.low, i32.sub(i32.const(0), exponent));
  const factor = series(f, product(f, s, s), oddReciprocals(26), 'plus');
  const scaled = normalized(f, product(f, ratio, constant(TWO_OVER_LN2)), i32.add(exponent, i32.const(1)));
  return normalized(f, product(f, scaled, factor), i32.add(scaled.exponent, i32.const(1)));
}

/** R = y·value, y being B. */
function timesB(f: Emitter, sign: Code, value: Float, inexact: Code): void {
  const y = unpack(f, SLOT.b);
  const whole = product(f, { high: y.significand, low: i64.const(0) }, value);
  const exponent = i32.add(i32.add(y.exponent, value.exponent), i32.const(1));
  const result = normalized(f, whole, exponent);
  const differ = i32.ne(sign, signOf(f, SLOT.b));
  round(f, differ, result.exponent, result.high, i64.or(result.low, inexact), FORMAT.extended);
}

/** x87Logarithm(context): R = B·log2(A). */
const logarithmTimes: Helper = {
  name: 'x87Logarithm',
  parameters: ['i32'],
  emit(f, context) {
    f.when(f.call('x87NoNumber', context), () => done(f));
    const signBit = f.let('i32', i32.and(exponentOf(f, SLOT.b), i32.const(0x8000)));
    const opposite = f.let('i32', i32.xor(signBit, i32.const(0x8000)));
    f.when(isClass(f, SLOT.a, CLASS.zero), () => {
      f.when(isClass(f, SLOT.b, CLASS.zero), () => refuse(f));
      f.when(i32.eqz(isClass(f, SLOT.b, CLASS.infinite)), () => raise(f, FLAG.zeroDivide));
      infinity(f, opposite);
    });
    f.when(signOf(f, SLOT.a), () => refuse(f));
    const isOne = f.let(
      'i32',
      i32.and(i32.eq(exponentOf(f, SLOT.a), i32.const(BIAS)), i64.eq(i64.load(context, SLOT.a), TOP_BIT)),
    );
    const below = i32.lt_u(exponentOf(f, SLOT.a), i32.const(BIAS));
    const resultSign = f.let('i32', select(below, opposite, signBit));
    f.when(isClass(f, SLOT.a, CLASS.infinite), () => {
      f.when(isClass(f, SLOT.b, CLASS.zero), () => refuse(f));
      noteDenormals(f, either(f));
      infinity(f, signBit);
    });
    f.when(isClass(f, SLOT.b, CLASS.infinite), () => {
      f.when(isOne, () => refuse(f));
      noteDenormals(f, either(f));
      infinity(f, resultSign);
    });
    noteDenormals(f, either(f));
    f.when(i32.or(isOne, isClass(f, SLOT.b, CLASS.zero)), () => signedZero(f, resultSign));
    const x = unpack(f, SLOT.a);
    // A = 2^power · m with m in [√½, √2); in units of 2^-64, m - 1 and m + 1 are exact
    const large = f.let('i32', i64.ge_u(x.significand, i64.const(SQRT_2)));
    const power = f.let('i32', i32.add(x.exponent, large));
    const powerSign = f.let('i32', i32.lt_s(power, i32.const(0)));
    const magnitude = f.let('i32', select(powerSign, i32.sub(i32.const(0), power), power));
    const whole = normalized(f, { high: bit(magnitude), low: i64.const(0) }, i32.const(63));
    const m = f.let('i64', select(large, x.significand, i64.shl(x.significand, i64.const(1)))); // modulo 2^64
    const distance = f.let('i64', select(large, i64.sub(i64.const(0), m), m));
    f.when(i64.eqz(distance), () => {
      timesB(f, powerSign, whole, i64.const(0));
      sayInexact(f);
      done(f);
    });
    const zeros = f.let('i64', i64.clz(distance));
    const numerator = f.let('i64', i64.shl(distance, zeros));
    // m + 1 = 2^64 + m (+ 2^64 if m ≥ 1), as Q2 of its 66 bits; the numerator at half that scale
    const high = i64.add(select(large, i64.const(1), i64.const(2)), i64.const(0));
    const divisor: Wide = {
      high: f.let('i64', i64.or(i64.shl(high, i64.const(62)), i64.shr_u(m, i64.const(2)))),
      low: f.let('i64', i64.shl(m, i64.const(62))),
    };
    const dividend: Wide = {
      high: f.let('i64', i64.shr_u(numerator, i64.const(2))),
      low: f.let('i64', i64.shl(numerator, i64.const(62))),
    };
    const part = logarithm(f, quotient(f, dividend, divisor), i32.sub(i32.const(0), i32.wrap_i64(zeros)));
    f.when(i32.eqz(power), () => {
      timesB(f, large, part, i64.const(1));
      done(f);
    });
    // Both in Q16
    const [first, second] = [whole, part].map(({ high: h, low: l, exponent }) =>
      shiftRight(f, h, l, i32.sub(i32.const(15), exponent)),
    );
    if (first === undefined || second === undefined) return;
    const total = wideVariable(f, first);
    f.when(
      i32.ne(powerSign, large),
      () => total.set(difference(f, first, second)),
      () => total.set(sum(f, first, second)),
    );
    timesB(f, powerSign, normalized(f, total.get, i32.const(15)), i64.const(1));
  },
};

/** x87LogarithmPlusOne(context): R = B·log2(A + 1), with s = A/(2 + A). */
const logarithmPlusOne: Helper = {
  name: 'x87LogarithmPlusOne',
  parameters: ['i32'],
  emit(f, context) {
    f.when(f.call('x87NoNumber', context), () => done(f));
    const negative = f.let('i32', signOf(f, SLOT.a));
    const signBit = f.let('i32', i32.and(i32.xor(exponentOf(f, SLOT.a), exponentOf(f, SLOT.b)), i32.const(0x8000))); // prettier-ignore
    f.when(isClass(f, SLOT.a, CLASS.infinite), () => {
      f.when(i32.or(negative, isClass(f, SLOT.b, CLASS.zero)), () => refuse(f));
      noteDenormals(f, either(f));
      infinity(f, signBit);
    });
    f.when(isClass(f, SLOT.b, CLASS.infinite), () => {
      f.when(isClass(f, SLOT.a, CLASS.zero), () => refuse(f));
      noteDenormals(f, either(f));
      infinity(f, signBit);
    });
    noteDenormals(f, either(f));
    f.when(i32.or(isClass(f, SLOT.a, CLASS.zero), isClass(f, SLOT.b, CLASS.zero)), () =>
      signedZero(f, signBit),
    );
    const x = unpack(f, SLOT.a);
    f.when(i32.ge_s(x.exponent, i32.const(-1)), () => {
      // Out of the range that the manual defines: the logarithm of the rounded sum
      f.when(i32.and(negative, i32.ge_s(x.exponent, i32.const(0))), () => {
        copySlot(f, SLOT.r, SLOT.a);
        raise(f, FLAG.precision);
        done(f);
      });
      const above = f.let('i32', i32.ge_s(x.exponent, i32.const(0)));
      const [large, small] = [select(above, x.significand, TOP_BIT), select(above, TOP_BIT, x.significand)];
      const top = f.let('i32', select(above, x.exponent, i32.const(0)));
      const other = shiftRight(f, small, i64.const(0), select(above, x.exponent, i32.const(1)));
      // One place lower, so that a carry fits
      const half = (value: Wide): Wide => ({
        high: f.let('i64', i64.shr_u(value.high, i64.const(1))),
        low: f.let('i64', i64.or(i64.shr_u(value.low, i64.const(1)), i64.shl(value.high, i64.const(63)))),
      });
      const [a, b] = [half({ high: f.let('i64', large), low: i64.const(0) }), half(other)];
      const total = wideVariable(f, a);
      f.when(
        negative,
        () => total.set(difference(f, a, b)),
        () => total.set(sum(f, a, b)),
      );
      const one = normalized(f, total.get, i32.add(top, i32.const(1)));
      const isFull = i64.eq(one.high, i64.const(-1));
      const nearest = i64.add(one.high, select(isFull, i64.const(0), i64.shr_u(one.low, i64.const(63))));
      put(f, SLOT.a, nearest, i32.add(one.exponent, i32.const(BIAS)));
      f.emit(f.call('x87Logarithm', context));
      done(f);
    });
    const fixed = shiftRight(f, i64.shr_u(x.significand, i64.const(1)), i64.shl(x.significand, i64.const(63)), i32.sub(i32.const(1), i32.add(x.exponent, i32.const(1)))); // prettier-ignore
    const two = constant(1n << 127n);
    const divisor = wideVariable(f, two);
    f.when(
      negative,
      () => divisor.set(difference(f, two, fixed)),
      () => divisor.set(sum(f, two, fixed)),
    );
    const dividend: Wide = {
      high: f.let('i64', i64.shr_u(x.significand, i64.const(2))),
      low: f.let('i64', i64.shl(x.significand, i64.const(62))),
    };
    const part = logarithm(f, quotient(f, dividend, divisor.get), i32.add(x.exponent, i32.const(1)));
    timesB(f, negative, part, i64.const(1));
  },
};

/** Of ST(0) and ST(1): the result replaces both. */
export const ofTwo = (mnemonic: string, form: string, helper: string): Instruction =>
  onStack(mnemonic, [[form, '']], (e) => {
    e.emit(e.call('x87Operands', e.context, zero, one));
    e.emit(e.call(helper, e.context));
    e.emit(e.call('x87Finish', e.context, one, one));
  });

export const x87Transcendental: Family = {
  helpers: [...wideHelpers, exponential, logarithmTimes, logarithmPlusOne],
  instructions: [
    onStack('f2xm1', [['D9 F0', '']], (e) => {
      e.emit(e.call('x87Operand', e.context, zero));
      e.emit(e.call('x87Exponential', e.context));
      e.emit(e.call('x87Finish', e.context, zero, zero));
    }),
    ofTwo('fyl2x', 'D9 F1', 'x87Logarithm'),
    ofTwo('fyl2xp1', 'D9 F9', 'x87LogarithmPlusOne'),
  ],
};
