// Conversions between integers, singles and doubles.

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code, Type } from '../exec/wasm.ts';
import { f32, f64, i32, i64, select } from '../exec/wasm.ts';
import { f32x4, f64x2, i32x4, i64x2, v128 } from '../exec/wasm-simd.ts';
import type { Family, Feature, Form, Helper, Instruction } from './declare.ts';
import { instruction } from './declare.ts';
import { DOUBLE, FORMATS, MXCSR, ROUND, SINGLE, answer, isNaN, isSignalling, modeOf, noteDenormals, operand, raise, rounded, rounderName, unpack } from './sse-number.ts'; // prettier-ignore
import type { Format } from './sse-number.ts';
import { HOSTS, HOST_DOUBLE, HOST_SINGLE } from './sse-host.ts';
import type { HostFormat } from './sse-host.ts';
import { expectConversion, expectDoubtless, expectNumber } from './sse-expect.ts';
import { controlIsSlow, denormalLanes, isDenormal, isUnusual, laneOf, nanLanes, replaceLane, unusualLanes, withFlags } from './sse-lanes.ts'; // prettier-ignore
import { integral } from './sse-round.ts';
import { ZERO, onlyLow, sourceOf } from './sse-support.ts';

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
    const isSmall = scalar.lt(scalar.abs(x), limit);
    const whole = truncates ? x : scalar.nearest(x);
    const fast = host.type === 'f64' ? i64.trunc_sat_f64_s(whole) : i64.trunc_sat_f32_s(whole);
    if (expectDoubtless(e, i32.eqz(isSmall))) return e.write(target, fast);
    const result = e.variable('i64');
    e.when(
      i32.and(integerIsFast(e, truncates), isSmall),
      () => result.set(fast),
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
  const limit = vector.splat(host.scalar.const(2 ** 31 - 128));
  const small = vector.lt(vector.abs(a), limit);
  const allSmall = format.bits === 64 || count === 2 ? i64x2.all_true : i32x4.all_true;
  const inRange = count === 2 && format.bits === 32 ? i32.eq(i32.and(i32x4.bitmask(small), i32.const(3)), i32.const(3)) : allSmall(small); // prettier-ignore
  const whole = truncates ? a : vector.nearest(a);
  const fast = format.bits === 64 ? i32x4.trunc_sat_f64x2_s_zero(whole) : i32x4.trunc_sat_f32x4_s(whole);
  if (expectDoubtless(e, i32.eqz(inRange))) return e.let('v128', fast);
  const result = e.variable('v128');
  e.when(
    i32.and(integerIsFast(e, truncates), inRange),
    () => result.set(fast),
    () => withFlags(e, () => result.set(lanesToIntegers(e, format, a, count, truncates))),
  );
  return result.get;
}

/** What comes of an integer is finite and not denormal. */
function ordinary(e: InstructionEmitter, type: Type, bits: 32 | 64, value: Code): Code {
  const result = e.let(type, value);
  e.isOrdinary?.(bits, result);
  return result;
}

/** cvtpi2ps, cvtdq2ps: integers of 32 bits to singles. */
function integersToSingles(e: InstructionEmitter, a: Code, count: number): Code {
  if (expectDoubtless(e)) return ordinary(e, 'v128', 32, f32x4.convert_i32x4_s(a));
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
      return host.write(e, target, ordinary(e, 'f64', 64, f64.convert_i32_s(i32.wrap_i64(value))));
    const fast = source.size === 4 ? scalar.convert_i32_s(i32.wrap_i64(value)) : scalar.convert_i64_s(value);
    if (expectDoubtless(e)) return host.write(e, target, ordinary(e, host.type, host.bits, fast));
    const result = e.variable(host.type);
    result.set(scalar.convert_i64_s(value));
    e.when(controlIsSlow(e), () =>
      withFlags(e, () => result.set(host.ofBits(e.call(`sseFromInteger${format.bits}`, e.context, value)))),
    );
    host.write(e, target, result.get);
  });
}

const singleToDouble: Emit = (e, target, source) => {
  const x = e.readF32(source);
  if (expectNumber(e, HOST_SINGLE, 'f32', x)) return e.writeF64(target, f64.promote_f32(x));
  const result = e.variable('f64');
  result.set(f64.promote_f32(x));
  const odd = i32.or(f32.ne(x, x), isDenormal(SINGLE, i32.reinterpret_f32(x)));
  e.unlikely(odd, () =>
    withFlags(e, () => result.set(f64.reinterpret_i64(e.call('sseWiden', e.context, HOST_SINGLE.wide(x))))),
  );
  e.writeF64(target, result.get);
};

const doubleToSingle: Emit = (e, target, source) => {
  const x = e.readF64(source);
  const expected = expectConversion(e, x, f32.demote_f64(x));
  if (expected !== undefined) return e.writeF32(target, expected);
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
  if (expectNumber(e, HOST_SINGLE, 'v128', a)) return e.write(target, f64x2.promote_low_f32x4(a));
  const result = e.variable('v128');
  result.set(f64x2.promote_low_f32x4(a));
  const odd = v128.any_true(v128.or(nanLanes(SINGLE, a), denormalLanes(SINGLE, a)));
  e.unlikely(odd, () =>
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
    ...FORMATS.flatMap((format) => [integerOf(format), fromInteger(format)]),
    narrow,
    widen,
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
      e.write(target, ordinary(e, 'v128', 64, f64x2.convert_low_i32x4_s(e.read(source)))),
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
  ],
};
