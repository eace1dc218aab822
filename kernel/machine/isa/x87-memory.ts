// x87 operands in memory: from and to single and double precision, integers and packed decimal (SDM vol. 1, 4.2, 4.7).

import type { Emitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { drop, i32, i64, ret, select } from '../exec/wasm.ts';
import type { Helper } from './declare.ts';
import { FORMAT, normalizeAndRound, round, shiftRight, unpack } from './x87-round.ts';
import {
  BIAS, C0, C2, C3, CLASS, FLAG, NAN, RETURN, SLOT, TOP_BIT, WORK, classOf, isClass, noException, noteDenormals, put, raise, roundingMode, setC1, signOf,
  exponentOf, significandOf,
} from './x87-state.ts'; // prettier-ignore

const notZero = (value: Code): Code => i64.ne(value, i64.const(0));
const bit = (condition: Code): Code => i64.extend_i32_u(condition);

/** x87FromDouble(context, bits, slot), x87FromSingle: the number with its class; a denormal is normalised but stays one by class. */
function fromFloat(name: string, bits: 32 | 64): Helper {
  const fraction = bits === 64 ? 52 : 23;
  const bias = bits === 64 ? 1023 : 127;
  const allOnes = 2 * bias + 1;
  return {
    name,
    parameters: ['i32', 'i64', 'i32'],
    emit(f, context, value, slot) {
      const to = f.let('i32', i32.add(context, slot));
      const sign = f.let('i32', i32.wrap_i64(i64.shl(i64.shr_u(value, i64.const(bits - 1)), i64.const(15))));
      const field = f.let('i32', i32.and(i32.wrap_i64(i64.shr_u(value, i64.const(fraction))), i32.const(allOnes)));
      const significand = f.let('i64', i64.shl(value, i64.const(64 - fraction)));
      const answer = (mantissa: Code, exponent: Code, kind: Code): void => {
        f.emit(i64.store(to, mantissa));
        f.emit(i32.store(to, i32.or(sign, exponent), 8));
        f.emit(i32.store(to, kind, 12));
        f.emit(RETURN);
      };
      f.unlikely(i32.eqz(field), () => {
        f.when(i64.eqz(significand), () => answer(i64.const(0), i32.const(0), i32.const(CLASS.zero)));
        const zeros = f.let('i64', i64.clz(significand));
        const exponent = i32.sub(i32.const(BIAS - bias), i32.wrap_i64(zeros));
        answer(i64.shl(significand, zeros), exponent, i32.const(CLASS.denormal));
      });
      const whole = f.let('i64', i64.or(i64.shr_u(significand, i64.const(1)), TOP_BIT));
      f.unlikely(i32.eq(field, i32.const(allOnes)), () => {
        const quiet = select(i64.lt_s(significand, i64.const(0)), i32.const(CLASS.quiet), i32.const(CLASS.signalling));
        answer(whole, i32.const(0x7fff), select(i64.eqz(significand), i32.const(CLASS.infinite), quiet));
      });
      answer(whole, i32.add(field, i32.const(BIAS - bias)), i32.const(CLASS.normal));
    },
  };
} // prettier-ignore

/** x87FromInteger(context, value, slot). */
const fromInteger: Helper = {
  name: 'x87FromInteger',
  parameters: ['i32', 'i64', 'i32'],
  emit(f, context, value, slot) {
    const to = f.let('i32', i32.add(context, slot));
    const negative = f.let('i32', i64.lt_s(value, i64.const(0)));
    const magnitude = f.let('i64', select(negative, i64.sub(i64.const(0), value), value));
    const zero = f.let('i32', i64.eqz(magnitude));
    const zeros = f.let('i64', i64.clz(magnitude));
    const exponent = i32.or(i32.sub(i32.const(BIAS + 63), i32.wrap_i64(zeros)), i32.shl(negative, i32.const(15))); // prettier-ignore
    f.emit(i64.store(to, i64.shl(magnitude, zeros)));
    f.emit(i32.store(to, select(zero, i32.const(0), exponent), 8));
    f.emit(i32.store(to, select(zero, i32.const(CLASS.zero), i32.const(CLASS.normal)), 12));
  },
};

/** x87Load(context): R = A as FLD of a short format leaves it: a signalling NaN becomes quiet. */
const load: Helper = {
  name: 'x87Load',
  parameters: ['i32'],
  emit(f) {
    noteDenormals(f, classOf(f, SLOT.a));
    f.when(isClass(f, SLOT.a, CLASS.signalling), () => raise(f, FLAG.invalid));
    const quiet = select(isClass(f, SLOT.a, NAN), i64.const(1n << 62n), i64.const(0));
    put(f, SLOT.r, i64.or(significandOf(f, SLOT.a), quiet), exponentOf(f, SLOT.a));
  },
};

/** x87ToDouble(context), x87ToSingle: bits of A, with the exceptions of a store. */
function toFloat(name: string, format: number): Helper {
  const isDouble = format === FORMAT.double;
  const infinity = isDouble ? 0x7ff0_0000_0000_0000n : 0x7f80_0000n;
  const dropped = isDouble ? 11 : 40;
  return {
    name,
    parameters: ['i32'],
    result: 'i64',
    emit(f, context) {
      const sign = f.let('i64', i64.shl(bit(signOf(f, SLOT.a)), i64.const(isDouble ? 63 : 31)));
      f.unlikely(i32.eqz(isClass(f, SLOT.a, CLASS.normal | CLASS.denormal)), () => {
        f.when(isClass(f, SLOT.a, CLASS.zero), () => f.emit(ret(sign)));
        f.when(isClass(f, SLOT.a, CLASS.infinite), () => f.emit(ret(i64.or(sign, i64.const(infinity)))));
        f.emit(drop(f.call('x87NoNumber', context)));
        const fraction = i64.shr_u(i64.shl(significandOf(f, SLOT.r), i64.const(1)), i64.const(dropped + 1));
        const signOfR = i64.shl(bit(signOf(f, SLOT.r)), i64.const(isDouble ? 63 : 31));
        f.emit(ret(i64.or(i64.or(signOfR, i64.const(infinity)), fraction)));
      });
      const x = unpack(f, SLOT.a);
      round(f, signOf(f, SLOT.a), x.exponent, x.significand, i64.const(0), format);
      return significandOf(f, SLOT.r);
    },
  };
}

/** The integer nearest to finite A by `mode` as a magnitude, at most 2^64 - 1; exponents above 63 are the caller's matter. */
function roundToInteger(f: Emitter, mode: Code, exponent: Code, significand: Code): Code {
  const result = f.variable('i64');
  const parts = shiftRight(f, significand, i64.const(0), i32.sub(i32.const(63), exponent));
  result.set(parts.high);
  f.when(notZero(parts.low), () => {
    raise(f, FLAG.precision);
    const half = i32.and(i64.eq(parts.low, TOP_BIT), i32.wrap_i64(i64.and(parts.high, i64.const(1))));
    const nearest = i32.or(i64.gt_u(parts.low, TOP_BIT), half);
    const away = i32.eq(mode, i32.sub(i32.const(2), signOf(f, SLOT.a)));
    const up = f.let('i32', select(i32.eqz(mode), nearest, away));
    setC1(f, up);
    result.set(i64.add(result.get, bit(up)));
  });
  return result.get;
}

/** Invalid unless A is a number: the integer indefinite then. */
function refuse(f: Emitter, indefinite: Code): void {
  setC1(f, i32.const(0));
  f.when(isClass(f, SLOT.a, CLASS.empty), () => raise(f, FLAG.stack));
  // Only the invalid operation is reported
  raise(f, FLAG.invalid);
  f.emit(ret(indefinite));
}

/** x87ToInteger(context, bits, truncate): A as an integer of so many bits. */
const toInteger: Helper = {
  name: 'x87ToInteger',
  parameters: ['i32', 'i32', 'i32'],
  result: 'i64',
  emit(f, _context, bits, truncate) {
    const least = f.let('i64', i64.shl(i64.const(-1), bit(i32.sub(bits, i32.const(1)))));
    f.when(isClass(f, SLOT.a, CLASS.zero), () => f.emit(ret(i64.const(0))));
    f.unlikely(i32.eqz(isClass(f, SLOT.a, CLASS.normal | CLASS.denormal)), () => refuse(f, least));
    const { exponent, significand } = unpack(f, SLOT.a);
    f.unlikely(i32.ge_s(exponent, bits), () => refuse(f, least));
    const mode = f.let('i32', select(truncate, i32.const(3), roundingMode(f)));
    const magnitude = roundToInteger(f, mode, exponent, significand);
    const negative = f.let('i32', signOf(f, SLOT.a));
    const limit = i64.sub(i64.sub(i64.const(0), least), i64.const(1)); // largest positive
    f.unlikely(i64.gt_u(magnitude, i64.add(limit, bit(negative))), () => {
      noException(f); // that of rounding does not count
      refuse(f, least);
    });
    return select(negative, i64.sub(i64.const(0), magnitude), magnitude);
  },
};

const DIGITS = 18;
const DECIMAL_LIMIT = 999_999_999_999_999_999n;

/** x87FromDecimal(context, host): A from packed decimal; digits above 9 count as they are. */
const fromDecimal: Helper = {
  name: 'x87FromDecimal',
  parameters: ['i32', 'i32'],
  emit(f, context, host) {
    const value = f.variable('i64');
    const at = f.variable('i32');
    value.set(i64.const(0));
    at.set(i32.const(DIGITS / 2));
    f.loop((leave) => {
      leave(i32.eqz(at.get));
      at.set(i32.sub(at.get, i32.const(1)));
      const pair = f.let('i64', i64.load8_u(i32.add(host, at.get)));
      const number = i64.add(i64.mul(i64.shr_u(pair, i64.const(4)), i64.const(10)), i64.and(pair, i64.const(15)));
      value.set(i64.add(i64.mul(value.get, i64.const(100)), number));
    });
    f.emit(f.call('x87FromInteger', context, value.get, i32.const(SLOT.a)));
    const sign = i32.shl(i32.shr_u(i32.load8_u(host, 9), i32.const(7)), i32.const(15));
    f.emit(i32.store(context, i32.or(exponentOf(f, SLOT.a), sign), SLOT.a + 8));
  },
}; // prettier-ignore

/** x87ToDecimal(context): ten bytes of packed decimal in WORK; the low eight are the result. */
const toDecimal: Helper = {
  name: 'x87ToDecimal',
  parameters: ['i32'],
  result: 'i64',
  emit(f, context) {
    const indefinite = (): void => {
      f.emit(i32.store16(context, i32.const(0xffff), WORK + 8));
      refuse(f, i64.const(0xc000_0000_0000_0000n));
    };
    const negative = f.let('i32', signOf(f, SLOT.a));
    f.emit(i32.store16(context, i32.shl(negative, i32.const(15)), WORK + 8));
    f.when(isClass(f, SLOT.a, CLASS.zero), () => f.emit(ret(i64.const(0))));
    f.when(i32.eqz(isClass(f, SLOT.a, CLASS.normal | CLASS.denormal)), indefinite);
    const { exponent, significand } = unpack(f, SLOT.a);
    f.when(i32.gt_s(exponent, i32.const(63)), indefinite);
    const rest = f.variable('i64');
    rest.set(roundToInteger(f, f.let('i32', roundingMode(f)), exponent, significand));
    f.when(i64.gt_u(rest.get, i64.const(DECIMAL_LIMIT)), () => {
      noException(f); // that of rounding does not count
      indefinite();
    });
    const packed = f.variable('i64');
    const shift = f.variable('i64');
    const nextDigit = (): Code => {
      const digit = f.let('i64', i64.rem_u(rest.get, i64.const(10)));
      rest.set(i64.div_u(rest.get, i64.const(10)));
      return digit;
    };
    packed.set(i64.const(0));
    shift.set(i64.const(0));
    f.loop((leave) => {
      packed.set(i64.or(packed.get, i64.shl(nextDigit(), shift.get)));
      shift.set(i64.add(shift.get, i64.const(4)));
      leave(i64.eq(shift.get, i64.const(64)));
    });
    const low = nextDigit();
    const high = nextDigit();
    const top = i32.wrap_i64(i64.or(low, i64.shl(high, i64.const(4))));
    f.emit(i32.store8(context, top, WORK + 8));
    return packed.get;
  },
};

/** x87RoundInteger(context): R = A rounded to an integer (FRNDINT). */
const roundInteger: Helper = {
  name: 'x87RoundInteger',
  parameters: ['i32'],
  emit(f, context) {
    f.when(f.call('x87NoNumber', context), () => f.emit(RETURN));
    noteDenormals(f, classOf(f, SLOT.a));
    put(f, SLOT.r, significandOf(f, SLOT.a), exponentOf(f, SLOT.a));
    f.when(isClass(f, SLOT.a, CLASS.zero | CLASS.infinite), () => f.emit(RETURN));
    const { exponent, significand } = unpack(f, SLOT.a);
    f.when(i32.ge_s(exponent, i32.const(63)), () => f.emit(RETURN));
    const value = roundToInteger(f, f.let('i32', roundingMode(f)), exponent, significand);
    const sign = f.let('i32', signOf(f, SLOT.a));
    f.when(i64.eqz(value), () => {
      put(f, SLOT.r, i64.const(0), i32.shl(sign, i32.const(15)));
      f.emit(RETURN);
    });
    normalizeAndRound(f, sign, i32.const(63), value, i64.const(0), FORMAT.extended);
  },
};

/** x87Compare(context, quiet): A to B as C3, C2, C0 of the status word; `quiet`: only signalling NaNs are invalid. */
const compare: Helper = {
  name: 'x87Compare',
  parameters: ['i32', 'i32'],
  result: 'i32',
  emit(f, context, quiet) {
    const [less, equal, greater, unordered] = [
      i32.const(C0),
      i32.const(C3),
      i32.const(0),
      i32.const(C0 | C2 | C3),
    ];
    f.unlikely(f.call('x87NoNumber', context), () => {
      f.when(i32.eqz(quiet), () => raise(f, FLAG.invalid));
      f.emit(ret(unordered));
    });
    noteDenormals(f, i32.or(classOf(f, SLOT.a), classOf(f, SLOT.b)));
    const aZero = isClass(f, SLOT.a, CLASS.zero);
    const bothZero = i32.and(aZero, isClass(f, SLOT.b, CLASS.zero));
    f.when(bothZero, () => f.emit(ret(equal)));
    const negative = f.let('i32', signOf(f, SLOT.a));
    f.when(i32.ne(negative, signOf(f, SLOT.b)), () => f.emit(ret(select(negative, less, greater))));
    // With the exponent of a denormal as 1, exponent and significand order like magnitudes; zero has no significand
    const magnitude = (slot: number): Code => {
      const field = f.let('i32', i32.and(exponentOf(f, slot), i32.const(0x7fff)));
      const denormal = i32.and(i32.eqz(field), notZero(significandOf(f, slot)));
      return f.let('i32', i32.add(field, denormal));
    };
    const [a, b] = [magnitude(SLOT.a), magnitude(SLOT.b)];
    const [x, y] = [f.let('i64', significandOf(f, SLOT.a)), f.let('i64', significandOf(f, SLOT.b))];
    const same = f.let('i32', i32.eq(a, b));
    f.when(i32.and(same, i64.eq(x, y)), () => f.emit(ret(equal)));
    const larger = select(same, i64.gt_u(x, y), i32.gt_s(a, b));
    return select(i32.ne(larger, negative), greater, less);
  },
};

export const memoryHelpers: readonly Helper[] = [
  fromFloat('x87FromDouble', 64), fromFloat('x87FromSingle', 32), fromInteger, load, toFloat('x87ToDouble', FORMAT.double),
  toFloat('x87ToSingle', FORMAT.single), toInteger, fromDecimal, toDecimal, roundInteger, compare,
]; // prettier-ignore
