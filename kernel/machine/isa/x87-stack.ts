// The x87's stack as frequent instructions see it: operands that are there, results that are ordinary numbers, nothing to
// report but an inexact result. An instruction begins with begin(), reads registers, says what changes, and gives
// finish() the condition under which all that does not hold: then one of the helpers of x87-general.ts does it.
//
// The interpreter writes the changes to the context at once. Compiled code keeps what is known in `e.x87` along a path
// (its type is Known: values in locals, tags, how far TOP has moved) and writes it with spill() where the path ends, leaves or
// calls. What is known never holds with a pending exception: behind a helper, code that meets one leaves.

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64 } from '../exec/wasm.ts';
import { CONTEXT } from '../layout.ts';
import { VECTOR } from '../machine.ts';
import type { Operand } from './declare.ts';
import { C0, C1, C2, C3, FLAG } from './x87-state.ts';

const TOP_FIELD = 0x3800;
const SUMMARY = 0x80;
/** Masks, precision and rounding control, and their usual values: all masked, 64 bits, to nearest. */
const CONTROL = 0xf3f;
const USUAL_CONTROL = 0x33f;
const MASKS = 0x3f;
const CODES = C0 | C2 | C3;
const ZERO = i32.const(0);

/** A register's content: exponent has the sign in bit 15. */
export interface Real {
  readonly significand: Code; // i64
  readonly exponent: Code; // i32
}
type Tag = 'valid' | 'empty';
interface Register {
  readonly place: Code; // i32, to which CONTEXT.x87 is added
  readonly real?: Real;
  /** `real` is not in the context yet. */
  readonly isNew?: boolean;
  readonly tag?: Tag;
  /** The tag in the context may be another. */
  readonly isTagged?: boolean;
}
/** Number of a stack register: known when the code is made, or not (in the interpreter, once in an instruction). */
export type Index = number | Code;
/** Key of that register; others have the distance from TOP at the beginning of the path, 0 to 7. */
const VARIABLE = -1;

export interface Known {
  readonly top: Code; // i32: a status word whose TOP all places are relative to
  readonly word: Code; // i32: the status word, but for what follows
  readonly moved: number; // TOP since
  readonly inexact?: Code | undefined; // i32 0/1: since
  readonly up?: Code | undefined; // i32 0/1: C1
  readonly codes?: Code | undefined; // C0, C2 and C3
  readonly empty: Code; // i32: bit 2·i is set if register i was empty when the path began
  readonly control: Code; // i32
  readonly registers: ReadonlyMap<number, Register>;
  readonly variable?: Code | undefined; // i32: the number of the register VARIABLE
  readonly fip?: Code | undefined;
  readonly fdp?: Code | undefined;
}
/** What is known, while an instruction changes it. */
export interface Stack {
  known: Known;
}

const shifted = (top: Code, i: Index): Code =>
  i === 0 ? top : i32.add(top, typeof i === 'number' ? i32.const(i << 11) : i32.shl(i, i32.const(11)));
/** Twice the number of a physical register. */
const tagShift = (top: Code, i: Index): Code =>
  i32.and(i32.shr_u(shifted(top, i), i32.const(10)), i32.const(14));
function emptyBits(f: Emitter, top: Code): Code {
  const tags = f.let('i32', f.get('ftw'));
  const twice = i32.or(tags, i32.shl(tags, i32.const(16)));
  const rotated = f.let('i32', i32.shr_u(twice, tagShift(top, 0)));
  return f.let('i32', i32.and(rotated, i32.shr_u(rotated, i32.const(1))));
}

/** Waits for exceptions, as nearly every instruction does. */
export function begin(e: InstructionEmitter): Stack {
  const before = e.x87?.known;
  if (before !== undefined) return { known: before };
  const word = e.let('i32', e.get('fsw'));
  e.raiseIf(i32.and(word, i32.const(SUMMARY)), VECTOR.floatingPoint);
  const empty = emptyBits(e, word);
  const control = e.let('i32', e.get('fcw'));
  return { known: { top: word, word, moved: 0, empty, control, registers: new Map() } };
}
/** Before what works on the context. */
export function leaveStack(e: InstructionEmitter): void {
  if (e.x87?.known === undefined) return;
  spill(e, e.x87.known);
  e.x87.known = undefined;
}

const keyOf = ({ known }: Stack, i: Index): number => (typeof i === 'number' ? (known.moved + i) & 7 : VARIABLE); // prettier-ignore
function change(stack: Stack, key: number, register: Register): void {
  stack.known = { ...stack.known, registers: new Map(stack.known.registers).set(key, register) };
}
function registerOf(e: Emitter, stack: Stack, i: Index): Register {
  const key = keyOf(stack, i);
  const there = stack.known.registers.get(key);
  if (there !== undefined) return there;
  const number = i32.and(i32.shr_u(shifted(stack.known.top, key === VARIABLE ? i : key), i32.const(7)), i32.const(0x70)); // prettier-ignore
  const register = { place: e.let('i32', i32.add(e.context, number)) };
  change(stack, key, register);
  if (key === VARIABLE && typeof i !== 'number') stack.known = { ...stack.known, variable: i };
  return register;
}
/** What ST(i) holds; whether it holds anything, `unlessValid` asks. */
export function realOf(e: Emitter, stack: Stack, i: Index): Real {
  const register = registerOf(e, stack, i);
  if (register.real !== undefined) return register.real;
  const real = {
    significand: e.let('i64', i64.load(register.place, CONTEXT.x87)),
    exponent: e.let('i32', i32.load16_u(register.place, CONTEXT.x87 + 8)),
  };
  change(stack, keyOf(stack, i), { ...register, real });
  return real;
}
export function setReal(e: Emitter, stack: Stack, i: Index, real: Real): void {
  const { place } = registerOf(e, stack, i);
  change(stack, keyOf(stack, i), { place, real: { ...real }, isNew: true, tag: 'valid', isTagged: true });
}
/** The same for a register that is valid. */
export function changeReal(e: Emitter, stack: Stack, i: Index, real: Real): void {
  change(stack, keyOf(stack, i), { ...registerOf(e, stack, i), real: { ...real }, isNew: true });
}

/** i32: not 0 if one of these is; undefined where none can be. */
export function anyOf(...conditions: (Code | undefined)[]): Code | undefined {
  const given = conditions.filter((condition) => condition !== undefined);
  return given.length === 0 ? undefined : given.reduce((a, b) => i32.or(a, b));
}
/** i32: not 0 if ST(i) is empty, undefined if it cannot be; from then on it is valid. */
export const unlessValid = (e: Emitter, stack: Stack, i: Index): Code | undefined =>
  demand(e, stack, i, 'valid');
/** i32: not 0 if there is no room to push; from then on there is. */
export const unlessRoom = (e: Emitter, stack: Stack): Code | undefined => demand(e, stack, 7, 'empty');
function demand(e: Emitter, stack: Stack, i: Index, tag: Tag): Code | undefined {
  const register = registerOf(e, stack, i);
  if (register.tag === tag) return undefined;
  if (register.tag !== undefined) return i32.const(1);
  const key = keyOf(stack, i);
  const bit = key === VARIABLE ? i32.shl(i32.const(1), i32.shl(stack.known.variable ?? ZERO, i32.const(1))) : i32.const(1 << (2 * key)); // prettier-ignore
  change(stack, key, { ...register, tag });
  const isEmpty = i32.and(stack.known.empty, bit);
  return tag === 'valid' ? isEmpty : i32.xor(isEmpty, bit);
}
/** i32: not 0 unless all is masked, and arithmetic is to nearest with 64 bits. */
export const unlessUsual = ({ known }: Stack): Code =>
  i32.xor(i32.and(known.control, i32.const(CONTROL)), i32.const(USUAL_CONTROL));
/** i32: not 0 unless all is masked. */
export const unlessMasked = ({ known }: Stack): Code =>
  i32.xor(i32.and(known.control, i32.const(MASKS)), i32.const(MASKS));
export const roundingMode = ({ known }: Stack): Code =>
  i32.and(i32.shr_u(known.control, i32.const(10)), i32.const(3));

/** ST(0) has been found valid. */
export function pop(e: Emitter, stack: Stack, count: number): void {
  for (let i = 0; i < count; i++) {
    change(stack, keyOf(stack, 0), { ...registerOf(e, stack, 0), tag: 'empty', isTagged: true });
    stack.known = { ...stack.known, moved: stack.known.moved + 1 };
  }
}
export function push(e: Emitter, stack: Stack, real: Real): void {
  stack.known = { ...stack.known, moved: stack.known.moved - 1 };
  setReal(e, stack, 0, real);
}
export interface Rounding {
  readonly inexact: Code; // i32 0/1
  readonly up: Code; // i32 0/1
}
export function setRounding(e: Emitter, stack: Stack, { inexact, up }: Rounding): void {
  const before = stack.known.inexact;
  const all = before === undefined ? inexact : e.let('i32', i32.or(before, inexact));
  stack.known = { ...stack.known, inexact: all, up };
}
export const clearC1 = (stack: Stack): void => void (stack.known = { ...stack.known, up: ZERO });
export const setCodes = (stack: Stack, codes: Code): void => void (stack.known = { ...stack.known, codes });

/** The status word as it is now. */
export function statusOf({ top, word, moved, inexact, up, codes }: Known): Code {
  const cleared = (moved === 0 ? 0 : TOP_FIELD) | (up === undefined ? 0 : C1) | (codes === undefined ? 0 : CODES); // prettier-ignore
  let status = cleared === 0 ? word : i32.and(word, i32.const(~cleared));
  if (moved !== 0) status = i32.or(status, i32.and(shifted(top, moved), i32.const(TOP_FIELD)));
  if (up !== undefined && up !== ZERO) status = i32.or(status, i32.shl(up, i32.const(9)));
  if (inexact !== undefined) status = i32.or(status, i32.shl(inexact, i32.const(Math.log2(FLAG.precision))));
  return codes === undefined ? status : i32.or(status, codes);
}
/** Writes what is known to the context. */
export function spill(f: Emitter, known: Known): void {
  const { registers, top, variable, moved, inexact, up, codes } = known;
  let [valid, empty] = [0, 0];
  for (const [key, { place, real, isNew, tag, isTagged }] of registers) {
    if (real !== undefined && isNew === true) {
      f.emit(i64.store(place, real.significand, CONTEXT.x87));
      f.emit(i32.store16(place, real.exponent, CONTEXT.x87 + 8));
    }
    if (isTagged !== true || key === VARIABLE) continue;
    if (tag === 'valid') valid |= 3 << (2 * key);
    else empty |= 3 << (2 * key);
  }
  if (registers.get(VARIABLE)?.isTagged === true) {
    const mask = i32.shl(i32.const(3), tagShift(top, variable ?? ZERO));
    f.set('ftw', i32.and(f.get('ftw'), i32.xor(mask, i32.const(-1))));
  }
  const rotated = (mask: number): Code =>
    i32.shr_u(i32.shl(i32.const(mask | (mask << 16)), tagShift(top, 0)), i32.const(16));
  let tags = f.get('ftw');
  if (valid !== 0) tags = i32.and(tags, i32.xor(rotated(valid), i32.const(-1)));
  if (empty !== 0) tags = i32.or(tags, rotated(empty));
  if ((valid | empty) !== 0) f.set('ftw', tags);
  if (moved !== 0 || inexact !== undefined || up !== undefined || codes !== undefined)
    f.set('fsw', statusOf(known));
  if (known.fip !== undefined) f.set('fip', known.fip);
  if (known.fdp !== undefined) f.set('fdp', known.fdp);
}

/** Where the instruction and its operand are. */
function pointers(e: InstructionEmitter, stack: Stack, memory: Operand | undefined): void {
  const fdp = memory === undefined ? stack.known.fdp : e.offset(memory);
  stack.known = { ...stack.known, fip: e.rip(), fdp };
}

export interface Ending {
  /** i32: not 0 if the instruction is not what was said, but what `general` does. Undefined: that cannot be. */
  readonly unless: Code | undefined;
  general(): void;
  /** In compiled code: what else is to be done before a helper's exception makes it leave. */
  beforeLeaving?(): void;
  readonly memory?: Operand;
}

/** The instruction has happened: `stack` is how it began, with what was read and demanded since; `after` is how it ends. */
export function finish(e: InstructionEmitter, stack: Stack, after: Stack, ending: Ending): void {
  pointers(e, stack, ending.memory);
  const { fip, fdp } = stack.known;
  after.known = { ...after.known, fip, fdp };
  const { x87 } = e;
  if (ending.unless === undefined) {
    if (x87 === undefined) spill(e, after.known);
    else x87.known = after.known;
    return;
  }
  if (x87 === undefined) {
    const notePointers = { ...nothingNew(stack.known), fip, fdp };
    e.unlikely(ending.unless, () => { spill(e, notePointers); ending.general(); }, () => spill(e, after.known)); // prettier-ignore
    return;
  }
  // What the helper may change is in variables where both ways meet
  const registers = new Map(after.known.registers);
  const loads: (() => void)[] = [];
  const sets: (() => void)[] = [];
  for (const [key, register] of registers) {
    const { place, real } = register;
    if (real === undefined || real === stack.known.registers.get(key)?.real) continue;
    const significand = e.variable('i64');
    const exponent = e.variable('i32');
    loads.push(() => {
      significand.set(i64.load(place, CONTEXT.x87));
      exponent.set(i32.load16_u(place, CONTEXT.x87 + 8));
    });
    sets.push(() => {
      significand.set(real.significand);
      exponent.set(real.exponent);
    });
    registers.set(key, { ...register, real: { significand: significand.get, exponent: exponent.get } });
  }
  const word = e.variable('i32');
  const part = (name: 'inexact' | 'up' | 'codes', ofWord: (word: Code) => Code): Code | undefined => {
    const value = after.known[name];
    // A helper leaves codes and earlier flags, but hardly C1
    if (value === undefined || (name !== 'up' && value === stack.known[name])) return value;
    const result = e.variable('i32');
    loads.push(() => result.set(ofWord(word.get)));
    sets.push(() => result.set(value));
    return result.get;
  };
  const inexact = part('inexact', () => ZERO);
  const up = part('up', (status) => i32.and(i32.shr_u(status, i32.const(9)), i32.const(1)));
  const codes = part('codes', (status) => i32.and(status, i32.const(CODES)));
  e.unlikely(
    ending.unless,
    () => {
      spill(e, stack.known);
      x87.known = undefined;
      ending.general();
      const now = e.let('i32', e.get('fsw'));
      const isPending = i32.and(now, i32.const(SUMMARY));
      e.leaveIf(i32.or(isPending, differences(e, after.known)), ending.beforeLeaving);
      word.set(i32.or(i32.and(now, i32.const(~TOP_FIELD)), i32.and(after.known.top, i32.const(TOP_FIELD))));
      for (const set of loads) set();
    },
    () => {
      word.set(after.known.word);
      for (const set of sets) set();
    },
  );
  x87.known = { ...after.known, registers, word: word.get, inexact, up, codes };
}
const nothingNew = (known: Known): Known => ({
  top: known.top, word: known.word, moved: 0, empty: known.empty, control: known.control, registers: new Map(),
}); // prettier-ignore
/** i32: not 0 if a register in the context is not empty or valid as is known. */
function differences(f: Emitter, known: Known): Code {
  let [asked, empty] = [0, 0];
  for (const [key, { tag }] of known.registers) {
    if (tag === undefined) continue;
    asked |= 1 << (2 * key);
    if (tag === 'empty') empty |= 1 << (2 * key);
  }
  return i32.and(i32.xor(emptyBits(f, known.top), i32.const(empty)), i32.const(asked));
}
