// Arithmetic flags, kept as a recipe: kind, operands and result, all sign-extended to 64 bits, so that conditions are
// single compares whatever the operand size, and computed only where read.
//
//   kind       C                 O                      Z S P            used by
//   sub        A <u B            from A, B, R           from R           sub cmp neg; logic as R - 0
//   add        carry of A+B=R    from A, B, R           from R           add adc
//   sbb        borrow of A-B-1   from A, B, R           from R           sbb with a borrow
//   imul       both: A × B is not R    (A, B sign-extended)   from R       imul with two or three operands
//   result     bits of A: C, A, O at their places       from R           shifts, inc, dec, mul
//   explicit   all six are bits of A                                     popf, comisd, bt
//
// R is 0 exactly when Z is set, in every kind.

import { CONTEXT } from '../layout.ts';
import type { Emitter, FlagName, FlagRecipe } from './emitter.ts';
import type { Code } from './wasm.ts';
import { call, i32, i64, when } from './wasm.ts';

export const FLAG_KIND = { explicit: 0, sub: 1, add: 2, sbb: 3, result: 4, imul: 5 } as const;
export const FLAG_BIT: Record<FlagName, number> = { C: 0, P: 2, A: 4, Z: 6, S: 7, O: 11 };
export const ARITHMETIC_FLAGS = 0x8d5;
/** Where the four words are in a context. */
export const FLAG_FIELDS = {
  kind: CONTEXT.flagKind,
  a: CONTEXT.flagA,
  b: CONTEXT.flagB,
  result: CONTEXT.flagResult,
} as const;

export function signExtend(value: Code, size: number): Code {
  if (size === 1) return i64.extend8_s(value);
  if (size === 2) return i64.extend16_s(value);
  return size === 4 ? i64.extend32_s(value) : value;
}

function storeFlags(
  body: Emitter,
  kind: number,
  a: Code | undefined,
  b: Code | undefined,
  result: Code,
): void {
  const context = body.context;
  body.emit(i32.store(context, i32.const(kind), CONTEXT.flagKind));
  if (a !== undefined) body.emit(i64.store(context, a, CONTEXT.flagA));
  if (b !== undefined) body.emit(i64.store(context, b, CONTEXT.flagB));
  body.emit(i64.store(context, result, CONTEXT.flagResult));
}

export function emitFlags(
  body: Emitter,
  recipe: FlagRecipe,
  a: Code,
  b: Code,
  result: Code,
  size: number,
): void {
  const r = body.let('i64', signExtend(result, size));
  if (recipe === 'logic') return storeFlags(body, FLAG_KIND.sub, r, i64.const(0), r);
  if (recipe === 'inc' || recipe === 'dec') {
    const limit = recipe === 'inc' ? -(2n ** BigInt(size * 8 - 1)) : 2n ** BigInt(size * 8 - 1) - 1n;
    const overflow = i32.shl(i64.eq(r, i64.const(limit)), i32.const(11));
    const nibble = i32.and(i32.wrap_i64(r), i32.const(15));
    const adjust = i32.shl(i32.eq(nibble, i32.const(recipe === 'inc' ? 0 : 15)), i32.const(4));
    const word = i64.extend_i32_u(i32.or(carryFlag(body), i32.or(overflow, adjust)));
    return storeFlags(body, FLAG_KIND.result, body.let('i64', word), undefined, r);
  }
  if (recipe === 'imul') return storeFlags(body, FLAG_KIND.imul, signExtend(a, size), signExtend(b, size), r);
  const kind = recipe === 'sub' ? FLAG_KIND.sub : recipe === 'sbb' ? FLAG_KIND.sbb : FLAG_KIND.add;
  storeFlags(body, kind, signExtend(a, size), signExtend(b, size), r);
}

export function emitFlagsOf(body: Emitter, result: Code, carry: Code, overflow: Code, size: number): void {
  const word = body.let('i64', i64.extend_i32_u(i32.or(carry, i32.shl(overflow, i32.const(11)))));
  storeFlags(body, FLAG_KIND.result, word, undefined, signExtend(result, size));
}

export function emitSetFlags(body: Emitter, values: Partial<Record<FlagName, Code>>): void {
  let mask = 0;
  let word: Code = i32.const(0);
  const names: readonly FlagName[] = ['C', 'P', 'A', 'Z', 'S', 'O'];
  for (const name of names) {
    const value = values[name];
    if (value === undefined) continue;
    mask |= 1 << FLAG_BIT[name];
    word = i32.or(word, i32.shl(value, i32.const(FLAG_BIT[name])));
  }
  if (mask !== ARITHMETIC_FLAGS)
    word = i32.or(i32.and(flagBits(body), i32.const(ARITHMETIC_FLAGS & ~mask)), word);
  emitFlagBits(body, body.let('i32', word));
}

/** Sets all six from a word as in RFLAGS. */
export function emitFlagBits(body: Emitter, word: Code): void {
  const a = i64.extend_i32_u(i32.and(word, i32.const(ARITHMETIC_FLAGS)));
  const notZero = i64.extend_i32_u(i32.eqz(i32.and(word, i32.const(1 << FLAG_BIT.Z))));
  storeFlags(body, FLAG_KIND.explicit, a, undefined, notZero);
}

const kindOf = (body: Emitter): Code => i32.load(body.context, CONTEXT.flagKind);
const partOf = (body: Emitter, offset: number): Code => i64.load(body.context, offset);
export const flagBits = (body: Emitter): Code => call('flagBits', body.context);

export function carryFlag(body: Emitter): Code {
  const isSub = i32.eq(kindOf(body), i32.const(FLAG_KIND.sub));
  const compare = i64.lt_u(partOf(body, CONTEXT.flagA), partOf(body, CONTEXT.flagB));
  return when(isSub, compare, i32.and(flagBits(body), i32.const(1)), 'i32');
}

/** Operands of a comparison, sign-extended: what a conditional branch right behind it needs. */
export interface Compared {
  readonly a: Code;
  readonly b: Code;
  readonly result: Code;
}

/** The condition code of a comparison whose operands are at hand; O and P are not among those that are asked. */
export function comparedCondition({ a, b, result }: Compared, code: number): Code {
  const zero = i64.const(0);
  switch (code) {
    case 2: return i64.lt_u(a, b);
    case 3: return i64.ge_u(a, b);
    case 4: return i64.eqz(result);
    case 5: return i64.ne(result, zero);
    case 6: return i64.le_u(a, b);
    case 7: return i64.gt_u(a, b);
    case 8: return i64.lt_s(result, zero);
    case 9: return i64.ge_s(result, zero);
    case 12: return i64.lt_s(a, b);
    case 13: return i64.ge_s(a, b);
    case 14: return i64.le_s(a, b);
    case 15: return i64.gt_s(a, b);
    default: throw new Error(`condition ${code} is not fused`);
  } // prettier-ignore
}

/** i32 0/1. Conditions that a compare decides are inlined for kind sub; the rest asks the function `conditionN`. */
export function conditionOf(body: Emitter, code: number): Code {
  const negate = (code & 1) !== 0;
  const not = (value: Code): Code => (negate ? i32.eqz(value) : value);
  const a = partOf(body, CONTEXT.flagA);
  const b = partOf(body, CONTEXT.flagB);
  const result = partOf(body, CONTEXT.flagResult);
  const bit = (word: Code, name: FlagName): Code =>
    i32.and(i32.shr_u(word, i32.const(FLAG_BIT[name])), i32.const(1));
  const bySub = (compare: Code, general: string): Code => {
    const value = body.variable('i32');
    body.unlikely(
      i32.ne(kindOf(body), i32.const(FLAG_KIND.sub)),
      () => value.set(not(call(general, body.context))),
      () => value.set(compare),
    );
    return value.get;
  };
  switch (code >> 1) {
    case 0: return not(bit(flagBits(body), 'O'));
    case 1: return bySub(negate ? i64.ge_u(a, b) : i64.lt_u(a, b), 'isBelow');
    case 2: return negate ? i64.ne(result, i64.const(0)) : i64.eqz(result);
    case 3: return bySub(negate ? i64.gt_u(a, b) : i64.le_u(a, b), 'isBelowOrEqual');
    case 4: return when(kindOf(body), not(i64.lt_s(result, i64.const(0))), not(bit(flagBits(body), 'S')), 'i32');
    case 5: return not(bit(flagBits(body), 'P'));
    case 6: return bySub(negate ? i64.ge_s(a, b) : i64.lt_s(a, b), 'isLess');
    default: return bySub(negate ? i64.gt_s(a, b) : i64.le_s(a, b), 'isLessOrEqual');
  } // prettier-ignore
}

/** Functions (context) → i32 0/1 for the conditions that need more than one flag, whatever the kind. */
export const GENERAL_CONDITIONS: Readonly<Record<string, (body: Emitter) => Code>> = {
  isBelow: (body) => i32.and(flagBits(body), i32.const(1)),
  isBelowOrEqual: (body) => i32.ne(i32.and(flagBits(body), i32.const(0x41)), i32.const(0)),
  isLess: (body) => lessBit(body.let('i32', flagBits(body))),
  isLessOrEqual(body) {
    const word = body.let('i32', flagBits(body));
    return i32.or(lessBit(word), i32.ne(i32.and(word, i32.const(0x40)), i32.const(0)));
  },
};

/** S is not O. */
function lessBit(word: Code): Code {
  return i32.and(i32.xor(i32.shr_u(word, i32.const(7)), i32.shr_u(word, i32.const(11))), i32.const(1));
}

/** Body of the function flagBits(context) → i32: the six flags at their places in RFLAGS. */
export function flagBitsBody(body: Emitter): Code {
  const a = partOf(body, CONTEXT.flagA);
  const kind = body.let('i32', kindOf(body));
  body.when(i32.eqz(kind), () => body.emit([i32.wrap_i64(a), 0x0f]));
  const r = body.let('i64', partOf(body, CONTEXT.flagResult));
  const low = i32.wrap_i64(r);
  const parity = i32.and(i32.popcnt(i32.and(low, i32.const(255))), i32.const(1));
  const word = body.variable('i32');
  const at = (value: Code, name: FlagName): Code => i32.shl(value, i32.const(FLAG_BIT[name]));
  word.set(i32.or(at(i32.eqz(parity), 'P'), i32.or(at(i64.eqz(r), 'Z'), at(i64.lt_s(r, i64.const(0)), 'S'))));
  body.when(i32.eq(kind, i32.const(FLAG_KIND.result)), () => body.emit([i32.or(word.get, i32.wrap_i64(a)), 0x0f])); // prettier-ignore
  const x = body.let('i64', a);
  const y = body.let('i64', partOf(body, CONTEXT.flagB));
  body.when(i32.eq(kind, i32.const(FLAG_KIND.imul)), () => {
    const product = i64.mul(x, y);
    const high = call('mulHighSigned', x, y);
    const tooLarge = i32.or(i64.ne(product, r), i64.ne(high, i64.shr_s(product, i64.const(63))));
    body.emit([i32.or(word.get, i32.mul(tooLarge, i32.const(0x801))), 0x0f]);
  });
  const xor = body.let('i64', i64.xor(x, y));
  const carry = body.variable('i64');
  const overflow = body.variable('i64');
  const not = (value: Code): Code => i64.xor(value, i64.const(-1));
  body.when(
    i32.eq(kind, i32.const(FLAG_KIND.add)),
    () => {
      carry.set(i64.or(i64.and(x, y), i64.and(xor, not(r))));
      overflow.set(i64.and(not(xor), i64.xor(x, r)));
    },
    () => {
      carry.set(i64.or(i64.and(not(x), y), i64.and(not(xor), r)));
      overflow.set(i64.and(xor, i64.xor(x, r)));
    },
  );
  const adjust = i32.and(i32.wrap_i64(i64.xor(xor, r)), i32.const(0x10));
  const top = (value: Code): Code => i32.wrap_i64(i64.shr_u(value, i64.const(63)));
  return i32.or(i32.or(word.get, adjust), i32.or(top(carry.get), at(top(overflow.get), 'O')));
}
