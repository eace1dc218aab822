// The two floating-point formats as the host has them: wasm's scalar and vector instructions for each, the way from a
// number to its bits, and the encodings that choose the format.

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { f32, f64, i32, i64 } from '../exec/wasm.ts';
import { f32x4, f64x2 } from '../exec/wasm-simd.ts';
import type { Feature, Operand } from './declare.ts';
import { DOUBLE, SINGLE } from './sse-number.ts';
import type { Format } from './sse-number.ts';

/** What a format needs of wasm: its scalar and vector instructions, and the way from a number to its bits. */
export interface HostFormat {
  readonly format: Format;
  readonly bits: 32 | 64;
  readonly type: 'f32' | 'f64';
  readonly scalar: typeof f64 | typeof f32;
  readonly vector: typeof f64x2 | typeof f32x4;
  readonly bitsOf: (value: Code) => Code; // i32 of a single, i64 of a double
  readonly ofBits: (bits: Code) => Code; // from an i64
  readonly wide: (value: Code) => Code; // bits as i64
  readonly read: (e: InstructionEmitter, operand: Operand) => Code;
  readonly write: (e: InstructionEmitter, operand: Operand, value: Code) => void;
  /** Prefixes of the packed and scalar forms, and operand letters. */
  readonly packed: string;
  readonly single: string;
  readonly feature: Feature;
  readonly letter: 'd' | 'q';
}
export const HOST_DOUBLE: HostFormat = {
  format: DOUBLE,
  bits: 64,
  type: 'f64',
  scalar: f64,
  vector: f64x2,
  bitsOf: i64.reinterpret_f64,
  ofBits: f64.reinterpret_i64,
  wide: i64.reinterpret_f64,
  read: (e, operand) => e.readF64(operand),
  write: (e, operand, value) => e.writeF64(operand, value),
  packed: '66',
  single: 'F2',
  feature: 'sse2',
  letter: 'q',
};
export const HOST_SINGLE: HostFormat = {
  format: SINGLE,
  bits: 32,
  type: 'f32',
  scalar: f32,
  vector: f32x4,
  bitsOf: i32.reinterpret_f32,
  ofBits: (bits) => f32.reinterpret_i32(i32.wrap_i64(bits)),
  wide: (value) => i64.extend_i32_u(i32.reinterpret_f32(value)),
  read: (e, operand) => e.readF32(operand),
  write: (e, operand, value) => e.writeF32(operand, value),
  packed: 'NP',
  single: 'F3',
  feature: 'sse',
  letter: 'd',
};
export const HOSTS = [HOST_DOUBLE, HOST_SINGLE] as const;
