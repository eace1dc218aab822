// x87 sine, cosine, tangent and arctangent (SDM vol. 1, 8.3.7, 8.3.8), with some 120 bits, rounded once to 64 bits.
// Arguments are reduced modulo the CPUs' π of 66 bits, exactly, so that large ones give their results, not those of the
// true sine; from 2^63 on C2 says that the argument must be reduced first.
//
// Deviation: results are correctly rounded; those of real CPUs may differ by one in the last place, and C1 with them.

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { f64, i32, i64, ret, select } from '../exec/wasm.ts';
import type { Family, Helper, Instruction } from './declare.ts';
import type { Wide } from './x87-round.ts';
import { shiftRight, unpack } from './x87-round.ts';
import {
  BIAS, C1, C2, CLASS, FLAG, RETURN, SLOT, TOP_BIT, WORK, classOf, copySlot, either, exponentOf, invalid, isClass, isEmpty, noteDenormals,
  physical, put, raise, signOf,
} from './x87-state.ts'; // prettier-ignore
import { onStack, zero } from './x87-support.ts';
import { ofTwo, roundInexact, roundTiny } from './x87-transcendental.ts';
import type { Float } from './x87-wide.ts';
import { constant, difference, factorials, normalized, oddReciprocals, product, quotient, series, sum, wideVariable } from './x87-wide.ts'; // prettier-ignore

const QUARTER_PI_66 = 0x3_243f_6a88_85a3_08d3n; // π/4 over 2^-66
const PI = 0xc90f_daa2_2168_c234_c4c6_628b_80dc_1cd1n; // Q2
/** atan(k/8) as Q1 for k from 1. */
const ARCTANGENTS = [
  0x0fea_dd4d_5617_b6e3_2c89_7989_f3e8_88efn, 0x1f5b_75f9_2c80_dd62_adb8_f3de_bef4_42fdn, 0x2dec_3283_c9bd_e11c_e2a8_c848_b73f_9121n,
  0x3b58_ce0a_c376_9ed1_5bf9_117b_2f0e_a341n, 0x4780_2eaf_7bfa_cfcd_ae41_af0b_32e2_1ba4n, 0x525e_3e8c_9a7b_8492_0cd4_3f95_22be_d64fn,
  0x5c02_9f15_e118_cf39_e596_d2a9_0852_221fn, 0x6487_ed51_10b4_611a_6263_3145_c06e_0e69n,
] as const; // prettier-ignore
/** Arguments below 2^TINY are their own sine, tangent; below 2^TINY_RATIO, arctangent. */
const TINY = -68;
const TINY_RATIO = -40;
const bit = (condition: Code): Code => i64.extend_i32_u(condition);
/** Where the reduced argument lies: significand, exponent, octant. */
const ARGUMENT = { high: WORK + 8, low: WORK + 16, exponent: WORK + 24, octant: WORK + 28 } as const;

/**
 * x87Reduce(context): |A| = octant · π/4 + argument; in odd octants the argument is measured from the octant's end, so
 * that it is small where the function is.
 */
const reduce: Helper = {
  name: 'x87Reduce',
  parameters: ['i32'],
  emit(f, context) {
    const x = unpack(f, SLOT.a);
    const store = (value: Float, octant: Code): void => {
      f.emit(i64.store(context, value.high, ARGUMENT.high));
      f.emit(i64.store(context, value.low, ARGUMENT.low));
      f.emit(i32.store(context, value.exponent, ARGUMENT.exponent));
      f.emit(i32.store(context, octant, ARGUMENT.octant));
    };
    f.when(i32.lt_s(x.exponent, i32.const(-1)), () => {
      store({ high: x.significand, low: i64.const(0), exponent: x.exponent }, i32.const(0));
      f.emit(RETURN);
    });
    // Over 2^-66, A is its significand · 2^(exponent + 3)
    const rest = wideVariable(f, { high: i64.const(0), low: x.significand });
    const octant = f.variable('i32');
    const left = f.variable('i32');
    const quarter = constant(QUARTER_PI_66);
    octant.set(i32.const(0));
    left.set(i32.add(x.exponent, i32.const(3)));
    f.loop((leave) => {
      leave(i32.eqz(left.get));
      left.set(i32.sub(left.get, i32.const(1)));
      const doubled = sum(f, rest.get, rest.get);
      rest.set(doubled);
      octant.set(i32.shl(octant.get, i32.const(1)));
      const sameHigh = i32.and(i64.eq(doubled.high, quarter.high), i64.ge_u(doubled.low, quarter.low));
      f.when(i32.or(i64.gt_u(doubled.high, quarter.high), sameHigh), () => {
        rest.set(difference(f, doubled, quarter));
        octant.set(i32.or(octant.get, i32.const(1)));
      });
    });
    f.when(i32.and(octant.get, i32.const(1)), () => rest.set(difference(f, quarter, rest.get)));
    store(normalized(f, rest.get, i32.const(61)), i32.and(octant.get, i32.const(7)));
  },
};

const argument = (f: Emitter): Float => ({
  high: f.let('i64', i64.load(f.context, ARGUMENT.high)),
  low: f.let('i64', i64.load(f.context, ARGUMENT.low)),
  exponent: f.let('i32', i32.load(f.context, ARGUMENT.exponent)),
});
function squareOf(f: Emitter, x: Float): Wide {
  const fixed = shiftRight(f, x.high, x.low, i32.sub(i32.const(-1), x.exponent));
  return product(f, fixed, fixed);
}
/** Of an argument up to π/4. */
function sine(f: Emitter, x: Float): Float {
  const factor = series(f, squareOf(f, x), factorials(1, 2, 16), 'alternating');
  return normalized(f, product(f, x, factor), i32.add(x.exponent, i32.const(1)));
}
function cosine(f: Emitter, x: Float): Float {
  return normalized(f, series(f, squareOf(f, x), factorials(0, 2, 17), 'alternating'), i32.const(0));
}

/** x87Sine(context, shift): R = sine of A + shift · π/4, after x87Reduce. */
const sineOf: Helper = {
  name: 'x87Sine',
  parameters: ['i32', 'i32'],
  emit(f, _context, shift) {
    const x = argument(f);
    const octant = f.let('i32', i32.add(i32.load(f.context, ARGUMENT.octant), shift));
    // The cosine is even: only the sine takes the argument's sign
    const odd = i32.and(signOf(f, SLOT.a), i32.eqz(shift));
    const sign = f.let('i32', i32.xor(i32.and(i32.shr_u(octant, i32.const(2)), i32.const(1)), odd));
    const byCosine = i32.and(i32.add(octant, i32.const(1)), i32.const(2));
    f.when(
      byCosine,
      () => roundInexact(f, sign, cosine(f, x)),
      () => roundInexact(f, sign, sine(f, x)),
    );
  },
};

/** x87Tangent(context): R, after x87Reduce. */
const tangent: Helper = {
  name: 'x87Tangent',
  parameters: ['i32'],
  emit(f) {
    const x = argument(f);
    const octant = f.let('i32', i32.load(f.context, ARGUMENT.octant));
    const sign = i32.xor(i32.and(i32.shr_u(octant, i32.const(1)), i32.const(1)), signOf(f, SLOT.a));
    const s = sine(f, x);
    const c = cosine(f, x);
    const inverse = f.let('i32', i32.and(i32.add(octant, i32.const(1)), i32.const(2)));
    const pick = (a: Code, b: Code): Code => f.let('i64', select(inverse, a, b));
    // The numerator at half its scale, so that it is the smaller
    const numerator: Wide = { high: pick(c.high, s.high), low: pick(c.low, s.low) };
    const half: Wide = {
      high: f.let('i64', i64.shr_u(numerator.high, i64.const(1))),
      low: f.let(
        'i64',
        i64.or(i64.shr_u(numerator.low, i64.const(1)), i64.shl(numerator.high, i64.const(63))),
      ),
    };
    const divisor: Wide = { high: pick(s.high, c.high), low: pick(s.low, c.low) };
    const exponent = i32.sub(s.exponent, c.exponent);
    const signed = f.let('i32', select(inverse, i32.sub(i32.const(0), exponent), exponent));
    roundInexact(f, sign, normalized(f, quotient(f, half, divisor), signed));
  },
};

/** x87Trigonometric(context): what is common before the series. 0: go on; 1: R (and B for a second) hold the result; 2: out of range; 3: tiny. */
const prepare: Helper = {
  name: 'x87Trigonometric',
  parameters: ['i32'],
  result: 'i32',
  emit(f, context) {
    const result = (code: number): void => f.emit(ret(i32.const(code)));
    const second = (): void => copySlot(f, SLOT.b, SLOT.r);
    f.when(f.call('x87NoNumber', context), () => {
      second();
      result(1);
    });
    f.when(isClass(f, SLOT.a, CLASS.infinite), () => {
      invalid(f);
      second();
      result(1);
    });
    f.when(i32.ge_u(i32.and(exponentOf(f, SLOT.a), i32.const(0x7fff)), i32.const(BIAS + 63)), () =>
      result(2),
    );
    noteDenormals(f, classOf(f, SLOT.a));
    f.when(isClass(f, SLOT.a, CLASS.zero), () => result(0));
    f.when(i32.lt_u(i32.and(exponentOf(f, SLOT.a), i32.const(0x7fff)), i32.const(BIAS + TINY)), () => {
      raise(f, FLAG.precision);
      result(3);
    });
    f.emit(f.call('x87Reduce', context));
    return i32.const(0);
  },
};

/** x87Tiny(context): R = A, as the sine of itself. */
const tiny: Helper = {
  name: 'x87Tiny',
  parameters: ['i32'],
  emit(f) {
    const x = unpack(f, SLOT.a);
    roundTiny(f, signOf(f, SLOT.a), x.exponent, x.significand, i64.const(0));
  },
};

/** x87Arctangent(context): R = angle of the point (A, B), for B / A. */
const arctangent: Helper = {
  name: 'x87Arctangent',
  parameters: ['i32'],
  emit(f, context) {
    f.when(f.call('x87NoNumber', context), () => f.emit(RETURN));
    noteDenormals(f, either(f));
    const sign = f.let('i32', signOf(f, SLOT.b));
    const left = f.let('i32', signOf(f, SLOT.a));
    const pi = constant(PI);
    const eighths = (n: number): void => roundInexact(f, sign, normalized(f, constant((PI * BigInt(n)) >> 3n), i32.const(1))); // prettier-ignore
    const answer = (n: number): void => {
      eighths(n);
      f.emit(RETURN);
    };
    const signedZero = (): void => {
      put(f, SLOT.r, i64.const(0), i32.shl(sign, i32.const(15)));
      f.emit(RETURN);
    };
    const aboutAxis = (): void => {
      f.when(left, () => answer(8));
      signedZero();
    };
    f.when(isClass(f, SLOT.b, CLASS.infinite), () => {
      f.when(isClass(f, SLOT.a, CLASS.infinite), () => {
        f.when(left, () => answer(6));
        answer(2);
      });
      answer(4);
    });
    f.when(isClass(f, SLOT.a, CLASS.infinite), aboutAxis);
    f.when(isClass(f, SLOT.b, CLASS.zero), aboutAxis);
    f.when(isClass(f, SLOT.a, CLASS.zero), () => answer(4));
    const [x, y] = [unpack(f, SLOT.a), unpack(f, SLOT.b)];
    const sameExponent = i32.and(i32.eq(x.exponent, y.exponent), i64.gt_u(y.significand, x.significand));
    const steep = f.let('i32', i32.or(i32.gt_s(y.exponent, x.exponent), sameExponent));
    const large = f.let('i64', select(steep, y.significand, x.significand));
    const small = f.let('i64', select(steep, x.significand, y.significand));
    const apart = i32.sub(y.exponent, x.exponent);
    const distance = f.let('i32', select(steep, apart, i32.sub(i32.const(0), apart)));
    // The ratio r = small / large · 2^-distance lies near k/8: atan r = atan k/8 + atan t, t = (8r - k)/(8 + kr)
    const k = f.variable('i64');
    k.set(i64.const(0));
    f.when(i32.lt_s(distance, i32.const(5)), () => {
      const ratio = f64.div(f64.convert_i64_u(small), f64.convert_i64_u(large));
      const scale = f64.convert_i64_u(i64.shr_u(i64.const(8 << 8), bit(distance)));
      k.set(i64.trunc_sat_f64_u(f64.nearest(f64.div(f64.mul(ratio, scale), f64.const(256)))));
    });
    const t = { high: f.variable('i64'), low: f.variable('i64'), exponent: f.variable('i32') };
    const keep = (value: Float): void => {
      t.high.set(value.high);
      t.low.set(value.low);
      t.exponent.set(value.exponent);
    };
    const backwards = f.variable('i32');
    backwards.set(i32.const(0));
    const halved = (value: Wide): Wide => ({
      high: f.let('i64', i64.shr_u(value.high, i64.const(1))),
      low: f.let('i64', i64.or(i64.shr_u(value.low, i64.const(1)), i64.shl(value.high, i64.const(63)))),
    });
    const isAxis = f.variable('i32'); // t = 0
    isAxis.set(i32.const(0));
    f.when(
      i64.eqz(k.get),
      () => {
        const ratio = quotient(f, halved({ high: small, low: i64.const(0) }), {
          high: large,
          low: i64.const(0),
        });
        const value = normalized(f, ratio, i32.sub(i32.const(0), distance));
        f.when(i32.and(i32.gt_s(distance, i32.const(-TINY_RATIO)), i32.eqz(i32.or(steep, left))), () => {
          roundTiny(f, sign, value.exponent, value.high, value.low);
          f.emit(RETURN);
        });
        keep(value);
      },
      () => {
        // In units of the small one's last bit: exact in 128 bits
        const times = (a: Code, by: Code): Wide => ({
          high: f.let('i64', f.call('mulHigh', a, by)),
          low: f.let('i64', i64.mul(a, by)),
        });
        const shifted = f.let('i64', i64.shl(i64.const(8), bit(distance)));
        const along = f.let('i64', i64.shl(k.get, bit(distance)));
        const [eightSmall, kLarge] = [times(small, i64.const(8)), times(large, along)];
        const [eightLarge, kSmall] = [times(large, shifted), times(small, k.get)];
        const less = i32.or(
          i64.lt_u(eightSmall.high, kLarge.high),
          i32.and(i64.eq(eightSmall.high, kLarge.high), i64.lt_u(eightSmall.low, kLarge.low)),
        );
        backwards.set(less);
        const numerator = wideVariable(f, difference(f, eightSmall, kLarge));
        f.when(backwards.get, () => numerator.set(difference(f, kLarge, eightSmall)));
        isAxis.set(i64.eqz(i64.or(numerator.get.high, numerator.get.low)));
        const n = normalized(f, numerator.get, i32.const(0));
        const d = normalized(f, sum(f, eightLarge, kSmall), i32.const(0));
        const ratio = quotient(f, halved(n), d);
        keep(normalized(f, ratio, i32.sub(n.exponent, d.exponent)));
      },
    );
    const tangentOf: Float = { high: t.high.get, low: t.low.get, exponent: t.exponent.get };
    const factor = series(f, squareOf(f, tangentOf), oddReciprocals(18), 'alternating');
    const near = normalized(f, product(f, tangentOf, factor), i32.add(t.exponent.get, i32.const(1)));
    f.when(i32.and(i32.and(i64.eqz(k.get), i32.eqz(steep)), i32.eqz(left)), () => {
      roundInexact(f, sign, near);
      f.emit(RETURN);
    });
    // In Q2: π/2 - angle above the diagonal, then π - angle on the left
    const inFixed = shiftRight(f, near.high, near.low, i32.sub(i32.const(1), near.exponent));
    const angle = wideVariable(f, inFixed);
    f.when(isAxis.get, () => angle.set(constant(0n)));
    f.when(i64.ne(k.get, i64.const(0)), () => {
      const base = wideVariable(f, constant(0n));
      ARCTANGENTS.forEach((value, i) =>
        f.when(i64.eq(k.get, i64.const(i + 1)), () => base.set(constant(value >> 1n))),
      );
      const rest: Wide = { high: f.let('i64', angle.get.high), low: f.let('i64', angle.get.low) };
      f.when(
        backwards.get,
        () => angle.set(difference(f, base.get, rest)),
        () => angle.set(sum(f, base.get, rest)),
      );
    });
    f.when(
      steep,
      () => {
        const half = constant(PI >> 1n);
        f.when(left, () => angle.set(sum(f, half, angle.get)), () => angle.set(difference(f, half, angle.get))); // prettier-ignore
      },
      () => f.when(left, () => angle.set(difference(f, pi, angle.get))),
    );
    roundInexact(f, sign, normalized(f, angle.get, i32.const(1)));
  },
};

/**
 * Sine, cosine and tangent: `first` puts the result for ST(0) into R, `second` what is pushed over it; zero and tiny
 * arguments have their own.
 */
function trigonometric(
  mnemonic: string,
  form: string,
  first: (e: InstructionEmitter) => void,
  ofZero: (e: InstructionEmitter) => void,
  ofTiny: (e: InstructionEmitter) => void,
  second?: (e: InstructionEmitter) => void,
): Instruction {
  return onStack(mnemonic, [[form, '']], (e) => {
    e.emit(e.call('x87Operand', e.context, zero));
    const state = e.let('i32', e.call('x87Trigonometric', e.context));
    const codes = i32.and(e.get('fsw'), i32.const(~(C1 | C2)));
    // Without room for a second result that is what is reported
    const room = second === undefined ? i32.const(1) : isEmpty(e, physical(e, i32.const(7)));
    e.when(
      i32.and(i32.eq(state, i32.const(2)), room),
      () => e.set('fsw', i32.or(codes, i32.const(C2))),
      () => {
        e.set('fsw', i32.and(e.get('fsw'), i32.const(~C2)));
        e.when(i32.eqz(state), () => {
          e.when(
            isClass(e, SLOT.a, CLASS.zero),
            () => ofZero(e),
            () => {
              first(e);
              e.when(i32.eq(state, i32.const(3)), () => ofTiny(e));
              if (second === undefined) return;
              copySlot(e, SLOT.b, SLOT.r);
              second(e);
            },
          );
        });
        e.when(i32.eq(state, i32.const(3)), () => ofTiny(e));
        if (second === undefined) return e.emit(e.call('x87Finish', e.context, zero, zero));
        e.emit(e.call('x87RoomToPush', e.context));
        e.emit(e.call('x87FinishTwo', e.context));
      },
    );
  });
}
const unity = (e: InstructionEmitter): void => put(e, SLOT.r, TOP_BIT, i32.const(BIAS));
const itself = (e: InstructionEmitter): void => copySlot(e, SLOT.r, SLOT.a);
const callSine = (shift: number) => (e: InstructionEmitter): void =>
  e.emit(e.call('x87Sine', e.context, i32.const(shift))); // prettier-ignore
const zeroAndOne = (e: InstructionEmitter): void => {
  copySlot(e, SLOT.b, SLOT.a);
  unity(e);
};

const callTiny = (e: InstructionEmitter): void => e.emit(e.call('x87Tiny', e.context));
const tinyAndOne = (e: InstructionEmitter): void => {
  callTiny(e);
  copySlot(e, SLOT.b, SLOT.r);
  unity(e);
};
const callTangent = (e: InstructionEmitter): void => e.emit(e.call('x87Tangent', e.context));

export const x87Trigonometry: Family = {
  helpers: [reduce, tiny, sineOf, tangent, prepare, arctangent],
  instructions: [
    trigonometric('fsin', 'D9 FE', callSine(0), itself, callTiny),
    trigonometric('fcos', 'D9 FF', callSine(2), unity, unity),
    trigonometric('fsincos', 'D9 FB', callSine(0), zeroAndOne, tinyAndOne, callSine(2)),
    trigonometric('fptan', 'D9 F2', callTangent, zeroAndOne, tinyAndOne, unity),
    ofTwo('fpatan', 'D9 F3', 'x87Arctangent'),
  ],
};
