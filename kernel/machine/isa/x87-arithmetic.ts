// x87 arithmetic in integers: 64-bit significands, 15-bit exponents, rounding and precision control, exact exceptions
// (SDM vol. 1, 4.8, 4.9, 8.5). Helpers work on slots A and B and leave R; see x87-state.ts.
//
// Between unpacking and rounding a number is sign, exponent and a significand of 128 bits with its top bit set:
// (high, low) · 2^(exponent - 63); bits that do not fit are ORed into the lowest one.

import type { Emitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { drop, i32, i64, f64, select } from '../exec/wasm.ts';
import type { Helper } from './declare.ts';
import {
  BIAS, CLASS, FLAG, NO_NUMBER, RETURN, SLOT, TOP_BIT, classOf, copySlot, either, exponentOf, invalid, isClass, isUnmasked, noteDenormals,
  put, raise, roundingMode, setC1, signOf, significandOf,
} from './x87-state.ts'; // prettier-ignore

/** Formats that x87Round rounds to: a register as the control word says, a register, m64, m32. */
export const FORMAT = { controlled: 0, extended: 1, double: 2, single: 3 } as const;
/** What the exponent of an unmasked overflow or underflow is wrapped by (SDM 1 8.5.4, 8.5.5). */
const WRAP = 24576;

const bit = (condition: Code): Code => i64.extend_i32_u(condition);
const notZero = (value: Code): Code => i64.ne(value, i64.const(0));

export interface Wide {
  readonly high: Code;
  readonly low: Code;
}

/** (high, low) >> count, for any count (i32), with what is lost ORed into the lowest bit. */
export function shiftRight(f: Emitter, high: Code, low: Code, count: Code): Wide {
  const outHigh = f.variable('i64');
  const outLow = f.variable('i64');
  const n = f.let('i64', i64.extend_i32_u(count));
  // x << (64 - n) for n from 0 to 63
  const above = (x: Code): Code => i64.shl(i64.shl(x, i64.const(1)), i64.xor(i64.and(n, i64.const(63)), i64.const(63))); // prettier-ignore
  f.when(
    i64.lt_u(n, i64.const(64)),
    () => {
      outLow.set(i64.or(i64.or(i64.shr_u(low, n), above(high)), bit(notZero(above(low)))));
      outHigh.set(i64.shr_u(high, n));
    },
    () => {
      const beyond = i64.ge_u(n, i64.const(128));
      const kept = select(beyond, i64.const(0), i64.shr_u(high, n));
      const lost = select(beyond, high, above(high));
      outLow.set(i64.or(kept, bit(notZero(i64.or(lost, low)))));
      outHigh.set(i64.const(0));
    },
  );
  return { high: outHigh.get, low: outLow.get };
}

interface Unpacked {
  readonly exponent: Code; // i32
  readonly significand: Code;
}
/** Of a finite number that is not zero. */
export function unpack(f: Emitter, slot: number): Unpacked {
  const significand = f.variable('i64');
  const exponent = f.variable('i32');
  significand.set(significandOf(f, slot));
  exponent.set(i32.sub(i32.and(exponentOf(f, slot), i32.const(0x7fff)), i32.const(BIAS)));
  f.unlikely(i32.eq(exponent.get, i32.const(-BIAS)), () => {
    const zeros = f.let('i64', i64.clz(significand.get));
    significand.set(i64.shl(significand.get, zeros));
    exponent.set(i32.sub(i32.const(1 - BIAS), i32.wrap_i64(zeros)));
  });
  return { exponent: exponent.get, significand: significand.get };
}

/** Normalises (not zero) and rounds into R. */
export function normalizeAndRound(f: Emitter, sign: Code, exponent: Code, high: Code, low: Code, format: number): void {
  const h = f.variable('i64');
  const l = f.variable('i64');
  const e = f.variable('i32');
  h.set(high);
  l.set(low);
  e.set(exponent);
  f.when(i64.eqz(h.get), () => {
    h.set(l.get);
    l.set(i64.const(0));
    e.set(i32.sub(e.get, i32.const(64)));
  });
  f.when(i64.ge_s(h.get, i64.const(0)), () => {
    const zeros = f.let('i64', i64.clz(h.get));
    h.set(i64.or(i64.shl(h.get, zeros), i64.shr_u(l.get, i64.sub(i64.const(64), zeros))));
    l.set(i64.shl(l.get, zeros));
    e.set(i32.sub(e.get, i32.wrap_i64(zeros)));
  });
  round(f, sign, e.get, h.get, l.get, format);
} // prettier-ignore

export function round(f: Emitter, sign: Code, exponent: Code, high: Code, low: Code, format: number): void {
  f.emit(f.call('x87Round', f.context, i32.or(sign, i32.const(format << 1)), exponent, high, low));
}

/** x87Round(context, sign + 2 · format, exponent, high, low): rounds and packs into R, raises O U P, sets C1. */
const rounder: Helper = {
  name: 'x87Round',
  parameters: ['i32', 'i32', 'i32', 'i64', 'i64'],
  emit(f, context, signAndFormat, exponent, high, low) {
    const sign = f.let('i32', i32.and(signAndFormat, i32.const(1)));
    const format = f.let('i32', i32.shr_u(signAndFormat, i32.const(1)));
    const toMemory = i32.gt_u(format, i32.const(FORMAT.extended));
    // The usual: to nearest, 64 bits, exponent far enough from its ends
    const usual = i32.and(
      i32.eq(i32.and(f.get('fcw'), i32.const(0xf00)), i32.const(0x300)),
      i32.lt_u(i32.add(exponent, i32.const(BIAS - 2)), i32.const(2 * BIAS - 3)),
    );
    f.when(i32.and(usual, i32.eqz(toMemory)), () => {
      const half = i32.and(i64.eq(low, TOP_BIT), i32.wrap_i64(i64.and(high, i64.const(1))));
      const up = f.let('i32', i32.or(i64.gt_u(low, TOP_BIT), half));
      const sum = f.let('i64', i64.add(high, bit(up)));
      const carry = f.let('i32', i64.eqz(sum));
      f.when(notZero(low), () => {
        raise(f, FLAG.precision);
        setC1(f, up);
      });
      const field = i32.add(i32.add(exponent, i32.const(BIAS)), carry);
      put(f, SLOT.r, select(carry, TOP_BIT, sum), i32.or(field, i32.shl(sign, i32.const(15))));
      f.emit(RETURN);
    });
    const mode = f.let('i32', roundingMode(f));
    const away = f.let('i32', i32.eq(mode, i32.sub(i32.const(2), sign)));
    const drop = f.variable('i64');
    const least = f.variable('i32');
    f.when(
      toMemory,
      () => {
        const single = f.let('i32', i32.eq(format, i32.const(FORMAT.single)));
        drop.set(select(single, i64.const(40), i64.const(11)));
        least.set(select(single, i32.const(-126), i32.const(-1022)));
      },
      () => {
        const control = f.let('i32', i32.and(i32.shr_u(f.get('fcw'), i32.const(8)), i32.const(3)));
        const reduced = select(i32.eqz(control), i64.const(40), select(i32.eq(control, i32.const(2)), i64.const(11), i64.const(0))); // prettier-ignore
        drop.set(select(format, i64.const(0), reduced));
        least.set(i32.const(1 - BIAS));
      },
    );
    const rounded = f.variable('i64');
    const up = f.variable('i32');
    const rest = f.variable('i64');
    const roundOff = (h: Code, l: Code): void => {
      const dropped = i64.shl(h, i64.and(i64.sub(i64.const(64), drop.get), i64.const(63)));
      rest.set(select(i64.eqz(drop.get), l, i64.or(dropped, bit(notZero(l)))));
      const kept = f.let('i64', i64.shr_u(h, drop.get));
      const half = i32.and(i64.eq(rest.get, TOP_BIT), i32.wrap_i64(i64.and(kept, i64.const(1))));
      const nearest = i32.or(i64.gt_u(rest.get, TOP_BIT), half);
      up.set(select(mode, i32.and(away, notZero(rest.get)), nearest));
      rounded.set(i64.shl(i64.add(kept, bit(up.get)), drop.get));
    };
    const pack = (field: Code): void => {
      f.when(
        toMemory,
        () => {
          const single = i32.eq(format, i32.const(FORMAT.single));
          const fraction = i64.shr_u(i64.shl(rounded.get, i64.const(1)), i64.add(drop.get, i64.const(1)));
          const wide = bit(field);
          const top = i64.shl(wide, select(single, i64.const(23), i64.const(52)));
          const signBit = i64.shl(bit(sign), select(single, i64.const(31), i64.const(63)));
          f.emit(i64.store(context, i64.or(i64.or(fraction, top), signBit), SLOT.r));
        },
        () => put(f, SLOT.r, rounded.get, i32.or(i32.and(field, i32.const(0x7fff)), i32.shl(sign, i32.const(15)))), // prettier-ignore
      );
      f.emit(RETURN);
    };
    const inexact = (flags: number): void =>
      f.when(notZero(rest.get), () => {
        raise(f, flags);
        setC1(f, up.get);
      });
    const bias = f.let('i32', i32.sub(i32.const(1), least.get));
    const e = f.variable('i32');
    e.set(exponent);
    roundOff(high, low);
    f.when(i64.ge_s(rounded.get, i64.const(0)), () => {
      rounded.set(TOP_BIT);
      e.set(i32.add(e.get, i32.const(1)));
    });
    // Tiny is judged after rounding with unbounded exponent
    f.unlikely(i32.lt_s(e.get, least.get), () => {
      f.when(isUnmasked(f, FLAG.underflow), () => {
        raise(f, FLAG.underflow);
        f.when(toMemory, () => f.emit(RETURN));
        e.set(i32.add(e.get, i32.const(WRAP)));
        // Beyond that too, as only FSCALE gets: zero
        f.when(i32.lt_s(e.get, least.get), () => {
          raise(f, FLAG.precision);
          rounded.set(i64.const(0));
          pack(i32.const(0));
        });
        inexact(FLAG.precision);
        pack(i32.add(e.get, bias));
      });
      const shifted = shiftRight(f, high, low, i32.sub(least.get, exponent));
      roundOff(shifted.high, shifted.low);
      inexact(FLAG.underflow | FLAG.precision);
      pack(i32.wrap_i64(i64.shr_u(rounded.get, i64.const(63))));
    });
    f.unlikely(i32.gt_s(e.get, bias), () => {
      raise(f, FLAG.overflow);
      f.when(isUnmasked(f, FLAG.overflow), () => {
        f.when(toMemory, () => f.emit(RETURN));
        e.set(i32.sub(e.get, i32.const(WRAP)));
        f.when(i32.gt_s(e.get, bias), () => {
          raise(f, FLAG.precision);
          setC1(f, i32.const(1));
          rounded.set(TOP_BIT);
          pack(i32.const(0x7fff));
        });
        inexact(FLAG.precision);
        pack(i32.add(e.get, bias));
      });
      const infinite = f.let('i32', i32.or(i32.eqz(mode), away));
      raise(f, FLAG.precision);
      setC1(f, infinite);
      rounded.set(select(infinite, TOP_BIT, i64.shl(i64.const(-1), drop.get)));
      pack(i32.add(i32.shl(bias, i32.const(1)), infinite));
    });
    inexact(FLAG.precision);
    pack(i32.add(e.get, bias));
  },
};

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
