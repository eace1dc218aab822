// FMA3: x · y + z with one rounding, in 96 forms: operation × order of the operands × format. In 'vfmadd132pd' the
// digits say which operands are multiplied and which is added: 132 first · third + second, and so on (SDM vol. 1, 14.5).

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { f32, f64, i32, i64, select } from '../exec/wasm.ts';
import type { Family, Helper, Instruction, Operand } from './declare.ts';
import { instruction } from './declare.ts';
import { HOST_DOUBLE, HOST_SINGLE } from './sse-host.ts';
import type { HostFormat } from './sse-host.ts';
import { laneCount, laneOf, replaceLane, withFlags } from './sse-lanes.ts';
import { FORMATS, MXCSR, ROUND, answer, answerInvalid, asBit, isDenormal, isInfinite, isNaN, isSignalling, isZero, magnitude, modeOf, noteDenormals, operand, placeSign, quieted, raiseIf, rounded, rounderName, signOf, sticky, unpack } from './sse-number.ts'; // prettier-ignore
import type { Format } from './sse-number.ts';
import { ZERO } from './sse-support.ts';

/** Signs of a fused operation, for the helpers. */
const NEGATE_PRODUCT = 1;
const NEGATE_ADDEND = 2;

/** a + b and what rounding lost of it, exactly (Knuth). */
function exactSum(f: Emitter, a: Code, b: Code): { sum: Code; lost: Code } {
  const sum = f.let('f64', f64.add(a, b));
  const part = f.let('f64', f64.sub(sum, a));
  return { sum, lost: f.let('f64', f64.add(f64.sub(a, f64.sub(sum, part)), f64.sub(b, part))) };
}

/** The halves of a double whose products are exact (Veltkamp). */
function split(f: Emitter, a: Code): { high: Code; low: Code } {
  const scaled = f.let('f64', f64.mul(a, f64.const(2 ** 27 + 1)));
  const high = f.let('f64', f64.sub(scaled, f64.sub(scaled, a)));
  return { high, low: f.let('f64', f64.sub(a, high)) };
}
function exactProduct(f: Emitter, a: Code, b: Code): { product: Code; lost: Code } {
  const product = f.let('f64', f64.mul(a, b));
  const [x, y] = [split(f, a), split(f, b)];
  const first = f64.sub(f64.mul(x.high, y.high), product);
  const middle = f64.add(f64.add(first, f64.mul(x.high, y.low)), f64.mul(x.low, y.high));
  return { product, lost: f.let('f64', f64.add(middle, f64.mul(x.low, y.low))) };
}

/** A sum rounded to odd: where it is inexact, the neighbour whose last bit is set. A later rounding then does not see the first. */
function oddSum(f: Emitter, sum: Code, lost: Code): Code {
  const bits = f.let('i64', i64.reinterpret_f64(sum));
  const isEven = i64.eqz(i64.and(bits, i64.const(1)));
  const away = i64.shr_s(i64.xor(bits, i64.reinterpret_f64(lost)), i64.const(63)); // -1 where what was lost points to zero
  const odd = i64.add(bits, i64.or(away, i64.const(1)));
  const moves = i32.and(f64.ne(lost, f64.const(0)), isEven);
  return f.let('f64', f64.reinterpret_i64(select(moves, odd, bits)));
}

/** Is a result beyond doubt: normal, and not of the least binade? */
function isOrdinary(format: Format, bits: Code): Code {
  const step = 1n << BigInt(format.fraction);
  const binades = BigInt(2 * format.bias + 1) - 2n;
  return i64.lt_u(i64.sub(magnitude(format, bits), i64.const(2n * step)), i64.const(binades * step));
}

/**
 * The usual cases by the host. Singles: a double holds the product, and its sum with the addend, rounded to odd, rounds
 * on to the single as if there had been one rounding. Doubles: the same with pairs of doubles (Boldo and Melquiond,
 * "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd"), where no part can underflow.
 */
function answerQuickly(f: Emitter, format: Format, x: Code, y: Code, z: Code): void {
  const usual = i32.eq(i32.and(f.get('mxcsr'), i32.const(-0x40)), i32.const(0x1f80));
  const done = (bits: Code, inexact: Code): void =>
    f.when(isOrdinary(format, bits), () => {
      raiseIf(f, inexact, MXCSR.precision);
      answer(f, bits);
    });
  if (format.bits === 64) {
    const exponent = (bits: Code): Code => i64.and(i64.shr_u(bits, i64.const(52)), i64.const(0x7ff));
    const isMiddle = (bits: Code): Code => i64.lt_u(i64.sub(exponent(bits), i64.const(573)), i64.const(900));
    const fits = i32.and(i32.and(isMiddle(x), isMiddle(y)), i32.eqz(isDenormal(format, z)));
    f.when(i32.and(usual, fits), () => {
      const [a, b, c] = [x, y, z].map((bits) => f.let('f64', f64.reinterpret_i64(bits)));
      if (a === undefined || b === undefined || c === undefined) return;
      const { product, lost } = exactProduct(f, a, b);
      const lower = exactSum(f, c, lost);
      const upper = exactSum(f, product, lower.sum);
      const rest = exactSum(f, lower.lost, upper.lost);
      const tail = oddSum(f, rest.sum, rest.lost);
      const result = exactSum(f, upper.sum, tail);
      const inexact = i32.or(f64.ne(rest.lost, f64.const(0)), f64.ne(result.lost, f64.const(0)));
      done(f.let('i64', i64.reinterpret_f64(result.sum)), inexact);
    });
    return;
  }
  const noneDenormal = i32.eqz(
    i32.or(i32.or(isDenormal(format, x), isDenormal(format, y)), isDenormal(format, z)),
  );
  f.when(i32.and(usual, noneDenormal), () => {
    const [a, b, c] = [x, y, z].map((bits) =>
      f.let('f64', f64.promote_f32(f32.reinterpret_i32(i32.wrap_i64(bits)))),
    );
    if (a === undefined || b === undefined || c === undefined) return;
    const { sum, lost } = exactSum(f, f.let('f64', f64.mul(a, b)), c);
    const result = f.let('f32', f32.demote_f64(oddSum(f, sum, lost)));
    const inexact = i32.or(f64.ne(lost, f64.const(0)), f64.ne(f64.promote_f32(result), sum));
    done(f.let('i64', i64.extend_i32_u(i32.reinterpret_f32(result))), inexact);
  });
}

/** A significand of 128 bits, moved down by `count` (i64, at least 1), what falls off ORed into the lowest bit. */
function movedDown(f: Emitter, high: Code, low: Code, count: Code): { high: Code; low: Code } {
  const upper = f.variable('i64');
  const lower = f.variable('i64');
  f.when(
    i64.lt_u(count, i64.const(64)),
    () => {
      const back = f.let('i64', i64.sub(i64.const(64), count));
      upper.set(i64.shr_u(high, count));
      lower.set(i64.or(i64.or(i64.shr_u(low, count), i64.shl(high, back)), sticky(i64.shl(low, back))));
    },
    () => {
      upper.set(i64.const(0));
      f.when(
        i64.lt_u(count, i64.const(128)),
        () => {
          // By 64 and the rest; the shift back is by 64 less the rest, in two steps as it may be 64
          const rest = f.let('i64', i64.sub(count, i64.const(64)));
          const fallen = i64.shl(i64.shl(high, i64.const(1)), i64.sub(i64.const(63), rest));
          lower.set(i64.or(i64.shr_u(high, rest), sticky(i64.or(low, fallen))));
        },
        () => lower.set(i64.const(1)),
      );
    },
  );
  return { high: upper.get, low: lower.get };
}

/** fused64(context, x, y, z, signs): x · y + z, exactly as the CPU has it. */
function fused(format: Format): Helper {
  return {
    name: `fused${format.bits}`,
    parameters: ['i32', 'i64', 'i64', 'i64', 'i32'],
    result: 'i64',
    emit(f, context, first, second, third, signs) {
      const signBit = (bit: number): Code =>
        select(i32.and(signs, i32.const(bit)), i64.const(format.sign), i64.const(0));
      const negated = f.let('i64', i64.xor(first, signBit(NEGATE_PRODUCT)));
      const added = f.let('i64', i64.xor(third, signBit(NEGATE_ADDEND)));
      answerQuickly(f, format, negated, second, added);
      const y = operand(f, format, second);
      // A NaN keeps its sign
      f.when(i32.or(i32.or(isNaN(format, first), isNaN(format, y)), isNaN(format, third)), () => {
        const signals = [first, y, third].map((one) => isSignalling(format, one));
        raiseIf(f, signals.reduce((a, b) => i32.or(a, b)), MXCSR.invalid);
        answer(f, quieted(format, select(isNaN(format, first), first, select(isNaN(format, y), y, third))));
      });
      const x = operand(f, format, negated);
      const z = operand(f, format, added);
      const sign = f.let('i64', i64.xor(signOf(format, x), signOf(format, y)));
      const isInfiniteProduct = f.let('i32', i32.or(isInfinite(format, x), isInfinite(format, y)));
      const isZeroProduct = f.let('i32', i32.or(isZero(format, x), isZero(format, y)));
      const differ = f.let('i32', i64.ne(sign, signOf(format, z)));
      const wrong = i32.or(isZeroProduct, i32.and(isInfinite(format, z), differ));
      f.when(i32.and(isInfiniteProduct, wrong), () => answerInvalid(f, format));
      noteDenormals(f, format, x, y, z);
      f.when(isInfiniteProduct, () => answer(f, i64.or(placeSign(format, sign), i64.const(format.infinity))));
      f.when(isInfinite(format, z), () => answer(f, z));
      const zero = (): Code => placeSign(format, asBit(i32.eq(modeOf(f), i32.const(ROUND.down))));
      f.when(isZeroProduct, () => {
        f.when(isZero(format, z), () => answer(f, select(differ, zero(), z)));
        const only = unpack(f, format, z);
        answer(f, rounded(f, format, signOf(format, z), only.exponent, only.significand));
      });
      const [a, b] = [unpack(f, format, x), unpack(f, format, y)];
      const high = f.variable('i64');
      const low = f.variable('i64');
      const exponent = f.variable('i32');
      high.set(f.call('mulHigh', a.significand, b.significand));
      low.set(i64.mul(a.significand, b.significand));
      exponent.set(i32.add(i32.add(a.exponent, b.exponent), i32.const(1)));
      f.when(i64.ge_s(high.get, i64.const(0)), () => {
        high.set(i64.or(i64.shl(high.get, i64.const(1)), i64.shr_u(low.get, i64.const(63))));
        low.set(i64.shl(low.get, i64.const(1)));
        exponent.set(i32.sub(exponent.get, i32.const(1)));
      });
      f.when(isZero(format, z), () =>
        answer(f, f.call(rounderName(format), context, sign, exponent.get, i64.or(high.get, sticky(low.get)))),
      );
      // The larger one, two bits lower so that a carry has room, and the smaller one at its place
      const c = unpack(f, format, z);
      const isLarger = i32.or(
        i32.gt_s(exponent.get, c.exponent),
        i32.and(i32.eq(exponent.get, c.exponent), i64.ge_u(high.get, c.significand)),
      );
      const larger = f.let('i32', isLarger);
      const nothing = i64.const(0);
      const top = f.let('i32', select(larger, exponent.get, c.exponent));
      const bottom = select(larger, c.exponent, exponent.get);
      const distance = f.let('i64', i64.extend_i32_u(i32.add(i32.sub(top, bottom), i32.const(2))));
      const large = movedDown(f, f.let('i64', select(larger, high.get, c.significand)), f.let('i64', select(larger, low.get, nothing)), i64.const(2));
      const small = movedDown(f, f.let('i64', select(larger, c.significand, high.get)), f.let('i64', select(larger, nothing, low.get)), distance);
      const resultSign = f.let('i64', select(larger, sign, signOf(format, z)));
      const lower = f.variable('i64');
      const upper = f.variable('i64');
      f.when(
        differ,
        () => {
          lower.set(i64.sub(large.low, small.low));
          upper.set(i64.sub(i64.sub(large.high, small.high), asBit(i64.lt_u(large.low, small.low))));
        },
        () => {
          lower.set(i64.add(large.low, small.low));
          upper.set(i64.add(i64.add(large.high, small.high), asBit(i64.lt_u(lower.get, large.low))));
        },
      );
      f.when(i64.eqz(i64.or(upper.get, lower.get)), () => answer(f, zero()));
      const start = f.variable('i32');
      start.set(i32.add(top, i32.const(2)));
      f.when(i64.eqz(upper.get), () => {
        upper.set(lower.get);
        lower.set(nothing);
        start.set(i32.sub(start.get, i32.const(64)));
      });
      const zeros = f.let('i64', i64.clz(upper.get));
      const next = i64.shr_u(i64.shr_u(lower.get, i64.const(1)), i64.sub(i64.const(63), zeros));
      const significand = i64.or(i64.or(i64.shl(upper.get, zeros), next), sticky(i64.shl(lower.get, zeros)));
      return f.call(rounderName(format), context, resultSign, i32.sub(start.get, i32.wrap_i64(zeros)), significand);
    },
  };
} // prettier-ignore

const ORDERS = ['132', '213', '231'] as const;
type Order = (typeof ORDERS)[number];
/** First factor, second factor, addend among the operands. */
const PLACES: Record<Order, readonly [number, number, number]> = {
  '132': [0, 2, 1],
  '213': [1, 0, 2],
  '231': [1, 2, 0],
};
/** Opcode of the order 132; the others are 16 and 32 further. Signs of even and of odd lanes. */
const OPERATIONS = [
  ['vfmaddsub', 0x96, NEGATE_ADDEND, 0],
  ['vfmsubadd', 0x97, 0, NEGATE_ADDEND],
  ['vfmadd', 0x98, 0, 0],
  ['vfmsub', 0x9a, NEGATE_ADDEND, NEGATE_ADDEND],
  ['vfnmadd', 0x9c, NEGATE_PRODUCT, NEGATE_PRODUCT],
  ['vfnmsub', 0x9e, NEGATE_PRODUCT | NEGATE_ADDEND, NEGATE_PRODUCT | NEGATE_ADDEND],
] as const;

function laneResult(
  e: InstructionEmitter,
  format: Format,
  order: Order,
  vectors: readonly Code[],
  lane: number,
  signs: number,
): Code {
  const [x, y, z] = PLACES[order].map((place) => laneOf(format, vectors[place] ?? ZERO, lane));
  return e.call(`fused${format.bits}`, e.context, x ?? ZERO, y ?? ZERO, z ?? ZERO, i32.const(signs));
}

function instructionsOf(host: HostFormat, order: Order): Instruction[] {
  const { format, letter } = host;
  const double = format.bits === 64;
  const prefix = '66.0F38';
  const w = double ? 'W1' : 'W0';
  return OPERATIONS.flatMap(([name, base, even, odd]) => {
    const opcode = (scalar: 0 | 1): string =>
      (base + scalar + ORDERS.indexOf(order) * 16).toString(16).toUpperCase();
    const declare = (suffix: string, length: string, operands: string, number: 0 | 1, emit: (e: InstructionEmitter, operands: readonly [Operand, Operand, Operand]) => void): Instruction =>
      instruction({
        mnemonic: `${name}${order}${suffix}${double ? 'd' : 's'}`,
        source: `SDM vol. 2C, ${name.toUpperCase()}${order}${suffix.toUpperCase()}${double ? 'D' : 'S'}`,
        feature: 'fma',
        forms: [[`VEX.${length}.${prefix}.${w} ${opcode(number)} /r`, operands]],
        emit(e, target, second, third) {
          if (third !== undefined) emit(e, [target, second, third]);
        },
      });
    const packed = (['128', '256'] as const).map((length) =>
      declare('p', length, 'Vx,Hx,Wx', 0, (e, operands) => {
        const halves = [operands.map((one) => e.read(one))];
        if (length === '256') halves.push(operands.map((one) => e.readHigh(one)));
        const results: Code[] = [];
        withFlags(e, () => {
          for (const vectors of halves) {
            let result: Code = ZERO;
            for (let lane = 0; lane < laneCount(format); lane++) {
              const value = laneResult(e, format, order, vectors, lane, lane % 2 === 0 ? even : odd);
              result = e.let('v128', replaceLane(format, result, lane, value));
            }
            results.push(result);
          }
        });
        const [low = ZERO, high] = results;
        if (high === undefined) e.write(operands[0], low);
        else e.writeHalves(operands[0], low, high);
      }),
    );
    if (even !== odd) return packed;
    const scalar = declare('s', 'LIG', `Vx,Hx,W${letter}`, 1, (e, operands) => {
      const vectors = operands.map((one) => e.read(one));
      const value = e.variable('i64');
      withFlags(e, () => value.set(laneResult(e, format, order, vectors, 0, even)));
      e.write(operands[0], replaceLane(format, vectors[0] ?? ZERO, 0, value.get));
    });
    return [...packed, scalar];
  });
} // prettier-ignore

export const fma: Family = {
  helpers: FORMATS.map(fused),
  instructions: [HOST_SINGLE, HOST_DOUBLE].flatMap((host) =>
    ORDERS.flatMap((order) => instructionsOf(host, order)),
  ),
};
