// Packed integers: logic, arithmetic, compares, shifts, in XMM and MMX registers. Every operation is written once, on
// v128; what MMX does is its low half.

import type { Code } from '../exec/wasm.ts';
import { i32, i64, select } from '../exec/wasm.ts';
import { i16x8, i32x4, i64x2, i8x16, v128 } from '../exec/wasm-simd.ts';
import type { Family, Feature, Instruction } from './declare.ts';
import { instruction } from './declare.ts';
import type { Binary, Unary } from './sse-support.ts';
import { ZERO, atMost, binary, bytesDown, bytesUp, immediate, knownImmediate, lanes, readVector, sourceOf, unary, writeVector } from './sse-support.ts'; // prettier-ignore

/** `0F xx`, in MMX since `mmxFeature` and in XMM since SSE2. */
function both(mnemonic: string, opcode: string, op: Binary, mmxFeature: Feature = 'mmx'): Instruction[] {
  return [
    binary(mnemonic, mmxFeature, [[`NP 0F ${opcode} /r`, 'Pq,Qq']], op),
    binary(mnemonic, 'sse2', [[`66 0F ${opcode} /r`, 'Vx,Wx']], op),
  ];
}
/** `0F 38 xx`, since SSSE3 in both. */
function both38(mnemonic: string, opcode: string, op: Binary): Instruction {
  return binary(mnemonic, 'ssse3', [[`NP 0F 38 ${opcode} /r`, 'Pq,Qq'], [`66 0F 38 ${opcode} /r`, 'Vx,Wx']], op); // prettier-ignore
}
function abs38(mnemonic: string, opcode: string, op: Unary): Instruction {
  return unary(mnemonic, 'ssse3', [[`NP 0F 38 ${opcode} /r`, 'Pq,Qq'], [`66 0F 38 ${opcode} /r`, 'Vx,Wx']], op); // prettier-ignore
}
const only38 = (mnemonic: string, opcode: string, op: Binary, feature: Feature = 'sse4.1'): Instruction =>
  binary(mnemonic, feature, [[`66 0F 38 ${opcode} /r`, 'Vx,Wx']], op);

const HIGH_WORDS = [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31];
const EVEN_DWORDS = [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11];
const evenDwords = (vector: Code): Code => i8x16.shuffle(vector, vector, EVEN_DWORDS);
const LOW_BYTES = lanes(255, 255, 255, 255, 255, 255, 255, 255);
const MOST_NEGATIVE_WORDS = lanes(0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000);

/** A sum for each half. */
const sumOfDifferences: Binary = (a, b, e) => {
  const differences = v128.or(i8x16.sub_sat_u(a, b), i8x16.sub_sat_u(b, a));
  const fours = e.let('v128', i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(differences)));
  return v128.and(i64x2.add(fours, i64x2.shr_u(fours, i32.const(32))), lanes(0xffff, 0xffff));
};

/** a unsigned, b signed bytes. Each product fits a word; only the sum saturates. */
const multiplyAddBytes: Binary = (a, b) => {
  const even = i16x8.mul(v128.and(a, LOW_BYTES), i16x8.shr_s(i16x8.shl(b, i32.const(8)), i32.const(8)));
  const odd = i16x8.mul(i16x8.shr_u(a, i32.const(8)), i16x8.shr_s(b, i32.const(8)));
  return i16x8.add_sat_s(even, odd);
};
/** wasm's saturates where both are -1.0; x86 wraps to -1.0. */
const multiplyRoundScale: Binary = (a, b) =>
  v128.xor(
    i16x8.q15mulr_sat_s(a, b),
    v128.and(i16x8.eq(a, MOST_NEGATIVE_WORDS), i16x8.eq(b, MOST_NEGATIVE_WORDS)),
  );

/** psign: a, -a or 0 by the sign of b. */
const bySign = (lane: { lt_s: (a: Code, b: Code) => Code; eq: (a: Code, b: Code) => Code; neg: (a: Code) => Code }): Binary =>
  (a, b) => v128.andnot(v128.bitselect(lane.neg(a), a, lane.lt_s(b, ZERO)), lane.eq(b, ZERO)); // prettier-ignore

/** Shifts by a whole register, its low 64 bits; a count of at least the width clears (or, arithmetic, fills with signs). */
interface Lane {
  readonly bits: 16 | 32 | 64;
  readonly shl: (a: Code, count: Code) => Code;
  readonly shr_u: (a: Code, count: Code) => Code;
  readonly shr_s: (a: Code, count: Code) => Code;
}
const WORD: Lane = { bits: 16, ...i16x8 };
const DWORD: Lane = { bits: 32, ...i32x4 };
const QWORD: Lane = { bits: 64, ...i64x2 };

function shifted(lane: Lane, kind: 'shl' | 'shr_u' | 'shr_s', value: Code, count: Code): Code {
  const { bits } = lane;
  if (kind === 'shr_s')
    return lane.shr_s(
      value,
      i32.wrap_i64(select(i64.lt_u(count, i64.const(bits)), count, i64.const(bits - 1))),
    );
  return select(i64.lt_u(count, i64.const(bits)), lane[kind](value, i32.wrap_i64(count)), ZERO);
}

/** By a count that is known. */
function shiftedBy(lane: Lane, kind: 'shl' | 'shr_u' | 'shr_s', value: Code, count: number): Code {
  if (kind !== 'shr_s' && count >= lane.bits) return ZERO;
  return lane[kind](value, i32.const(Math.min(count, lane.bits - 1)));
}

function shift(mnemonic: string, lane: Lane, kind: 'shl' | 'shr_u' | 'shr_s', opcode: string, immediateForm: string): Instruction[] {
  const make = (feature: Feature, prefix: string, registers: string, shiftRegister: string): Instruction =>
    instruction({
      mnemonic,
      source: sourceOf(mnemonic),
      feature,
      forms: [[`${prefix} 0F ${opcode} /r`, registers], [`${prefix} 0F ${immediateForm} ib`, `${shiftRegister},Ib`]],
      emit(e, target, source) {
        const value = readVector(e, target);
        const known = source.kind === 'immediate' ? knownImmediate(e, source) : undefined;
        if (known !== undefined) return writeVector(e, target, shiftedBy(lane, kind, value, known));
        const count = source.kind === 'immediate' ? e.read(source) : e.readI64(source);
        writeVector(e, target, shifted(lane, kind, value, count));
      },
    });
  return [make('mmx', 'NP', 'Pq,Qq', 'Nq'), make('sse2', '66', 'Vx,Wx', 'Ux')];
} // prettier-ignore

function byteShift(mnemonic: string, digit: number, move: (vector: Code, count: Code) => Code): Instruction {
  return instruction({
    mnemonic,
    source: sourceOf(mnemonic),
    feature: 'sse2',
    forms: [[`66 0F 73 /${digit} ib`, 'Ux,Ib']],
    emit(e, target, source) {
      const known = knownImmediate(e, source);
      if (known !== undefined) {
        // Bytes of the vector (0 to 15) among zeros (16 to 31)
        const from = digit === 7 ? -Math.min(known, 16) : Math.min(known, 16);
        const places = Array.from({ length: 16 }, (_unused, i) =>
          i + from < 0 || i + from > 15 ? 16 : i + from,
        );
        return e.write(target, i8x16.shuffle(e.read(target), ZERO, places));
      }
      const count = e.let('i32', atMost(immediate(e, source), 16));
      e.write(target, move(e.read(target), count));
    },
  });
}

/** The smallest word and its place: place in the low bits of word << 16, so that the least is also the first. */
const minimumPosition: Unary = (a, e) => {
  const low = v128.or(i32x4.shl(i32x4.extend_low_i16x8_u(a), i32.const(16)), lanes(0, 1, 2, 3));
  const high = v128.or(i32x4.shl(i32x4.extend_high_i16x8_u(a), i32.const(16)), lanes(4, 5, 6, 7));
  const four = e.let('v128', i32x4.min_u(low, high));
  const two = e.let('v128', i32x4.min_u(four, i8x16.shuffle(four, four, [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7]))); // prettier-ignore
  const one = i32x4.min_u(
    two,
    i8x16.shuffle(two, two, [4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11]),
  );
  const found = e.let('i32', i32x4.extract_lane(one, 0));
  return i32x4.replace_lane(ZERO, 0, i32.rotl(found, i32.const(16)));
};

export const sseInteger: Family = {
  instructions: [
    ...both('pand', 'DB', v128.and),
    ...both('pandn', 'DF', (a, b) => v128.andnot(b, a)),
    ...both('por', 'EB', v128.or),
    ...both('pxor', 'EF', v128.xor),
    ...both('paddb', 'FC', i8x16.add),
    ...both('paddw', 'FD', i16x8.add),
    ...both('paddd', 'FE', i32x4.add),
    ...both('paddq', 'D4', i64x2.add, 'sse2'),
    ...both('paddsb', 'EC', i8x16.add_sat_s),
    ...both('paddsw', 'ED', i16x8.add_sat_s),
    ...both('paddusb', 'DC', i8x16.add_sat_u),
    ...both('paddusw', 'DD', i16x8.add_sat_u),
    ...both('psubb', 'F8', i8x16.sub),
    ...both('psubw', 'F9', i16x8.sub),
    ...both('psubd', 'FA', i32x4.sub),
    ...both('psubq', 'FB', i64x2.sub, 'sse2'),
    ...both('psubsb', 'E8', i8x16.sub_sat_s),
    ...both('psubsw', 'E9', i16x8.sub_sat_s),
    ...both('psubusb', 'D8', i8x16.sub_sat_u),
    ...both('psubusw', 'D9', i16x8.sub_sat_u),
    ...both('pmullw', 'D5', i16x8.mul),
    ...both('pmulhw', 'E5', (a, b) =>
      i8x16.shuffle(i32x4.extmul_low_i16x8_s(a, b), i32x4.extmul_high_i16x8_s(a, b), HIGH_WORDS),
    ),
    ...both(
      'pmulhuw',
      'E4',
      (a, b) => i8x16.shuffle(i32x4.extmul_low_i16x8_u(a, b), i32x4.extmul_high_i16x8_u(a, b), HIGH_WORDS),
      'sse',
    ),
    ...both('pmaddwd', 'F5', i32x4.dot_i16x8_s),
    ...both('pmuludq', 'F4', (a, b) => i64x2.extmul_low_i32x4_u(evenDwords(a), evenDwords(b)), 'sse2'),
    ...both('pavgb', 'E0', i8x16.avgr_u, 'sse'),
    ...both('pavgw', 'E3', i16x8.avgr_u, 'sse'),
    ...both('psadbw', 'F6', sumOfDifferences, 'sse'),
    ...both('pminub', 'DA', i8x16.min_u, 'sse'),
    ...both('pmaxub', 'DE', i8x16.max_u, 'sse'),
    ...both('pminsw', 'EA', i16x8.min_s, 'sse'),
    ...both('pmaxsw', 'EE', i16x8.max_s, 'sse'),
    ...both('pcmpeqb', '74', i8x16.eq),
    ...both('pcmpeqw', '75', i16x8.eq),
    ...both('pcmpeqd', '76', i32x4.eq),
    ...both('pcmpgtb', '64', i8x16.gt_s),
    ...both('pcmpgtw', '65', i16x8.gt_s),
    ...both('pcmpgtd', '66', i32x4.gt_s),

    ...shift('psllw', WORD, 'shl', 'F1', '71 /6'),
    ...shift('pslld', DWORD, 'shl', 'F2', '72 /6'),
    ...shift('psllq', QWORD, 'shl', 'F3', '73 /6'),
    ...shift('psrlw', WORD, 'shr_u', 'D1', '71 /2'),
    ...shift('psrld', DWORD, 'shr_u', 'D2', '72 /2'),
    ...shift('psrlq', QWORD, 'shr_u', 'D3', '73 /2'),
    ...shift('psraw', WORD, 'shr_s', 'E1', '71 /4'),
    ...shift('psrad', DWORD, 'shr_s', 'E2', '72 /4'),
    byteShift('pslldq', 7, bytesUp),
    byteShift('psrldq', 3, bytesDown),

    abs38('pabsb', '1C', i8x16.abs),
    abs38('pabsw', '1D', i16x8.abs),
    abs38('pabsd', '1E', i32x4.abs),
    both38('psignb', '08', bySign(i8x16)),
    both38('psignw', '09', bySign(i16x8)),
    both38('psignd', '0A', bySign(i32x4)),
    both38('pmaddubsw', '04', multiplyAddBytes),
    both38('pmulhrsw', '0B', multiplyRoundScale),

    only38('pmuldq', '28', (a, b) => i64x2.extmul_low_i32x4_s(evenDwords(a), evenDwords(b))),
    only38('pmulld', '40', i32x4.mul),
    only38('pcmpeqq', '29', i64x2.eq),
    only38('pcmpgtq', '37', i64x2.gt_s, 'sse4.2'),
    only38('pminsb', '38', i8x16.min_s),
    only38('pminsd', '39', i32x4.min_s),
    only38('pminuw', '3A', i16x8.min_u),
    only38('pminud', '3B', i32x4.min_u),
    only38('pmaxsb', '3C', i8x16.max_s),
    only38('pmaxsd', '3D', i32x4.max_s),
    only38('pmaxuw', '3E', i16x8.max_u),
    only38('pmaxud', '3F', i32x4.max_u),
    unary('phminposuw', 'sse4.1', [['66 0F 38 41 /r', 'Vx,Wx']], minimumPosition),
    instruction({
      mnemonic: 'ptest',
      source: sourceOf('ptest'),
      feature: 'sse4.1',
      forms: [['66 0F 38 17 /r', 'Vx,Wx']],
      writes: 'OSZAPC',
      emit(e, first, second) {
        const a = e.read(first);
        const b = e.read(second);
        const none = i32.const(0);
        e.setFlags({
          Z: i32.eqz(v128.any_true(v128.and(a, b))),
          C: i32.eqz(v128.any_true(v128.andnot(b, a))),
          O: none,
          S: none,
          A: none,
          P: none,
        });
      },
    }),
  ],
};
