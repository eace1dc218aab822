// What SSE instructions expect of their numbers when the host computes for them (`Expectation` of exec/emitter.ts), and
// the helpers that look closely when there is doubt: mostly zeros. Each gives 0 where the host's result is all there is.

import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code, Type } from '../exec/wasm.ts';
import { f64, i32, i64 } from '../exec/wasm.ts';
import { f32x4, f64x2, v128 } from '../exec/wasm-simd.ts';
import type { Helper } from './declare.ts';
import { HOSTS } from './sse-host.ts';
import type { HostFormat } from './sse-host.ts';
import { denormalLanes, isDenormal, isUnusual, nanLanes, unusualLanes } from './sse-lanes.ts';
import { DOUBLE, SINGLE } from './sse-number.ts';
import { ZERO } from './sse-support.ts';

export type Operation = 'Add' | 'Sub' | 'Mul' | 'Div' | 'Sqrt' | 'AddSub';

/** When is a zero as a result exact? A product or quotient of zero is, the others always are. */
export const zeroIsExact = (name: string): 'always' | 'by either' | 'by first' =>
  name.endsWith('Mul') ? 'by either' : name.endsWith('Div') ? 'by first' : 'always';

/** Lanes for which the host's result does not do: an operand is denormal, or the result is odd and no exact zero. */
export function oddLanes(host: HostFormat, name: string, operands: readonly Code[], result: Code): Code {
  const { format, vector } = host;
  const isZero = (x: Code): Code => vector.eq(x, ZERO);
  const [a = ZERO, b = ZERO] = operands;
  const rule = zeroIsExact(name);
  const source = rule === 'by either' ? v128.or(isZero(a), isZero(b)) : isZero(a);
  const exact = rule === 'always' ? isZero(result) : v128.and(isZero(result), source);
  const odd = v128.andnot(unusualLanes(format, result), exact);
  return v128.any_true(operands.reduce((any, x) => v128.or(any, denormalLanes(format, x)), odd));
}

const splatOf = (host: HostFormat, value: Code): Code =>
  host.type === 'f64' ? f64x2.splat(value) : f32x4.splat(value);
/** Vectors of the operands: a scalar in every lane. */
const vectorsOf = (host: HostFormat, type: Type, values: readonly Code[]): Code[] =>
  values.map((value) => (type === 'v128' ? value : splatOf(host, value)));

/** Two names of one rule need no helpers of their own. */
const ruleOf = (operation: string): string => {
  const rule = zeroIsExact(operation);
  return rule === 'always' ? 'Sum' : rule === 'by either' ? 'Mul' : 'Div';
};
const oddName = (rule: string, host: HostFormat, type: Type): string => `sseOdd${rule}${host.format.bits}${type === 'v128' ? 'v' : ''}`; // prettier-ignore

/** sseOddMul64(a, b, result), sseOddMul64v …; square roots have their operand twice. */
function oddHelper(host: HostFormat, type: Type, operation: Operation): Helper {
  return {
    name: oddName(ruleOf(operation), host, type),
    parameters: [type, type, type],
    result: 'i32',
    emit(f, first, second, third) {
      const [a = ZERO, b = ZERO, result = ZERO] = vectorsOf(host, type, [first, second, third]).map((x) =>
        f.let('v128', x),
      );
      return oddLanes(host, operation, [a, b], result);
    },
  };
}

/** sseOddCompare64(a, b): an operand is a NaN, or denormal. */
function oddCompare(host: HostFormat, type: Type): Helper {
  return {
    name: oddName('Compare', host, type),
    parameters: [type, type],
    result: 'i32',
    emit(f, first, second) {
      const { format } = host;
      const [a = ZERO, b = ZERO] = vectorsOf(host, type, [first, second]).map((x) => f.let('v128', x));
      const lanes = [nanLanes(format, a), nanLanes(format, b), denormalLanes(format, a), denormalLanes(format, b)]; // prettier-ignore
      return v128.any_true(lanes.reduce((x, y) => v128.or(x, y)));
    },
  };
}

/** sseOddOperand64(a): it is denormal. */
function oddOperand(host: HostFormat, type: Type): Helper {
  return {
    name: oddName('Operand', host, type),
    parameters: [type],
    result: 'i32',
    emit(f, first) {
      const [a = ZERO] = vectorsOf(host, type, [first]).map((x) => f.let('v128', x));
      return v128.any_true(denormalLanes(host.format, a));
    },
  };
}

/** sseOddNarrow(double, single): an operand is denormal, or the result is odd and no exact zero. */
const oddNarrow: Helper = {
  name: 'sseOddNarrow',
  parameters: ['f64', 'f32'],
  result: 'i32',
  emit(_f, from, result) {
    const isOdd = isUnusual(SINGLE, i32.reinterpret_f32(result));
    const isZero = f64.eq(from, f64.const(0));
    return i32.or(isDenormal(DOUBLE, i64.reinterpret_f64(from)), i32.and(isOdd, i32.eqz(isZero)));
  },
};

export const oddHelpers: readonly Helper[] = [
  oddNarrow,
  ...HOSTS.flatMap((host) =>
    (['v128', host.type] as const).flatMap((type) => [
      oddHelper(host, type, 'Add'),
      oddHelper(host, type, 'Mul'),
      oddHelper(host, type, 'Div'),
      oddCompare(host, type),
      oddOperand(host, type),
    ]),
  ),
];

const isVector = (type: Type): boolean => type === 'v128';

/** In compiled code: the host's result, if it may be taken for granted. */
export function expectArithmetic(
  e: InstructionEmitter,
  host: HostFormat,
  type: Type,
  operation: string,
  operands: readonly Code[],
  fast: Code,
): Code | undefined {
  if (e.expect === undefined) return undefined;
  const result = e.let(type, fast);
  const [a = 0, b = a] = operands;
  const odd = (): Code => e.call(oddName(ruleOf(operation), host, type), a, b, result);
  const { bits } = host;
  return e.expect({ bits, vector: isVector(type), operands, result, odd }) ? result : undefined;
}

/** In compiled code: no operand of a comparison is a NaN or denormal, if that may be taken for granted. */
export function expectOrdered(
  e: InstructionEmitter,
  host: HostFormat,
  type: Type,
  a: Code,
  b: Code,
): boolean {
  const odd = (): Code => e.call(oddName('Compare', host, type), a, b);
  return e.expect?.({ bits: host.bits, vector: isVector(type), operands: [a, b], ordered: true, odd }) === true; // prettier-ignore
}

/** The same of one operand. */
export const expectNumber = (e: InstructionEmitter, host: HostFormat, type: Type, a: Code): boolean => expectOrdered(e, host, type, a, a); // prettier-ignore

/** In compiled code: a double, as a single; both must be ordinary, or zeros. */
export function expectConversion(e: InstructionEmitter, from: Code, fast: Code): Code | undefined {
  if (e.expect === undefined) return undefined;
  const result = e.let('f32', fast);
  const odd = (): Code => e.call('sseOddNarrow', from, result);
  if (!e.expect({ bits: 64, vector: false, operands: [from], odd })) return undefined;
  return e.expect({ bits: 32, vector: false, result, odd }) ? result : undefined;
}

/** In compiled code: conversions whose result is the host's where MXCSR is as usual, unless `doubt`. */
export function expectDoubtless(e: InstructionEmitter, doubt?: Code): boolean {
  const odd = (): Code => doubt ?? i32.const(0);
  return e.expect?.({ bits: 64, vector: false, odd, ...(doubt === undefined ? {} : { doubt }) }) === true;
}
