// What AVX and AVX2 have beyond SSE, on registers: broadcasts, lanes of 128 bits, permutations, blends, variable shifts,
// tests, and clearing of upper halves. Where both halves of a vector do the same it is written as for SSE and lifted.

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, select } from '../exec/wasm.ts';
import { i16x8, i32x4, i64x2, i8x16, v128 } from '../exec/wasm-simd.ts';
import { CONTEXT } from '../layout.ts';
import { lifted } from './avx-lift.ts';
import type { Family, Feature, Form, Instruction, Operand } from './declare.ts';
import { instruction } from './declare.ts';
import { withFlags } from './sse-lanes.ts';
import { DOT_HIGH } from './sse-round.ts';
import { selecting } from './sse-shuffle.ts';
import type { Binary } from './sse-support.ts';
import {
  ZERO,
  binary,
  dwordSelection,
  immediate,
  laneMask,
  lanes,
  onlyLow,
  sourceOf,
} from './sse-support.ts';

type Emit = Instruction['emit'];
const declare = (mnemonic: string, feature: Feature, forms: readonly Form[], emit: Emit): Instruction =>
  instruction({ mnemonic, source: sourceOf(mnemonic), feature, forms, emit });

/** To both halves, or the one that there is. */
function writeBoth(e: InstructionEmitter, target: Operand, value: Code): void {
  if (e.vectorBytes === 32) e.writeHalves(target, value, value);
  else e.write(target, value);
}

const LANE = { b: i8x16, w: i16x8, d: i32x4, q: i64x2 } as const;
const bothLengths = (rest: string, operands: string): Form[] => [
  [`VEX.128.${rest}`, operands],
  [`VEX.256.${rest}`, operands],
];

/** From memory with one feature, from the low end of a register with AVX2. */
function broadcast(mnemonic: string, memoryFeature: Feature, letter: 'b' | 'w' | 'd' | 'q', opcode: string, only256 = false): Instruction[] {
  const forms = (operands: string): Form[] => bothLengths(`66.0F38.W0 ${opcode} /r`, operands).slice(only256 ? 1 : 0);
  const emit: Emit = (e, target, source) => {
    const low = e.isMemory(source) ? e.read(source) : e.readI64(source);
    const value = letter === 'q' ? low : i32.wrap_i64(low);
    writeBoth(e, target, e.let('v128', LANE[letter].splat(value)));
  };
  return [declare(mnemonic, memoryFeature, forms(`Vx,M${letter}`), emit), declare(mnemonic, 'avx2', forms('Vx,Udq'), emit)];
} // prettier-ignore

const dwords = (value: number): Code => lanes(value, value, value, value);
/** Byte places of dwords, from the numbers of dwords in each lane. */
const dwordPlaces = (numbers: Code): Code =>
  i32x4.add(i32x4.mul(numbers, dwords(0x0404_0404)), dwords(0x0302_0100));
const LOW_TWICE = [0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7];
const HIGH_TWICE = LOW_TWICE.map((place) => place + 8);
/** Each quadword is the upper one of a where the mask is set, the lower where it is not. */
const quadwords = (a: Code, mask: Code): Code =>
  v128.bitselect(i8x16.shuffle(a, a, HIGH_TWICE), i8x16.shuffle(a, a, LOW_TWICE), mask);

const permuteSingles: Binary = (a, control) => i8x16.swizzle(a, dwordPlaces(v128.and(control, dwords(3))));
const permuteDoubles: Binary = (a, control) =>
  quadwords(a, i64x2.shr_s(i64x2.shl(control, i32.const(62)), i32.const(63)));

/** Each lane by its own count; a count of at least the width clears, or fills with signs. */
function variableShift(mnemonic: string, encoding: string, bits: 32 | 64, kind: 'shl' | 'shr_u' | 'shr_s'): Instruction[] {
  const shift: Binary = (a, counts, e) => {
    let result: Code = ZERO;
    for (let lane = 0; lane < 128 / bits; lane++) {
      if (bits === 32) {
        const count = e.let('i32', i32x4.extract_lane(counts, lane));
        const value = i32x4.extract_lane(a, lane);
        const inside = i32.lt_u(count, i32.const(32));
        const shifted = kind === 'shr_s'
          ? i32.shr_s(value, select(inside, count, i32.const(31)))
          : select(inside, i32[kind](value, count), i32.const(0));
        result = e.let('v128', i32x4.replace_lane(result, lane, shifted));
      } else {
        const count = e.let('i64', i64x2.extract_lane(counts, lane));
        const shifted = i64[kind](i64x2.extract_lane(a, lane), count);
        result = e.let('v128', i64x2.replace_lane(result, lane, select(i64.lt_u(count, i64.const(64)), shifted, i64.const(0))));
      }
    }
    return result;
  };
  return lifted(binary(mnemonic, 'avx2', [[encoding, 'Vx,Wx']], shift), { shape: 'three', feature: 'avx2', wide: 'avx2' });
} // prettier-ignore

/** vblendvps: by the signs of a register named in the last byte. */
function blend(mnemonic: string, wide: Feature, opcode: string, mask: (signs: Code) => Code): Instruction[] {
  const emit: Emit = (e, target, first, second, signs) => {
    if (second === undefined || signs === undefined) return;
    const low = e.let('v128', v128.bitselect(e.read(second), e.read(first), mask(e.read(signs))));
    if (e.vectorBytes === 16) return e.write(target, low);
    const high = v128.bitselect(e.readHigh(second), e.readHigh(first), mask(e.readHigh(signs)));
    e.writeHalves(target, low, e.let('v128', high));
  };
  const [narrow, both] = bothLengths(`66.0F3A.W0 ${opcode} /r /is4`, 'Vx,Hx,Wx,Lx');
  if (narrow === undefined || both === undefined) return [];
  return [declare(mnemonic, 'avx', [narrow], emit), declare(mnemonic, wide, [both], emit)];
}

/** Z and C of vptest, vtestps, vtestpd: of the bits that count. */
function test(mnemonic: string, forms: readonly Form[], counted: Code): Instruction {
  return instruction({
    mnemonic,
    source: sourceOf(mnemonic),
    feature: 'avx',
    forms,
    writes: 'OSZAPC',
    emit(e, first, second) {
      const halves = [[e.read(first), e.read(second)]];
      if (e.vectorBytes === 32) halves.push([e.readHigh(first), e.readHigh(second)]);
      let both: Code = ZERO;
      let onlySecond: Code = ZERO;
      for (const [a = ZERO, b = ZERO] of halves) {
        both = v128.or(both, v128.and(a, b));
        onlySecond = v128.or(onlySecond, v128.andnot(b, a));
      }
      const none = i32.const(0);
      const nothing = (vector: Code): Code => i32.eqz(v128.any_true(v128.and(vector, counted)));
      e.setFlags({ Z: nothing(both), C: nothing(onlySecond), O: none, S: none, A: none, P: none });
    },
  });
}

const bit = (imm: Code, mask: number): Code => i32.and(imm, i32.const(mask));

/** vinsertf128, vextractf128, vperm2f128 and the same for integers. */
function lanes128(suffix: string, feature: Feature, opcodes: readonly [insert: string, extract: string, permute: string]): Instruction[] {
  const form = (opcode: string, operands: string): Form[] => [[`VEX.256.66.0F3A.W0 ${opcode} /r ib`, operands]];
  const [insert, extract, permute] = opcodes;
  return [
    declare(`vinsert${suffix}`, feature, form(insert, 'Vx,Hx,Wdq,Ib'), (e, target, first, source, place) => {
      if (source === undefined || place === undefined) return;
      const toHigh = bit(immediate(e, place), 1);
      const value = e.read(source);
      const low = e.let('v128', select(toHigh, e.read(first), value));
      e.writeHalves(target, low, e.let('v128', select(toHigh, value, e.readHigh(first))));
    }),
    declare(`vextract${suffix}`, feature, form(extract, 'Wdq,Vx,Ib'), (e, target, source, place) => {
      if (place === undefined) return;
      e.write(target, e.let('v128', select(bit(immediate(e, place), 1), e.readHigh(source), e.read(source))));
    }),
    declare(`vperm2${suffix}`, feature, form(permute, 'Vx,Hx,Wx,Ib'), (e, target, first, second, selection) => {
      if (second === undefined || selection === undefined) return;
      const imm = immediate(e, selection);
      const [a, b] = [[e.read(first), e.readHigh(first)], [e.read(second), e.readHigh(second)]];
      const chosen = (shift: number): Code => {
        const of = ([low = ZERO, high = ZERO]: readonly Code[]): Code => select(bit(imm, 1 << shift), high, low);
        const value = select(bit(imm, 2 << shift), of(b ?? []), of(a ?? []));
        return e.let('v128', select(bit(imm, 8 << shift), ZERO, value));
      };
      e.writeHalves(target, chosen(0), chosen(4));
    }),
  ];
} // prettier-ignore

/** Dwords of all 256 bits by number. */
const permuteDwords: Emit = (e, target, numbers, source) => {
  if (source === undefined) return;
  const [low, high] = [e.read(source), e.readHigh(source)];
  const chosen = (wanted: Code): Code => {
    const places = e.let('v128', dwordPlaces(v128.and(wanted, dwords(3))));
    const upper = i32x4.shr_s(i32x4.shl(wanted, i32.const(29)), i32.const(31));
    return e.let('v128', v128.bitselect(i8x16.swizzle(high, places), i8x16.swizzle(low, places), upper));
  };
  e.writeHalves(target, chosen(e.read(numbers)), chosen(e.readHigh(numbers)));
};

/** Quadwords of all 256 bits by two bits each of imm8. */
const permuteQuadwords: Emit = (e, target, source, selection) => {
  if (selection === undefined) return;
  const imm = immediate(e, selection);
  const [low, high] = [e.read(source), e.readHigh(source)];
  const chosen = (lane: number): Code => {
    const ofHalf = (half: Code): Code =>
      select(bit(imm, 1 << (2 * lane)), i64x2.extract_lane(half, 1), i64x2.extract_lane(half, 0));
    return e.let('i64', select(bit(imm, 2 << (2 * lane)), ofHalf(high), ofHalf(low)));
  };
  const pair = (lane: number): Code =>
    e.let('v128', i64x2.replace_lane(i64x2.splat(chosen(lane)), 1, chosen(lane + 1)));
  e.writeHalves(target, pair(0), pair(2));
};

/** vmovss and vmovsd: between registers the rest comes from the first source, from memory it is cleared. */
function scalarMove(mnemonic: string, prefix: string, size: 'd' | 'q'): Instruction[] {
  const merge: Emit = (e, target, first, second) => {
    if (second === undefined) return;
    const rest = e.read(first);
    const value = size === 'q' ? i64x2.replace_lane(rest, 0, e.readI64(second)) : i32x4.replace_lane(rest, 0, e.readI32(second));
    e.write(target, value);
  };
  const form = (rest: string, operands: string): Form[] => [[`VEX.LIG.${prefix}.0F.WIG ${rest} /r`, operands]];
  return [
    declare(mnemonic, 'avx', form('10', `Vx,M${size}`), (e, target, source) => e.write(target, onlyLow(e.read(source)))),
    declare(mnemonic, 'avx', form('11', `M${size},Vx`), (e, target, source) => e.write(target, e.readI64(source))),
    declare(mnemonic, 'avx', form('10', 'Vx,Hx,Ux'), merge),
    declare(mnemonic, 'avx', form('11', 'Ux,Hx,Vx'), merge),
  ];
} // prettier-ignore

const clear = (offset: number): Emit =>
  (e) => { for (let i = 0; i < 16; i++) e.emit(v128.store(e.context, ZERO, offset + i * 16)); }; // prettier-ignore

const SIGNS = { single: dwords(-(2 ** 31)), double: v128.const(1n << 63n, 1n << 63n), all: v128.const(-1n, -1n) } as const; // prettier-ignore

export const avxVector: Family = {
  instructions: [
    declare('vzeroupper', 'avx', [['VEX.128.0F.WIG 77', '']], clear(CONTEXT.ymmHigh)),
    declare('vzeroall', 'avx', [['VEX.256.0F.WIG 77', '']], (e) => {
      clear(CONTEXT.xmm)(e);
      clear(CONTEXT.ymmHigh)(e);
    }),
    ...scalarMove('vmovss', 'F3', 'd'),
    ...scalarMove('vmovsd', 'F2', 'q'),

    ...broadcast('vbroadcastss', 'avx', 'd', '18'),
    ...broadcast('vbroadcastsd', 'avx', 'q', '19', true),
    ...broadcast('vpbroadcastb', 'avx2', 'b', '78'),
    ...broadcast('vpbroadcastw', 'avx2', 'w', '79'),
    ...broadcast('vpbroadcastd', 'avx2', 'd', '58'),
    ...broadcast('vpbroadcastq', 'avx2', 'q', '59'),
    declare('vbroadcastf128', 'avx', [['VEX.256.66.0F38.W0 1A /r', 'Vx,Mdq']], (e, target, source) => writeBoth(e, target, e.read(source))),
    declare('vbroadcasti128', 'avx2', [['VEX.256.66.0F38.W0 5A /r', 'Vx,Mdq']], (e, target, source) => writeBoth(e, target, e.read(source))),
    ...lanes128('f128', 'avx', ['18', '19', '06']),
    ...lanes128('i128', 'avx2', ['38', '39', '46']),

    ...lifted(binary('permilps', 'avx', [['66 0F 38 0C /r W0', 'Vx,Wx']], permuteSingles), { shape: 'three', wide: 'avx' }),
    ...lifted(binary('permilpd', 'avx', [['66 0F 38 0D /r W0', 'Vx,Wx']], permuteDoubles), { shape: 'three', wide: 'avx' }),
    ...lifted(selecting('permilps', 'avx', [['66 0F 3A 04 /r ib W0', 'Vx,Wx,Ib']], (_a, b, imm, e) => i8x16.swizzle(b, dwordSelection(e, imm))),
      { shape: 'two', wide: 'avx' }),
    ...lifted(selecting('permilpd', 'avx', [['66 0F 3A 05 /r ib W0', 'Vx,Wx,Ib']], (_a, b, imm) => quadwords(b, laneMask(imm, 8))),
      { shape: 'two', wide: 'avx', immediateShift: 2 }),
    declare('vpermd', 'avx2', [['VEX.256.66.0F38.W0 36 /r', 'Vx,Hx,Wx']], permuteDwords),
    declare('vpermps', 'avx2', [['VEX.256.66.0F38.W0 16 /r', 'Vx,Hx,Wx']], permuteDwords),
    declare('vpermq', 'avx2', [['VEX.256.66.0F3A.W1 00 /r ib', 'Vx,Wx,Ib']], permuteQuadwords),
    declare('vpermpd', 'avx2', [['VEX.256.66.0F3A.W1 01 /r ib', 'Vx,Wx,Ib']], permuteQuadwords),

    ...blend('vblendvps', 'avx', '4A', (signs) => i32x4.shr_s(signs, i32.const(31))),
    ...blend('vblendvpd', 'avx', '4B', (signs) => i64x2.shr_s(signs, i32.const(63))),
    ...blend('vpblendvb', 'avx2', '4C', (signs) => i8x16.shr_s(signs, i32.const(7))),
    ...lifted(selecting('pblendd', 'avx2', [['66 0F 3A 02 /r ib W0', 'Vx,Wx,Ib']], (a, b, imm) => v128.bitselect(b, a, laneMask(imm, 4))),
      { shape: 'three', feature: 'avx2', wide: 'avx2', immediateShift: 4 }),
    ...variableShift('psllvd', '66 0F 38 47 /r W0', 32, 'shl'),
    ...variableShift('psllvq', '66 REX.W 0F 38 47 /r', 64, 'shl'),
    ...variableShift('psrlvd', '66 0F 38 45 /r W0', 32, 'shr_u'),
    ...variableShift('psrlvq', '66 REX.W 0F 38 45 /r', 64, 'shr_u'),
    ...variableShift('psravd', '66 0F 38 46 /r W0', 32, 'shr_s'),

    test('vptest', bothLengths('66.0F38.WIG 17 /r', 'Vx,Wx'), SIGNS.all),
    test('vtestps', bothLengths('66.0F38.W0 0E /r', 'Vx,Wx'), SIGNS.single),
    test('vtestpd', bothLengths('66.0F38.W0 0F /r', 'Vx,Wx'), SIGNS.double),

    declare('vdpps', 'avx', [['VEX.256.66.0F3A.WIG 40 /r ib', 'Vx,Hx,Wx,Ib']], (e, target, first, second, selection) => {
      if (second === undefined || selection === undefined) return;
      const vectors = [e.read(first), e.read(second), e.readHigh(first), e.readHigh(second)];
      const low = e.variable('v128');
      withFlags(e, () => low.set(e.call('sseDotHalves32', e.context, immediate(e, selection), ...vectors)));
      e.writeHalves(target, low.get, e.let('v128', v128.load(e.context, DOT_HIGH)));
    }),
  ],
}; // prettier-ignore
