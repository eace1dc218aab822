// What the SSE families share: vector constants, the step from an MMX register to a vector and back (so that a packed
// operation is written once, on v128, for both), and immediates that select lanes.
//
// In the interpreter an immediate is read from the instruction's record, so lane selections are computed at run time; the
// compiler knows it, and gets shuffles with constant lanes.

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, select } from '../exec/wasm.ts';
import { i16x8, i32x4, i64x2, i8x16, v128 } from '../exec/wasm-simd.ts';
import type { Feature, Form, Instruction, Operand } from './declare.ts';
import { instruction } from './declare.ts';

export const ZERO = v128.const(0n, 0n);

/** A vector from its lanes, lowest first; as many as fill 16 bytes. */
export function lanes(...values: readonly number[]): Code {
  const width = 128 / values.length;
  let whole = 0n;
  values.forEach((value, i) => {
    whole |= BigInt.asUintN(width, BigInt(value)) << BigInt(i * width);
  });
  return v128.const(whole & 0xffff_ffff_ffff_ffffn, whole >> 64n);
}
export const BYTE_NUMBERS = lanes(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

export type Unary = (a: Code, e: InstructionEmitter) => Code;
export type Binary = (a: Code, b: Code, e: InstructionEmitter) => Code;

/** An MMX value (i64) as both halves of a vector, in a local. */
export const widen = (e: InstructionEmitter, value: Code): Code => e.let('v128', i64x2.splat(value));
export const lowHalf = (vector: Code): Code => i64x2.extract_lane(vector, 0);
/** The low half, upper half zero. */
export const onlyLow = (low: Code): Code => i64x2.replace_lane(ZERO, 0, low);

const isMmx = (operand: Operand): boolean => /^[PQN]/.test(operand.letter);

/** The vector operand of either register file. */
export function readVector(e: InstructionEmitter, operand: Operand): Code {
  return isMmx(operand) ? widen(e, e.read(operand)) : e.read(operand);
}
export function writeVector(e: InstructionEmitter, operand: Operand, value: Code): void {
  e.write(operand, isMmx(operand) ? lowHalf(value) : value);
}

export function sourceOf(mnemonic: string): string {
  return `SDM vol. 2, ${mnemonic.toUpperCase()}`;
}

/** target = op(target, source) in the forms given. */
export function binary(mnemonic: string, feature: Feature, forms: readonly Form[], op: Binary): Instruction {
  return instruction({
    mnemonic,
    source: sourceOf(mnemonic),
    feature,
    forms,
    emit(e, target, source) {
      const a = readVector(e, target);
      const b = readVector(e, source);
      writeVector(e, target, op(a, b, e));
    },
  });
}

/** target = op(source). */
export function unary(mnemonic: string, feature: Feature, forms: readonly Form[], op: Unary): Instruction {
  return instruction({
    mnemonic,
    source: sourceOf(mnemonic),
    feature,
    forms,
    emit(e, target, source) {
      writeVector(e, target, op(readVector(e, source), e));
    },
  });
}

/** An imm8 operand as i32. */
export const immediate = (e: InstructionEmitter, operand: Operand): Code =>
  e.let('i32', i32.wrap_i64(e.read(operand)));

/** An imm8 operand where it is known while code is emitted. */
export function knownImmediate(e: InstructionEmitter, operand: Operand): number | undefined {
  const known = e.constant(operand);
  return known === undefined ? undefined : known & 0xff;
}

/** All-ones in lanes 0 to n-1 where the immediate's bit of that number is set; lanes of 2, 4 or 8 bytes. */
export function laneMask(bits: Code, laneBytes: 2 | 4 | 8): Code {
  if (laneBytes === 2) {
    const weights = lanes(1, 2, 4, 8, 16, 32, 64, 128);
    return i16x8.eq(v128.and(i16x8.splat(bits), weights), weights);
  }
  const weights = laneBytes === 4 ? lanes(1, 2, 4, 8) : lanes(1, 2);
  if (laneBytes === 4) return i32x4.eq(v128.and(i32x4.splat(bits), weights), weights);
  return i64x2.eq(v128.and(i64x2.splat(i64.extend_i32_u(bits)), weights), weights);
}

/** All-ones in the one lane with this number. */
export function oneLane(number: Code, laneBytes: 1 | 2 | 4 | 8): Code {
  if (laneBytes === 1) return i8x16.eq(i8x16.splat(number), BYTE_NUMBERS);
  if (laneBytes === 2) return i16x8.eq(i16x8.splat(number), lanes(0, 1, 2, 3, 4, 5, 6, 7));
  if (laneBytes === 4) return i32x4.eq(i32x4.splat(number), lanes(0, 1, 2, 3));
  return i64x2.eq(i64x2.splat(i64.extend_i32_u(number)), lanes(0, 1));
}

/** The byte selection of a shuffle of 4-byte lanes: lane i takes the lane that the immediate's two-bit field i names. */
export function dwordSelection(e: InstructionEmitter, imm: Code): Code {
  const fields = v128.and(
    i32x4.shr_u(i32x4.mul(i32x4.splat(imm), lanes(64, 16, 4, 1)), i32.const(6)),
    lanes(3, 3, 3, 3),
  );
  return e.let('v128', i32x4.add(i32x4.mul(fields, lanes(0x0404_0404, 0x0404_0404, 0x0404_0404, 0x0404_0404)),
    lanes(0x0302_0100, 0x0302_0100, 0x0302_0100, 0x0302_0100))); // prettier-ignore
}

/** The four fields of an imm8 as 16-bit lanes 0 to 3 (and again 4 to 7), as selections of byte pairs from `firstByte` on. */
export function wordSelection(imm: Code, firstByte: number): Code {
  const fields = v128.and(
    i16x8.shr_u(i16x8.mul(i16x8.splat(imm), lanes(64, 16, 4, 1, 64, 16, 4, 1)), i32.const(6)),
    lanes(3, 3, 3, 3, 3, 3, 3, 3),
  );
  const first = firstByte | ((firstByte + 1) << 8);
  return i16x8.add(i16x8.mul(fields, lanes(514, 514, 514, 514, 514, 514, 514, 514)),
    lanes(first, first, first, first, first, first, first, first)); // prettier-ignore
}

/** Bytes moved up by `count` places (i32, at most 16), zeros below; negative moves down. */
export const bytesUp = (vector: Code, count: Code): Code =>
  i8x16.swizzle(vector, i8x16.sub(BYTE_NUMBERS, i8x16.splat(count)));
export const bytesDown = (vector: Code, count: Code): Code =>
  i8x16.swizzle(vector, i8x16.add(BYTE_NUMBERS, i8x16.splat(count)));

/** The smaller of two i32 (unsigned), both without side effects. */
export const atMost = (value: Code, limit: number): Code =>
  select(i32.lt_u(value, i32.const(limit)), value, i32.const(limit));
