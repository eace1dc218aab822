// IEEE 754 arithmetic of single and double precision in integers, exactly as SSE does it: all four rounding modes,
// denormals-are-zero, flush-to-zero, NaN rules, and every exception flag (SDM vol. 1, 4.8, 4.9, 10.2.3, 11.5).
//
// The instructions use the host's floating point where nothing can be seen but the value (sse-float.ts says when); all
// other cases come here. A lane is an i64 that holds the bits of one number. Flags that a lane raises are collected in
// the context's scratch area, so that a packed operation can raise them together: sseCommit puts them into MXCSR.
//
// Between unpacking and rounding a number is sign, exponent and a 64-bit significand with its top bit set:
// significand · 2^(exponent - 63); bits that do not fit are ORed into the lowest one.

import type { Emitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, ret, select } from '../exec/wasm.ts';
import { CONTEXT } from '../layout.ts';
import type { Helper } from './declare.ts';

export const MXCSR = {
  invalid: 1, denormal: 2, zeroDivide: 4, overflow: 8, underflow: 16, precision: 32, flags: 63, denormalsAreZero: 0x40,
  masksShift: 7, underflowMask: 0x800, overflowMask: 0x400, roundingShift: 13, flushToZero: 0x8000,
} as const; // prettier-ignore
export const ROUND = { nearest: 0, down: 1, up: 2, zero: 3 } as const;

/** Where the flags of this instruction collect; set to 0 before the first lane. */
export const FLAGS_AT = CONTEXT.scratch;

export interface Format {
  readonly bits: 32 | 64;
  readonly fraction: number;
  readonly bias: number;
  readonly sign: bigint;
  readonly infinity: bigint;
  readonly quiet: bigint;
  readonly indefinite: bigint;
}
export const DOUBLE: Format = {
  bits: 64,
  fraction: 52,
  bias: 1023,
  sign: 1n << 63n,
  infinity: 0x7ff0_0000_0000_0000n,
  quiet: 1n << 51n,
  indefinite: 0xfff8_0000_0000_0000n,
};
export const SINGLE: Format = {
  bits: 32,
  fraction: 23,
  bias: 127,
  sign: 1n << 31n,
  infinity: 0x7f80_0000n,
  quiet: 1n << 22n,
  indefinite: 0xffc0_0000n,
};
export const FORMATS = [DOUBLE, SINGLE] as const;

export const raise = (f: Emitter, flags: number): void =>
  f.emit(i32.store(f.context, i32.or(i32.load(f.context, FLAGS_AT), i32.const(flags)), FLAGS_AT));
const raiseIf = (f: Emitter, condition: Code, flags: number): void =>
  f.when(condition, () => raise(f, flags));
const answer = (f: Emitter, value: Code): void => f.emit(ret(value));
export const modeOf = (f: Emitter): Code =>
  i32.and(i32.shr_u(f.get('mxcsr'), i32.const(MXCSR.roundingShift)), i32.const(3));
const hasBits = (f: Emitter, bits: number): Code => i32.and(f.get('mxcsr'), i32.const(bits));

export const magnitude = (format: Format, x: Code): Code => i64.and(x, i64.const(format.sign - 1n));
export const isNaN = (format: Format, x: Code): Code =>
  i64.gt_u(magnitude(format, x), i64.const(format.infinity));
const isInfinite = (format: Format, x: Code): Code =>
  i64.eq(magnitude(format, x), i64.const(format.infinity));
const isZero = (format: Format, x: Code): Code => i64.eqz(magnitude(format, x));
const isDenormal = (format: Format, x: Code): Code =>
  i64.lt_u(i64.sub(magnitude(format, x), i64.const(1)), i64.const((1n << BigInt(format.fraction)) - 1n));
export const isSignalling = (format: Format, x: Code): Code =>
  i32.and(isNaN(format, x), i64.eqz(i64.and(x, i64.const(format.quiet))));
const signOf = (format: Format, x: Code): Code => i64.shr_u(x, i64.const(format.bits - 1));
const placeSign = (format: Format, sign: Code): Code => i64.shl(sign, i64.const(format.bits - 1));
export const quieted = (format: Format, x: Code): Code => i64.or(x, i64.const(format.quiet));

/** A denormal operand counts as zero when MXCSR says so; the value in a local. */
export function operand(f: Emitter, format: Format, x: Code): Code {
  const flush = i32.and(i32.ne(hasBits(f, MXCSR.denormalsAreZero), i32.const(0)), isDenormal(format, x));
  return f.let('i64', select(flush, i64.and(x, i64.const(format.sign)), x));
}
/** Raises the denormal flag for operands that are; call when none is a NaN. */
export function noteDenormals(f: Emitter, format: Format, ...operands: Code[]): void {
  let any: Code = i32.const(0);
  for (const x of operands) any = i32.or(any, isDenormal(format, x));
  raiseIf(f, any, MXCSR.denormal);
}

/** The first operand that is a NaN, quieted; invalid if any signals. */
function answerNaN(f: Emitter, format: Format, a: Code, b: Code): void {
  f.when(i32.or(isNaN(format, a), isNaN(format, b)), () => {
    raiseIf(f, i32.or(isSignalling(format, a), isSignalling(format, b)), MXCSR.invalid);
    answer(f, quieted(format, select(isNaN(format, a), a, b)));
  });
}
function answerInvalid(f: Emitter, format: Format): void {
  raise(f, MXCSR.invalid);
  answer(f, i64.const(format.indefinite));
}

export interface Unpacked {
  readonly exponent: Code; // i32
  readonly significand: Code; // i64
}
/** Of a number that is neither zero nor infinite nor NaN. */
export function unpack(f: Emitter, format: Format, x: Code): Unpacked {
  const { fraction, bias } = format;
  const bits = f.let('i64', i64.and(x, i64.const((1n << BigInt(fraction)) - 1n)));
  const field = f.let('i32', i32.wrap_i64(i64.shr_u(magnitude(format, x), i64.const(fraction))));
  const exponent = f.variable('i32');
  const significand = f.variable('i64');
  f.when(
    field,
    () => {
      exponent.set(i32.sub(field, i32.const(bias)));
      significand.set(i64.or(i64.shl(bits, i64.const(63 - fraction)), i64.const(1n << 63n)));
    },
    () => {
      significand.set(i64.shl(bits, i64.clz(bits)));
      exponent.set(i32.sub(i32.const(64 - bias - fraction), i32.wrap_i64(i64.clz(bits))));
    },
  );
  return { exponent: exponent.get, significand: significand.get };
}

const asBit = (condition: Code): Code => i64.extend_i32_u(condition);
const sticky = (rest: Code): Code => asBit(i64.ne(rest, i64.const(0)));
export const rounderName = (format: Format): string => `sseRound${format.bits}`;

/** sseRound64(context, sign, exponent, significand): rounds, raises overflow, underflow and precision, and packs. */
function rounder(format: Format): Helper {
  const { fraction, bias, infinity } = format;
  const precision = fraction + 1;
  const shift = 64 - precision;
  const exponentMax = 2 * bias + 1;
  return {
    name: rounderName(format),
    parameters: ['i32', 'i64', 'i32', 'i64'],
    result: 'i64',
    emit(f, _context, sign, exponent, significand) {
      const mode = f.let('i32', modeOf(f));
      const signBit = f.let('i64', placeSign(format, sign));
      // Away from zero: up for positive, down for negative
      const away = f.let('i32', i32.eq(mode, i32.sub(i32.const(ROUND.up), i32.wrap_i64(sign))));
      /** 1 if a significand is rounded up; `rest` is what lies below its last bit, from bit 63 down. */
      const increment = (kept: Code, rest: Code): Code => {
        const half = i64.const(1n << 63n);
        const nearest = i32.or(
          i64.gt_u(rest, half),
          i32.and(i64.eq(rest, half), i32.and(i32.wrap_i64(kept), i32.const(1))),
        );
        const directed = i32.and(i64.ne(rest, i64.const(0)), away);
        return asBit(select(i32.eqz(mode), nearest, directed));
      };
      const before = f.let('i32', i32.add(exponent, i32.const(bias)));
      const biased = f.variable('i32');
      biased.set(before);
      const kept = f.let('i64', i64.shr_u(significand, i64.const(shift)));
      const rest = f.let('i64', i64.shl(significand, i64.const(precision)));
      const rounded = f.variable('i64');
      rounded.set(i64.add(kept, increment(kept, rest)));
      f.when(i64.ne(i64.shr_u(rounded.get, i64.const(precision)), i64.const(0)), () => {
        rounded.set(i64.shr_u(rounded.get, i64.const(1)));
        biased.set(i32.add(biased.get, i32.const(1)));
      });
      // Tiny is judged after rounding with unbounded exponent (SDM 1 4.9.1.5)
      f.when(i32.lt_s(biased.get, i32.const(1)), () => {
        // Unmasked, nothing is written; whether precision is lost too is asked of the unbounded result
        f.when(i32.eqz(hasBits(f, MXCSR.underflowMask)), () => {
          raise(f, MXCSR.underflow);
          raiseIf(f, i64.ne(rest, i64.const(0)), MXCSR.precision);
          answer(f, signBit);
        });
        f.when(hasBits(f, MXCSR.flushToZero), () => {
          raise(f, MXCSR.underflow | MXCSR.precision);
          answer(f, signBit);
        });
        const down = f.let('i64', i64.extend_i32_u(i32.sub(i32.const(shift + 1), before)));
        const few = f.variable('i64');
        const below = f.variable('i64');
        f.when(
          i64.lt_u(down, i64.const(64)),
          () => {
            few.set(i64.shr_u(significand, down));
            below.set(i64.shl(significand, i64.sub(i64.const(64), down)));
          },
          () => {
            few.set(i64.const(0));
            below.set(select(i64.eq(down, i64.const(64)), significand, i64.const(1)));
          },
        );
        raiseIf(f, i64.ne(below.get, i64.const(0)), MXCSR.underflow | MXCSR.precision);
        answer(f, i64.or(signBit, i64.add(few.get, increment(few.get, below.get))));
      });
      raiseIf(f, i64.ne(rest, i64.const(0)), MXCSR.precision);
      f.when(i32.ge_s(biased.get, i32.const(exponentMax)), () => {
        raise(f, MXCSR.overflow);
        raiseIf(f, hasBits(f, MXCSR.overflowMask), MXCSR.precision);
        const toInfinity = i32.or(i32.eqz(mode), away);
        answer(f, i64.or(signBit, select(toInfinity, i64.const(infinity), i64.const(infinity - 1n))));
      });
      const exponentField = i64.shl(i64.extend_i32_u(biased.get), i64.const(fraction));
      const withoutTop = i64.and(rounded.get, i64.const((1n << BigInt(fraction)) - 1n));
      return i64.or(signBit, i64.or(exponentField, withoutTop));
    },
  };
}

/** Normalises and rounds; `significand` is not zero. */
export function rounded(f: Emitter, format: Format, sign: Code, exponent: Code, significand: Code): Code {
  const value = f.let('i64', significand);
  const zeros = f.let('i64', i64.clz(value));
  return f.call(
    rounderName(format),
    f.context,
    sign,
    i32.sub(exponent, i32.wrap_i64(zeros)),
    i64.shl(value, zeros),
  );
}

function adder(format: Format, subtract: boolean): Helper {
  return {
    name: `${subtract ? 'sseSub' : 'sseAdd'}${format.bits}`,
    parameters: ['i32', 'i64', 'i64'],
    result: 'i64',
    emit(f, _context, first, second) {
      const x = operand(f, format, first);
      const given = operand(f, format, second);
      answerNaN(f, format, x, given);
      const y = subtract ? f.let('i64', i64.xor(given, i64.const(format.sign))) : given;
      const differ = f.let('i32', i64.ne(signOf(format, x), signOf(format, y)));
      f.when(i32.and(differ, i32.and(isInfinite(format, x), isInfinite(format, y))), () =>
        answerInvalid(f, format),
      );
      noteDenormals(f, format, x, y);
      f.when(isInfinite(format, x), () => answer(f, x));
      f.when(isInfinite(format, y), () => answer(f, y));
      const zero = (): Code => placeSign(format, asBit(i32.eq(modeOf(f), i32.const(ROUND.down))));
      const only = (z: Code): void => {
        const { exponent, significand } = unpack(f, format, z);
        answer(f, rounded(f, format, signOf(format, z), exponent, significand));
      };
      f.when(isZero(format, x), () => {
        f.when(isZero(format, y), () => answer(f, select(differ, zero(), x)));
        only(y);
      });
      f.when(isZero(format, y), () => only(x));

      // The larger first: bits order like magnitudes
      const swap = f.let('i32', i64.lt_u(magnitude(format, x), magnitude(format, y)));
      const large = f.let('i64', select(swap, y, x));
      const a = unpack(f, format, large);
      const b = unpack(f, format, select(swap, x, y));
      const distance = f.let('i64', i64.extend_i32_u(i32.sub(a.exponent, b.exponent)));
      const top = i64.shr_u(a.significand, i64.const(1));
      const lower = f.let('i64', i64.shr_u(b.significand, i64.const(1)));
      const aligned = f.variable('i64');
      f.when(
        i64.ge_u(distance, i64.const(63)),
        () => aligned.set(i64.const(1)),
        () => {
          const lost = i64.shl(i64.shl(lower, i64.const(1)), i64.sub(i64.const(63), distance));
          aligned.set(i64.or(i64.shr_u(lower, distance), sticky(lost)));
        },
      );
      const sum = f.let('i64', select(differ, i64.sub(top, aligned.get), i64.add(top, aligned.get)));
      f.when(i64.eqz(sum), () => answer(f, zero()));
      return rounded(f, format, signOf(format, large), i32.add(a.exponent, i32.const(1)), sum);
    },
  };
}

/** The upper 64 bits of a product, the lower ORed into the last. */
function multiplyHigh(f: Emitter, a: Code, b: Code): Code {
  const half = i64.const(32);
  const part = (value: Code): Code => i64.and(value, i64.const(0xffff_ffff));
  const [a1, a0, b1, b0] = [i64.shr_u(a, half), part(a), i64.shr_u(b, half), part(b)];
  const p00 = f.let('i64', i64.mul(a0, b0));
  const p01 = f.let('i64', i64.mul(a0, b1));
  const p10 = f.let('i64', i64.mul(a1, b0));
  const middle = f.let('i64', i64.add(i64.shr_u(p00, half), i64.add(part(p01), part(p10))));
  const high = i64.add(
    i64.add(i64.mul(a1, b1), i64.shr_u(middle, half)),
    i64.add(i64.shr_u(p01, half), i64.shr_u(p10, half)),
  );
  return i64.or(high, sticky(i64.or(part(p00), part(middle))));
}

function multiplier(format: Format): Helper {
  return {
    name: `sseMul${format.bits}`,
    parameters: ['i32', 'i64', 'i64'],
    result: 'i64',
    emit(f, _context, first, second) {
      const x = operand(f, format, first);
      const y = operand(f, format, second);
      answerNaN(f, format, x, y);
      const sign = f.let('i64', i64.xor(signOf(format, x), signOf(format, y)));
      const infinite = f.let('i32', i32.or(isInfinite(format, x), isInfinite(format, y)));
      const zero = f.let('i32', i32.or(isZero(format, x), isZero(format, y)));
      f.when(i32.and(infinite, zero), () => answerInvalid(f, format));
      noteDenormals(f, format, x, y);
      f.when(infinite, () => answer(f, i64.or(placeSign(format, sign), i64.const(format.infinity))));
      f.when(zero, () => answer(f, placeSign(format, sign)));
      const a = unpack(f, format, x);
      const b = unpack(f, format, y);
      const product = multiplyHigh(f, a.significand, b.significand);
      return rounded(f, format, sign, i32.add(i32.add(a.exponent, b.exponent), i32.const(1)), product);
    },
  };
}

function divider(format: Format): Helper {
  return {
    name: `sseDiv${format.bits}`,
    parameters: ['i32', 'i64', 'i64'],
    result: 'i64',
    emit(f, _context, first, second) {
      const x = operand(f, format, first);
      const y = operand(f, format, second);
      answerNaN(f, format, x, y);
      const sign = f.let('i64', i64.xor(signOf(format, x), signOf(format, y)));
      const signBit = f.let('i64', placeSign(format, sign));
      f.when(
        i32.or(
          i32.and(isInfinite(format, x), isInfinite(format, y)),
          i32.and(isZero(format, x), isZero(format, y)),
        ),
        () => answerInvalid(f, format),
      );
      f.when(isInfinite(format, x), () => {
        noteDenormals(f, format, y);
        answer(f, i64.or(signBit, i64.const(format.infinity)));
      });
      f.when(isZero(format, y), () => {
        raise(f, MXCSR.zeroDivide);
        answer(f, i64.or(signBit, i64.const(format.infinity)));
      });
      noteDenormals(f, format, x, y);
      f.when(i32.or(isZero(format, x), isInfinite(format, y)), () => answer(f, signBit));
      const a = unpack(f, format, x);
      const b = unpack(f, format, y);
      // Long division, 63 bits: quotient of two 53-bit significands, at least 61 bits of it and a sticky bit
      const divisor = f.let('i64', i64.shr_u(b.significand, i64.const(11)));
      const remainder = f.variable('i64');
      const quotient = f.variable('i64');
      const count = f.variable('i32');
      remainder.set(i64.shr_u(a.significand, i64.const(11)));
      quotient.set(i64.const(0));
      count.set(i32.const(63));
      f.loop((leave) => {
        leave(i32.eqz(count.get));
        count.set(i32.sub(count.get, i32.const(1)));
        quotient.set(i64.shl(quotient.get, i64.const(1)));
        f.when(i64.ge_u(remainder.get, divisor), () => {
          remainder.set(i64.sub(remainder.get, divisor));
          quotient.set(i64.or(quotient.get, i64.const(1)));
        });
        remainder.set(i64.shl(remainder.get, i64.const(1)));
      });
      const zeros = f.let('i64', i64.clz(quotient.get));
      const normal = i64.or(i64.shl(quotient.get, zeros), sticky(remainder.get));
      const exponent = i32.sub(i32.add(i32.sub(a.exponent, b.exponent), i32.const(1)), i32.wrap_i64(zeros));
      return f.call(rounderName(format), f.context, sign, exponent, normal);
    },
  };
}

function squareRoot(format: Format): Helper {
  return {
    name: `sseSqrt${format.bits}`,
    parameters: ['i32', 'i64'],
    result: 'i64',
    emit(f, _context, source) {
      const x = operand(f, format, source);
      answerNaN(f, format, x, x);
      f.when(isZero(format, x), () => answer(f, x));
      f.when(i64.ne(signOf(format, x), i64.const(0)), () => answerInvalid(f, format));
      noteDenormals(f, format, x);
      f.when(isInfinite(format, x), () => answer(f, x));
      const a = unpack(f, format, x);
      // Digit by digit: 60 bits of the root of a number in [1, 4), taken two bits at a time from the top
      const radicand = f.variable('i64');
      const remainder = f.variable('i64');
      const root = f.variable('i64');
      const count = f.variable('i32');
      const odd = i32.and(a.exponent, i32.const(1));
      radicand.set(select(odd, a.significand, i64.shr_u(a.significand, i64.const(1))));
      remainder.set(i64.const(0));
      root.set(i64.const(0));
      count.set(i32.const(60));
      f.loop((leave) => {
        leave(i32.eqz(count.get));
        count.set(i32.sub(count.get, i32.const(1)));
        remainder.set(i64.or(i64.shl(remainder.get, i64.const(2)), i64.shr_u(radicand.get, i64.const(62))));
        radicand.set(i64.shl(radicand.get, i64.const(2)));
        const trial = f.let('i64', i64.or(i64.shl(root.get, i64.const(2)), i64.const(1)));
        root.set(i64.shl(root.get, i64.const(1)));
        f.when(i64.ge_u(remainder.get, trial), () => {
          remainder.set(i64.sub(remainder.get, trial));
          root.set(i64.or(root.get, i64.const(1)));
        });
      });
      const exponent = i32.shr_s(a.exponent, i32.const(1));
      const significand = i64.or(i64.shl(root.get, i64.const(4)), sticky(remainder.get));
      return f.call(rounderName(format), f.context, i64.const(0), exponent, significand);
    },
  };
}

/** min and max return the second operand when any is a NaN (always invalid) or both are zero. */
function extremum(format: Format, max: boolean): Helper {
  return {
    name: `${max ? 'sseMax' : 'sseMin'}${format.bits}`,
    parameters: ['i32', 'i64', 'i64'],
    result: 'i64',
    emit(f, _context, first, second) {
      const x = operand(f, format, first);
      const y = operand(f, format, second);
      f.when(i32.or(isNaN(format, x), isNaN(format, y)), () => {
        raise(f, MXCSR.invalid);
        answer(f, y);
      });
      noteDenormals(f, format, x, y);
      f.when(i64.eqz(magnitude(format, i64.or(x, y))), () => answer(f, y));
      // As signed integers, negative numbers mirrored, they order like the numbers
      const order = (z: Code): Code => {
        const wide = format.bits === 64 ? z : i64.extend32_s(z);
        return i64.xor(wide, i64.shr_u(i64.shr_s(wide, i64.const(63)), i64.const(1)));
      };
      const [a, b] = [f.let('i64', order(x)), f.let('i64', order(y))];
      return select(max ? i64.gt_s(a, b) : i64.lt_s(a, b), x, y);
    },
  };
}

/** sseCompare64(context, a, b, quiet NaNs are invalid too): raises the flags of a comparison. */
function comparison(format: Format): Helper {
  return {
    name: `sseCompare${format.bits}`,
    parameters: ['i32', 'i64', 'i64', 'i32'],
    emit(f, _context, first, second, quietToo) {
      const x = operand(f, format, first);
      const y = operand(f, format, second);
      f.when(
        i32.or(isNaN(format, x), isNaN(format, y)),
        () => {
          const signals = i32.or(isSignalling(format, x), isSignalling(format, y));
          raiseIf(f, i32.or(quietToo, signals), MXCSR.invalid);
        },
        () => noteDenormals(f, format, x, y),
      );
    },
  };
}

/** sseOperand64(context, x): the operand as arithmetic sees it. */
function asOperand(format: Format): Helper {
  return {
    name: `sseOperand${format.bits}`,
    parameters: ['i32', 'i64'],
    result: 'i64',
    emit: (f, _context, x) => operand(f, format, x),
  };
}

/**
 * sseCommit(context): the collected flags go to MXCSR; yields 1 if one of them is unmasked. Then flags that are found
 * after the computation stay away if one found before it is unmasked (SDM 1 11.5.3).
 */
const commit: Helper = {
  name: 'sseCommit',
  parameters: ['i32'],
  result: 'i32',
  emit(f, context) {
    const early = MXCSR.invalid | MXCSR.denormal | MXCSR.zeroDivide;
    const flags = f.variable('i32');
    flags.set(i32.load(context, FLAGS_AT));
    const masks = i32.shr_u(f.get('mxcsr'), i32.const(MXCSR.masksShift));
    const unmasked = f.let('i32', i32.and(i32.xor(masks, i32.const(-1)), i32.const(MXCSR.flags)));
    f.when(i32.and(i32.and(flags.get, i32.const(early)), unmasked), () =>
      flags.set(i32.and(flags.get, i32.const(early))),
    );
    f.set('mxcsr', i32.or(f.get('mxcsr'), flags.get));
    return i32.ne(i32.and(flags.get, unmasked), i32.const(0));
  },
};

export const exactHelpers: readonly Helper[] = [
  commit,
  ...FORMATS.flatMap((format) => [
    rounder(format),
    adder(format, false),
    adder(format, true),
    multiplier(format),
    divider(format),
    squareRoot(format),
    extremum(format, false),
    extremum(format, true),
    comparison(format),
    asOperand(format),
  ]),
];
