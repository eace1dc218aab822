// Floating-point numbers as the exact arithmetic of SSE sees them: formats, what kind of number some bits are, operands
// under DAZ, NaN rules, unpacking, and the rounding of results with its flags (SDM vol. 1, 4.8, 4.9, 10.2.3, 11.5).
//
// A lane is an i64 that holds the bits of one number. Flags that a lane raises are collected in the context's scratch
// area, so that a packed operation can raise them together.
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
  readonly bits: 16 | 32 | 64;
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
/** Of F16C, for conversions only. */
export const HALF: Format = {
  bits: 16,
  fraction: 10,
  bias: 15,
  sign: 0x8000n,
  infinity: 0x7c00n,
  quiet: 0x200n,
  indefinite: 0xfe00n,
};
export const FORMATS = [DOUBLE, SINGLE] as const;

export const raise = (f: Emitter, flags: number): void =>
  f.emit(i32.store(f.context, i32.or(i32.load(f.context, FLAGS_AT), i32.const(flags)), FLAGS_AT));
export const raiseIf = (f: Emitter, condition: Code, flags: number): void =>
  f.when(condition, () => raise(f, flags));
export const answer = (f: Emitter, value: Code): void => f.emit(ret(value));
export const modeOf = (f: Emitter): Code =>
  i32.and(i32.shr_u(f.get('mxcsr'), i32.const(MXCSR.roundingShift)), i32.const(3));
const hasBits = (f: Emitter, bits: number): Code => i32.and(f.get('mxcsr'), i32.const(bits));

export const magnitude = (format: Format, x: Code): Code => i64.and(x, i64.const(format.sign - 1n));
export const isNaN = (format: Format, x: Code): Code =>
  i64.gt_u(magnitude(format, x), i64.const(format.infinity));
export const isInfinite = (format: Format, x: Code): Code =>
  i64.eq(magnitude(format, x), i64.const(format.infinity));
export const isZero = (format: Format, x: Code): Code => i64.eqz(magnitude(format, x));
export const isDenormal = (format: Format, x: Code): Code =>
  i64.lt_u(i64.sub(magnitude(format, x), i64.const(1)), i64.const((1n << BigInt(format.fraction)) - 1n));
export const isSignalling = (format: Format, x: Code): Code =>
  i32.and(isNaN(format, x), i64.eqz(i64.and(x, i64.const(format.quiet))));
export const signOf = (format: Format, x: Code): Code => i64.shr_u(x, i64.const(format.bits - 1));
export const placeSign = (format: Format, sign: Code): Code => i64.shl(sign, i64.const(format.bits - 1));
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
export function answerNaN(f: Emitter, format: Format, a: Code, b: Code): void {
  f.when(i32.or(isNaN(format, a), isNaN(format, b)), () => {
    raiseIf(f, i32.or(isSignalling(format, a), isSignalling(format, b)), MXCSR.invalid);
    answer(f, quieted(format, select(isNaN(format, a), a, b)));
  });
}
export function answerInvalid(f: Emitter, format: Format): void {
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

export const asBit = (condition: Code): Code => i64.extend_i32_u(condition);
export const sticky = (rest: Code): Code => asBit(i64.ne(rest, i64.const(0)));
export const rounderName = (format: Format): string => `sseRound${format.bits}`;

/**
 * sseRound64(context, sign, exponent, significand): rounds, raises overflow, underflow and precision, and packs. Halves
 * have a mode of their own, a fifth parameter, and are not flushed to zero.
 */
export function rounder(format: Format): Helper {
  const { fraction, bias, infinity } = format;
  const precision = fraction + 1;
  const shift = 64 - precision;
  const exponentMax = 2 * bias + 1;
  const isHalf = format.bits === 16;
  return {
    name: rounderName(format),
    parameters: isHalf ? ['i32', 'i64', 'i32', 'i64', 'i32'] : ['i32', 'i64', 'i32', 'i64'],
    result: 'i64',
    emit(f, _context, sign, exponent, significand, given) {
      const mode = f.let('i32', isHalf ? given : modeOf(f));
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
        const unmasked = (rest: Code): void =>
          f.when(i32.eqz(hasBits(f, MXCSR.underflowMask)), () => {
            raise(f, MXCSR.underflow);
            raiseIf(f, i64.ne(rest, i64.const(0)), MXCSR.precision);
            answer(f, signBit);
          });
        if (!isHalf) unmasked(rest);
        if (!isHalf)
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
        if (isHalf) unmasked(below.get); // VCVTPS2PH asks the denormal
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
