// x87: exact partial remainders, scaling, taking a number apart (SDM vol. 2A, FPREM, FPREM1, FSCALE, FXTRACT).

import type { Emitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, ret, select } from '../exec/wasm.ts';
import type { Family, Helper, Instruction } from './declare.ts';
import { FORMAT, normalizeAndRound, round, unpack } from './x87-round.ts';
import {
  BIAS, C0, C2, C3, CLASS, DEFAULT_NAN, FLAG, RETURN, SLOT, TOP_BIT, classOf, copySlot, either, exponentOf, flagsOf, invalid, isClass,
  isEmpty, keepA, noteDenormals, physical, put, raise, setC1, signOf, significandOf, noException,
} from './x87-state.ts'; // prettier-ignore
import { onStack, one, zero } from './x87-support.ts';

const bit = (condition: Code): Code => i64.extend_i32_u(condition);

/** Condition codes from the low three bits of a quotient. */
function quotientCodes(f: Emitter, quotient: Code): Code {
  const q = f.let('i32', i32.wrap_i64(quotient));
  setC1(f, i32.and(q, i32.const(1)));
  const c0 = i32.shl(i32.and(q, i32.const(4)), i32.const(6));
  const c3 = i32.shl(i32.and(q, i32.const(2)), i32.const(13));
  return i32.or(c0, c3);
}

/** x87Remainder(context, nearest): R = A modulo B, or nearer to 0 on the way there; yields C0, C2 and C3. */
const remainder: Helper = {
  name: 'x87Remainder',
  parameters: ['i32', 'i32'],
  result: 'i32',
  emit(f, context, nearest) {
    const none = i32.const(0);
    // Without a quotient its bits stay
    const before = f.let('i32', i32.and(f.get('fsw'), i32.const(C0 | C3)));
    f.when(f.call('x87NoNumber', context), () => f.emit(ret(before)));
    f.when(i32.or(isClass(f, SLOT.a, CLASS.infinite), isClass(f, SLOT.b, CLASS.zero)), () => {
      invalid(f);
      f.emit(ret(before));
    });
    noteDenormals(f, either(f));
    const unmaskedDenormal = i32.and(
      i32.and(flagsOf(f), i32.const(FLAG.denormal)),
      i32.xor(f.get('fcw'), i32.const(-1)),
    );
    f.when(unmaskedDenormal, () => f.emit(ret(before))); // nothing will be stored
    const unchanged = i32.or(isClass(f, SLOT.a, CLASS.zero), isClass(f, SLOT.b, CLASS.infinite));
    const sign = f.let('i32', signOf(f, SLOT.a));
    const a = unpack(f, SLOT.a);
    const roundA = (): void => {
      round(f, sign, a.exponent, a.significand, i64.const(0), FORMAT.extended);
      f.emit(ret(none));
    };
    f.when(unchanged, () => {
      keepA(f);
      f.emit(ret(none));
    });
    const b = unpack(f, SLOT.b);
    const distance = f.let('i32', i32.sub(a.exponent, b.exponent));
    f.when(i32.lt_s(distance, i32.sub(i32.const(0), nearest)), roundA);
    const rest = f.variable('i64');
    const quotient = f.variable('i64');
    const negative = f.variable('i32');
    negative.set(sign);
    const divide = (shift: Code): void => {
      const n = f.let('i64', bit(shift));
      // A shifted by 0 to 63, in two limbs
      const high = i64.shr_u(i64.shr_u(a.significand, i64.const(1)), i64.sub(i64.const(63), n));
      const low = f.let('i64', i64.shl(a.significand, n));
      quotient.set(f.call('x87Divide', context, high, low, b.significand));
      rest.set(i64.sub(low, i64.mul(quotient.get, b.significand)));
    };
    f.when(i32.ge_s(distance, i32.const(64)), () => {
      // Some of the way: at least 32 bits of the quotient
      const step = f.let('i32', i32.or(i32.and(distance, i32.const(31)), i32.const(32)));
      divide(step);
      f.when(
        i64.eqz(rest.get),
        () => put(f, SLOT.r, i64.const(0), i32.shl(sign, i32.const(15))),
        () => normalizeAndRound(f, sign, i32.sub(a.exponent, step), rest.get, i64.const(0), FORMAT.extended),
      );
      f.emit(ret(i32.const(C2)));
    });
    const exponent = f.let('i32', select(i32.lt_s(distance, none), a.exponent, b.exponent));
    f.when(
      i32.lt_s(distance, none),
      () => {
        // A lies between B/4 and B: nearer to B if above the half
        quotient.set(i64.const(0));
        rest.set(a.significand);
        f.when(i64.gt_u(a.significand, b.significand), () => {
          rest.set(i64.sub(i64.shl(b.significand, i64.const(1)), a.significand));
          quotient.set(i64.const(1));
          negative.set(i32.xor(negative.get, i32.const(1)));
        });
      },
      () => {
        divide(distance);
        f.when(nearest, () => {
          const other = f.let('i64', i64.sub(b.significand, rest.get));
          const tie = i32.and(i64.eq(rest.get, other), i32.wrap_i64(i64.and(quotient.get, i64.const(1))));
          f.when(i32.or(i64.gt_u(rest.get, other), tie), () => {
            rest.set(other);
            quotient.set(i64.add(quotient.get, i64.const(1)));
            negative.set(i32.xor(negative.get, i32.const(1)));
          });
        });
      },
    );
    f.when(
      i64.eqz(rest.get),
      () => put(f, SLOT.r, i64.const(0), i32.shl(sign, i32.const(15))),
      () => normalizeAndRound(f, negative.get, exponent, rest.get, i64.const(0), FORMAT.extended),
    );
    return quotientCodes(f, quotient.get);
  },
};

/** x87Scale(context): R = A · 2^(B towards zero). */
const scale: Helper = {
  name: 'x87Scale',
  parameters: ['i32'],
  emit(f, context) {
    f.when(f.call('x87NoNumber', context), () => f.emit(RETURN));
    const down = signOf(f, SLOT.b);
    const signBit = i32.and(exponentOf(f, SLOT.a), i32.const(0x8000));
    f.when(isClass(f, SLOT.b, CLASS.infinite), () => {
      const opposite = select(down, i32.const(CLASS.infinite), i32.const(CLASS.zero));
      f.when(i32.and(classOf(f, SLOT.a), opposite), () => {
        invalid(f);
        f.emit(RETURN);
      });
      noteDenormals(f, either(f));
      f.when(
        down,
        () => put(f, SLOT.r, i64.const(0), signBit),
        () => put(f, SLOT.r, TOP_BIT, i32.or(signBit, i32.const(0x7fff))),
      );
      f.emit(RETURN);
    });
    noteDenormals(f, either(f));
    const isKept = i32.or(isClass(f, SLOT.a, CLASS.zero | CLASS.infinite), isClass(f, SLOT.b, CLASS.zero));
    f.when(isKept, () => {
      keepA(f);
      f.emit(RETURN);
    });
    const a = unpack(f, SLOT.a);
    const by = f.variable('i32');
    by.set(i32.const(0));
    const field = f.let('i32', i32.sub(i32.and(exponentOf(f, SLOT.b), i32.const(0x7fff)), i32.const(BIAS)));
    f.when(i32.ge_s(field, i32.const(0)), () => {
      const large = i32.gt_s(field, i32.const(16));
      const shift = bit(i32.sub(i32.const(63), field));
      by.set(select(large, i32.const(0x1_0000), i32.wrap_i64(i64.shr_u(significandOf(f, SLOT.b), shift))));
      f.when(down, () => by.set(i32.sub(i32.const(0), by.get)));
    });
    round(f, signOf(f, SLOT.a), i32.add(a.exponent, by.get), a.significand, i64.const(0), FORMAT.extended);
  },
};

/** x87Extract(context): B = exponent of A as a number, R = A with exponent 0. */
const extract: Helper = {
  name: 'x87Extract',
  parameters: ['i32'],
  emit(f, context) {
    const signBit = i32.and(exponentOf(f, SLOT.a), i32.const(0x8000));
    f.when(f.call('x87NoNumber', context), () => {
      copySlot(f, SLOT.b, SLOT.r);
      f.emit(RETURN);
    });
    copySlot(f, SLOT.r, SLOT.a);
    f.when(isClass(f, SLOT.a, CLASS.infinite), () => {
      put(f, SLOT.b, TOP_BIT, i32.const(0x7fff));
      f.emit(RETURN);
    });
    f.when(isClass(f, SLOT.a, CLASS.zero), () => {
      raise(f, FLAG.zeroDivide);
      put(f, SLOT.b, TOP_BIT, i32.const(0xffff));
      f.emit(RETURN);
    });
    noteDenormals(f, classOf(f, SLOT.a));
    const a = unpack(f, SLOT.a);
    put(f, SLOT.r, a.significand, i32.or(signBit, i32.const(BIAS)));
    f.emit(f.call('x87FromInteger', context, i64.extend_i32_s(a.exponent), i32.const(SLOT.b)));
  },
};

/** x87RoomToPush(context): without room both results (B for ST(0), R to be pushed) become the default NaN. */
const room: Helper = {
  name: 'x87RoomToPush',
  parameters: ['i32'],
  emit(f) {
    const underflow = i32.and(flagsOf(f), i32.const(FLAG.stack));
    f.when(i32.or(isEmpty(f, physical(f, i32.const(7))), underflow), () => f.emit(RETURN));
    noException(f);
    invalid(f, FLAG.invalid | FLAG.stack);
    put(f, SLOT.b, DEFAULT_NAN.significand, DEFAULT_NAN.exponent);
    setC1(f, i32.const(1));
  },
};

function partial(mnemonic: string, form: string, nearest: number): Instruction {
  return onStack(mnemonic, [[form, '']], (e) => {
    e.emit(e.call('x87Operands', e.context, zero, one));
    const codes = e.let('i32', e.call('x87Remainder', e.context, i32.const(nearest)));
    e.emit(e.call('x87Finish', e.context, zero, zero));
    e.set('fsw', i32.or(i32.and(e.get('fsw'), i32.const(~(C0 | C2 | C3))), codes));
  });
}

export const x87Remainder: Family = {
  helpers: [remainder, scale, extract, room],
  instructions: [
    partial('fprem', 'D9 F8', 0),
    partial('fprem1', 'D9 F5', 1),
    onStack('fscale', [['D9 FD', '']], (e) => {
      e.emit(e.call('x87Operands', e.context, zero, one));
      e.emit(e.call('x87Scale', e.context));
      e.emit(e.call('x87Finish', e.context, zero, zero));
    }),
    onStack('fxtract', [['D9 F4', '']], (e) => {
      e.emit(e.call('x87Operand', e.context, zero));
      e.emit(e.call('x87Extract', e.context));
      e.emit(e.call('x87RoomToPush', e.context));
      e.emit(e.call('x87FinishTwo', e.context));
    }),
  ],
};
