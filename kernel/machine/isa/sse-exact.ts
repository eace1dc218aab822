// Arithmetic of singles and doubles in integers, exactly as SSE does it: all four rounding modes, denormals-are-zero,
// flush-to-zero, NaN rules, and every exception flag (SDM vol. 1, 4.8, 4.9, 10.2.3, 11.5; the words are in sse-number.ts).
//
// The instructions use the host's floating point where nothing can be seen but the value (sse-lanes.ts says when); all
// other cases come here. sseCommit puts the collected flags into MXCSR.

import type { Emitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { f64, i32, i64, select } from '../exec/wasm.ts';
import type { Helper } from './declare.ts';
import { HOSTS } from './sse-host.ts';
import type { HostFormat } from './sse-host.ts';
import type { Format } from './sse-number.ts';
import {
  FLAGS_AT,
  MXCSR,
  ROUND,
  answer,
  answerInvalid,
  answerNaN,
  asBit,
  isDenormal,
  isInfinite,
  isNaN,
  isSignalling,
  isZero,
  magnitude,
  modeOf,
  noteDenormals,
  operand,
  placeSign,
  raise,
  raiseIf,
  rounded,
  rounder,
  rounderName,
  signOf,
  sticky,
  unpack,
} from './sse-number.ts';

type Operation = 'add' | 'sub' | 'mul' | 'div' | 'sqrt';

/** The significand without its trailing zeros, and its length in bits; of a normal double. */
function oddPart(f: Emitter, x: Code): { odd: Code; length: Code } {
  const whole = f.let('i64', i64.or(i64.and(x, i64.const((1n << 52n) - 1n)), i64.const(1n << 52n)));
  const zeros = f.let('i64', i64.ctz(whole));
  return { odd: f.let('i64', i64.shr_u(whole, zeros)), length: i64.sub(i64.const(53), zeros) };
}

/** i32: was an operation of the host, with operands and result that are normal, inexact? a and b as numbers and as bits. */
function wasInexact(f: Emitter, host: HostFormat, operation: Operation, numbers: readonly [Code, Code, Code], bits: readonly [Code, Code, Code]): Code {
  const { scalar, type } = host;
  const [a, b, result] = numbers;
  if (operation === 'add' || operation === 'sub') {
    // What was lost in the sum is a number (Knuth's TwoSum)
    const second = operation === 'add' ? b : f.let(type, scalar.neg(b));
    const part = f.let(type, scalar.sub(result, a));
    return scalar.ne(scalar.add(scalar.sub(a, scalar.sub(result, part)), scalar.sub(second, part)), scalar.const(0));
  }
  if (host.format.bits === 32) {
    // A double holds every product of singles
    const [x, y, r] = numbers.map((number) => f64.promote_f32(number));
    if (x === undefined || y === undefined || r === undefined) return i32.const(1);
    if (operation === 'mul') return f64.ne(f64.mul(x, y), r);
    return operation === 'div' ? f64.ne(f64.mul(r, y), x) : f64.ne(f64.mul(r, r), x);
  }
  // Odd parts multiply to odd parts; a product of 55 and more bits is never a double
  const [first, second, product] = operation === 'mul' ? bits : [bits[2], operation === 'div' ? bits[1] : bits[2], bits[0]];
  const x = oddPart(f, first);
  const y = oddPart(f, second);
  const z = oddPart(f, product);
  const fits = i64.le_u(i64.add(x.length, y.length), i64.const(54));
  return i32.eqz(i32.and(fits, i64.eq(i64.mul(x.odd, y.odd), z.odd)));
} // prettier-ignore

/**
 * The most frequent cases, by the host: MXCSR as usual but for the precision flag, and operands and result normal or
 * zeros that are exact. Programs that calculate with whole numbers in doubles stay here.
 */
function answerQuickly(f: Emitter, host: HostFormat, operation: Operation, x: Code, y: Code): void {
  const { format, scalar, type } = host;
  const usual = i32.eq(i32.and(f.get('mxcsr'), i32.const(-0x40)), i32.const(0x1f80));
  f.when(i32.and(usual, i32.eqz(i32.or(isDenormal(format, x), isDenormal(format, y)))), () => {
    const a = f.let(type, host.ofBits(x));
    const b = f.let(type, host.ofBits(y));
    const result = f.let(type, operation === 'sqrt' ? scalar.sqrt(a) : scalar[operation](a, b));
    const bits = f.let('i64', host.wide(result));
    const step = 1n << BigInt(format.fraction);
    const binades = BigInt(2 * format.bias + 1) - 2n;
    const normal = i64.lt_u(
      i64.sub(magnitude(format, bits), i64.const(2n * step)),
      i64.const(binades * step),
    );
    const either = operation === 'mul' ? i32.or(isZero(format, x), isZero(format, y)) : isZero(format, x);
    const exactZero = operation === 'add' || operation === 'sub' ? i32.const(1) : either;
    const zero = f.let('i32', i32.and(isZero(format, bits), exactZero));
    f.when(zero, () => answer(f, bits));
    f.when(normal, () => {
      f.when(i32.eqz(i32.and(f.get('mxcsr'), i32.const(MXCSR.precision))), () =>
        raiseIf(f, wasInexact(f, host, operation, [a, b, result], [x, y, bits]), MXCSR.precision),
      );
      answer(f, bits);
    });
  });
}

function adder(host: HostFormat, subtract: boolean): Helper {
  const { format } = host;
  return {
    name: `${subtract ? 'sseSub' : 'sseAdd'}${format.bits}`,
    parameters: ['i32', 'i64', 'i64'],
    result: 'i64',
    emit(f, _context, first, second) {
      answerQuickly(f, host, subtract ? 'sub' : 'add', first, second);
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

function multiplier(host: HostFormat): Helper {
  const { format } = host;
  return {
    name: `sseMul${format.bits}`,
    parameters: ['i32', 'i64', 'i64'],
    result: 'i64',
    emit(f, _context, first, second) {
      answerQuickly(f, host, 'mul', first, second);
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

function divider(host: HostFormat): Helper {
  const { format } = host;
  return {
    name: `sseDiv${format.bits}`,
    parameters: ['i32', 'i64', 'i64'],
    result: 'i64',
    emit(f, _context, first, second) {
      answerQuickly(f, host, 'div', first, second);
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

function squareRoot(host: HostFormat): Helper {
  const { format } = host;
  return {
    name: `sseSqrt${format.bits}`,
    parameters: ['i32', 'i64'],
    result: 'i64',
    emit(f, _context, source) {
      answerQuickly(f, host, 'sqrt', source, source);
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
  ...HOSTS.flatMap((host) => [
    rounder(host.format),
    adder(host, false),
    adder(host, true),
    multiplier(host),
    divider(host),
    squareRoot(host),
    extremum(host.format, false),
    extremum(host.format, true),
    comparison(host.format),
    asOperand(host.format),
  ]),
];
