// Arithmetic flags of compiled code: what the last instruction did is remembered while compiling, and a condition becomes a
// comparison of its operands. Where control flows together, and at exits, they become the four words that the interpreter
// keeps (exec/flags.ts), in locals or in the context.

import { ARITHMETIC_FLAGS, FLAG_BIT, FLAG_KIND, signExtend } from '../exec/flags.ts';
import * as lazyFlags from '../exec/flags.ts';
import type { Emitter, FlagName } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { call, f32, f64, i32, i64, select } from '../exec/wasm.ts';

/** Operands and results are values: zero-extended from `size` bytes, but a result may have more bits. */
export type Flags =
  | { readonly kind: 'context' } // in the context, as exec/flags.ts has them
  | { readonly kind: 'locals' } // the same four words in locals
  | {
      readonly kind: 'sub' | 'add' | 'adc' | 'sbb' | 'imul';
      readonly a: Code;
      readonly b: Code;
      readonly result: Code;
      readonly size: number;
    }
  | { readonly kind: 'logic'; readonly result: Code; readonly size: number }
  | { readonly kind: 'inc' | 'dec'; readonly result: Code; readonly size: number; readonly before: Flags }
  | {
      readonly kind: 'shift';
      readonly result: Code;
      readonly carry: Code;
      readonly overflow: Code;
      readonly size: number;
    }
  | { readonly kind: 'word'; readonly word: Code }
  | {
      readonly kind: 'partial';
      readonly values: Partial<Record<FlagName, Code>>;
      readonly before: Flags;
    };

/** The four words: kind (i32), A, B and result (i64). */
export type FlagWords = readonly [kind: Code, a: Code, b: Code, result: Code];

const NAMES: readonly FlagName[] = ['C', 'P', 'A', 'Z', 'S', 'O'];
const bit = (value: Code, name: FlagName): Code => i32.shl(value, i32.const(FLAG_BIT[name]));
const topBit = (value: Code, size: number): Code =>
  i32.and(i32.wrap_i64(i64.shr_u(value, i64.const(size * 8 - 1))), i32.const(1));
const not = (value: Code): Code => i64.xor(value, i64.const(-1));

/** Compares with 0 at the operand's size. */
function isZero(result: Code, size: number): Code {
  if (size === 8) return i64.eqz(result);
  if (size === 4) return i32.eqz(i32.wrap_i64(result));
  return i64.eqz(i64.and(result, i64.const(size === 2 ? 0xffff : 0xff)));
}
function isNegative(result: Code, size: number): Code {
  if (size === 4) return i32.lt_s(i32.wrap_i64(result), i32.const(0));
  return i64.lt_s(signExtend(result, size), i64.const(0));
}
function zeroExtend(value: Code, size: number): Code {
  if (size === 8) return value;
  if (size === 4) return i64.extend_i32_u(i32.wrap_i64(value));
  return i64.and(value, i64.const(size === 2 ? 0xffff : 0xff));
}

/** Needs the context or the locals: `home` gives the four words of kinds 'context' and 'locals'. */
export interface FlagHome {
  readonly emitter: Emitter;
  /** Brings flags of kind 'locals' into the context. */
  toContext(): void;
  readonly locals: FlagWords;
}

/** One flag as i32 0/1. */
export function flagOf(flags: Flags, name: FlagName, home: FlagHome): Code {
  switch (flags.kind) {
    case 'locals':
      home.toContext();
      return fromContext(name, home);
    case 'context':
      return fromContext(name, home);
    case 'word':
      return i32.and(i32.shr_u(flags.word, i32.const(FLAG_BIT[name])), i32.const(1));
    case 'partial':
      return flags.values[name] ?? flagOf(flags.before, name, home);
    default:
  }
  const { result, size } = flags;
  switch (name) {
    case 'Z': return isZero(result, size);
    case 'S': return isNegative(result, size);
    case 'P': return i32.eqz(i32.and(i32.popcnt(i32.and(i32.wrap_i64(result), i32.const(255))), i32.const(1)));
    case 'C': return carryOf(flags, home);
    case 'O': return overflowOf(flags);
    default: return adjustOf(flags);
  } // prettier-ignore
}

function fromContext(name: FlagName, home: FlagHome): Code {
  if (name === 'C') return lazyFlags.carryFlag(home.emitter);
  return i32.and(i32.shr_u(lazyFlags.flagBits(home.emitter), i32.const(FLAG_BIT[name])), i32.const(1));
}

type Arithmetic = Exclude<Flags, { kind: 'context' | 'locals' | 'word' | 'partial' }>;

function carryOf(flags: Arithmetic, home: FlagHome): Code {
  switch (flags.kind) {
    case 'logic': return i32.const(0);
    case 'inc':
    case 'dec': return flagOf(flags.before, 'C', home);
    case 'shift': return flags.carry;
    case 'sub': return i64.lt_u(flags.a, flags.b);
    case 'add': return i64.lt_u(zeroExtend(flags.result, flags.size), flags.a);
    case 'imul': return imulOverflow(flags.a, flags.b, flags.result, flags.size);
    case 'adc': {
      const { a, b, result, size } = flags;
      return topBit(i64.or(i64.and(a, b), i64.and(i64.xor(a, b), not(result))), size);
    }
    case 'sbb': {
      const { a, b, result, size } = flags;
      return topBit(i64.or(i64.and(not(a), b), i64.and(not(i64.xor(a, b)), result)), size);
    }
  } // prettier-ignore
}

function imulOverflow(a: Code, b: Code, result: Code, size: number): Code {
  if (size < 8) return i64.ne(signExtend(result, size), result);
  return i64.ne(call('mulHighSigned', a, b), i64.shr_s(result, i64.const(63)));
}

function overflowOf(flags: Arithmetic): Code {
  switch (flags.kind) {
    case 'logic': return i32.const(0);
    case 'inc':
    case 'dec': {
      const limit = 2n ** BigInt(flags.size * 8 - 1);
      return i64.eq(zeroExtend(flags.result, flags.size), i64.const(flags.kind === 'inc' ? limit : limit - 1n));
    }
    case 'shift': return flags.overflow;
    case 'imul': return imulOverflow(flags.a, flags.b, flags.result, flags.size);
    case 'add':
    case 'adc': return topBit(i64.and(i64.xor(flags.a, flags.result), i64.xor(flags.b, flags.result)), flags.size);
    default: return topBit(i64.and(i64.xor(flags.a, flags.b), i64.xor(flags.a, flags.result)), flags.size);
  } // prettier-ignore
}

function adjustOf(flags: Arithmetic): Code {
  switch (flags.kind) {
    case 'logic':
    case 'shift':
    case 'imul': return i32.const(0);
    case 'inc':
    case 'dec': return i32.eq(i32.and(i32.wrap_i64(flags.result), i32.const(15)), i32.const(flags.kind === 'inc' ? 0 : 15));
    default: {
      const carries = i64.xor(i64.xor(flags.a, flags.b), flags.result);
      return i32.and(i32.shr_u(i32.wrap_i64(carries), i32.const(4)), i32.const(1));
    }
  } // prettier-ignore
}

/** All six at their places in RFLAGS, as i32. */
export function flagWord(flags: Flags, home: FlagHome): Code {
  if (flags.kind === 'locals') home.toContext();
  if (flags.kind === 'locals' || flags.kind === 'context') return lazyFlags.flagBits(home.emitter);
  if (flags.kind === 'word') return flags.word;
  if (flags.kind === 'partial') {
    let mask = ARITHMETIC_FLAGS;
    for (const name of NAMES) if (flags.values[name] !== undefined) mask &= ~(1 << FLAG_BIT[name]);
    let word: Code = mask === 0 ? i32.const(0) : i32.and(flagWord(flags.before, home), i32.const(mask));
    for (const name of NAMES) {
      const value = flags.values[name];
      if (value !== undefined) word = i32.or(word, bit(value, name));
    }
    return word;
  }
  return NAMES.map((name) => bit(flagOf(flags, name, home), name)).reduce((a, b) => i32.or(a, b));
}

/** As the interpreter keeps them. */
export function flagWords(flags: Flags, home: FlagHome): FlagWords {
  const kind = (name: keyof typeof FLAG_KIND): Code => i32.const(FLAG_KIND[name]);
  const none = i64.const(0);
  switch (flags.kind) {
    case 'locals':
      return home.locals;
    case 'context': {
      const word = (offset: number): Code => i64.load(home.emitter.context, offset);
      const at = lazyFlags.FLAG_FIELDS;
      return [i32.load(home.emitter.context, at.kind), word(at.a), word(at.b), word(at.result)];
    }
    case 'logic': {
      const result = signExtend(flags.result, flags.size);
      return [kind('sub'), result, none, result];
    }
    case 'inc':
    case 'dec':
    case 'shift': {
      const names: readonly FlagName[] = ['C', 'A', 'O'];
      const word = names.map((name) => bit(flagOf(flags, name, home), name)).reduce((a, b) => i32.or(a, b));
      return [kind('result'), i64.extend_i32_u(word), none, signExtend(flags.result, flags.size)];
    }
    case 'word':
    case 'partial': {
      const word = flagWord(flags, home);
      const notZero = i32.eqz(i32.and(word, i32.const(1 << FLAG_BIT.Z)));
      return [kind('explicit'), i64.extend_i32_u(i32.and(word, i32.const(ARITHMETIC_FLAGS))), none, i64.extend_i32_u(notZero)]; // prettier-ignore
    }
    default: {
      const name = flags.kind === 'adc' ? 'add' : flags.kind;
      const { a, b, result, size } = flags;
      return [kind(name), signExtend(a, size), signExtend(b, size), signExtend(result, size)];
    }
  }
}

/** Kinds of raw words: operands as they are, with the size; RAW + 4 × operation + log2 of the size. */
export const RAW = 16;
const RAW_OPERATION: Partial<Record<Flags['kind'], number>> = { sub: 0, add: 1, logic: 2, adc: 3, sbb: 4 };
const SIZE_LOG: Readonly<Record<number, number>> = { 1: 0, 2: 1, 4: 2, 8: 3 };

/**
 * What the four locals must be set to where control meets; words that the kind does not use stay. Raw words cost nothing
 * to make: extending them, and the result of a comparison, is left to `storeFlags`, at exits.
 */
export function rawWords(flags: Flags, home: FlagHome): readonly (Code | undefined)[] {
  const operation = RAW_OPERATION[flags.kind];
  if (operation === undefined || !('size' in flags)) return flagWords(flags, home);
  const kind = i32.const(RAW + 4 * operation + (SIZE_LOG[flags.size] ?? 0));
  if (flags.kind === 'logic') return [kind, flags.result];
  if (!('a' in flags)) return flagWords(flags, home);
  return [kind, flags.a, flags.b, operation < 3 ? undefined : flags.result];
}

/** Body of storeFlags(context, kind, a, b, result): raw words to the context, in the interpreter's form. */
export function storeFlagsBody(body: Emitter, kind: Code, a: Code, b: Code, result: Code): void {
  const at = lazyFlags.FLAG_FIELDS;
  const store = (words: FlagWords): void => {
    body.emit(i32.store(body.context, words[0], at.kind));
    body.emit(i64.store(body.context, words[1], at.a));
    body.emit(i64.store(body.context, words[2], at.b));
    body.emit(i64.store(body.context, words[3], at.result));
  };
  body.when(
    i32.lt_u(kind, i32.const(RAW)),
    () => store([kind, a, b, result]),
    () => {
      const operation = body.let('i32', i32.shr_u(i32.sub(kind, i32.const(RAW)), i32.const(2)));
      const bits = i32.shl(i32.const(8), i32.and(kind, i32.const(3)));
      const shift = body.let('i64', i64.extend_i32_u(i32.sub(i32.const(64), bits)));
      const sign = (value: Code): Code => i64.shr_s(i64.shl(value, shift), shift);
      const is = (number: number): Code => i32.eq(operation, i32.const(number));
      const isLogic = body.let('i32', is(2));
      const sum = select(is(0), i64.sub(a, b), select(is(1), i64.add(a, b), result));
      const extended = body.let('i64', sign(select(isLogic, a, sum)));
      const adds = i32.or(is(1), is(3));
      const code = select(adds, i32.const(FLAG_KIND.add), select(is(4), i32.const(FLAG_KIND.sbb), i32.const(FLAG_KIND.sub))); // prettier-ignore
      store([code, sign(a), select(isLogic, i64.const(0), sign(b)), extended]);
    },
  );
}

/** Condition codes 0 to 15 of Jcc, as i32 0/1. */
export function conditionOf(flags: Flags, code: number, home: FlagHome): Code {
  const negate = (code & 1) !== 0;
  const test = code >> 1;
  if (flags.kind === 'locals') home.toContext();
  if (flags.kind === 'locals' || flags.kind === 'context') return lazyFlags.conditionOf(home.emitter, code);
  const direct = flags.kind === 'sub' ? compared(flags, code) : flags.kind === 'logic' ? tested(flags, code) : flags.kind === 'partial' ? orderedNumbers(flags, code) : undefined; // prettier-ignore
  if (direct !== undefined) return direct;
  const flag = (name: FlagName): Code => flagOf(flags, name, home);
  const less = (): Code => i32.xor(flag('S'), flag('O'));
  const value = ((): Code => {
    switch (test) {
      case 0: return flag('O');
      case 1: return flag('C');
      case 2: return flag('Z');
      case 3: return i32.or(flag('C'), flag('Z'));
      case 4: return flag('S');
      case 5: return flag('P');
      case 6: return less();
      default: return i32.or(flag('Z'), less());
    }
  })(); // prettier-ignore
  return negate ? i32.eqz(value) : value;
}

/** After a comparison most conditions are one compare of its operands. */
function compared(flags: Extract<Flags, { a: Code }>, code: number): Code | undefined {
  const { a, b, result, size } = flags;
  const narrow = size === 4;
  const u = narrow ? i32 : i64;
  const [ua, ub] = narrow ? [i32.wrap_i64(a), i32.wrap_i64(b)] : [a, b];
  const [sa, sb] = size < 4 ? [signExtend(a, size), signExtend(b, size)] : [ua, ub];
  switch (code) {
    case 2: return u.lt_u(ua, ub);
    case 3: return u.ge_u(ua, ub);
    case 4: return u.eq(ua, ub);
    case 5: return u.ne(ua, ub);
    case 6: return u.le_u(ua, ub);
    case 7: return u.gt_u(ua, ub);
    case 8: return isNegative(result, size);
    case 9: return i32.eqz(isNegative(result, size));
    case 12: return u.lt_s(sa, sb);
    case 13: return u.ge_s(sa, sb);
    case 14: return u.le_s(sa, sb);
    case 15: return u.gt_s(sa, sb);
    default: return undefined;
  } // prettier-ignore
}

/** After COMISD and its like, of numbers without a NaN: C is `a < b`, Z is `a = b`. */
function orderedNumbers({ values }: Extract<Flags, { kind: 'partial' }>, code: number): Code | undefined {
  const isExpression = (value: Code | undefined): value is readonly Code[] => Array.isArray(value);
  const parts = (value: Code | undefined): readonly Code[] => (isExpression(value) ? value : []);
  const [[a, b, less], [first, second, equal]] = [parts(values.C), parts(values.Z)];
  if (code >> 1 !== 3 || a === undefined || b === undefined || first !== a || second !== b) return undefined;
  if (less === 0x63 && equal === 0x61) return code === 6 ? f64.le(a, b) : f64.gt(a, b);
  if (less === 0x5d && equal === 0x5b) return code === 6 ? f32.le(a, b) : f32.gt(a, b);
  return undefined;
}

function tested(flags: Extract<Flags, { kind: 'logic' }>, code: number): Code | undefined {
  const { result, size } = flags;
  const narrow = size === 4;
  const signed = narrow ? i32.wrap_i64(result) : signExtend(result, size);
  const u = narrow ? i32 : i64;
  const zero = narrow ? i32.const(0) : i64.const(0);
  switch (code) {
    case 0: case 2: return i32.const(0);
    case 1: case 3: return i32.const(1);
    case 4: case 6: return isZero(result, size);
    case 5: case 7: return i32.eqz(isZero(result, size));
    case 8: case 12: return u.lt_s(signed, zero);
    case 9: case 13: return u.ge_s(signed, zero);
    case 14: return u.le_s(signed, zero);
    case 15: return u.gt_s(signed, zero);
    default: return undefined;
  } // prettier-ignore
}
