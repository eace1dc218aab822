// How every x87 computation ends: a sum of bits is rounded to a format, with precision and rounding control, overflow,
// underflow and inexact, masked or not (SDM vol. 1, 4.8, 4.9, 8.5.4 to 8.5.6), and packed into slot R.
//
// Between unpacking and rounding a number is sign, exponent and a significand of 128 bits with its top bit set:
// (high, low) · 2^(exponent - 63); bits that do not fit are ORed into the lowest one.

import type { Emitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, select } from '../exec/wasm.ts';
import type { Helper } from './declare.ts';
import {
  BIAS,
  FLAG,
  RETURN,
  SLOT,
  TOP_BIT,
  exponentOf,
  isUnmasked,
  put,
  raise,
  roundingMode,
  setC1,
  significandOf,
} from './x87-state.ts';

/** Formats that x87Round rounds to: a register as the control word says, a register, m64, m32. */
export const FORMAT = { controlled: 0, extended: 1, double: 2, single: 3 } as const;
/** What the exponent of an unmasked overflow or underflow is wrapped by (SDM 1 8.5.4, 8.5.5). */
const WRAP = 24576;

export const bit = (condition: Code): Code => i64.extend_i32_u(condition);
export const notZero = (value: Code): Code => i64.ne(value, i64.const(0));

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
export const rounder: Helper = {
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
