// x87 arithmetic where it is simple: both operands and the result are normal numbers, rounding is to nearest with 64 bits,
// everything is masked. Straight code on 64- and 128-bit integers, exact until the one rounding; whether it was that
// simple is known at the end, from `range` and `top`. Everything else: x87-arithmetic.ts.

import type { Emitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { f64, i32, i64, select } from '../exec/wasm.ts';
import type { Real, Rounding } from './x87-stack.ts';
import { BIAS, C0, C3, TOP_BIT } from './x87-state.ts';

/** What a computation leaves: it counts only if `range` is not negative and `top` is. */
export interface Outcome extends Real, Rounding {
  readonly range: Code; // i32
  readonly top: Code; // i64
}

const ZERO = i64.const(0);
const ONE = i64.const(1);
const FIELD = i32.const(0x7fff);
const SIGN = i32.const(0x8000);
const LARGEST = i32.const(0x7ffe);
const bit = (condition: Code): Code => i64.extend_i32_u(condition);
const notZero = (value: Code): Code => i64.ne(value, ZERO);

const fieldOf = (f: Emitter, { exponent }: Real): Code => f.let('i32', i32.and(exponent, FIELD));
/** Negative unless 1 to 0x7ffe. */
const inRange = (field: Code): Code => i32.or(i32.sub(field, i32.const(1)), i32.sub(LARGEST, field));
const fits = (f: Emitter, a: Code, b: Code, result: Code): Code =>
  f.let('i32', i32.or(i32.or(inRange(a), inRange(b)), inRange(result)));

/** (high, low), of which the top bit is set, to 64 bits; `field` is for the biased exponent. */
function rounded(f: Emitter, high: Code, low: Code, field: Code): Rounding & { significand: Code; field: Code } {
  const up = f.let('i32', i64.gt_u(low, i64.sub(TOP_BIT, i64.and(high, ONE))));
  const sum = f.let('i64', i64.add(high, bit(up)));
  const carry = f.let('i32', i64.eqz(sum));
  return {
    significand: f.let('i64', i64.or(sum, i64.shl(bit(carry), i64.const(63)))),
    field: f.let('i32', i32.add(field, carry)),
    inexact: f.let('i32', notZero(low)),
    up,
  };
} // prettier-ignore

export function sum(f: Emitter, a: Real, b: Real): Outcome {
  const [fieldA, fieldB] = [fieldOf(f, a), fieldOf(f, b)];
  const ahead = f.let('i32', i32.sub(fieldA, fieldB));
  const behind = f.let('i32', i32.shr_s(ahead, i32.const(31)));
  const distance = f.let('i32', i32.sub(i32.xor(ahead, behind), behind));
  const swap = f.let('i32', i32.or(behind, i32.and(i32.eqz(ahead), i64.lt_u(a.significand, b.significand))));
  const large = f.let('i64', select(swap, b.significand, a.significand));
  const small = f.let('i64', select(swap, a.significand, b.significand));
  const exponent = f.let('i32', select(swap, b.exponent, a.exponent));
  const field = f.let('i32', i32.and(exponent, FIELD));
  // The smaller one as (whole, part) >> distance; from 127 on only that it is not zero counts
  const count = f.let('i64', bit(select(i32.lt_u(distance, i32.const(127)), distance, i32.const(127))));
  const whole = f.let('i64', i64.shr_u(small, count));
  const part = f.let('i64', i64.shl(i64.shl(small, ONE), i64.xor(count, i64.const(63))));
  const far = f.let('i32', i32.ge_u(distance, i32.const(64)));
  const high = f.let('i64', select(far, ZERO, whole));
  const low = f.let('i64', select(far, i64.or(whole, bit(notZero(part))), part));
  // Added, or subtracted as its complement of two
  const differ = f.let('i32', i32.and(i32.xor(a.exponent, b.exponent), SIGN));
  const mask = f.let('i64', select(differ, i64.const(-1), ZERO));
  const sumLow = f.let('i64', i64.sub(i64.xor(low, mask), mask));
  const borrow = i64.and(bit(i64.eqz(low)), mask);
  const sumHigh = f.let('i64', i64.add(large, i64.add(i64.xor(high, mask), borrow)));
  const carry = f.let('i32', i32.and(i64.lt_u(sumHigh, large), i32.eqz(differ)));
  // One to the right, or to the left until the top bit is set
  const zeros = f.let('i64', i64.clz(sumHigh));
  const left = i64.or(i64.shl(sumHigh, zeros), i64.shr_u(i64.shr_u(sumLow, ONE), i64.xor(zeros, i64.const(63))));
  const right = i64.or(i64.shr_u(sumHigh, ONE), TOP_BIT);
  const lost = i64.or(i64.and(low, ONE), i64.shl(sumHigh, i64.const(63)));
  const normal = f.let('i64', select(carry, right, left));
  const rest = f.let('i64', select(carry, i64.or(i64.shr_u(low, ONE), lost), i64.shl(sumLow, zeros)));
  const moved = select(carry, i32.const(1), i32.sub(i32.const(0), i32.wrap_i64(zeros)));
  const result = rounded(f, normal, rest, i32.add(field, moved));
  return {
    significand: result.significand,
    exponent: f.let('i32', i32.or(result.field, i32.and(exponent, SIGN))),
    inexact: result.inexact,
    up: result.up,
    range: fits(f, fieldA, fieldB, result.field),
    top: i64.and(i64.and(a.significand, b.significand), normal),
  };
} // prettier-ignore

export const negated = (f: Emitter, x: Real): Real => ({
  significand: x.significand,
  exponent: f.let('i32', i32.xor(x.exponent, SIGN)),
});

const signOfBoth = (a: Real, b: Real): Code => i32.and(i32.xor(a.exponent, b.exponent), SIGN);

export function product(f: Emitter, a: Real, b: Real): Outcome {
  const [fieldA, fieldB] = [fieldOf(f, a), fieldOf(f, b)];
  const n32 = i64.const(32);
  const lower = (x: Code): Code => f.let('i64', i64.and(x, i64.const(0xffff_ffff)));
  const upper = (x: Code): Code => f.let('i64', i64.shr_u(x, n32));
  const [a0, a1, b0, b1] = [lower(a.significand), upper(a.significand), lower(b.significand), upper(b.significand)]; // prettier-ignore
  const first = f.let('i64', i64.mul(a0, b0));
  const second = f.let('i64', i64.add(i64.mul(a1, b0), i64.shr_u(first, n32)));
  const third = f.let('i64', i64.add(i64.mul(a0, b1), i64.and(second, i64.const(0xffff_ffff))));
  const high = f.let('i64', i64.add(i64.add(i64.mul(a1, b1), i64.shr_u(second, n32)), i64.shr_u(third, n32)));
  const low = f.let('i64', i64.mul(a.significand, b.significand));
  const one = f.let('i64', i64.xor(i64.shr_u(high, i64.const(63)), ONE));
  const normal = f.let('i64', i64.or(i64.shl(high, one), i64.and(i64.shr_u(low, i64.const(63)), one)));
  const field = i32.sub(i32.add(i32.add(fieldA, fieldB), i32.const(1 - BIAS)), i32.wrap_i64(one));
  const result = rounded(f, normal, f.let('i64', i64.shl(low, one)), field);
  return {
    significand: result.significand,
    exponent: f.let('i32', i32.or(result.field, signOfBoth(a, b))),
    inexact: result.inexact,
    up: result.up,
    range: fits(f, fieldA, fieldB, result.field),
    top: i64.and(a.significand, b.significand),
  };
}

/** a / b. */
export function quotient(f: Emitter, a: Real, b: Real): Outcome {
  const [fieldA, fieldB] = [fieldOf(f, a), fieldOf(f, b)];
  const n32 = i64.const(32);
  // So that there is something to divide by, whatever it is
  const divisor = f.let('i64', i64.or(b.significand, TOP_BIT));
  const one = f.let('i64', bit(i64.ge_u(a.significand, divisor)));
  // Two digits of 32 bits, estimated in double precision as four times the digit; adding 2^52 makes an integer of that. It
  // is off by less than 2^-15, so only where the quarters are 0 the digit may be 1 too large, and the rest is small then.
  const estimate = f.let('f64', f64.div(f64.const(2 ** 34), f64.convert_i64_s(i64.shr_u(divisor, ONE))));
  const digit = (rest: Code, next: Code | undefined): { digit: Code; rest: Code } => {
    const follow = next === undefined ? i64.shl(rest, n32) : i64.or(i64.shl(rest, n32), next);
    const rough = f64.mul(f64.convert_i64_s(i64.shr_u(rest, ONE)), estimate);
    const quarters = f.let(
      'i64',
      i64.and(i64.reinterpret_f64(f64.add(rough, f64.const(2 ** 52))), i64.const(2 ** 36 - 1)),
    );
    const q = f.let('i64', i64.shr_u(quarters, i64.const(2)));
    const r = f.let('i64', i64.sub(follow, i64.mul(q, divisor)));
    const whole = i64.eqz(i64.and(quarters, i64.const(3)));
    const below = f.let('i64', i64.and(i64.shr_s(r, i64.const(63)), i64.sub(ZERO, bit(whole))));
    return {
      digit: f.let('i64', i64.add(q, below)),
      rest: f.let('i64', i64.add(r, i64.and(divisor, below))),
    };
  };
  // a or a / 2, followed by 64 bits of which only the first may be set
  const first = digit(f.let('i64', i64.shr_u(a.significand, one)), f.let('i64', i64.shl(i64.and(a.significand, one), i64.const(31)))); // prettier-ignore
  const second = digit(first.rest, undefined);
  const whole = f.let('i64', i64.add(i64.shl(first.digit, n32), second.digit));
  const { rest } = second;
  // Against half of the divisor: all that rounding asks for
  const other = i64.sub(i64.sub(divisor, rest), i64.and(whole, ONE));
  const up = f.let('i32', i64.gt_u(rest, other));
  const sumUp = f.let('i64', i64.add(whole, bit(up)));
  const carry = f.let('i32', i64.eqz(sumUp));
  const field = i32.add(i32.add(i32.sub(fieldA, fieldB), i32.const(BIAS - 1)), i32.wrap_i64(one));
  const result = f.let('i32', i32.add(field, carry));
  return {
    significand: f.let('i64', i64.or(sumUp, i64.shl(bit(carry), i64.const(63)))),
    exponent: f.let('i32', i32.or(result, signOfBoth(a, b))),
    inexact: f.let('i32', notZero(rest)),
    up,
    range: fits(f, fieldA, fieldB, result),
    top: i64.and(a.significand, b.significand),
  };
}

// Operands in memory: a float that is not normal gets a significand without its top bit, so that it is not taken

export function fromFloat(f: Emitter, value: Code, size: number): Real {
  const fraction = size === 8 ? 52 : 23;
  const ones = size === 8 ? 0x7ff : 0xff;
  const field = f.let('i32', i32.and(i32.wrap_i64(i64.shr_u(value, i64.const(fraction))), i32.const(ones)));
  const normal = i32.lt_u(i32.sub(field, i32.const(1)), i32.const(ones - 1));
  const significand = i64.or(i64.shl(value, i64.const(63 - fraction)), TOP_BIT);
  const sign = i32.and(i32.wrap_i64(i64.shr_u(value, i64.const(size * 8 - 16))), SIGN);
  return {
    significand: f.let('i64', select(normal, significand, ZERO)),
    exponent: f.let('i32', i32.or(i32.add(field, i32.const(BIAS - (ones >> 1))), sign)),
  };
}
/** Any integer, zero too. */
export function fromInteger(f: Emitter, value: Code): Real {
  const sign = f.let('i64', i64.shr_s(value, i64.const(63)));
  const magnitude = f.let('i64', i64.sub(i64.xor(value, sign), sign));
  const zeros = f.let('i64', i64.clz(magnitude));
  const exponent = i32.or(i32.sub(i32.const(BIAS + 63), i32.wrap_i64(zeros)), i32.and(i32.wrap_i64(sign), SIGN));
  return {
    significand: f.let('i64', i64.shl(magnitude, zeros)),
    exponent: f.let('i32', select(i64.eqz(magnitude), i32.const(0), exponent)),
  };
} // prettier-ignore

/** A normal number as m64 or m32; as `range` of the outcome says, normal there as well. */
export function toFloat(f: Emitter, x: Real, size: number): Rounding & { bits: Code; range: Code } {
  const dropped = size === 8 ? 11 : 40;
  const bias = size === 8 ? 1023 : 127;
  const kept = f.let('i64', i64.shr_u(x.significand, i64.const(dropped)));
  const rest = f.let('i64', i64.shl(x.significand, i64.const(64 - dropped)));
  const up = f.let('i32', i64.gt_u(rest, i64.sub(TOP_BIT, i64.and(kept, ONE))));
  const field = f.let('i32', i32.sub(i32.and(x.exponent, FIELD), i32.const(BIAS - bias)));
  // The bit of the integer adds 1 to the exponent, as a carry of rounding does
  const positive = i64.add(i64.add(i64.shl(i64.extend_i32_s(i32.sub(field, i32.const(1))), i64.const(63 - dropped)), kept), bit(up)); // prettier-ignore
  const sign = i64.shl(bit(i32.shr_u(x.exponent, i32.const(15))), i64.const(size * 8 - 1));
  return {
    bits: f.let('i64', i64.or(positive, sign)),
    inexact: f.let('i32', notZero(rest)),
    up,
    // A carry into the exponent must not make it that of infinity
    range: i32.or(i32.sub(field, i32.const(1)), i32.sub(i32.const(2 * bias - 1), field)),
  };
}

/** A number of 2^-1 to 2^62 as an integer of so many bits, by rounding `mode`. */
export function toInteger(f: Emitter, x: Real, size: number, mode: Code): Rounding & { bits: Code; range: Code } {
  const field = i32.and(x.exponent, FIELD);
  const count = f.let('i64', bit(i32.sub(i32.const(BIAS + 63), field))); // 1 to 64
  const kept = f.let('i64', i64.shr_u(i64.shr_u(x.significand, ONE), i64.sub(count, ONE)));
  const rest = f.let('i64', i64.shl(x.significand, i64.sub(ZERO, count)));
  const sign = f.let('i32', i32.shr_u(x.exponent, i32.const(15)));
  const nearest = i64.gt_u(rest, i64.sub(TOP_BIT, i64.and(kept, ONE)));
  const away = i32.and(i32.eq(mode, i32.sub(i32.const(2), sign)), notZero(rest));
  const up = f.let('i32', select(mode, away, nearest));
  const magnitude = f.let('i64', i64.add(kept, bit(up)));
  const mask = f.let('i64', i64.sub(ZERO, bit(sign)));
  const limit = 2n ** BigInt(size * 8 - 1) - 1n;
  const tooLarge = i64.gt_u(magnitude, i64.const(limit));
  const outside = i32.ge_u(i32.sub(field, i32.const(BIAS - 1)), i32.const(64));
  return {
    bits: f.let('i64', i64.sub(i64.xor(magnitude, mask), mask)),
    inexact: f.let('i32', notZero(rest)),
    up,
    range: i32.sub(i32.const(0), i32.or(outside, tooLarge)),
  };
} // prettier-ignore

/** Condition codes of a comparison of numbers that are normal or zero; `odd` is not 0 if they are not. */
export function comparison(f: Emitter, a: Real, b: Real): { less: Code; equal: Code; odd: Code } {
  const odd = ({ significand, exponent }: Real, field: Code): Code => {
    const normal = i32.and(i32.wrap_i64(i64.shr_u(significand, i64.const(63))), i32.ge_s(inRange(field), i32.const(0)));
    return i32.eqz(i32.or(normal, i64.eqz(i64.or(significand, bit(i32.and(exponent, FIELD))))));
  };
  const [fieldA, fieldB] = [fieldOf(f, a), fieldOf(f, b)];
  const same = f.let('i32', i32.eq(fieldA, fieldB));
  const smaller = select(same, i64.lt_u(a.significand, b.significand), i32.lt_u(fieldA, fieldB));
  const equalSize = f.let('i32', i32.and(same, i64.eq(a.significand, b.significand)));
  const negative = f.let('i32', i32.shr_u(a.exponent, i32.const(15)));
  const differ = f.let('i32', i32.xor(negative, i32.shr_u(b.exponent, i32.const(15))));
  const zeros = i64.eqz(i64.or(a.significand, b.significand));
  const equal = f.let('i32', i32.or(i32.and(equalSize, i32.eqz(differ)), zeros));
  const less = select(differ, negative, i32.xor(smaller, negative));
  return {
    less: f.let('i32', i32.and(less, i32.eqz(equal))),
    equal,
    odd: i32.or(odd(a, fieldA), odd(b, fieldB)),
  };
} // prettier-ignore
export const codesOf = (less: Code, equal: Code): Code =>
  i32.or(i32.shl(less, i32.const(Math.log2(C0))), i32.shl(equal, i32.const(Math.log2(C3))));
