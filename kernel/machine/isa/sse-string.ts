// The string compares of SSE4.2: PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (SDM vol. 2B, 4.1).
//
// The first operand (a) is the set, the ranges, or the string sought; the second (b) is the text. Both are vectors of 16
// bytes or 8 words of which the first so many are valid. imm8: bit 0 words, bit 1 signed, bits 3:2 the comparison, bits
// 5:4 the polarity, bit 6 the last instead of the first index, or a byte mask instead of a bit mask.

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, ret, select } from '../exec/wasm.ts';
import { i16x8, i8x16, v128 } from '../exec/wasm-simd.ts';
import { CONTEXT } from '../layout.ts';
import type { Family, Helper, Instruction } from './declare.ts';
import { instruction } from './declare.ts';
import {
  BYTE_NUMBERS,
  ZERO,
  bytesDown,
  immediate,
  knownImmediate,
  lanes,
  onlyLow,
  sourceOf,
} from './sse-support.ts';

const hasBit = (imm: Code, bit: number): Code => i32.and(imm, i32.const(1 << bit));

interface Lanes {
  readonly bytes: 1 | 2;
  readonly vector: typeof i8x16 | typeof i16x8;
  readonly numbers: Code;
}
const BYTES: Lanes = { bytes: 1, vector: i8x16, numbers: BYTE_NUMBERS };
const WORDS: Lanes = { bytes: 2, vector: i16x8, numbers: lanes(0, 1, 2, 3, 4, 5, 6, 7) };

/** All-ones in the lanes below `length`. */
const validLanes = (shape: Lanes, length: Code): Code =>
  shape.vector.lt_u(shape.numbers, shape.vector.splat(length));

/** Element `i` of a vector in every lane. */
function spread(f: Emitter, shape: Lanes, vector: Code, i: Code): Code {
  const moved = bytesDown(vector, i32.mul(i, i32.const(shape.bytes)));
  return f.let('v128', shape.vector.splat(shape.vector.extract_lane_u(moved, 0)));
}

function counting(f: Emitter, step: number, more: (i: Code) => Code, body: (i: Code) => void): void {
  const i = f.variable('i32');
  i.set(i32.const(0));
  f.loop((leave) => {
    leave(i32.eqz(more(i.get)));
    body(i.get);
    i.set(i32.add(i.get, i32.const(step)));
  });
}

/** IntRes1 as all-ones lanes. */
function compareLanes(
  f: Emitter,
  shape: Lanes,
  a: Code,
  b: Code,
  lengthA: Code,
  lengthB: Code,
  imm: Code,
): Code {
  const { vector } = shape;
  const result = f.variable('v128');
  result.set(ZERO);
  const mode = f.let('i32', i32.and(i32.shr_u(imm, i32.const(2)), i32.const(3)));
  const validB = f.let('v128', validLanes(shape, lengthB));
  const inA = (i: Code): Code => i32.lt_u(i, lengthA);
  f.when(i32.eqz(mode), () => {
    // Equal any: b[j] is one of a
    counting(f, 1, inA, (i) => result.set(v128.or(result.get, vector.eq(b, spread(f, shape, a, i)))));
    result.set(v128.and(result.get, validB));
  });
  f.when(i32.eq(mode, i32.const(1)), () => {
    // Ranges: a[2i] ≤ b[j] ≤ a[2i + 1]; a range needs both its ends
    const both = (i: Code): Code => i32.lt_u(i32.add(i, i32.const(1)), lengthA);
    counting(f, 2, both, (i) => {
      const low = spread(f, shape, a, i);
      const high = spread(f, shape, a, i32.add(i, i32.const(1)));
      const unsigned = v128.and(vector.ge_u(b, low), vector.le_u(b, high));
      const signed = v128.and(vector.ge_s(b, low), vector.le_s(b, high));
      result.set(v128.or(result.get, select(hasBit(imm, 1), signed, unsigned)));
    });
    result.set(v128.and(result.get, validB));
  });
  f.when(i32.eq(mode, i32.const(2)), () => {
    // Equal each: both ended counts as equal, one ended as different
    const validA = f.let('v128', validLanes(shape, lengthA));
    const equal = v128.and(vector.eq(a, b), v128.and(validA, validB));
    result.set(v128.or(equal, v128.not(v128.or(validA, validB))));
  });
  f.when(i32.eq(mode, i32.const(3)), () => {
    // Equal ordered: a begins at b[j]. What lies behind b's end differs, behind a's end and the vector's it is equal
    result.set(v128.const(-1n, -1n));
    counting(f, 1, inA, (i) => {
      const distance = f.let('i32', i32.mul(i, i32.const(shape.bytes)));
      const equal = f.let('v128', v128.and(vector.eq(b, spread(f, shape, a, i)), validB));
      const outside = i8x16.gt_u(BYTE_NUMBERS, i8x16.splat(i32.sub(i32.const(15), distance)));
      result.set(v128.and(result.get, v128.or(bytesDown(equal, distance), outside)));
    });
  });
  return result.get;
}

/**
 * ssePcmpstr(context, a, b, length of a, length of b, imm8): IntRes2 as a bit mask. Lengths are in elements, at most 16
 * or 8.
 */
const compareStrings: Helper = {
  name: 'ssePcmpstr',
  parameters: ['i32', 'v128', 'v128', 'i32', 'i32', 'i32'],
  result: 'i32',
  emit(f, _context, a, b, lengthA, lengthB, imm) {
    const bits = f.variable('i32');
    const all = f.variable('i32');
    f.when(
      hasBit(imm, 0),
      () => {
        all.set(i32.const(0xff));
        bits.set(i16x8.bitmask(compareLanes(f, WORDS, a, b, lengthA, lengthB, imm)));
      },
      () => {
        all.set(i32.const(0xffff));
        bits.set(i8x16.bitmask(compareLanes(f, BYTES, a, b, lengthA, lengthB, imm)));
      },
    );
    f.when(i32.eqz(hasBit(imm, 4)), () => f.emit(ret(bits.get)));
    // Negative polarity, of all elements or only of b's valid ones
    const validB = i32.sub(i32.shl(i32.const(1), lengthB), i32.const(1));
    return i32.xor(bits.get, select(hasBit(imm, 5), validB, all.get));
  },
};

/** ssePcmpend(context, vector, imm8): the elements before the first that is zero. */
const implicitLength: Helper = {
  name: 'ssePcmpend',
  parameters: ['i32', 'v128', 'i32'],
  result: 'i32',
  emit(_f, _context, vector, imm) {
    const zeroWords = i32.or(i16x8.bitmask(i16x8.eq(vector, ZERO)), i32.const(0x100));
    const zeroBytes = i32.or(i8x16.bitmask(i8x16.eq(vector, ZERO)), i32.const(0x1_0000));
    return i32.ctz(select(hasBit(imm, 0), zeroWords, zeroBytes));
  },
};

/** |register|, at most the number of elements. */
function explicitLength(e: InstructionEmitter, register: number, imm: Code): Code {
  const wide = e.encoding.includes('REX.W');
  const value = wide ? e.register(register) : e.let('i64', i64.extend32_s(e.register(register)));
  const size = e.let('i64', select(i64.lt_s(value, i64.const(0)), i64.sub(i64.const(0), value), value));
  const count = e.let('i32', i32.shr_u(i32.const(16), hasBit(imm, 0)));
  return e.let('i32', select(i64.lt_u(size, i64.extend_i32_u(count)), i32.wrap_i64(size), count));
}

/**
 * IntRes2 as a bit mask of `equal each`, what strcmp asks for, with the immediate known while code is emitted: integers
 * instead of vectors and no call.
 */
function equalEach(e: InstructionEmitter, shape: Lanes, a: Code, b: Code, lengthA: Code, lengthB: Code, imm: number): Code {
  const one = i32.const(1);
  const all = shape.bytes === 1 ? 0xffff : 0xff;
  const below = (length: Code): Code => e.let('i32', i32.sub(i32.shl(one, length), one));
  const [validA, validB] = [below(lengthA), below(lengthB)];
  const equal = i32.and(shape.vector.bitmask(shape.vector.eq(a, b)), i32.and(validA, validB));
  const bothEnded = i32.xor(i32.or(validA, validB), i32.const(all));
  const bits = i32.or(equal, bothEnded);
  const polarity = (imm >> 4) & 3;
  if (polarity === 1) return i32.xor(bits, i32.const(all));
  return polarity === 3 ? i32.xor(bits, validB) : bits;
} // prettier-ignore

/** The elements before the first zero, for a known shape. */
const lengthOf = (shape: Lanes, vector: Code): Code =>
  i32.ctz(i32.or(shape.vector.bitmask(shape.vector.eq(vector, ZERO)), i32.const(1 << (16 / shape.bytes))));

/** IntRes2 as a vector: a bit each, or, expanded, a whole element each. */
function maskVector(bits: Code, imm: Code): Code {
  const bytes = i8x16.eq(
    v128.and(
      i8x16.swizzle(i16x8.splat(bits), lanes(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)),
      BIT_OF_BYTE,
    ),
    BIT_OF_BYTE,
  );
  const words = i16x8.eq(v128.and(i16x8.splat(bits), BIT_OF_WORD), BIT_OF_WORD);
  const expanded = select(hasBit(imm, 0), words, bytes);
  return select(hasBit(imm, 6), expanded, onlyLow(i64.extend_i32_u(bits)));
}
const BIT_OF_BYTE = lanes(1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128);
const BIT_OF_WORD = lanes(1, 2, 4, 8, 16, 32, 64, 128);

function stringCompare(mnemonic: string, opcode: string, explicit: boolean, toIndex: boolean): Instruction {
  const encoding = `0F 3A ${opcode} /r ib`;
  return instruction({
    mnemonic,
    source: sourceOf(mnemonic),
    feature: 'sse4.2',
    // REX.W makes the explicit lengths 64 bits wide
    forms: explicit
      ? [[`66 ${encoding} W0`, 'Vu,Wu,Ib'], [`66 REX.W ${encoding}`, 'Vu,Wu,Ib']]
      : [[`66 ${encoding}`, 'Vu,Wu,Ib']],
    writes: 'OSZAPC',
    emit(e, first, second, selection) {
      if (selection === undefined) return;
      const imm = immediate(e, selection);
      const a = e.read(first);
      const b = e.read(second);
      const known = knownImmediate(e, selection);
      const shape = known === undefined ? undefined : (known & 1) === 0 ? BYTES : WORDS;
      const implicit = (vector: Code): Code => shape === undefined ? e.call('ssePcmpend', e.context, vector, imm) : lengthOf(shape, vector);
      const length = (vector: Code, register: number): Code =>
        explicit ? explicitLength(e, register, imm) : e.let('i32', implicit(vector));
      const lengthA = length(a, 0);
      const lengthB = length(b, 2);
      const isEqualEach = known !== undefined && ((known >> 2) & 3) === 2;
      const result = isEqualEach && shape !== undefined
        ? equalEach(e, shape, a, b, lengthA, lengthB, known)
        : e.call('ssePcmpstr', e.context, a, b, lengthA, lengthB, imm);
      const bits = e.let('i32', result);
      const count = e.let('i32', i32.shr_u(i32.const(16), hasBit(imm, 0)));
      if (toIndex) {
        const least = i32.ctz(i32.or(bits, i32.shl(i32.const(1), count)));
        const last = select(bits, i32.sub(i32.const(31), i32.clz(bits)), count);
        e.setRegister(1, i64.extend_i32_u(select(hasBit(imm, 6), last, least)));
      } else {
        e.emit(v128.store(e.context, maskVector(bits, imm), CONTEXT.xmm));
      }
      e.setFlags({
        C: i32.ne(bits, i32.const(0)),
        Z: i32.lt_u(lengthB, count),
        S: i32.lt_u(lengthA, count),
        O: i32.and(bits, i32.const(1)),
        A: i32.const(0),
        P: i32.const(0),
      });
    },
  });
} // prettier-ignore

export const sseString: Family = {
  helpers: [compareStrings, implicitLength],
  instructions: [
    stringCompare('pcmpestrm', '60', true, false),
    stringCompare('pcmpestri', '61', true, true),
    stringCompare('pcmpistrm', '62', false, false),
    stringCompare('pcmpistri', '63', false, true),
  ],
};
