// Helpers that apply the lane functions of sse-exact.ts to whole vectors, and when the host's own floating point serves.
//
// The host rounds to nearest and has no flags. Its result is also the guest's, with nothing more to do, if
//   - MXCSR masks everything, rounds to nearest, has neither DAZ nor FTZ, and its precision flag is already set,
//   - no operand is denormal (that would set the denormal flag), and
//   - the result is an ordinary number: not zero, infinite, NaN, denormal or the least binade (that excludes NaN
//     operands, every invalid operation, division by zero, overflow and underflow).
// Otherwise the exact helper is called. Precision is set by the first inexact operation of nearly every program, and
// MXCSR stays so; flags are therefore exact always, and cost some integer operations and a branch.

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, ret } from '../exec/wasm.ts';
import { f32x4, f64x2, i32x4, i64x2, v128 } from '../exec/wasm-simd.ts';
import { VECTOR } from '../machine.ts';
import type { Helper } from './declare.ts';
import { HOSTS } from './sse-host.ts';
import type { HostFormat } from './sse-host.ts';
import { FLAGS_AT } from './sse-number.ts';
import type { Format } from './sse-number.ts';

const FAST_MXCSR = 0x1fa0; // all masked, nearest, precision flag; the other flags may be set or not

/** i32, not zero: MXCSR asks for more than the host does. */
export const controlIsSlow = (e: Emitter): Code =>
  i32.xor(i32.and(e.get('mxcsr'), i32.const(-0x20)), i32.const(FAST_MXCSR));

/** i32 0/1 for the bits of a scalar: i64 of a double, i32 of a single. */
export function isDenormal(format: Format, bits: Code): Code {
  if (format.bits === 64)
    return i64.lt_u(i64.sub(i64.shl(bits, i64.const(1)), i64.const(1)), i64.const((1n << 53n) - 1n));
  return i32.lt_u(i32.sub(i32.shl(bits, i32.const(1)), i32.const(1)), i32.const((1 << 24) - 1));
}
export function isUnusual(format: Format, bits: Code): Code {
  if (format.bits === 64)
    return i64.ge_u(i64.sub(i64.shl(bits, i64.const(1)), i64.const(2n << 53n)), i64.const(0x7fdn << 53n));
  return i32.ge_u(i32.sub(i32.shl(bits, i32.const(1)), i32.const(2 << 24)), i32.const(0xfd << 24));
}

/** The same for vectors: all-ones in such lanes. Unsigned compares are signed ones of numbers moved by half the range. */
function shiftedLanes(format: Format, vector: Code, add: bigint): Code {
  if (format.bits === 64) return i64x2.add(i64x2.shl(vector, i32.const(1)), splat(format, add));
  return i32x4.add(i32x4.shl(vector, i32.const(1)), splat(format, add));
}
function splat(format: Format, value: bigint): Code {
  const bits = BigInt.asUintN(format.bits, value);
  const half = format.bits === 64 ? bits : bits | (bits << 32n);
  return v128.const(half, half);
}
export function denormalLanes(format: Format, vector: Code): Code {
  const limit = (1n << BigInt(format.fraction + 1)) - 1n;
  const lessThan = format.bits === 64 ? i64x2.lt_s : i32x4.lt_s;
  return lessThan(shiftedLanes(format, vector, format.sign - 1n), splat(format, limit - format.sign));
}
export function unusualLanes(format: Format, vector: Code): Code {
  const step = 1n << BigInt(format.fraction + 1);
  const binades = BigInt(2 * format.bias + 1) - 2n;
  const atLeast = format.bits === 64 ? i64x2.ge_s : i32x4.ge_s;
  return atLeast(
    shiftedLanes(format, vector, format.sign - 2n * step),
    splat(format, binades * step - format.sign),
  );
}
export function nanLanes(format: Format, vector: Code): Code {
  return format.bits === 64 ? f64x2.ne(vector, vector) : f32x4.ne(vector, vector);
}

/**
 * The test in front of those above: i32, not zero if an operand's exponent field is 0 (zeros, too) or the result's is 0, 1
 * or all ones. One sign bit collects it all, so that usual numbers take one branch.
 */
export function scalarDoubt(e: Emitter, host: HostFormat, operands: readonly Code[], result: Code): Code {
  const step = 1n << BigInt(host.format.fraction);
  const wide = host.format.bits === 64;
  const constant = (value: bigint): Code => (wide ? i64.const(value) : i32.const(Number(value)));
  const { and, or, sub, add, lt_s } = wide ? i64 : i32;
  const field = (x: Code): Code => and(host.bitsOf(x), constant(host.format.infinity));
  const r = e.let(wide ? 'i64' : 'i32', field(result));
  const ofResult = or(sub(r, constant(2n * step)), add(r, constant(step)));
  return lt_s(
    operands.reduce((any, x) => or(any, sub(field(x), constant(1n))), ofResult),
    constant(0n),
  );
}
/** The same for vectors: not zero if any lane is in doubt. */
export function laneDoubt(e: Emitter, format: Format, operands: readonly Code[], result: Code): Code {
  const step = 1n << BigInt(format.fraction);
  const { sub, add, bitmask } = format.bits === 64 ? i64x2 : i32x4;
  const field = (x: Code): Code => v128.and(x, splat(format, format.infinity));
  const r = e.let('v128', field(result));
  const ofResult = v128.or(sub(r, splat(format, 2n * step)), add(r, splat(format, step)));
  return bitmask(operands.reduce((any, x) => v128.or(any, sub(field(x), splat(format, 1n))), ofResult));
}

/** Runs lane helpers and raises what they found; #XM if unmasked, before anything is written. */
export function withFlags(e: InstructionEmitter, lanes: () => void): void {
  if (e.collectExceptions !== undefined) return e.collectExceptions(lanes);
  e.emit(i32.store(e.context, i32.const(0), FLAGS_AT));
  lanes();
  e.raiseIf(e.call('sseCommit', e.context), VECTOR.simdFloatingPoint);
}

export const laneCount = (format: Format): number => 128 / format.bits;
export function laneOf(format: Format, vector: Code, lane: number): Code {
  if (format.bits === 64) return i64x2.extract_lane(vector, lane);
  return i64.extend_i32_u(i32x4.extract_lane(vector, lane));
}
export function replaceLane(format: Format, vector: Code, lane: number, value: Code): Code {
  if (format.bits === 64) return i64x2.replace_lane(vector, lane, value);
  return i32x4.replace_lane(vector, lane, i32.wrap_i64(value));
}

export const vectorHelper = (operation: string, format: Format): string =>
  `${operation}${format.bits}x${laneCount(format)}`;

type HostOperation = 'add' | 'sub' | 'mul' | 'div' | 'sqrt';

/** Where MXCSR is as usual and a lane is odd only because it is zero, exactly, the host's result serves as well. */
function answerZeros(f: Emitter, host: HostFormat, operation: HostOperation, a: Code, b: Code): void {
  const { format, vector } = host;
  f.when(i32.eqz(controlIsSlow(f)), () => {
    const result = f.let('v128', operation === 'sqrt' ? vector.sqrt(a) : vector[operation](a, b));
    const isZero = (lanes: Code): Code => vector.eq(lanes, v128.const(0n, 0n));
    let exact = isZero(result);
    if (operation === 'mul') exact = v128.and(exact, v128.or(isZero(a), isZero(b)));
    if (operation === 'div' || operation === 'sqrt') exact = v128.and(exact, isZero(a));
    const odd = v128.or(denormalLanes(format, a), v128.andnot(unusualLanes(format, result), exact));
    const any = v128.any_true(operation === 'sqrt' ? odd : v128.or(odd, denormalLanes(format, b)));
    f.when(i32.eqz(any), () => f.emit(ret(result)));
  });
}

/** `operation` on every lane of one or two vectors; lanes of odd number may have another. */
function lanewise(
  operation: string,
  format: Format,
  operands: 1 | 2,
  even: string,
  odd = even,
  quick?: (f: Emitter, a: Code, b: Code) => void,
): Helper {
  return {
    name: vectorHelper(operation, format),
    parameters: operands === 2 ? ['i32', 'v128', 'v128'] : ['i32', 'v128'],
    result: 'v128',
    emit(f, context, a, b) {
      const vectors = operands === 2 ? [a, b] : [a];
      quick?.(f, a, b);
      let result: Code = v128.const(0n, 0n);
      for (let lane = 0; lane < laneCount(format); lane++) {
        const name = `${lane % 2 === 0 ? even : odd}${format.bits}`;
        const value = f.call(name, context, ...vectors.map((vector) => laneOf(format, vector, lane)));
        result = f.let('v128', replaceLane(format, result, lane, value));
      }
      return result;
    },
  };
}

/** sseCompare64x2(context, a, b, quiet NaNs too). */
function lanewiseCompare(format: Format): Helper {
  return {
    name: vectorHelper('sseCompare', format),
    parameters: ['i32', 'v128', 'v128', 'i32'],
    emit(f, context, a, b, quietToo) {
      for (let lane = 0; lane < laneCount(format); lane++)
        f.emit(
          f.call(
            `sseCompare${format.bits}`,
            context,
            laneOf(format, a, lane),
            laneOf(format, b, lane),
            quietToo,
          ),
        );
    },
  };
}

const ARITHMETIC = [
  ['sseAdd', 'add'],
  ['sseSub', 'sub'],
  ['sseMul', 'mul'],
  ['sseDiv', 'div'],
  ['sseSqrt', 'sqrt'],
] as const;

export const laneHelpers: readonly Helper[] = HOSTS.flatMap((host) => {
  const { format } = host;
  return [
    ...ARITHMETIC.map(([helper, operation]) =>
      lanewise(helper, format, operation === 'sqrt' ? 1 : 2, helper, helper, (f, a, b) =>
        answerZeros(f, host, operation, a, b),
      ),
    ),
    lanewise('sseMin', format, 2, 'sseMin'),
    lanewise('sseMax', format, 2, 'sseMax'),
    lanewise('sseAddSub', format, 2, 'sseSub', 'sseAdd'),
    lanewise('sseOperand', format, 1, 'sseOperand'),
    lanewiseCompare(format),
  ];
});
