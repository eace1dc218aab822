// Floating point of compiled code. Instructions take for granted that the host's result does (`Expectation`), and go on
// with it. What they expect is checked once for many of them, before anything of it can be seen: in front of stores,
// branches, calls. Where it does not hold, the region is left in front of the first of them, and the interpreter
// executes them all; registers of that point are still in locals.
//
// One vector collects it. The sixteen bits on top of a number are sign and exponent; doubled they lose the sign, and after
// an addition what must not be is below three binades. So the least of all is compared. A zero as a result gives doubt,
// too: then `odd` of the expectations looks closely.

import type { Expectation } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { call, i32, local, unlikely } from '../exec/wasm.ts';
import { f32x4, f64x2, i16x8, i32x4, i64x2, v128 } from '../exec/wasm-simd.ts';
import { CONTEXT } from '../layout.ts';
import type { NumberBits } from './float-facts.ts';
import type { FloatFacts } from './float-facts.ts';
import { FACT, NO_FACTS, factsOf, withFact } from './float-facts.ts';
import type { AssumedRegister } from './loop-facts.ts';
import type { Front, Unit } from './unit.ts';
import { allocateFixed, context, emit, keep, vectorOf, wholeVector } from './unit.ts';

interface Wanted {
  readonly code: Code;
  readonly bits: NumberBits;
  readonly vector: boolean;
  /** An operand is not denormal, a result is ordinary, and a number is no NaN. */
  readonly as: 'operand' | 'result' | 'number';
}
/** Instructions whose expectations are still to be checked. Registers do not go home while there is one. */
export interface Guess {
  /** In front of the first of them. */
  readonly start: Front;
  readonly wanted: readonly Wanted[];
  readonly doubts: readonly Code[];
  readonly odd: readonly (() => Code)[];
  readonly control: boolean;
}

/** More at once keep too many values alive. */
const GUESS_MAX = 16;
export const isFull = (unit: Unit): boolean => (unit.guess?.odd.length ?? 0) >= GUESS_MAX;

/** Notes that the number, or all of a vector, is neither denormal nor a NaN. */
export function noteOrdinary(unit: Unit, bits: NumberBits, code: Code): void {
  unit.state.float = withFact(unit.state.float, bits, code, FACT.both);
}

/** An instruction relies on what it expects; `start` is in front of it. */
export function expect(unit: Unit, start: Front, expectation: Expectation): boolean {
  if (unit.nesting > 0) return false; // a part of an instruction, which not every way goes
  const { bits, vector, operands = [], ordered, result, doubt, odd } = expectation;
  const needed = ordered === true ? FACT.both : FACT.notDenormal;
  const wanted: Wanted[] = [];
  for (const code of operands) {
    const facts = factsOf(unit.state.float, bits, code);
    if ((facts & FACT.notDenormal) === 0) wanted.push({ code, bits, vector, as: 'operand' });
    if ((needed & ~facts & FACT.notNaN) !== 0) wanted.push({ code, bits, vector, as: 'number' });
    unit.state.float = withFact(unit.state.float, bits, code, needed);
  }
  if (result !== undefined && factsOf(unit.state.float, bits, result) !== FACT.both)
    wanted.push({ code: result, bits, vector, as: 'result' });
  if (result !== undefined) noteOrdinary(unit, bits, result);
  const control = !unit.state.float.control;
  const isNothing = wanted.length === 0 && doubt === undefined;
  if (isNothing && !control) return true;
  unit.state.float = { ...unit.state.float, control: true };
  const guess = unit.guess ?? { start, wanted: [], doubts: [], odd: [], control: false };
  unit.guess = {
    ...guess,
    control: guess.control || control,
    wanted: [...guess.wanted, ...wanted],
    doubts: doubt === undefined ? guess.doubts : [...guess.doubts, doubt],
    odd: isNothing ? guess.odd : [...guess.odd, odd],
  };
  return true;
}

/** The number that a register holds, or all of the vector. */
function assumedCode(unit: Unit, { number, bits, vector }: AssumedRegister): Code {
  if (vector) return wholeVector(unit, number);
  const part = bits === 64 ? 'low' : 'low32';
  const known = vectorOf(unit, number)[part];
  if (known !== undefined) return known;
  const whole = wholeVector(unit, number);
  const type = bits === 64 ? 'f64' : 'f32';
  const code = keep(unit, type, (bits === 64 ? f64x2 : f32x4).extract_lane(whole, 0));
  unit.state.float = withFact(unit.state.float, bits, code, factsOf(unit.state.float, bits, whole));
  const now = vectorOf(unit, number);
  unit.state.xmm[number] = { ...now, [part]: code, rest: now.rest ?? now.whole };
  return code;
}
/** What the home of a register holds, if it is kept in this way. */
function homeCode(unit: Unit, { number, bits, vector }: AssumedRegister): Code | undefined {
  const home = unit.homeVectors[number];
  return vector ? home?.whole : bits === 64 ? home?.low : home?.low32;
}

/** In front of a loop, or of another turn: what it assumes becomes something to check, where it is not known. */
export function assume(unit: Unit, to: number, assumed: readonly AssumedRegister[]): void {
  const { nesting } = unit;
  unit.nesting = 0;
  const { flags, x87, executed } = unit.state;
  const start: Front = { at: to, flags, x87, executed };
  expect(unit, start, { bits: 64, vector: false, odd: () => i32.const(0) });
  for (const register of assumed) {
    if (homeCode(unit, register) === undefined) continue;
    const { bits, vector } = register;
    const code = assumedCode(unit, register);
    expect(unit, start, {
      bits,
      vector,
      operands: [code],
      odd: () => call(oddOperand(bits, vector), code),
    });
  }
  unit.nesting = nesting;
}
/** The facts of a loop, whose registers are at home. */
export function assumedFacts(unit: Unit, assumed: readonly AssumedRegister[]): FloatFacts {
  let facts: FloatFacts = { ...NO_FACTS, control: true };
  for (const register of assumed) {
    const code = homeCode(unit, register);
    if (code !== undefined) facts = withFact(facts, register.bits, code, FACT.notDenormal);
  }
  return facts;
}

/** Scalars side by side, as many as fill a vector. */
function packed(bits: NumberBits, wanted: readonly Wanted[], as: Wanted['as']): Code[] {
  const these = wanted.filter((one) => one.as === as);
  const vectors = these.filter(({ vector }) => vector).map(({ code }) => code);
  const scalars = these.filter(({ vector }) => !vector).map(({ code }) => code);
  const { splat, replace_lane } = bits === 64 ? f64x2 : f32x4;
  const lanes = 128 / bits;
  for (let i = 0; i < scalars.length; i += lanes) {
    const [first = 0, ...others] = scalars.slice(i, i + lanes);
    vectors.push(others.reduce((all, x, lane) => replace_lane(all, lane + 1, x), splat(first)));
  }
  return vectors;
}

/** A constant in a local of the region: V8 would make it anew at each use. */
function words(unit: Unit, word: number): Code {
  let index = unit.constants.get(word);
  if (index === undefined) {
    index = allocateFixed(unit.types, 'v128');
    unit.constants.set(word, index);
  }
  return local.get(index);
}
/** For the beginning of the region. */
export const loadConstants = (unit: Unit): Code =>
  [...unit.constants].map(([word, index]) => local.set(index, i16x8.splat(i32.const(word))));

/** i32, not zero: a number may not be as expected. */
function doubtOf(unit: Unit, bits: NumberBits, all: readonly Wanted[]): Code[] {
  const wanted = all.filter((one) => one.bits === bits);
  const binade = bits === 64 ? 1 << 5 : 1 << 8;
  const { add } = bits === 64 ? i64x2 : i32x4;
  const doubled = (x: Code): Code => add(x, x);
  const least = (numbers: readonly Code[], limit: number): Code[] =>
    numbers.length === 0
      ? []
      : [
          i16x8.le_u(
            numbers.reduce((x, y) => i16x8.min_u(x, y)),
            words(unit, limit),
          ),
        ];
  const { ne } = bits === 64 ? f64x2 : f32x4;
  const lanes = [
    // Where the addition wraps, infinities and NaNs come to lie below
    ...least(packed(bits, wanted, 'result').map((x) => i16x8.add(doubled(x), words(unit, binade))), 3 * binade - 1),
    // Less one, a zero is far away from what is denormal
    ...least(packed(bits, wanted, 'operand').map((x) => add(doubled(x), words(unit, -1))), binade - 1),
    ...packed(bits, wanted, 'number').map((x) => ne(x, x)),
  ]; // prettier-ignore
  if (lanes.length === 0) return [];
  const { bitmask } = bits === 64 ? i64x2 : i32x4;
  return [bitmask(lanes.reduce((a, b) => v128.or(a, b)))];
}

/** Helpers of isa/sse-expect.ts. */
const oddOperand = (bits: NumberBits, vector: boolean): string => `sseOddOperand${bits}${vector ? 'v' : ''}`;

const controlIsSlow = i32.xor(i32.and(i32.load(context, CONTEXT.mxcsr), i32.const(-0x20)), i32.const(0x1fa0));

/** Checks what was expected since the last time. `leave` is the exit in front of the first instruction of a guess. */
export function checkGuess(unit: Unit, leave: (guess: Guess) => Code): void {
  const { guess } = unit;
  if (guess === undefined) return;
  unit.guess = undefined;
  const any = (codes: readonly Code[]): Code => codes.reduce((a, b) => i32.or(a, b));
  const control = guess.control ? [controlIsSlow] : [];
  const numbers = ([64, 32] as const).flatMap((bits) => doubtOf(unit, bits, guess.wanted));
  const odd = any([...guess.odd.map((make) => make()), ...control]);
  emit(unit, unlikely(any([...numbers, ...guess.doubts, ...control]), unlikely(odd, leave(guess))));
}
