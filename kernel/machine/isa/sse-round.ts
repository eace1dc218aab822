// Rounding to integral values, dot products, and the approximations rcp and rsqrt.

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { f32, f64, i32, i64, select } from '../exec/wasm.ts';
import { i8x16, v128 } from '../exec/wasm-simd.ts';
import { CONTEXT } from '../layout.ts';
import type { Family, Form, Helper, Instruction, Operand } from './declare.ts';
import { instruction } from './declare.ts';
import { HOSTS } from './sse-host.ts';
import type { HostFormat } from './sse-host.ts';
import {
  controlIsSlow,
  laneCount,
  laneOf,
  nanLanes,
  replaceLane,
  vectorHelper,
  withFlags,
} from './sse-lanes.ts';
import {
  FLAGS_AT,
  FORMATS,
  MXCSR,
  ROUND,
  SINGLE,
  answer,
  isNaN,
  isSignalling,
  modeOf,
  operand,
  quieted,
  raise,
} from './sse-number.ts';
import type { Format } from './sse-number.ts';
import { ZERO, immediate, knownImmediate, laneMask, sourceOf } from './sse-support.ts';

/** x rounded to an integral value in a mode of MXCSR. */
export function integral(f: Emitter, host: HostFormat, x: Code, mode: Code): Code {
  const { scalar, type } = host;
  const result = f.variable(type);
  result.set(scalar.nearest(x));
  f.when(mode, () => {
    const towardsZero = select(i32.eq(mode, i32.const(ROUND.up)), scalar.ceil(x), scalar.trunc(x));
    result.set(select(i32.eq(mode, i32.const(ROUND.down)), scalar.floor(x), towardsZero));
  });
  return result.get;
}

/** sseIntegral64(context, bits, imm8): ROUNDSD's operation; bit 2 of imm8 takes the mode from MXCSR, bit 3 hides precision. */
const toIntegral = (host: HostFormat): Helper => ({
  name: `sseIntegral${host.format.bits}`,
  parameters: ['i32', 'i64', 'i32'],
  result: 'i64',
  emit(f, _context, bits, imm) {
    const { format, scalar } = host;
    const x = operand(f, format, bits);
    f.when(isNaN(format, x), () => {
      f.when(isSignalling(format, x), () => raise(f, MXCSR.invalid));
      answer(f, quieted(format, x));
    });
    const mode = f.let('i32', i32.and(select(i32.and(imm, i32.const(4)), modeOf(f), imm), i32.const(3)));
    const value = f.let(host.type, host.ofBits(x));
    const whole = integral(f, host, value, mode);
    const inexact = i32.and(scalar.ne(whole, value), i32.eqz(i32.and(imm, i32.const(8))));
    f.when(inexact, () => raise(f, MXCSR.precision));
    return host.wide(whole);
  },
});

/** The approximations: no flags, denormals count as zeros. */
function approximation(name: string, compute: (x: Code) => Code, negativeIsInvalid: boolean): Helper {
  return {
    name,
    parameters: ['i32', 'i64'],
    result: 'i64',
    emit(f, _context, bits) {
      const size = f.let('i64', i64.and(bits, i64.const(SINGLE.sign - 1n)));
      const sign = f.let('i64', i64.and(bits, i64.const(SINGLE.sign)));
      f.when(isNaN(SINGLE, bits), () => answer(f, quieted(SINGLE, bits)));
      f.when(i64.lt_u(size, i64.const(0x80_0000)), () => answer(f, i64.or(sign, i64.const(SINGLE.infinity))));
      if (negativeIsInvalid)
        f.when(i64.ne(sign, i64.const(0)), () => answer(f, i64.const(SINGLE.indefinite)));
      f.when(i64.eq(size, i64.const(SINGLE.infinity)), () => answer(f, sign));
      const value = compute(f32.reinterpret_i32(i32.wrap_i64(bits)));
      const result = f.let('i64', i64.extend_i32_u(i32.reinterpret_f32(value)));
      const tiny = i64.lt_u(i64.and(result, i64.const(SINGLE.sign - 1n)), i64.const(0x80_0000));
      const near = i64.and(i64.add(result, i64.const(0x800)), i64.const(0xffff_f000));
      return select(tiny, sign, near);
    },
  };
}

/**
 * sseDot32(context, imm8, a, b): products where imm8's upper bits say, all summed, into lanes of the lower bits. The
 * order of the additions shows only in which of several NaNs comes out; it is that of Intel's processors, lane by lane.
 * sseDotHalves32(context, imm8, a, b, c, d) does it in both halves of a YMM register; that of c and d is left at DOT_HIGH.
 */
const dot = (format: Format, halves: 1 | 2): Helper => ({
  name: `sseDot${halves === 2 ? 'Halves' : ''}${format.bits}`,
  parameters: ['i32', 'i32', 'v128', 'v128', ...(halves === 2 ? (['v128', 'v128'] as const) : [])],
  result: 'v128',
  emit(f, context, imm, ...vectors) {
    const sums = Array.from({ length: halves }, (_unused, half) => {
      const [a, b] = vectors.slice(2 * half);
      const sum = f.variable('v128');
      sum.set(ZERO);
      for (let lane = 0; lane < laneCount(format) && a !== undefined && b !== undefined; lane++) {
        f.when(i32.and(imm, i32.const(16 << lane)), () => {
          const [x, y] = [laneOf(format, a, lane), laneOf(format, b, lane)];
          const product = f.call(`sseMul${format.bits}`, context, x, y);
          sum.set(replaceLane(format, sum.get, lane, product));
        });
      }
      return sum;
    });
    const bytes = format.bits === 64 ? 8 : 4;
    for (let distance = bytes; distance < 16; distance *= 2) {
      // Each step raises its flags before the next one begins; an unmasked exception ends it
      f.when(f.call('sseCommit', context), () => answer(f, ZERO));
      f.emit(i32.store(context, i32.const(0), FLAGS_AT));
      const neighbours = Array.from({ length: 16 }, (_unused, i) => i ^ distance);
      for (const sum of sums) {
        const moved = f.let('v128', i8x16.shuffle(sum.get, sum.get, neighbours));
        const [first, second] = distance === 4 ? [moved, sum.get] : [sum.get, moved];
        sum.set(f.call(vectorHelper('sseAdd', format), context, first, second));
      }
    }
    const [low, high] = sums.map((sum) => v128.and(sum.get, laneMask(imm, bytes)));
    if (high !== undefined) f.emit(v128.store(context, high, DOT_HIGH));
    return low ?? ZERO;
  },
});
export const DOT_HIGH = CONTEXT.scratch + 16;

function rounding(mnemonic: string, forms: readonly Form[], emit: Instruction['emit']): Instruction {
  return instruction({ mnemonic, source: sourceOf(mnemonic), feature: 'sse4.1', forms, emit });
}

/** imm8's mode of ROUNDSD where MXCSR is as usual (then it rounds to nearest), applied by `round`; all four if it is not known. */
function byMode(e: InstructionEmitter, imm: Code, known: number | undefined, round: (mode: keyof typeof ROUND) => Code): Code {
  const modes = ['nearest', 'down', 'up', 'zero'] as const;
  if (known !== undefined) return round((known & 4) !== 0 ? 'nearest' : (modes[known & 3] ?? 'nearest'));
  const mode = e.let('i32', select(i32.and(imm, i32.const(4)), i32.const(0), i32.and(imm, i32.const(3))));
  const is = (name: keyof typeof ROUND): Code => i32.eq(mode, i32.const(ROUND[name]));
  return select(is('down'), round('down'), select(is('up'), round('up'), select(is('zero'), round('zero'), round('nearest'))));
} // prettier-ignore
const HOST_ROUNDING = { nearest: 'nearest', down: 'floor', up: 'ceil', zero: 'trunc' } as const;

function roundings(): Instruction[] {
  return HOSTS.flatMap((host) => {
    const { letter, format } = host;
    const suffix = letter === 'q' ? 'd' : 's';
    const double = letter === 'q';
    const helper = `sseIntegral${format.bits}`;
    return [
      rounding(`roundp${suffix}`, [[`66 0F 3A ${double ? '09' : '08'} /r ib`, 'Vx,Wx,Ib']], (e, target, source, selection) => {
        if (selection === undefined) return;
        const a = e.read(source);
        const imm = immediate(e, selection);
        const result = e.variable('v128');
        result.set(byMode(e, imm, knownImmediate(e, selection), (mode) => host.vector[HOST_ROUNDING[mode]](a)));
        // With the precision flag set already, only a NaN has something to raise
        e.unlikely(i32.or(controlIsSlow(e), v128.any_true(nanLanes(format, a))), () =>
          withFlags(e, () => {
            let exact: Code = ZERO;
            for (let lane = 0; lane < 128 / format.bits; lane++)
              exact = e.let('v128', replaceLane(format, exact, lane, e.call(helper, e.context, laneOf(format, a, lane), imm)));
            result.set(exact);
          }),
        );
        e.write(target, result.get);
      }),
      rounding(`rounds${suffix}`, [[`66 0F 3A ${double ? '0B' : '0A'} /r ib`, `V${letter},W${letter},Ib`]], (e, target, source, selection) => {
        if (selection === undefined) return;
        const x = host.read(e, source);
        const imm = immediate(e, selection);
        const result = e.variable(host.type);
        result.set(byMode(e, imm, knownImmediate(e, selection), (mode) => host.scalar[HOST_ROUNDING[mode]](x)));
        e.unlikely(i32.or(controlIsSlow(e), host.scalar.ne(x, x)), () =>
          withFlags(e, () => result.set(host.ofBits(e.call(helper, e.context, host.wide(x), imm)))),
        );
        host.write(e, target, result.get);
      }),
    ];
  });
} // prettier-ignore

// Deviation: Intel's and AMD's tables for rcp and rsqrt differ from each other. Ours are 1/x and 1/sqrt(x) rounded to 12
// bits: within the bound of 1.5 · 2^-12 that the manual gives.
function approximations(stem: string, opcode: string, helper: string): Instruction[] {
  const make = (mnemonic: string, form: Form, emit: (e: InstructionEmitter, target: Operand, source: Operand) => void): Instruction =>
    instruction({ mnemonic, source: sourceOf(mnemonic), feature: 'sse', forms: [form], emit });
  return [
    make(`${stem}ps`, [`NP 0F ${opcode} /r`, 'Vx,Wx'], (e, target, source) => {
      const a = e.read(source);
      let result: Code = ZERO;
      for (let lane = 0; lane < 4; lane++)
        result = e.let('v128', replaceLane(SINGLE, result, lane, e.call(helper, e.context, laneOf(SINGLE, a, lane))));
      e.write(target, result);
    }),
    make(`${stem}ss`, [`F3 0F ${opcode} /r`, 'Vd,Wd'], (e, target, source) =>
      e.writeI32(target, i32.wrap_i64(e.call(helper, e.context, i64.extend_i32_u(e.readI32(source)))))),
  ];
} // prettier-ignore

function dots(): Instruction[] {
  return FORMATS.map((format) => {
    const double = format.bits === 64;
    const forms = [[`66 0F 3A ${double ? '41' : '40'} /r ib`, 'Vx,Wx,Ib']] as const;
    return rounding(`dpp${double ? 'd' : 's'}`, forms, (e, target, source, selection) => {
      if (selection === undefined) return;
      const a = e.read(target);
      const b = e.read(source);
      const imm = immediate(e, selection);
      const result = e.variable('v128');
      withFlags(e, () => result.set(e.call(`sseDot${format.bits}`, e.context, imm, a, b)));
      e.write(target, result.get);
    });
  });
}

export const sseRound: Family = {
  helpers: [
    ...HOSTS.map(toIntegral),
    ...FORMATS.map((format) => dot(format, 1)),
    dot(SINGLE, 2),
    approximation('sseRcp32', (x) => f32.div(f32.const(1), x), false),
    approximation(
      'sseRsqrt32',
      (x) => f32.demote_f64(f64.div(f64.const(1), f64.sqrt(f64.promote_f32(x)))),
      true,
    ),
  ],
  instructions: [
    ...roundings(),
    ...dots(),
    ...approximations('rcp', '53', 'sseRcp32'),
    ...approximations('rsqrt', '52', 'sseRsqrt32'),
  ],
};
