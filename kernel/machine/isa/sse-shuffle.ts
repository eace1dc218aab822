// Rearranging: shuffles, unpack and pack, sign and zero extension, insert and extract, blends, horizontal sums of
// integers, sums of absolute differences at moving places.

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64 } from '../exec/wasm.ts';
import { i16x8, i32x4, i64x2, i8x16, v128 } from '../exec/wasm-simd.ts';
import { CONTEXT } from '../layout.ts';
import type { Family, Feature, Form, Instruction, Operand } from './declare.ts';
import { instruction } from './declare.ts';
import type { Binary } from './sse-support.ts';
import { BYTE_NUMBERS, ZERO, atMost, binary, bytesDown, dwordSelection, immediate, knownImmediate, laneMask, lanes, oneLane, onlyLow, readVector, sourceOf, wordSelection, writeVector } from './sse-support.ts'; // prettier-ignore

type Selecting = (a: Code, b: Code, imm: Code, e: InstructionEmitter) => Code;

/** What an imm8 that is known selects: bytes of the target (0 to 15) and of the source (16 to 31); undefined: nothing so simple. */
type Places = (imm: number) => readonly number[] | undefined;
const field = (imm: number, number: number): number => (imm >> (2 * number)) & 3;
/** Places of lanes of so many bytes; `lane(i)` is the number of the first byte of lane i. */
function placesOf(bytes: number, lane: (i: number) => number): number[] {
  return Array.from({ length: 16 }, (_unused, i) => lane(Math.floor(i / bytes)) + (i % bytes));
}
const blended = (bytes: number): Places => (imm) =>
  placesOf(bytes, (i) => i * bytes + (((imm >> i) & 1) !== 0 ? 16 : 0)); // prettier-ignore
const KNOWN: Readonly<Record<'pshufd' | 'pshuflw' | 'pshufhw' | 'shufps' | 'shufpd' | 'palignr', Places>> = {
  pshufd: (imm) => placesOf(4, (i) => 16 + 4 * field(imm, i)),
  pshuflw: (imm) => placesOf(2, (i) => 16 + (i < 4 ? 2 * field(imm, i) : 2 * i)),
  pshufhw: (imm) => placesOf(2, (i) => 16 + (i < 4 ? 2 * i : 8 + 2 * field(imm, i - 4))),
  shufps: (imm) => placesOf(4, (i) => 4 * field(imm, i) + (i < 2 ? 0 : 16)),
  shufpd: (imm) => placesOf(8, (i) => 8 * ((imm >> i) & 1) + (i < 1 ? 0 : 16)),
  palignr: (imm) => (imm > 16 ? undefined : placesOf(1, (i) => (i + imm < 16 ? 16 + i + imm : i + imm - 16))),
};

/** target = op(target, source, imm8). */
export function selecting(
  mnemonic: string,
  feature: Feature,
  forms: readonly Form[],
  op: Selecting,
  places?: Places,
): Instruction {
  return instruction({
    mnemonic,
    source: sourceOf(mnemonic),
    feature,
    forms,
    emit(e, target, source, selection) {
      if (selection === undefined) return;
      const a = readVector(e, target);
      const b = readVector(e, source);
      const known = knownImmediate(e, selection);
      const lanesKnown = known === undefined ? undefined : places?.(known);
      if (lanesKnown !== undefined) writeVector(e, target, i8x16.shuffle(a, b, lanesKnown));
      else writeVector(e, target, op(a, b, immediate(e, selection), e));
    },
  });
}

/** Lane numbers of an interleave of lanes of `bytes`, from byte `from` of both sources. */
function interleave(bytes: number, from: number): number[] {
  const places: number[] = [];
  for (let lane = from; lane < from + 8; lane += bytes)
    for (const half of [0, 16]) for (let i = 0; i < bytes; i++) places.push(half + lane + i);
  return places;
}

/** The MMX result is the low half of the low interleave and the high half of the high one, as its operands are doubled. */
function unpack(mnemonic: string, opcode: string, bytes: number, high: boolean, mmx = true): Instruction[] {
  const places = interleave(bytes, high ? 8 : 0);
  const shuffled: Binary = (a, b) => i8x16.shuffle(a, b, places);
  const xmm = binary(mnemonic, 'sse2', [[`66 0F ${opcode} /r`, 'Vx,Wx']], shuffled);
  if (!mmx) return [xmm];
  const upper = places.slice(8);
  const inMmx: Binary = high ? (a, b) => i8x16.shuffle(a, b, [...upper, ...upper]) : shuffled;
  return [xmm, binary(mnemonic, 'mmx', [[`NP 0F ${opcode} /r`, high ? 'Pq,Qq' : 'Pq,Qd']], inMmx)];
}

const join = (a: Code, b: Code): Code => i8x16.shuffle(a, b, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]); // prettier-ignore

/** MMX: both operands side by side in one vector, so that the result's low half is as wanted. */
function joined(op: (a: Code, b: Code) => Code): Binary {
  return (a, b, e) => {
    const both = e.let('v128', join(a, b));
    return op(both, both);
  };
}

function pack(mnemonic: string, opcode: string, op: Binary & ((a: Code, b: Code) => Code)): Instruction[] {
  return [
    binary(mnemonic, 'sse2', [[`66 0F ${opcode} /r`, 'Vx,Wx']], op),
    binary(mnemonic, 'mmx', [[`NP 0F ${opcode} /r`, 'Pq,Qq']], joined(op)),
  ];
}

const EVEN_WORDS = [0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29];
const EVEN_DWORDS = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];

/** Neighbours of a, then of b, combined: even lane op odd lane. */
function horizontal(mnemonic: string, opcode: string, bytes: 2 | 4, op: (a: Code, b: Code) => Code): Instruction[] {
  const even = bytes === 2 ? EVEN_WORDS : EVEN_DWORDS;
  const odd = even.map((place) => place + bytes);
  const neighbours = (a: Code, b: Code): Code => op(i8x16.shuffle(a, b, even), i8x16.shuffle(a, b, odd));
  return [
    binary(mnemonic, 'ssse3', [[`66 0F 38 ${opcode} /r`, 'Vx,Wx']], neighbours),
    binary(mnemonic, 'ssse3', [[`NP 0F 38 ${opcode} /r`, 'Pq,Qq']], joined(neighbours)),
  ];
} // prettier-ignore

/** pmovsx, pmovzx: the low lanes of the source, extended once or more. */
function extend(mnemonic: string, opcode: string, memory: string, op: (a: Code) => Code): Instruction {
  return instruction({
    mnemonic,
    source: sourceOf(mnemonic),
    feature: 'sse4.1',
    forms: [[`66 0F 38 ${opcode} /r`, `Vx,${memory}`]],
    emit(e, target, source) {
      const narrow = e.isMemory(source) && source.size === 2 ? onlyLow(e.read(source)) : e.read(source);
      e.write(target, op(narrow));
    },
  });
}

function insert(mnemonic: string, feature: Feature, forms: readonly Form[], op: (vector: Code, value: Code, imm: Code, operand: Operand) => Code, atLane?: (vector: Code, value: Code, imm: number, operand: Operand) => Code): Instruction {
  return instruction({
    mnemonic,
    source: sourceOf(mnemonic),
    feature,
    forms,
    emit(e, target, source, place) {
      if (place === undefined) return;
      const vector = readVector(e, target);
      const value = e.read(source);
      const known = knownImmediate(e, place);
      if (known !== undefined && atLane !== undefined) writeVector(e, target, atLane(vector, value, known, source));
      else writeVector(e, target, op(vector, value, immediate(e, place), source));
    },
  });
} // prettier-ignore
const low = (imm: Code, mask: number): Code => i32.and(imm, i32.const(mask));

/** A lane by its number, zero-extended. */
function laneValue(vector: Code, bytes: number, number: number): Code {
  if (bytes === 8) return i64x2.extract_lane(vector, number & 1);
  if (bytes === 4) return i64.extend_i32_u(i32x4.extract_lane(vector, number & 3));
  if (bytes === 2) return i64.extend_i32_u(i16x8.extract_lane_u(vector, number & 7));
  return i64.extend_i32_u(i8x16.extract_lane_u(vector, number & 15));
}

/** Writes lane number imm8 of the source, zero-extended. */
function extract(
  mnemonic: string,
  feature: Feature,
  forms: readonly Form[],
  laneBytes?: 1 | 2 | 4,
): Instruction {
  return instruction({
    mnemonic,
    source: sourceOf(mnemonic),
    feature,
    forms,
    emit(e, target, source, place) {
      if (place === undefined) return;
      const bytes = laneBytes ?? target.size;
      const vectorBytes = source.letter.startsWith('N') ? 8 : 16;
      const known = knownImmediate(e, place);
      if (known !== undefined && vectorBytes === 16)
        return e.write(target, laneValue(e.read(source), bytes, known));
      const number = low(immediate(e, place), vectorBytes / bytes - 1);
      const moved = bytesDown(readVector(e, source), i32.mul(number, i32.const(bytes)));
      const value = i64x2.extract_lane(moved, 0);
      e.write(target, bytes === 8 ? value : i64.and(value, i64.const(2 ** (bytes * 8) - 1)));
    },
  });
}

/** Blends by the sign bits of XMM0, the implicit third operand. */
function blendByXmm0(mnemonic: string, opcode: string, mask: (signs: Code) => Code): Instruction {
  return binary(mnemonic, 'sse4.1', [[`66 0F 38 ${opcode} /r`, 'Vx,Wx']], (a, b, e) =>
    v128.bitselect(b, a, mask(v128.load(e.context, CONTEXT.xmm))),
  );
}

const shuffleBytes = (indexMask: number): Binary => (a, b) =>
  i8x16.swizzle(a, v128.and(b, lanes(...Array.from({ length: 16 }, () => indexMask)))); // prettier-ignore

const wordPlaces = (imm: Code, high: boolean): Code =>
  high
    ? v128.bitselect(wordSelection(imm, 8), BYTE_NUMBERS, v128.const(0n, -1n))
    : v128.bitselect(wordSelection(imm, 0), BYTE_NUMBERS, v128.const(-1n, 0n));

const alignRight: Selecting = (a, b, imm, e) => {
  const count = e.let('i32', atMost(imm, 32));
  return v128.or(bytesDown(b, atMost(count, 16)), bytesDown(a, i32.sub(count, i32.const(16))));
};

const insertSingle = (vector: Code, value: Code, imm: Code): Code => {
  const placed = v128.bitselect(i32x4.splat(value), vector, oneLane(low(i32.shr_u(imm, i32.const(4)), 3), 4));
  return v128.andnot(placed, laneMask(imm, 4));
};

/** Eight sums of four absolute differences: four bytes of b against a at eight places. */
const sumsAtPlaces: Selecting = (a, b, imm, e) => {
  const from = e.let('v128', bytesDown(a, low(imm, 4)));
  const with4 = e.let('v128', bytesDown(b, i32.shl(low(imm, 3), i32.const(2))));
  let sum: Code = ZERO;
  for (let k = 0; k < 4; k++) {
    const places = Array.from({ length: 16 }, (_unused, i) => (i + k) & 15);
    const moving = i16x8.extend_low_i8x16_u(i8x16.shuffle(from, from, places));
    sum = i16x8.add(sum, i16x8.abs(i16x8.sub(moving, i16x8.splat(i8x16.extract_lane_u(with4, k)))));
  }
  return sum;
};

const extendS = { b: i16x8.extend_low_i8x16_s, w: i32x4.extend_low_i16x8_s, d: i64x2.extend_low_i32x4_s };
const extendU = { b: i16x8.extend_low_i8x16_u, w: i32x4.extend_low_i16x8_u, d: i64x2.extend_low_i32x4_u };

export const sseShuffle: Family = {
  instructions: [
    ...unpack('punpcklbw', '60', 1, false),
    ...unpack('punpcklwd', '61', 2, false),
    ...unpack('punpckldq', '62', 4, false),
    ...unpack('punpcklqdq', '6C', 8, false, false),
    ...unpack('punpckhbw', '68', 1, true),
    ...unpack('punpckhwd', '69', 2, true),
    ...unpack('punpckhdq', '6A', 4, true),
    ...unpack('punpckhqdq', '6D', 8, true, false),
    binary('unpcklps', 'sse', [['NP 0F 14 /r', 'Vx,Wx']], (a, b) => i8x16.shuffle(a, b, interleave(4, 0))),
    binary('unpckhps', 'sse', [['NP 0F 15 /r', 'Vx,Wx']], (a, b) => i8x16.shuffle(a, b, interleave(4, 8))),
    binary('unpcklpd', 'sse2', [['66 0F 14 /r', 'Vx,Wx']], (a, b) => i8x16.shuffle(a, b, interleave(8, 0))),
    binary('unpckhpd', 'sse2', [['66 0F 15 /r', 'Vx,Wx']], (a, b) => i8x16.shuffle(a, b, interleave(8, 8))),
    ...pack('packsswb', '63', i8x16.narrow_i16x8_s),
    ...pack('packuswb', '67', i8x16.narrow_i16x8_u),
    ...pack('packssdw', '6B', i16x8.narrow_i32x4_s),
    binary('packusdw', 'sse4.1', [['66 0F 38 2B /r', 'Vx,Wx']], i16x8.narrow_i32x4_u),

    binary('pshufb', 'ssse3', [['66 0F 38 00 /r', 'Vx,Wx']], shuffleBytes(0x8f)),
    binary('pshufb', 'ssse3', [['NP 0F 38 00 /r', 'Pq,Qq']], shuffleBytes(0x87)),
    selecting('pshufd', 'sse2', [['66 0F 70 /r ib', 'Vx,Wx,Ib']], (_a, b, imm, e) => i8x16.swizzle(b, dwordSelection(e, imm)), KNOWN.pshufd),
    selecting('pshuflw', 'sse2', [['F2 0F 70 /r ib', 'Vx,Wx,Ib']], (_a, b, imm) => i8x16.swizzle(b, wordPlaces(imm, false)), KNOWN.pshuflw),
    selecting('pshufhw', 'sse2', [['F3 0F 70 /r ib', 'Vx,Wx,Ib']], (_a, b, imm) => i8x16.swizzle(b, wordPlaces(imm, true)), KNOWN.pshufhw),
    selecting('pshufw', 'sse', [['NP 0F 70 /r ib', 'Pq,Qq,Ib']], (_a, b, imm) => i8x16.swizzle(b, wordSelection(imm, 0))),
    selecting('shufps', 'sse', [['NP 0F C6 /r ib', 'Vx,Wx,Ib']], (a, b, imm, e) => {
      const places = dwordSelection(e, imm);
      return i8x16.shuffle(i8x16.swizzle(a, places), i8x16.swizzle(b, places),
        [0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31]);
    }, KNOWN.shufps),
    selecting('shufpd', 'sse2', [['66 0F C6 /r ib', 'Vx,Wx,Ib']], (a, b, imm) =>
      v128.bitselect(i8x16.shuffle(a, b, interleave(8, 8)), i8x16.shuffle(a, b, interleave(8, 0)), laneMask(imm, 8)), KNOWN.shufpd),
    selecting('palignr', 'ssse3', [['66 0F 3A 0F /r ib', 'Vx,Wx,Ib']], alignRight, KNOWN.palignr),
    selecting('palignr', 'ssse3', [['NP 0F 3A 0F /r ib', 'Pq,Qq,Ib']], (a, b, imm) => bytesDown(join(b, a), atMost(imm, 16))),

    selecting('pblendw', 'sse4.1', [['66 0F 3A 0E /r ib', 'Vx,Wx,Ib']], (a, b, imm) => v128.bitselect(b, a, laneMask(imm, 2)), blended(2)),
    selecting('blendps', 'sse4.1', [['66 0F 3A 0C /r ib', 'Vx,Wx,Ib']], (a, b, imm) => v128.bitselect(b, a, laneMask(imm, 4)), blended(4)),
    selecting('blendpd', 'sse4.1', [['66 0F 3A 0D /r ib', 'Vx,Wx,Ib']], (a, b, imm) => v128.bitselect(b, a, laneMask(imm, 8)), blended(8)),
    blendByXmm0('pblendvb', '10', (signs) => i8x16.shr_s(signs, i32.const(7))),
    blendByXmm0('blendvps', '14', (signs) => i32x4.shr_s(signs, i32.const(31))),
    blendByXmm0('blendvpd', '15', (signs) => i64x2.shr_s(signs, i32.const(63))),

    ...horizontal('phaddw', '01', 2, i16x8.add),
    ...horizontal('phaddd', '02', 4, i32x4.add),
    ...horizontal('phaddsw', '03', 2, i16x8.add_sat_s),
    ...horizontal('phsubw', '05', 2, i16x8.sub),
    ...horizontal('phsubd', '06', 4, i32x4.sub),
    ...horizontal('phsubsw', '07', 2, i16x8.sub_sat_s),
    selecting('mpsadbw', 'sse4.1', [['66 0F 3A 42 /r ib', 'Vx,Wx,Ib']], sumsAtPlaces),

    extend('pmovsxbw', '20', 'Wq', extendS.b),
    extend('pmovsxbd', '21', 'Wd', (a) => extendS.w(extendS.b(a))),
    extend('pmovsxbq', '22', 'Ww', (a) => extendS.d(extendS.w(extendS.b(a)))),
    extend('pmovsxwd', '23', 'Wq', extendS.w),
    extend('pmovsxwq', '24', 'Wd', (a) => extendS.d(extendS.w(a))),
    extend('pmovsxdq', '25', 'Wq', extendS.d),
    extend('pmovzxbw', '30', 'Wq', extendU.b),
    extend('pmovzxbd', '31', 'Wd', (a) => extendU.w(extendU.b(a))),
    extend('pmovzxbq', '32', 'Ww', (a) => extendU.d(extendU.w(extendU.b(a)))),
    extend('pmovzxwd', '33', 'Wq', extendU.w),
    extend('pmovzxwq', '34', 'Wd', (a) => extendU.d(extendU.w(a))),
    extend('pmovzxdq', '35', 'Wq', extendU.d),

    insert('pinsrb', 'sse4.1', [['66 0F 3A 20 /r ib', 'Vx,RdMb,Ib']], (vector, value, imm) =>
      v128.bitselect(i8x16.splat(i32.wrap_i64(value)), vector, oneLane(low(imm, 15), 1)),
      (vector, value, imm) => i8x16.replace_lane(vector, imm & 15, i32.wrap_i64(value))),
    insert('pinsrw', 'sse2', [['66 0F C4 /r ib', 'Vx,RdMw,Ib']], (vector, value, imm) =>
      v128.bitselect(i16x8.splat(i32.wrap_i64(value)), vector, oneLane(low(imm, 7), 2)),
      (vector, value, imm) => i16x8.replace_lane(vector, imm & 7, i32.wrap_i64(value))),
    insert('pinsrw', 'sse', [['NP 0F C4 /r ib', 'Pq,RdMw,Ib']], (vector, value, imm) =>
      v128.bitselect(i16x8.splat(i32.wrap_i64(value)), vector, oneLane(low(imm, 3), 2))),
    insert('pinsrd', 'sse4.1', [['66 0F 3A 22 /r ib', 'Vx,Ey,Ib']], (vector, value, imm, operand) =>
      operand.size === 8
        ? v128.bitselect(i64x2.splat(value), vector, oneLane(low(imm, 1), 8))
        : v128.bitselect(i32x4.splat(i32.wrap_i64(value)), vector, oneLane(low(imm, 3), 4)),
      (vector, value, imm, operand) =>
        operand.size === 8
          ? i64x2.replace_lane(vector, imm & 1, value)
          : i32x4.replace_lane(vector, imm & 3, i32.wrap_i64(value))),
    instruction({
      mnemonic: 'insertps',
      source: sourceOf('insertps'),
      feature: 'sse4.1',
      forms: [['66 0F 3A 21 /r ib', 'Vx,Wd,Ib']],
      emit(e, target, source, place) {
        if (place === undefined) return;
        const imm = immediate(e, place);
        const vector = e.read(target);
        const from = e.read(source);
        // Memory has one lane; of a register bits 6 and 7 choose
        const moved = e.isMemory(source)
          ? from
          : bytesDown(from, i32.shl(i32.shr_u(imm, i32.const(6)), i32.const(2)));
        e.write(target, insertSingle(vector, i32x4.extract_lane(moved, 0), imm));
      },
    }),
    extract('pextrw', 'sse2', [['66 0F C5 /r ib', 'Gd,Ux,Ib']], 2),
    extract('pextrw', 'sse', [['NP 0F C5 /r ib', 'Gd,Nq,Ib']], 2),
    extract('pextrw', 'sse4.1', [['66 0F 3A 15 /r ib', 'RdMw,Vx,Ib']], 2),
    extract('pextrb', 'sse4.1', [['66 0F 3A 14 /r ib', 'RdMb,Vx,Ib']], 1),
    extract('pextrd', 'sse4.1', [['66 0F 3A 16 /r ib', 'Ey,Vx,Ib']]),
    extract('extractps', 'sse4.1', [['66 0F 3A 17 /r ib', 'Ed,Vx,Ib']], 4),
  ],
}; // prettier-ignore
