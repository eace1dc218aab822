// 128-bit arithmetic for the x87's transcendental functions: about 120 bits of working precision, so that rounding to 64
// bits is correct but for one case in 2^50. A fixed-point number Qn is an integer of two limbs over 2^(128-n); a float is
// such an integer with its top bit set, as (high, low) · 2^(exponent - 63).

import type { Emitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64 } from '../exec/wasm.ts';
import type { Helper } from './declare.ts';
import type { Wide } from './x87-round.ts';
import { WORK } from './x87-state.ts';

export interface Float extends Wide {
  readonly exponent: Code; // i32
}
const bit = (condition: Code): Code => i64.extend_i32_u(condition);
const keep = (f: Emitter, high: Code, low: Code): Wide => ({
  low: f.let('i64', low),
  high: f.let('i64', high),
});

export const constant = (value: bigint): Wide => ({ high: i64.const(value >> 64n), low: i64.const(value & (2n ** 64n - 1n)) }); // prettier-ignore
export function sum(f: Emitter, a: Wide, b: Wide): Wide {
  const low = f.let('i64', i64.add(a.low, b.low));
  return { low, high: f.let('i64', i64.add(i64.add(a.high, b.high), bit(i64.lt_u(low, a.low)))) };
}
export function difference(f: Emitter, a: Wide, b: Wide): Wide {
  const borrow = bit(i64.lt_u(a.low, b.low));
  return keep(f, i64.sub(i64.sub(a.high, b.high), borrow), i64.sub(a.low, b.low));
}
/** The upper 128 bits of the product, at most 2 units too small. */
export function product(f: Emitter, a: Wide, b: Wide): Wide {
  const high = f.let('i64', f.call('x87Mul128', f.context, a.high, a.low, b.high, b.low));
  return { high, low: f.let('i64', i64.load(f.context, WORK)) };
}
/** a / b as Q0 for a < b. */
export function quotient(f: Emitter, a: Wide, b: Wide): Wide {
  const high = f.let('i64', f.call('x87Quotient', f.context, a.high, a.low, b.high, b.low));
  return { high, low: f.let('i64', i64.load(f.context, WORK)) };
}
/** A two-limb variable. */
export function wideVariable(f: Emitter, value: Wide): { readonly get: Wide; set(value: Wide): void } {
  const high = f.variable('i64');
  const low = f.variable('i64');
  const set = (to: Wide): void => {
    low.set(to.low);
    high.set(to.high);
  };
  set(value);
  return { get: { high: high.get, low: low.get }, set };
}
/** Not zero. */
export function normalized(f: Emitter, value: Wide, exponent: Code): Float {
  const v = wideVariable(f, value);
  const e = f.variable('i32');
  e.set(exponent);
  f.when(i64.eqz(v.get.high), () => {
    v.set({ high: f.let('i64', v.get.low), low: i64.const(0) });
    e.set(i32.sub(e.get, i32.const(64)));
  });
  f.when(i64.ge_s(v.get.high, i64.const(0)), () => {
    const zeros = f.let('i64', i64.clz(v.get.high));
    const carried = i64.shr_u(v.get.low, i64.sub(i64.const(64), zeros));
    const high = f.let('i64', i64.or(i64.shl(v.get.high, zeros), carried));
    v.set({ high, low: i64.shl(v.get.low, zeros) });
    e.set(i32.sub(e.get, i32.wrap_i64(zeros)));
  });
  return { ...v.get, exponent: e.get };
}
/**
 * c0 ± t·(c1 ± t·(c2 ± …)), coefficients Q1, t Q0. With 'alternating' the sum is below c0 even where t has
 * vanished; with a sign in `negative` (i32) that is that of t.
 */
export function series(f: Emitter, t: Wide, coefficients: readonly bigint[], signs: 'plus' | 'alternating' | Code): Wide {
  const last = coefficients.length - 1;
  const accumulator = wideVariable(f, constant(coefficients[last] ?? 0n));
  for (let i = last - 1; i >= 0; i--) {
    const c = constant(coefficients[i] ?? 0n);
    const term = product(f, t, accumulator.get);
    if (signs === 'plus') accumulator.set(sum(f, c, term));
    else if (signs === 'alternating') {
      const least = i === 0 ? { ...term, low: i64.or(term.low, i64.const(1)) } : term;
      accumulator.set(difference(f, c, least));
    } else f.when(signs, () => accumulator.set(difference(f, c, term)), () => accumulator.set(sum(f, c, term)));
  }
  return accumulator.get;
} // prettier-ignore

/** 1 in Q1, and 1/n!, 1/(2k+1), as such. */
const ONE = 1n << 127n;
export function factorials(first: number, step: number, count: number): bigint[] {
  const out: bigint[] = [];
  let divisor = 1n;
  let at = 1;
  for (let k = 0; k < count; k++) {
    const n = first + k * step;
    while (at <= n) divisor *= BigInt(at++);
    out.push((ONE + divisor / 2n) / divisor);
  }
  return out;
}
export const oddReciprocals = (count: number): bigint[] =>
  Array.from({ length: count }, (_unused, k) => (ONE + BigInt(k)) / BigInt(2 * k + 1));

export const wideHelpers: readonly Helper[] = [
  {
    // x87Mul128(context, a high, a low, b high, b low): high limb; the low one in WORK
    name: 'x87Mul128',
    parameters: ['i32', 'i64', 'i64', 'i64', 'i64'],
    result: 'i64',
    emit(f, context, aHigh, aLow, bHigh, bLow) {
      const first = f.let('i64', i64.mul(aHigh, bHigh));
      const second = f.let('i64', i64.add(first, f.call('mulHigh', aHigh, bLow)));
      const third = f.let('i64', i64.add(second, f.call('mulHigh', aLow, bHigh)));
      f.emit(i64.store(context, third, WORK));
      const carries = i64.add(bit(i64.lt_u(second, first)), bit(i64.lt_u(third, second)));
      return i64.add(f.call('mulHigh', aHigh, bHigh), carries);
    },
  },
  {
    // x87Quotient(context, numerator, divisor): bit by bit; the last one is set if there is a remainder
    name: 'x87Quotient',
    parameters: ['i32', 'i64', 'i64', 'i64', 'i64'],
    result: 'i64',
    emit(f, context, high, low, divisorHigh, divisorLow) {
      const [restHigh, restLow, outHigh, outLow] = [f.variable('i64'), f.variable('i64'), f.variable('i64'), f.variable('i64')];
      const count = f.variable('i32');
      restHigh.set(high);
      restLow.set(low);
      outHigh.set(i64.const(0));
      outLow.set(i64.const(0));
      count.set(i32.const(128));
      f.loop((leave) => {
        const carry = f.let('i64', i64.shr_u(restHigh.get, i64.const(63)));
        restHigh.set(i64.or(i64.shl(restHigh.get, i64.const(1)), i64.shr_u(restLow.get, i64.const(63))));
        restLow.set(i64.shl(restLow.get, i64.const(1)));
        outHigh.set(i64.or(i64.shl(outHigh.get, i64.const(1)), i64.shr_u(outLow.get, i64.const(63))));
        outLow.set(i64.shl(outLow.get, i64.const(1)));
        const sameHigh = i32.and(i64.eq(restHigh.get, divisorHigh), i64.ge_u(restLow.get, divisorLow));
        const fits = i32.or(i64.gt_u(restHigh.get, divisorHigh), sameHigh);
        f.when(i32.or(i32.wrap_i64(carry), fits), () => {
          const borrow = bit(i64.lt_u(restLow.get, divisorLow));
          restHigh.set(i64.sub(i64.sub(restHigh.get, divisorHigh), borrow));
          restLow.set(i64.sub(restLow.get, divisorLow));
          outLow.set(i64.or(outLow.get, i64.const(1)));
        });
        count.set(i32.sub(count.get, i32.const(1)));
        leave(i32.eqz(count.get));
      });
      const inexact = bit(i64.ne(i64.or(restHigh.get, restLow.get), i64.const(0)));
      f.emit(i64.store(context, i64.or(outLow.get, inexact), WORK));
      return outHigh.get;
    },
  },
]; // prettier-ignore
