// F16C: conversions between half and single precision.

import type { Code } from '../exec/wasm.ts';
import { f32, i32, i64, select } from '../exec/wasm.ts';
import { i64x2 } from '../exec/wasm-simd.ts';
import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Family, Helper, Instruction } from './declare.ts';
import { instruction } from './declare.ts';
import { laneOf, replaceLane, withFlags } from './sse-lanes.ts';
import { HALF, MXCSR, SINGLE, answer, isInfinite, isNaN, isSignalling, isZero, magnitude, modeOf, noteDenormals, operand, quieted, raiseIf, rounderName, rounder, signOf, unpack } from './sse-number.ts'; // prettier-ignore
import { ZERO, immediate, onlyLow, sourceOf } from './sse-support.ts';

const FRACTION_STEP = SINGLE.fraction - HALF.fraction;

/** halfToSingle(context, bits): exact; denormals count as what they are, whatever DAZ says, and raise nothing. */
const toSingle: Helper = {
  name: 'halfToSingle',
  parameters: ['i32', 'i64'],
  result: 'i64',
  emit(f, _context, bits) {
    const sign = f.let('i64', i64.shl(signOf(HALF, bits), i64.const(31)));
    const size = f.let('i64', magnitude(HALF, bits));
    f.when(i64.ge_u(size, i64.const(HALF.infinity)), () => {
      raiseIf(f, isSignalling(HALF, bits), MXCSR.invalid);
      const payload = i64.shl(
        i64.and(size, i64.const(HALF.infinity - 1n - 0x7800n)),
        i64.const(FRACTION_STEP),
      );
      const special = f.let('i64', i64.or(sign, i64.or(payload, i64.const(SINGLE.infinity))));
      answer(f, select(isNaN(HALF, bits), quieted(SINGLE, special), special));
    });
    // As the same bits of a single, a half is too small by a power of two
    const small = f32.reinterpret_i32(i32.wrap_i64(i64.shl(size, i64.const(FRACTION_STEP))));
    const scaled = f32.mul(small, f32.const(2 ** (SINGLE.bias - HALF.bias)));
    return i64.or(sign, i64.extend_i32_u(i32.reinterpret_f32(scaled)));
  },
};

/** halfOfSingle(context, bits, rounding mode). */
const ofSingle: Helper = {
  name: 'halfOfSingle',
  parameters: ['i32', 'i64', 'i32'],
  result: 'i64',
  emit(f, context, bits, mode) {
    const x = operand(f, SINGLE, bits);
    const sign = f.let('i64', i64.shl(signOf(SINGLE, x), i64.const(15)));
    f.when(isNaN(SINGLE, x), () => {
      raiseIf(f, isSignalling(SINGLE, x), MXCSR.invalid);
      const payload = i64.and(i64.shr_u(x, i64.const(FRACTION_STEP)), i64.const(0x3ff));
      answer(f, i64.or(sign, i64.or(payload, i64.const(HALF.infinity | HALF.quiet))));
    });
    f.when(isInfinite(SINGLE, x), () => answer(f, i64.or(sign, i64.const(HALF.infinity))));
    f.when(isZero(SINGLE, x), () => answer(f, sign));
    noteDenormals(f, SINGLE, x);
    const { exponent, significand } = unpack(f, SINGLE, x);
    return f.call(rounderName(HALF), context, i64.shr_u(sign, i64.const(15)), exponent, significand, mode);
  },
};

/** Four halves in the low 64 bits of `packed` as singles. */
function fourSingles(e: InstructionEmitter, packed: Code): Code {
  let result: Code = ZERO;
  for (let lane = 0; lane < 4; lane++) {
    const bits = i64.and(i64.shr_u(packed, i64.const(16 * lane)), i64.const(0xffff));
    result = e.let('v128', replaceLane(SINGLE, result, lane, e.call('halfToSingle', e.context, bits)));
  }
  return result;
}
function fourHalves(e: InstructionEmitter, vector: Code, mode: Code): Code {
  let result: Code = i64.const(0);
  for (let lane = 0; lane < 4; lane++) {
    const half = e.call('halfOfSingle', e.context, laneOf(SINGLE, vector, lane), mode);
    result = e.let('i64', i64.or(result, i64.shl(half, i64.const(16 * lane))));
  }
  return result;
}

function widening(length: 128 | 256): Instruction {
  return instruction({
    mnemonic: 'vcvtph2ps',
    source: sourceOf('vcvtph2ps'),
    feature: 'f16c',
    forms: [[`VEX.${length}.66.0F38.W0 13 /r`, 'Vx,Wh']],
    emit(e, target, source) {
      const low = e.readI64(source);
      const high = length === 256 ? e.let('i64', i64x2.extract_lane(e.read(source), 1)) : undefined;
      const results: Code[] = [];
      withFlags(e, () => {
        for (const packed of high === undefined ? [low] : [low, high]) results.push(fourSingles(e, packed));
      });
      const [first = ZERO, second] = results;
      if (second === undefined) e.write(target, first);
      else e.writeHalves(target, first, second);
    },
  });
}

function narrowing(length: 128 | 256): Instruction {
  return instruction({
    mnemonic: 'vcvtps2ph',
    source: sourceOf('vcvtps2ph'),
    feature: 'f16c',
    forms: [[`VEX.${length}.66.0F3A.W0 1D /r ib`, 'Wh,Vx,Ib']],
    emit(e, target, source, selection) {
      if (selection === undefined) return;
      const imm = immediate(e, selection);
      const mode = e.let('i32', i32.and(select(i32.and(imm, i32.const(4)), modeOf(e), imm), i32.const(3)));
      const halves = length === 256 ? [e.read(source), e.readHigh(source)] : [e.read(source)];
      const results: Code[] = [];
      withFlags(e, () => {
        for (const vector of halves) results.push(fourHalves(e, vector, mode));
      });
      const [first = i64.const(0), second] = results;
      if (second !== undefined) e.write(target, i64x2.replace_lane(i64x2.splat(first), 1, second));
      else if (e.isMemory(target)) e.writeI64(target, first);
      else e.write(target, onlyLow(first));
    },
  });
}

export const f16c: Family = {
  helpers: [toSingle, ofSingle, rounder(HALF)],
  instructions: [widening(128), widening(256), narrowing(128), narrowing(256)],
};
