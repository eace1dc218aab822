// x87 arithmetic in integers: sum, product, quotient and root of slots A and B, exact until they are rounded into R by
// x87-round.ts, with every exception (SDM vol. 1, 4.9, 8.5).

import type { Emitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { drop, f64, i32, i64, select } from '../exec/wasm.ts';
import type { Helper } from './declare.ts';
import { FORMAT, bit, normalizeAndRound, notZero, round, rounder, shiftRight, unpack } from './x87-round.ts';
import {
  CLASS,
  FLAG,
  NO_NUMBER,
  RETURN,
  SLOT,
  TOP_BIT,
  classOf,
  copySlot,
  either,
  exponentOf,
  invalid,
  isClass,
  noteDenormals,
  put,
  raise,
  roundingMode,
  signOf,
} from './x87-state.ts';

const numberPair = (name: string, emit: (f: Emitter) => void): Helper => ({
  name,
  parameters: ['i32'],
  emit(f) {
    f.unlikely(i32.and(either(f), i32.const(NO_NUMBER)), () => {
      f.emit(drop(f.call('x87NoNumber', f.context)));
      f.emit(RETURN);
    });
    emit(f);
  },
});
const denormalsOfBoth = (f: Emitter): void => noteDenormals(f, either(f));
const signsDiffer = (f: Emitter): Code => f.let('i32', i32.ne(signOf(f, SLOT.a), signOf(f, SLOT.b)));
const exactZero = (f: Emitter): void => {
  const negative = i32.eq(roundingMode(f), i32.const(1));
  put(f, SLOT.r, i64.const(0), i32.shl(negative, i32.const(15)));
};
const only = (f: Emitter, slot: number): void => {
  const { exponent, significand } = unpack(f, slot);
  round(f, signOf(f, slot), exponent, significand, i64.const(0), FORMAT.controlled);
  f.emit(RETURN);
};

/** R = A + B. Subtraction flips the sign of B before (x87Sub), unless that is a NaN. */
const add = numberPair('x87Add', (f) => {
  const differ = signsDiffer(f);
  const kinds = f.let('i32', either(f));
  f.unlikely(i32.and(kinds, i32.const(CLASS.infinite)), () => {
    const both = i32.and(isClass(f, SLOT.a, CLASS.infinite), isClass(f, SLOT.b, CLASS.infinite));
    f.when(i32.and(differ, i32.ne(both, i32.const(0))), () => {
      invalid(f);
      f.emit(RETURN);
    });
    denormalsOfBoth(f);
    f.when(isClass(f, SLOT.a, CLASS.infinite), () => copySlot(f, SLOT.r, SLOT.a), () => copySlot(f, SLOT.r, SLOT.b)); // prettier-ignore
    f.emit(RETURN);
  });
  noteDenormals(f, kinds);
  f.unlikely(i32.and(kinds, i32.const(CLASS.zero)), () => {
    f.when(isClass(f, SLOT.a, CLASS.zero), () => {
      f.when(isClass(f, SLOT.b, CLASS.zero), () => {
        f.when(differ, () => exactZero(f), () => copySlot(f, SLOT.r, SLOT.a)); // prettier-ignore
        f.emit(RETURN);
      });
      only(f, SLOT.b);
    });
    only(f, SLOT.a);
  });
  const [x, y] = [unpack(f, SLOT.a), unpack(f, SLOT.b)];
  const less = i32.or(
    i32.lt_s(x.exponent, y.exponent),
    i32.and(i32.eq(x.exponent, y.exponent), i64.lt_u(x.significand, y.significand)),
  );
  const swap = f.let('i32', less);
  const large = f.let('i64', select(swap, y.significand, x.significand));
  const small = f.let('i64', select(swap, x.significand, y.significand));
  const exponent = f.let('i32', select(swap, y.exponent, x.exponent));
  const distance = f.let('i32', i32.sub(exponent, select(swap, x.exponent, y.exponent)));
  const sign = f.let('i32', select(swap, signOf(f, SLOT.b), signOf(f, SLOT.a)));
  const aligned = shiftRight(f, small, i64.const(0), distance);
  f.when(
    differ,
    () => {
      const low = f.let('i64', i64.sub(i64.const(0), aligned.low));
      const high = f.let('i64', i64.sub(i64.sub(large, aligned.high), bit(notZero(low))));
      f.when(i64.eqz(i64.or(high, low)), () => {
        exactZero(f);
        f.emit(RETURN);
      });
      normalizeAndRound(f, sign, exponent, high, low, FORMAT.controlled);
    },
    () => {
      const sum = f.let('i64', i64.add(large, aligned.high));
      f.when(
        i64.lt_u(sum, large),
        () => {
          const high = i64.or(i64.shr_u(sum, i64.const(1)), TOP_BIT);
          const low = i64.or(
            i64.or(i64.shr_u(aligned.low, i64.const(1)), i64.shl(sum, i64.const(63))),
            i64.and(aligned.low, i64.const(1)),
          );
          round(f, sign, i32.add(exponent, i32.const(1)), high, low, FORMAT.controlled);
        },
        () => round(f, sign, exponent, sum, aligned.low, FORMAT.controlled),
      );
    },
  );
});

const subtract: Helper = {
  name: 'x87Sub',
  parameters: ['i32'],
  emit(f, context) {
    f.when(i32.eqz(i32.and(classOf(f, SLOT.b), i32.const(CLASS.quiet | CLASS.signalling))), () =>
      f.emit(i32.store(context, i32.xor(exponentOf(f, SLOT.b), i32.const(0x8000)), SLOT.b + 8)),
    );
    f.emit(f.call('x87Add', context));
  },
};

const multiply = numberPair('x87Mul', (f) => {
  const kinds = f.let('i32', either(f));
  const signBit = f.let('i32', i32.and(i32.xor(exponentOf(f, SLOT.a), exponentOf(f, SLOT.b)), i32.const(0x8000))); // prettier-ignore
  f.unlikely(i32.and(kinds, i32.const(CLASS.infinite | CLASS.zero)), () => {
    const both = i32.const(CLASS.infinite | CLASS.zero);
    f.when(i32.eq(i32.and(kinds, both), both), () => {
      invalid(f);
      f.emit(RETURN);
    });
    noteDenormals(f, kinds);
    f.when(
      i32.and(kinds, i32.const(CLASS.zero)),
      () => put(f, SLOT.r, i64.const(0), signBit),
      () => put(f, SLOT.r, TOP_BIT, i32.or(signBit, i32.const(0x7fff))),
    );
    f.emit(RETURN);
  });
  noteDenormals(f, kinds);
  const [x, y] = [unpack(f, SLOT.a), unpack(f, SLOT.b)];
  const high = f.let('i64', f.call('mulHigh', x.significand, y.significand));
  const low = f.let('i64', i64.mul(x.significand, y.significand));
  const exponent = i32.add(i32.add(x.exponent, y.exponent), i32.const(1));
  normalizeAndRound(f, i32.shr_u(signBit, i32.const(15)), exponent, high, low, FORMAT.controlled);
});

const divide = numberPair('x87Div', (f) => {
  const signBit = f.let('i32', i32.and(i32.xor(exponentOf(f, SLOT.a), exponentOf(f, SLOT.b)), i32.const(0x8000))); // prettier-ignore
  const kinds = f.let('i32', either(f));
  f.unlikely(i32.and(kinds, i32.const(CLASS.infinite | CLASS.zero)), () => {
    const both = i32.and(i32.and(classOf(f, SLOT.a), classOf(f, SLOT.b)), i32.const(CLASS.infinite | CLASS.zero)); // prettier-ignore
    f.when(both, () => {
      invalid(f);
      f.emit(RETURN);
    });
    const isInfinite = (): void => put(f, SLOT.r, TOP_BIT, i32.or(signBit, i32.const(0x7fff)));
    f.when(isClass(f, SLOT.a, CLASS.infinite), () => {
      noteDenormals(f, kinds);
      isInfinite();
      f.emit(RETURN);
    });
    f.when(isClass(f, SLOT.b, CLASS.zero), () => {
      raise(f, FLAG.zeroDivide);
      isInfinite();
      f.emit(RETURN);
    });
    noteDenormals(f, kinds);
    put(f, SLOT.r, i64.const(0), signBit);
    f.emit(RETURN);
  });
  noteDenormals(f, kinds);
  const [x, y] = [unpack(f, SLOT.a), unpack(f, SLOT.b)];
  const fits = f.let('i32', i64.ge_u(x.significand, y.significand));
  const high = select(fits, i64.shr_u(x.significand, i64.const(1)), x.significand);
  const low = f.let('i64', select(fits, i64.shl(x.significand, i64.const(63)), i64.const(0)));
  const quotient = f.let('i64', f.call('x87Divide', f.context, high, low, y.significand));
  const rest = f.let('i64', i64.sub(low, i64.mul(quotient, y.significand)));
  // Against half of the divisor: all that rounding asks for
  const other = f.let('i64', i64.sub(y.significand, rest));
  const half = select(i64.lt_u(rest, other), i64.const(0), TOP_BIT);
  const beyond = bit(i32.and(notZero(rest), i64.ne(rest, other)));
  const exponent = i32.sub(i32.sub(x.exponent, y.exponent), i32.eqz(fits));
  round(f, i32.shr_u(signBit, i32.const(15)), exponent, quotient, i64.or(half, beyond), FORMAT.controlled);
});

/** x87Divide(context, high, low, divisor): the quotient; the divisor's top bit is set, high < divisor. Two digits of 32 bits. */
const longDivision: Helper = {
  name: 'x87Divide',
  parameters: ['i32', 'i64', 'i64', 'i64'],
  result: 'i64',
  emit(f, _context, high, low, divisor) {
    const n32 = i64.const(32);
    const upper = f.let('i64', i64.shr_u(divisor, n32));
    const lower = f.let('i64', i64.and(divisor, i64.const(0xffff_ffff)));
    const rest = f.variable('i64');
    const digit = (next: Code): Code => {
      const q = f.variable('i64');
      const r = f.variable('i64');
      q.set(i64.div_u(rest.get, upper));
      r.set(i64.sub(rest.get, i64.mul(q.get, upper)));
      f.loop((leave) => {
        const tooLarge = i32.or(
          notZero(i64.shr_u(q.get, n32)),
          i64.gt_u(i64.mul(q.get, lower), i64.or(i64.shl(r.get, n32), next)),
        );
        leave(i32.eqz(tooLarge));
        q.set(i64.sub(q.get, i64.const(1)));
        r.set(i64.add(r.get, upper));
        leave(notZero(i64.shr_u(r.get, n32)));
      });
      rest.set(i64.sub(i64.or(i64.shl(rest.get, n32), next), i64.mul(q.get, divisor)));
      return q.get;
    };
    rest.set(high);
    const first = digit(f.let('i64', i64.shr_u(low, n32)));
    const second = digit(f.let('i64', i64.and(low, i64.const(0xffff_ffff))));
    return i64.add(i64.shl(first, n32), second);
  },
};

/** R = √A: an estimate in double precision, one step to 64 bits, then exact. */
const squareRoot: Helper = {
  name: 'x87Sqrt',
  parameters: ['i32'],
  emit(f, context) {
    f.when(f.call('x87NoNumber', context), () => f.emit(RETURN));
    f.when(isClass(f, SLOT.a, CLASS.zero), () => {
      copySlot(f, SLOT.r, SLOT.a);
      f.emit(RETURN);
    });
    f.when(signOf(f, SLOT.a), () => {
      invalid(f);
      f.emit(RETURN);
    });
    f.when(isClass(f, SLOT.a, CLASS.infinite), () => {
      copySlot(f, SLOT.r, SLOT.a);
      f.emit(RETURN);
    });
    noteDenormals(f, classOf(f, SLOT.a));
    const x = unpack(f, SLOT.a);
    // The radicand (high, low) lies in [2^126, 2^128), its root in [2^63, 2^64)
    const odd = f.let('i32', i32.and(x.exponent, i32.const(1)));
    const high = f.let('i64', select(odd, x.significand, i64.shr_u(x.significand, i64.const(1))));
    const low = f.let('i64', select(odd, i64.const(0), i64.shl(x.significand, i64.const(63))));
    const estimate = f64.mul(f64.sqrt(f64.convert_i64_u(high)), f64.const(2 ** 32));
    const root = f.variable('i64');
    root.set(i64.trunc_sat_f64_u(estimate));
    const restHigh = f.variable('i64');
    const restLow = f.variable('i64');
    const measure = (): void => {
      const squareLow = f.let('i64', i64.mul(root.get, root.get));
      restLow.set(i64.sub(low, squareLow));
      const borrow = bit(i64.lt_u(low, squareLow));
      restHigh.set(i64.sub(i64.sub(high, f.call('mulHigh', root.get, root.get)), borrow));
    };
    measure();
    const distance = f64.add(
      f64.mul(f64.convert_i64_s(restHigh.get), f64.const(2 ** 64)),
      f64.convert_i64_u(restLow.get),
    );
    const step = f.let('i64', i64.trunc_sat_f64_s(f64.div(distance, f64.mul(f64.convert_i64_u(root.get), f64.const(2))))); // prettier-ignore
    const moved = f.let('i64', i64.add(root.get, step));
    // An estimate of 2^64 has saturated; a step must not wrap
    root.set(select(i64.ge_s(moved, i64.const(0)), i64.const(-1), moved));
    measure();
    f.loop((leave) => {
      leave(i64.ge_s(restHigh.get, i64.const(0)));
      root.set(i64.sub(root.get, i64.const(1)));
      measure();
    });
    // The root is exact when the rest is at most twice the root
    f.loop((leave) => {
      const carry = i32.and(i64.eq(restHigh.get, i64.const(1)), i64.gt_u(restLow.get, i64.shl(root.get, i64.const(1)))); // prettier-ignore
      leave(i32.eqz(i32.or(i64.gt_u(restHigh.get, i64.const(1)), carry)));
      root.set(i64.add(root.get, i64.const(1)));
      measure();
    });
    const above = i32.or(notZero(restHigh.get), i64.gt_u(restLow.get, root.get));
    const rest = select(above, i64.const((1n << 63n) | 1n), bit(notZero(restLow.get)));
    const exponent = i32.shr_s(x.exponent, i32.const(1));
    round(f, i32.const(0), exponent, root.get, rest, FORMAT.controlled);
  },
};

export const arithmeticHelpers: readonly Helper[] = [rounder, add, subtract, multiply, divide, longDivision, squareRoot]; // prettier-ignore
