// What an x87 instruction finds when it begins, and the plain ways to end it: with operands that are there and results that
// are ordinary numbers, nothing but registers, tags and status changes, and no slot of the scratch area is needed. The
// frequent instructions ask for that first; everything else goes the long way of x87-state.ts (x87-general.ts).

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64 } from '../exec/wasm.ts';
import { CONTEXT } from '../layout.ts';
import { VECTOR } from '../machine.ts';
import { C1, FLAG } from './x87-state.ts';

const TOP_FIELD = 0x3800;
const SUMMARY = 0x80;
/** Masks, precision and rounding control, and their usual values: all masked, 64 bits, to nearest. */
const CONTROL = 0xf3f;
const USUAL_CONTROL = 0x33f;
const MASKS = 0x3f;

/** The stack as it is in front of the instruction. */
export interface Look {
  readonly fsw: Code; // i32
  /** i32: bit 2·i is set if ST(i) is empty; other bits do not count. */
  readonly empty: Code;
}
/** A register's content: exponent has the sign in bit 15. */
export interface Real {
  readonly significand: Code; // i64
  readonly exponent: Code; // i32
}

/** Number of a stack register: known when the code is made, or not. */
export type Index = number | Code;
const isKnown = (i: Index): i is number => typeof i === 'number';

/** Waits for exceptions, as nearly every instruction does. */
export function look(e: InstructionEmitter): Look {
  const fsw = e.let('i32', e.get('fsw'));
  e.raiseIf(i32.and(fsw, i32.const(SUMMARY)), VECTOR.floatingPoint);
  const tags = e.let('i32', e.get('ftw'));
  const twice = i32.or(tags, i32.shl(tags, i32.const(16)));
  const rotated = e.let('i32', i32.shr_u(twice, tagShift(fsw, 0)));
  return { fsw, empty: e.let('i32', i32.and(rotated, i32.shr_u(rotated, i32.const(1)))) };
}

/** Twice the number of the physical register of ST(i). */
function tagShift(fsw: Code, i: Index): Code {
  const sum = i === 0 ? fsw : i32.add(fsw, isKnown(i) ? i32.const(i << 11) : i32.shl(i, i32.const(11)));
  return i32.and(i32.shr_u(sum, i32.const(10)), i32.const(14));
}
/** Address of the physical register of ST(i), to which CONTEXT.x87 is added. */
export function placeOfStack(e: Emitter, { fsw }: Look, i: Index): Code {
  const sum = i === 0 ? fsw : i32.add(fsw, isKnown(i) ? i32.const(i << 11) : i32.shl(i, i32.const(11)));
  return e.let('i32', i32.add(e.context, i32.and(i32.shr_u(sum, i32.const(7)), i32.const(0x70))));
}
export const load = (e: Emitter, place: Code): Real => ({
  significand: e.let('i64', i64.load(place, CONTEXT.x87)),
  exponent: e.let('i32', i32.load16_u(place, CONTEXT.x87 + 8)),
});
export function store(e: Emitter, place: Code, { significand, exponent }: Real): void {
  e.emit(i64.store(place, significand, CONTEXT.x87));
  e.emit(i32.store16(place, exponent, CONTEXT.x87 + 8));
}

const bitOf = (i: Index): Code =>
  isKnown(i) ? i32.const(1 << (2 * i)) : i32.shl(i32.const(1), i32.shl(i, i32.const(1)));
const bitsOf = (indexes: readonly Index[]): Code => {
  const known = indexes.filter(isKnown).reduce((bits, i) => bits | (1 << (2 * i)), 0);
  return indexes
    .filter((i) => !isKnown(i))
    .reduce<Code>((bits, i) => i32.or(bits, bitOf(i)), i32.const(known));
};
/** i32: not 0 if one of these registers is empty. */
export const anyEmpty = ({ empty }: Look, ...indexes: Index[]): Code => i32.and(empty, bitsOf(indexes));
/** i32: not 0 if there is no room to push. */
export const isFull = ({ empty }: Look): Code =>
  i32.xor(i32.and(empty, i32.const(1 << 14)), i32.const(1 << 14));
/** i32: not 0 unless all is masked, and arithmetic is to nearest with 64 bits. */
export const isUnusual = (e: Emitter): Code =>
  i32.xor(i32.and(e.get('fcw'), i32.const(CONTROL)), i32.const(USUAL_CONTROL));
/** i32: not 0 unless all is masked. */
export const isSomeUnmasked = (e: Emitter): Code =>
  i32.xor(i32.and(e.get('fcw'), i32.const(MASKS)), i32.const(MASKS));

/** The status word with C1 (or the codes of `clear`) cleared, these flags set, TOP moved. */
export function setStatus(e: Emitter, { fsw }: Look, flags: Code, moved: number, clear = C1): void {
  const kept = i32.and(fsw, i32.const(~(moved === 0 ? clear : clear | TOP_FIELD)));
  const top = i32.and(i32.add(fsw, i32.const(moved << 11)), i32.const(TOP_FIELD));
  const status = moved === 0 ? kept : i32.or(kept, top);
  e.set('fsw', e.let('i32', flags === 0 ? status : i32.or(status, flags)));
}
export function tagTop(e: Emitter, { fsw }: Look, pops: number): void {
  if (pops === 0) return;
  let tags = e.get('ftw');
  for (let i = 0; i < pops; i++) tags = i32.or(tags, i32.shl(i32.const(3), tagShift(fsw, i)));
  e.set('ftw', tags);
}
export function tagValid(e: Emitter, { fsw }: Look, i: Index): void {
  const tag = i32.shl(i32.const(3), tagShift(fsw, i));
  e.set('ftw', i32.and(e.get('ftw'), i32.xor(tag, i32.const(-1))));
}
/** Pushes onto an empty register. */
export function push(e: Emitter, at: Look, value: Real): void {
  store(e, placeOfStack(e, at, 7), value);
  tagValid(e, at, 7);
  setStatus(e, at, 0, -1);
}
/** Status and tags behind a result that is rounded: inexact or not, `up` or not. */
export const roundingFlags = (inexact: Code, up: Code): Code =>
  i32.or(i32.shl(inexact, i32.const(Math.log2(FLAG.precision))), i32.shl(up, i32.const(Math.log2(C1))));
