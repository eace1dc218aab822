// Conversions between integers, singles and doubles, rounding to integral values, dot products, and the approximations
// rcp and rsqrt.

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { f32, f64, i32, i64, ret, select } from '../exec/wasm.ts';
import { f32x4, f64x2, i32x4, i64x2, i8x16, v128 } from '../exec/wasm-simd.ts';
import type { Family, Feature, Form, Helper, Instruction, Operand } from './declare.ts';
import { instruction } from './declare.ts';
import { DOUBLE, FORMATS, MXCSR, ROUND, SINGLE, isNaN, isSignalling, modeOf, noteDenormals, operand, quieted, raise, rounded, rounderName, unpack } from './sse-exact.ts'; // prettier-ignore
import type { Format } from './sse-exact.ts';
import { HOSTS, HOST_DOUBLE, HOST_SINGLE } from './sse-float.ts';
import type { HostFormat } from './sse-float.ts';
import { controlIsSlow, denormalLanes, isDenormal, isUnusual, laneCount, laneOf, nanLanes, replaceLane, unusualLanes, vectorHelper, withFlags } from './sse-lanes.ts'; // prettier-ignore
import { ZERO, immediate, laneMask, onlyLow, sourceOf } from './sse-support.ts';

const answer = (f: Emitter, value: Code): void => f.emit(ret(value));

/** x rounded to an integral value in a mode of MXCSR. */
function integral(f: Emitter, host: HostFormat, x: Code, mode: Code): Code {
  const { scalar, type } = host;
  const result = f.variable(type);
  result.set(scalar.nearest(x));
  f.when(mode, () => {
    const towardsZero = select(i32.eq(mode, i32.const(ROUND.up)), scalar.ceil(x), scalar.trunc(x));
    result.set(select(i32.eq(mode, i32.const(ROUND.down)), scalar.floor(x), towardsZero));
  });
  return result.get;
}

/** sseToInteger(context, double, mode, 64 bits?): the integer, or the indefinite value with invalid raised. */
const toInteger: Helper = {
  name: 'sseToInteger',
  parameters: ['i32', 'f64', 'i32', 'i32'],
  result: 'i64',
  emit(f, _context, x, mode, wide) {
    const whole = integral(f, HOST_DOUBLE, x, mode);
    const limit = f.let('f64', select(wide, f64.const(2 ** 63), f64.const(2 ** 31)));
    const inside = i32.and(f64.ge(whole, f64.neg(limit)), f64.lt(whole, limit));
    f.when(i32.eqz(inside), () => {
      raise(f, MXCSR.invalid);
      answer(f, select(wide, i64.const(1n << 63n), i64.const(0x8000_0000)));
    });
    f.when(f64.ne(whole, x), () => raise(f, MXCSR.precision));
    const result = f.let('i64', i64.trunc_sat_f64_s(whole));
    return select(wide, result, i64.and(result, i64.const(0xffff_ffff)));
  },
};

/** The bits of a number as the conversion to integers sees it, as a double. Signalling or not: a NaN is invalid. */
function asDouble(f: Emitter, format: Format, bits: Code): Code {
  const x = operand(f, format, bits);
  if (format.bits === 64) return f64.reinterpret_i64(x);
  return f64.promote_f32(f32.reinterpret_i32(i32.wrap_i64(x)));
}
/** sseInteger64(context, bits, mode, 64 bits?) and sseInteger32. */
const integerOf = (format: Format): Helper => ({
  name: `sseInteger${format.bits}`,
  parameters: ['i32', 'i64', 'i32', 'i32'],
  result: 'i64',
  emit: (f, context, bits, mode, wide) =>
    f.call('sseToInteger', context, asDouble(f, format, bits), mode, wide),
});

/** sseFromInteger64(context, integer). */
const fromInteger = (format: Format): Helper => ({
  name: `sseFromInteger${format.bits}`,
  parameters: ['i32', 'i64'],
  result: 'i64',
  emit(f, _context, value) {
    f.when(i64.eqz(value), () => answer(f, i64.const(0)));
    const sign = f.let('i64', i64.shr_u(value, i64.const(63)));
    const size = i64.sub(i64.xor(value, i64.sub(i64.const(0), sign)), i64.sub(i64.const(0), sign));
    return rounded(f, format, sign, i32.const(63), size);
  },
});

/** sseNarrow(context, bits of a double): the single. NaNs keep sign and upper payload. */
const narrow: Helper = {
  name: 'sseNarrow',
  parameters: ['i32', 'i64'],
  result: 'i64',
  emit(f, context, bits) {
    const x = operand(f, DOUBLE, bits);
    const sign = f.let('i64', i64.shl(i64.shr_u(x, i64.const(63)), i64.const(31)));
    f.when(isNaN(DOUBLE, x), () => {
      f.when(isSignalling(DOUBLE, x), () => raise(f, MXCSR.invalid));
      const payload = i64.and(i64.shr_u(x, i64.const(29)), i64.const(0x3f_ffff));
      answer(f, i64.or(sign, i64.or(payload, i64.const(SINGLE.infinity | SINGLE.quiet))));
    });
    const size = f.let('i64', i64.and(x, i64.const(DOUBLE.sign - 1n)));
    f.when(i64.eqz(size), () => answer(f, sign));
    f.when(i64.eq(size, i64.const(DOUBLE.infinity)), () =>
      answer(f, i64.or(sign, i64.const(SINGLE.infinity))),
    );
    noteDenormals(f, DOUBLE, x);
    const { exponent, significand } = unpack(f, DOUBLE, x);
    return f.call(rounderName(SINGLE), context, i64.shr_u(sign, i64.const(31)), exponent, significand);
  },
};

/** sseWiden(context, bits of a single): the double; exact. */
const widen: Helper = {
  name: 'sseWiden',
  parameters: ['i32', 'i64'],
  result: 'i64',
  emit(f, _context, bits) {
    const x = operand(f, SINGLE, bits);
    f.when(isNaN(SINGLE, x), () => {
      f.when(isSignalling(SINGLE, x), () => raise(f, MXCSR.invalid));
      const sign = i64.shl(i64.shr_u(x, i64.const(31)), i64.const(63));
      const payload = i64.shl(i64.and(x, i64.const(0x3f_ffff)), i64.const(29));
      answer(f, i64.or(sign, i64.or(payload, i64.const(DOUBLE.infinity | DOUBLE.quiet))));
    });
    noteDenormals(f, SINGLE, x);
    return i64.reinterpret_f64(f64.promote_f32(f32.reinterpret_i32(i32.wrap_i64(x))));
  },
};

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
 * sseDot32(context, a, b, imm8): products where imm8's upper bits say, all summed, into lanes of the lower bits. The
 * order of the additions shows only in which of several NaNs comes out; it is that of Intel's processors, lane by lane.
 */
const dot = (format: Format): Helper => ({
  name: `sseDot${format.bits}`,
  parameters: ['i32', 'v128', 'v128', 'i32'],
  result: 'v128',
  emit(f, context, a, b, imm) {
    const sum = f.variable('v128');
    sum.set(ZERO);
    for (let lane = 0; lane < laneCount(format); lane++) {
      f.when(i32.and(imm, i32.const(16 << lane)), () => {
        const product = f.call(
          `sseMul${format.bits}`,
          context,
          laneOf(format, a, lane),
          laneOf(format, b, lane),
        );
        sum.set(replaceLane(format, sum.get, lane, product));
      });
    }
    const bytes = format.bits === 64 ? 8 : 4;
    for (let distance = bytes; distance < 16; distance *= 2) {
      const neighbours = Array.from({ length: 16 }, (_unused, i) => i ^ distance);
      const moved = f.let('v128', i8x16.shuffle(sum.get, sum.get, neighbours));
      const [first, second] = distance === 4 ? [moved, sum.get] : [sum.get, moved];
      sum.set(f.call(vectorHelper('sseAdd', format), context, first, second));
    }
    return v128.and(sum.get, laneMask(imm, bytes));
  },
});

type Emit = Instruction['emit'];
function convert(mnemonic: string, feature: Feature, forms: readonly Form[], emit: Emit): Instruction {
  return instruction({ mnemonic, source: sourceOf(mnemonic), feature, forms, emit });
}

/** Everything masked, this rounding (or any), precision already set: then only the value can be seen. */
function integerIsFast(e: InstructionEmitter, truncates: boolean): Code {
  const mask = truncates ? 0x1fa0 : 0x7fa0;
  return i32.eq(i32.and(e.get('mxcsr'), i32.const(mask)), i32.const(0x1fa0));
}
const modeFor = (e: InstructionEmitter, truncates: boolean): Code =>
  truncates ? i32.const(ROUND.zero) : modeOf(e);

/** cvtsd2si and its like: scalar to a general register. */
function scalarToInteger(host: HostFormat, truncates: boolean): Instruction {
  const { letter, format, scalar } = host;
  const mnemonic = `cvt${truncates ? 't' : ''}s${letter === 'q' ? 'd' : 's'}2si`;
  const forms = [[`${host.single} 0F ${truncates ? '2C' : '2D'} /r`, `Gy,W${letter}`]] as const;
  return convert(mnemonic, host.feature, forms, (e, target, source) => {
    const x = host.read(e, source);
    const wide = target.size === 8;
    const limit = scalar.const(wide ? 2 ** 63 : 2 ** 31 - 128);
    const result = e.variable('i64');
    e.when(
      i32.and(integerIsFast(e, truncates), scalar.lt(scalar.abs(x), limit)),
      () => {
        const whole = truncates ? x : scalar.nearest(x);
        result.set(host.type === 'f64' ? i64.trunc_sat_f64_s(whole) : i64.trunc_sat_f32_s(whole));
      },
      () =>
        withFlags(e, () => {
          const mode = modeFor(e, truncates);
          result.set(
            e.call(`sseInteger${format.bits}`, e.context, host.wide(x), mode, i32.const(wide ? 1 : 0)),
          );
        }),
    );
    e.write(target, result.get);
  });
}

/** Lanes of a vector, each as a 32-bit integer; `count` of them, zeros above. */
function lanesToIntegers(
  e: InstructionEmitter,
  format: Format,
  vector: Code,
  count: number,
  truncates: boolean,
): Code {
  let result: Code = ZERO;
  for (let lane = 0; lane < count; lane++) {
    const value = e.call(`sseInteger${format.bits}`, e.context, laneOf(format, vector, lane), modeFor(e, truncates), i32.const(0)); // prettier-ignore
    result = e.let('v128', replaceLane(SINGLE, result, lane, value));
  }
  return result;
}

function vectorToIntegers(
  e: InstructionEmitter,
  host: HostFormat,
  a: Code,
  count: number,
  truncates: boolean,
): Code {
  const { vector, format } = host;
  const result = e.variable('v128');
  const limit = vector.splat(host.scalar.const(2 ** 31 - 128));
  const small = vector.lt(vector.abs(a), limit);
  const allSmall = format.bits === 64 || count === 2 ? i64x2.all_true : i32x4.all_true;
  const inRange = count === 2 && format.bits === 32 ? i32.eq(i32.and(i32x4.bitmask(small), i32.const(3)), i32.const(3)) : allSmall(small); // prettier-ignore
  e.when(
    i32.and(integerIsFast(e, truncates), inRange),
    () => {
      const whole = truncates ? a : vector.nearest(a);
      result.set(format.bits === 64 ? i32x4.trunc_sat_f64x2_s_zero(whole) : i32x4.trunc_sat_f32x4_s(whole));
    },
    () => withFlags(e, () => result.set(lanesToIntegers(e, format, a, count, truncates))),
  );
  return result.get;
}

/** cvtpi2ps, cvtdq2ps: integers of 32 bits to singles. */
function integersToSingles(e: InstructionEmitter, a: Code, count: number): Code {
  const result = e.variable('v128');
  result.set(f32x4.convert_i32x4_s(a));
  e.when(controlIsSlow(e), () =>
    withFlags(e, () => {
      let made: Code = ZERO;
      for (let lane = 0; lane < count; lane++) {
        const value = e.call('sseFromInteger32', e.context, i64.extend_i32_s(i32x4.extract_lane(a, lane)));
        made = e.let('v128', replaceLane(SINGLE, made, lane, value));
      }
      result.set(made);
    }),
  );
  return result.get;
}

/** cvtsi2sd, cvtsi2ss. 32 bits fit a double exactly. */
function integerToScalar(host: HostFormat): Instruction {
  const { letter, format, scalar } = host;
  const forms = [[`${host.single} 0F 2A /r`, `V${letter},Ey`]] as const;
  return convert(`cvtsi2s${letter === 'q' ? 'd' : 's'}`, host.feature, forms, (e, target, source) => {
    const value = e.readSigned(source);
    if (source.size === 4 && letter === 'q')
      return host.write(e, target, f64.convert_i32_s(i32.wrap_i64(value)));
    const result = e.variable(host.type);
    result.set(scalar.convert_i64_s(value));
    e.when(controlIsSlow(e), () =>
      withFlags(e, () => result.set(host.ofBits(e.call(`sseFromInteger${format.bits}`, e.context, value)))),
    );
    host.write(e, target, result.get);
  });
}

const daz = (e: InstructionEmitter): Code => i32.and(e.get('mxcsr'), i32.const(MXCSR.denormalsAreZero));

const singleToDouble: Emit = (e, target, source) => {
  const x = e.readF32(source);
  const result = e.variable('f64');
  result.set(f64.promote_f32(x));
  const odd = i32.or(f32.ne(x, x), isDenormal(SINGLE, i32.reinterpret_f32(x)));
  e.when(i32.or(daz(e), odd), () =>
    withFlags(e, () => result.set(f64.reinterpret_i64(e.call('sseWiden', e.context, HOST_SINGLE.wide(x))))),
  );
  e.writeF64(target, result.get);
};

const doubleToSingle: Emit = (e, target, source) => {
  const x = e.readF64(source);
  const result = e.variable('f32');
  result.set(f32.demote_f64(x));
  const odd = i32.or(isDenormal(DOUBLE, i64.reinterpret_f64(x)), isUnusual(SINGLE, i32.reinterpret_f32(result.get))); // prettier-ignore
  e.when(i32.or(controlIsSlow(e), odd), () =>
    withFlags(e, () => result.set(HOST_SINGLE.ofBits(e.call('sseNarrow', e.context, HOST_DOUBLE.wide(x))))),
  );
  e.writeF32(target, result.get);
};

const singlesToDoubles: Emit = (e, target, source) => {
  const low = e.readI64(source);
  const a = e.let('v128', i64x2.splat(low));
  const result = e.variable('v128');
  result.set(f64x2.promote_low_f32x4(a));
  const odd = v128.any_true(v128.or(nanLanes(SINGLE, a), denormalLanes(SINGLE, a)));
  e.when(i32.or(daz(e), odd), () =>
    withFlags(e, () => {
      const first = e.let('i64', e.call('sseWiden', e.context, laneOf(SINGLE, a, 0)));
      const second = e.let('i64', e.call('sseWiden', e.context, laneOf(SINGLE, a, 1)));
      result.set(i64x2.replace_lane(i64x2.splat(first), 1, second));
    }),
  );
  e.write(target, result.get);
};

const doublesToSingles: Emit = (e, target, source) => {
  const a = e.read(source);
  const result = e.variable('v128');
  result.set(f32x4.demote_f64x2_zero(a));
  const both = i64x2.splat(i64x2.extract_lane(result.get, 0)); // the upper lanes are zeros
  const odd = v128.any_true(v128.or(denormalLanes(DOUBLE, a), unusualLanes(SINGLE, both)));
  e.when(i32.or(controlIsSlow(e), odd), () =>
    withFlags(e, () => {
      const first = e.let('i64', e.call('sseNarrow', e.context, laneOf(DOUBLE, a, 0)));
      const second = e.let('i64', e.call('sseNarrow', e.context, laneOf(DOUBLE, a, 1)));
      result.set(onlyLow(i64.or(first, i64.shl(second, i64.const(32)))));
    }),
  );
  e.write(target, result.get);
};

function roundings(): Instruction[] {
  return HOSTS.flatMap((host) => {
    const { letter, format } = host;
    const suffix = letter === 'q' ? 'd' : 's';
    const double = letter === 'q';
    const helper = `sseIntegral${format.bits}`;
    return [
      convert(`roundp${suffix}`, 'sse4.1', [[`66 0F 3A ${double ? '09' : '08'} /r ib`, 'Vx,Wx,Ib']], (e, target, source, selection) => {
        if (selection === undefined) return;
        const a = e.read(source);
        const imm = immediate(e, selection);
        let result: Code = ZERO;
        withFlags(e, () => {
          for (let lane = 0; lane < 128 / format.bits; lane++)
            result = e.let('v128', replaceLane(format, result, lane, e.call(helper, e.context, laneOf(format, a, lane), imm)));
        });
        e.write(target, result);
      }),
      convert(`rounds${suffix}`, 'sse4.1', [[`66 0F 3A ${double ? '0B' : '0A'} /r ib`, `V${letter},W${letter},Ib`]], (e, target, source, selection) => {
        if (selection === undefined) return;
        const x = host.read(e, source);
        const imm = immediate(e, selection);
        const result = e.variable(host.type);
        withFlags(e, () => result.set(host.ofBits(e.call(helper, e.context, host.wide(x), imm))));
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
    return convert(`dpp${double ? 'd' : 's'}`, 'sse4.1', forms, (e, target, source, selection) => {
      if (selection === undefined) return;
      const a = e.read(target);
      const b = e.read(source);
      const imm = immediate(e, selection);
      const result = e.variable('v128');
      withFlags(e, () => result.set(e.call(`sseDot${format.bits}`, e.context, a, b, imm)));
      e.write(target, result.get);
    });
  });
}

const toVector = (host: HostFormat, truncates: boolean, count: number): Emit =>
  (e, target, source) => e.write(target, vectorToIntegers(e, host, e.read(source), count, truncates)); // prettier-ignore
/** To an MMX register. */
const toHalf = (host: HostFormat, truncates: boolean): Emit =>
  (e, target, source) => {
    const a = host.letter === 'q' ? e.read(source) : e.let('v128', onlyLow(e.readI64(source)));
    e.write(target, i64x2.extract_lane(vectorToIntegers(e, host, a, 2, truncates), 0));
  }; // prettier-ignore

export const sseConvert: Family = {
  helpers: [
    toInteger,
    ...FORMATS.flatMap((format) => [integerOf(format), fromInteger(format), dot(format)]),
    ...HOSTS.map(toIntegral),
    narrow,
    widen,
    approximation('sseRcp32', (x) => f32.div(f32.const(1), x), false),
    approximation(
      'sseRsqrt32',
      (x) => f32.demote_f64(f64.div(f64.const(1), f64.sqrt(f64.promote_f32(x)))),
      true,
    ),
  ],
  instructions: [
    ...HOSTS.flatMap((host) => [
      scalarToInteger(host, true),
      scalarToInteger(host, false),
      integerToScalar(host),
    ]),
    convert('cvtss2sd', 'sse2', [['F3 0F 5A /r', 'Vq,Wd']], singleToDouble),
    convert('cvtsd2ss', 'sse2', [['F2 0F 5A /r', 'Vd,Wq']], doubleToSingle),
    convert('cvtps2pd', 'sse2', [['NP 0F 5A /r', 'Vx,Wq']], singlesToDoubles),
    convert('cvtpd2ps', 'sse2', [['66 0F 5A /r', 'Vx,Wx']], doublesToSingles),
    convert('cvtdq2ps', 'sse2', [['NP 0F 5B /r', 'Vx,Wx']], (e, target, source) =>
      e.write(target, integersToSingles(e, e.read(source), 4)),
    ),
    convert('cvtdq2pd', 'sse2', [['F3 0F E6 /r', 'Vx,Wq']], (e, target, source) =>
      e.write(target, f64x2.convert_low_i32x4_s(e.read(source))),
    ),
    convert('cvtps2dq', 'sse2', [['66 0F 5B /r', 'Vx,Wx']], toVector(HOST_SINGLE, false, 4)),
    convert('cvttps2dq', 'sse2', [['F3 0F 5B /r', 'Vx,Wx']], toVector(HOST_SINGLE, true, 4)),
    convert('cvtpd2dq', 'sse2', [['F2 0F E6 /r', 'Vx,Wx']], toVector(HOST_DOUBLE, false, 2)),
    convert('cvttpd2dq', 'sse2', [['66 0F E6 /r', 'Vx,Wx']], toVector(HOST_DOUBLE, true, 2)),
    convert('cvtpi2ps', 'sse', [['NP 0F 2A /r', 'Vq,Qq']], (e, target, source) => {
      const integers = e.let('v128', onlyLow(e.read(source)));
      e.writeI64(target, i64x2.extract_lane(integersToSingles(e, integers, 2), 0));
    }),
    convert('cvtpi2pd', 'sse2', [['66 0F 2A /r', 'Vx,Qq']], (e, target, source) =>
      e.write(target, f64x2.convert_low_i32x4_s(onlyLow(e.read(source)))),
    ),
    convert('cvtps2pi', 'sse', [['NP 0F 2D /r', 'Pq,Wq']], toHalf(HOST_SINGLE, false)),
    convert('cvttps2pi', 'sse', [['NP 0F 2C /r', 'Pq,Wq']], toHalf(HOST_SINGLE, true)),
    convert('cvtpd2pi', 'sse2', [['66 0F 2D /r', 'Pq,Wx']], toHalf(HOST_DOUBLE, false)),
    convert('cvttpd2pi', 'sse2', [['66 0F 2C /r', 'Pq,Wx']], toHalf(HOST_DOUBLE, true)),
    ...roundings(),
    ...dots(),
    ...approximations('rcp', '53', 'sseRcp32'),
    ...approximations('rsqrt', '52', 'sseRsqrt32'),
  ],
};
