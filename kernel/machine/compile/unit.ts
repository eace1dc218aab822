// A region while it is being compiled: locals, the statements written so far, and the path state, which says where each
// guest register's value is at this point of the code.
//
// Registers have a home local each. While an instruction is written, its results are other values, so that old and new ones
// live side by side; behind it `settle` takes them home. So an exit in front of an instruction finds every register at
// home, and is short. (V8's optimiser renames locals: setting one costs nothing.) Locals of a path are given back when
// the path has ended.

import type { Code, Type } from '../exec/wasm.ts';
import { i64, local } from '../exec/wasm.ts';
import { f32x4, f64x2, v128 } from '../exec/wasm-simd.ts';
import type { Known } from '../isa/x87-stack.ts';
import type { FlagWords, Flags } from './flags.ts';
import type { FloatFacts } from './float-facts.ts';
import { NO_FACTS, withFactsOf, withoutFacts } from './float-facts.ts';
import type { Group } from './memory.ts';
import type { Guess } from './speculation.ts';
import type { Value, Values } from './values.ts';
import { bitsOf, constantOf, fold, knownOf, newValues, notesFor, notesOf, placeOf } from './values.ts';

/** Parameters of a compiled function, then locals that every one has. */
export const LOCAL = {
  context: 0,
  base: 1, // i64: address of the entry's page
  remaining: 2,
  depth: 3,
  entry: 4, // number of the entry that the dispatcher goes to
  exitAt: 5, // i64: where it goes on
  status: 6,
  flagKind: 7,
  flagA: 8,
  flagB: 9,
  flagResult: 10,
  fsBase: 11,
  badPages: 12,
  drops: 13, // the count of dropped regions when it began
  backAt: 14, // i64: where a call is to come back to
  gpr: 15, // 16 × i64
} as const;
const PARAMETERS = 5;
export const FIXED_TYPES: readonly Type[] = ['i64', 'i32', 'i32', 'i64', 'i64', 'i64', 'i64', 'i32', 'i32', 'i64', ...Array.from({ length: 16 }, (): Type => 'i64')]; // prettier-ignore

/** An xmm register: `whole`, or its low scalar with what is above it in `rest`. */
export interface Vector {
  readonly whole: Code | undefined;
  readonly low: Code | undefined; // f64
  readonly low32: Code | undefined; // f32
  readonly rest: Code | undefined; // v128; its low lane does not count
  /** The register that has it at home, or -1. */
  readonly home: number;
}
/** How a vector register is kept in its home. */
export type VectorHome = 'whole' | 'f64' | 'f32';

export interface PathState {
  gpr: Value[];
  xmm: Vector[];
  flags: Flags;
  /** What is not in the context alone. */
  x87: Known | undefined;
  float: FloatFacts;
  /** Checked memory, by the root of the address. */
  groups: Map<string, Group>;
  /** Instructions of the path that `remaining` does not know yet. */
  executed: number;
  /** Nothing can follow here. */
  ended: boolean;
}

/** What held in front of an instruction whose registers are all at home. */
export interface Front {
  readonly at: number;
  readonly flags: Flags;
  readonly x87: PathState['x87'];
  readonly executed: number;
}

export interface Unit {
  readonly values: Values;
  readonly types: Type[];
  readonly free: Map<Type, { readonly locals: number[]; used: number }>;
  statements: Code[];
  state: PathState;
  readonly homes: readonly Value[];
  readonly vectorHomes: readonly VectorHome[];
  /** What a vector register is at home. */
  readonly homeVectors: readonly Vector[];
  readonly vectorLocals: readonly { readonly whole: number; readonly low: number }[];
  readonly usedGpr: Set<number>;
  readonly writtenGpr: Set<number>;
  readonly usedXmm: Set<number>;
  readonly writtenXmm: Set<number>;
  usesFs: boolean;
  /** Expressions of vectors of which the parts are known. */
  readonly scalars: WeakMap<object, Vector>;
  /** Where sums of base and index lie, by their parts. */
  readonly pairs: Map<string, { readonly root: number; readonly offset: number }>;
  /** What reads the home of a vector register. */
  readonly vectorHomeCodes: ReadonlySet<Code>;
  /** Floating point that was taken for granted on the path and is still to be checked. */
  guess: Guess | undefined;
  /** Vectors of equal 16-bit words in locals, by the word. */
  readonly constants: Map<number, number>;
  /** How deep in conditional parts of one instruction. */
  nesting: number;
  /** Written at the end of the block: checks whose range is known only then. */
  pending: (() => void)[];
  block: number;
  loop: number | undefined;
}

export const context = local.get(LOCAL.context);
export const FLAG_LOCALS: FlagWords = [
  local.get(LOCAL.flagKind),
  local.get(LOCAL.flagA),
  local.get(LOCAL.flagB),
  local.get(LOCAL.flagResult),
];

/** A local for the whole function. */
export function allocateFixed(types: Type[], type: Type): number {
  return PARAMETERS + types.push(type) - 1;
}

export function newUnit(vectorHomes: readonly VectorHome[]): Unit {
  const values = newValues();
  const types: Type[] = [...FIXED_TYPES];
  const homes = Array.from({ length: 16 }, (_unused, i) => freshValue(values, local.get(LOCAL.gpr + i), 64));
  const vectorLocals = vectorHomes.map((home) => ({
    whole: allocateFixed(types, 'v128'),
    low: home === 'whole' ? 0 : allocateFixed(types, home),
  }));
  const homeVectors = vectorLocals.map((locals, i) => homeVector(i, vectorHomes[i] ?? 'whole', locals));
  const unit: Unit = {
    values,
    types,
    free: new Map(),
    statements: [],
    state: {
      gpr: [],
      xmm: [],
      flags: { kind: 'context' },
      x87: undefined,
      float: NO_FACTS,
      groups: new Map(),
      executed: 0,
      ended: false,
    },
    homes,
    vectorHomes,
    vectorLocals,
    homeVectors,
    usedGpr: new Set(),
    writtenGpr: new Set(),
    usedXmm: new Set(),
    writtenXmm: new Set(),
    usesFs: false,
    scalars: new WeakMap(),
    pairs: new Map(),
    vectorHomeCodes: new Set(homeVectors.flatMap(partsOf)),
    guess: undefined,
    constants: new Map(),
    nesting: 0,
    pending: [],
    block: 0,
    loop: undefined,
  };
  // Values, like those of general registers: a copy costs nothing, and what is known of it stays known
  for (const home of unit.homeVectors)
    for (const code of [home.whole, home.low, home.low32, home.rest])
      if (code !== undefined) freshValue(values, code, 64);
  unit.state = homeState(unit, { kind: 'context' });
  return unit;
}

export function freshValue(values: Values, code: Code, bits: number, home = -1): Value {
  const value = { code, bits, root: values.nextRoot++, offset: 0, home };
  notesFor(values, code).value = value;
  return value;
}

/** The state in which every register is at home. */
export function homeState(unit: Unit, flags: Flags): PathState {
  const gpr = unit.homes.map((_home, i) => freshValue(unit.values, local.get(LOCAL.gpr + i), 64, i));
  const xmm = [...unit.homeVectors];
  return { gpr, xmm, flags, x87: undefined, float: NO_FACTS, groups: new Map(), executed: 0, ended: false };
}

function homeVector(number: number, home: VectorHome, locals: Unit['vectorLocals'][number]): Vector {
  const all = local.get(locals.whole);
  const none = { whole: undefined, low: undefined, low32: undefined, rest: undefined, home: number };
  if (home === 'f64') return { ...none, low: local.get(locals.low), rest: all };
  if (home === 'f32') return { ...none, low32: local.get(locals.low), rest: all };
  return { ...none, whole: all };
}

export const emit = (unit: Unit, code: Code): void => void unit.statements.push(code);

export function allocate(unit: Unit, type: Type): number {
  let pool = unit.free.get(type);
  if (pool === undefined) {
    pool = { locals: [], used: 0 };
    unit.free.set(type, pool);
  }
  const known = pool.locals[pool.used++];
  if (known !== undefined) return known;
  const index = allocateFixed(unit.types, type);
  pool.locals.push(index);
  return index;
}

/** Runs `fill`, whose locals are free again behind it: it must leave nothing that is read later. */
export function withinPath(unit: Unit, fill: () => void): void {
  const marks = [...unit.free].map(([type, pool]) => [type, pool.used] as const);
  fill();
  for (const pool of unit.free.values()) pool.used = 0;
  for (const [type, used] of marks) {
    const pool = unit.free.get(type);
    if (pool !== undefined) pool.used = used;
  }
}

export function collect(unit: Unit, fill: () => void): Code[] {
  const outer = unit.statements;
  const inner: Code[] = [];
  unit.statements = inner;
  fill();
  unit.statements = outer;
  return inner;
}

const isPlain = (unit: Unit, code: Code): boolean =>
  constantOf(code) !== undefined || knownOf(unit.values, code) !== undefined;

/** Operations that an expression may have and still be written out wherever it is used. */
const CHEAP = 3;
/** The same for flags, which are seldom used at all. */
export const CHEAP_FLAG = 24;

/**
 * Operations of a pure expression, Infinity if it may trap, or depends on more than values. The optimiser finds equal
 * expressions, so a cheap one that only an exit needs is computed there and nowhere else.
 */
function costOf(unit: Unit, code: Code, limit: number): number {
  if (!Array.isArray(code)) return Infinity;
  const known: readonly Code[] = code;
  const cost = notesOf(unit.values, known)?.cost;
  if (cost !== undefined) return cost;
  if (constantOf(known) !== undefined || knownOf(unit.values, known) !== undefined) return 0;
  const opcode = known[known.length - 1];
  if (typeof opcode !== 'number' || known.length < 2 || known.length > 3) return Infinity;
  if (constantOf(fold(known)) !== undefined) return 0;
  const isDivision = (opcode >= 0x6d && opcode <= 0x70) || (opcode >= 0x7f && opcode <= 0x82);
  const isInteger = (opcode >= 0x45 && opcode <= 0x66) || (opcode >= 0x67 && opcode <= 0x8a) || opcode === 0xa7;
  const isExtension = opcode === 0xac || opcode === 0xad || (opcode >= 0xc0 && opcode <= 0xc4);
  if (isDivision || !(isInteger || isExtension)) return Infinity;
  let sum = 1;
  for (const operand of known.slice(0, -1)) {
    sum += costOf(unit, operand, limit);
    if (sum > limit) return Infinity;
  }
  return sum;
} // prettier-ignore

/** The expression as a value: itself when it is cheap, else it is evaluated now. */
export function keep(unit: Unit, type: Type, code: Code, limit = CHEAP): Code {
  const folded = fold(code);
  if (isPlain(unit, folded)) return folded;
  if ((type === 'i64' || type === 'i32') && typeof folded === 'object') {
    const cost = costOf(unit, folded, limit);
    if (cost <= limit) {
      const notes = notesFor(unit.values, folded);
      notes.cost = cost;
      const bits = type === 'i64' ? bitsOf(unit.values, folded) : 64;
      const place = type === 'i64' ? placeOf(unit.values, folded) : undefined;
      const at = place ?? { root: unit.values.nextRoot++, offset: 0 };
      notes.value = { code: folded, bits, root: at.root, offset: at.offset, home: -1 };
      return folded;
    }
  }
  return evaluate(unit, type, folded);
}

/** Evaluates now, into a local of its own. */
export function evaluate(unit: Unit, type: Type, code: Code): Code {
  const folded = fold(code);
  const index = allocate(unit, type);
  emit(unit, local.set(index, folded));
  const result = local.get(index);
  const bits = type === 'i64' ? bitsOf(unit.values, folded) : 64;
  const place = type === 'i64' ? placeOf(unit.values, folded) : undefined;
  if (place === undefined) freshValue(unit.values, result, bits);
  else
    notesFor(unit.values, result).value = {
      code: result,
      bits,
      root: place.root,
      offset: place.offset,
      home: -1,
    };
  return result;
}

/** An i64 as a value. */
export function valueOf(unit: Unit, code: Code): Value {
  const kept = keep(unit, 'i64', code);
  const known = knownOf(unit.values, kept);
  if (known !== undefined) return known;
  const place = placeOf(unit.values, kept);
  const bits = bitsOf(unit.values, kept);
  if (place === undefined) return { code: kept, bits, root: unit.values.nextRoot++, offset: 0, home: -1 };
  return { code: kept, bits, root: place.root, offset: place.offset, home: -1 };
}

export function zeroExtended(unit: Unit, code: Code, size: number): Code {
  if (size === 8 || bitsOf(unit.values, fold(code)) <= size * 8) return keep(unit, 'i64', code);
  if (size === 4) return keep(unit, 'i64', i64.extend_i32_u([code, 0xa7]));
  return keep(unit, 'i64', i64.and(code, i64.const(size === 2 ? 0xffff : 0xff)));
}

export function readGpr(unit: Unit, number: number, size: number, high = false): Code {
  unit.usedGpr.add(number);
  const value = unit.state.gpr[number]?.code ?? i64.const(0);
  if (high) return keep(unit, 'i64', i64.and(i64.shr_u(value, i64.const(8)), i64.const(0xff)));
  if (size !== 4) return zeroExtended(unit, value, size);
  // Most operands are of 32 bits: the same code each time lets equal ones be recognised
  const notes = notesFor(unit.values, value);
  if (notes.low32 !== undefined) return notes.low32;
  const low = zeroExtended(unit, value, 4);
  // A local of a path may not have been set where the value is read next
  if (localOf(low) < 0 || low === value) notes.low32 = low;
  return low;
}

export function writeGpr(unit: Unit, number: number, size: number, code: Code, high = false): void {
  unit.writtenGpr.add(number);
  const old = (): Code => {
    unit.usedGpr.add(number);
    return unit.state.gpr[number]?.code ?? i64.const(0);
  };
  const merged = ((): Code => {
    if (high) return i64.or(i64.and(old(), i64.const(~0xff00)), i64.shl(i64.and(code, i64.const(0xff)), i64.const(8))); // prettier-ignore
    if (size === 8) return code;
    if (size === 4) return zeroExtended(unit, code, 4);
    const mask = size === 2 ? 0xffff : 0xff;
    return i64.or(i64.and(old(), i64.const(~mask)), zeroExtended(unit, code, size));
  })();
  unit.state.gpr[number] = valueOf(unit, merged);
}

const ZERO = v128.const(0n, 0n);

export function vectorOf(unit: Unit, number: number): Vector {
  unit.usedXmm.add(number);
  return (
    unit.state.xmm[number] ?? { whole: ZERO, low: undefined, low32: undefined, rest: undefined, home: -1 }
  );
}

export function setVector(unit: Unit, number: number, vector: Vector): void {
  unit.usedXmm.add(number);
  unit.writtenXmm.add(number);
  unit.state.xmm[number] = vector;
}

export function wholeVector(unit: Unit, number: number): Code {
  const vector = vectorOf(unit, number);
  if (vector.whole !== undefined) return vector.whole;
  const rest = vector.rest ?? ZERO;
  const joined = vector.low === undefined ? f32x4.replace_lane(rest, 0, vector.low32 ?? 0) : f64x2.replace_lane(rest, 0, vector.low); // prettier-ignore
  const whole = keep(unit, 'v128', joined);
  unit.state.xmm[number] = { ...vector, whole };
  return whole;
}

/** What a local is set to. */
export type Assignment = readonly [local: number, value: Code];

/** Sets several locals at once: all values are computed before the first is set. */
export function setTogether(sets: readonly Assignment[]): Code {
  if (sets.length === 1) return sets.map(([index, value]) => local.set(index, value));
  return [sets.map(([, value]) => value), [...sets].reverse().map(([index]) => [0x21, leb(index)])];
}

function leb(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb(value >> 7)];
}

/** What must be set so that all registers are at home; flags apart. */
export function homeward(unit: Unit): Assignment[] {
  const sets: [number, Code][] = [];
  const { gpr, xmm } = unit.state;
  for (let i = 0; i < 16; i++) {
    const value = gpr[i];
    if (value !== undefined && value.home !== i) sets.push([LOCAL.gpr + i, value.code]);
  }
  for (let i = 0; i < 16; i++) {
    const vector = xmm[i];
    if (vector === undefined || vector.home === i) continue;
    const old = unit.homeVectors[i];
    const home = unit.vectorHomes[i] ?? 'whole';
    const at = unit.vectorLocals[i] ?? { whole: 0, low: 0 };
    const low = home === 'f64' ? vector.low : vector.low32;
    if (home !== 'whole' && low !== undefined) {
      const above = vector.rest ?? vector.whole ?? ZERO;
      sets.push([at.low, low]);
      if (above !== old?.rest) sets.push([at.whole, above]);
    } else if (home === 'whole') {
      sets.push([at.whole, wholeVector(unit, i)]);
    } else {
      const whole = wholeVector(unit, i);
      sets.push([at.low, home === 'f64' ? f64x2.extract_lane(whole, 0) : f32x4.extract_lane(whole, 0)]);
      sets.push([at.whole, whole]);
    }
  }
  return sets;
}

const isArray = (code: Code): code is readonly Code[] => Array.isArray(code);

/** The local that an expression reads, if it is nothing else. */
function localOf(code: Code): number {
  if (!isArray(code) || code.length !== 2 || code[0] !== 0x20) return -1;
  const [, index] = code;
  if (index === undefined || !isArray(index) || typeof index[0] !== 'number') return -1;
  return index.length === 1 ? index[0] : 128; // homes of general registers have small numbers
}

/** The general registers whose home locals an integer expression reads, as bits. */
function homesIn(unit: Unit, code: Code): number {
  if (!isArray(code)) return 0;
  const index = localOf(code);
  if (index >= 0) return index >= LOCAL.gpr && index < LOCAL.gpr + 16 ? 1 << (index - LOCAL.gpr) : 0;
  const opcode = code[0];
  if (typeof opcode === 'number') return 0; // a constant
  const known = notesOf(unit.values, code)?.homes;
  if (known !== undefined) return known;
  let bits = 0;
  for (const part of code) if (typeof part !== 'number') bits |= homesIn(unit, part);
  notesFor(unit.values, code).homes = bits;
  return bits;
}

/** Flags whose operands will not be found at home any more: these are kept in locals of their own. */
function preserve(unit: Unit, flags: Flags, changed: number): Flags {
  const kept = (type: Type, code: Code): Code =>
    (homesIn(unit, code) & changed) === 0 ? code : evaluate(unit, type, code);
  switch (flags.kind) {
    case 'context':
    case 'locals':
      return flags;
    case 'logic': {
      const result = kept('i64', flags.result);
      return result === flags.result ? flags : { ...flags, result };
    }
    case 'inc':
    case 'dec': {
      const result = kept('i64', flags.result);
      const before = preserve(unit, flags.before, changed);
      return result === flags.result && before === flags.before ? flags : { ...flags, result, before };
    }
    case 'shift': {
      const [result, carry, overflow] = [kept('i64', flags.result), kept('i32', flags.carry), kept('i32', flags.overflow)];
      return { ...flags, result, carry, overflow };
    }
    case 'word':
      return { ...flags, word: kept('i32', flags.word) };
    case 'partial': {
      const values: typeof flags.values = {};
      for (const name of ['C', 'P', 'A', 'Z', 'S', 'O'] as const) {
        const value = flags.values[name];
        if (value !== undefined) values[name] = kept('i32', value);
      }
      return { ...flags, values, before: preserve(unit, flags.before, changed) };
    }
    default: {
      const [a, b, result] = [kept('i64', flags.a), kept('i64', flags.b), kept('i64', flags.result)];
      return a === flags.a && b === flags.b && result === flags.result ? flags : { ...flags, a, b, result };
    }
  }
} // prettier-ignore

/**
 * Behind an instruction: what it wrote goes home. Not while a guess is open (speculation.ts): where it fails, registers must be
 * what they were in front of it.
 */
export function settle(unit: Unit): void {
  if (unit.guess !== undefined) return;
  const { gpr, xmm } = unit.state;
  let changed = 0;
  for (let i = 0; i < 16; i++) if (gpr[i]?.home !== i) changed |= 1 << i;
  if (changed !== 0) {
    unit.state.flags = preserve(unit, unit.state.flags, changed);
    const { x87 } = unit.state;
    // The operand's address is all that the x87 has of general registers
    if (x87?.fdp !== undefined && (homesIn(unit, x87.fdp) & changed) !== 0)
      unit.state.x87 = { ...x87, fdp: evaluate(unit, 'i64', x87.fdp) };
  }
  const sets = homeward(unit);
  if (sets.length === 0) return;
  emit(unit, setTogether(sets));
  for (let i = 0; i < 16; i++) {
    const value = gpr[i];
    if (value === undefined || value.home === i) continue;
    const { bits, root, offset } = value;
    // A local of its own stays what it is; an expression may read what has just been overwritten
    const isFixed =
      constantOf(value.code) !== undefined || (localOf(value.code) >= 0 && homesIn(unit, value.code) === 0);
    const code = isFixed ? value.code : local.get(LOCAL.gpr + i);
    const settled = { code, bits, root, offset, home: i };
    gpr[i] = settled;
    if (!isFixed) notesFor(unit.values, code).value = settled;
  }
  const { float } = unit.state;
  const overwritten = new Set<Code>();
  const copies: [from: Vector, to: Vector][] = [];
  for (let i = 0; i < 16; i++) {
    const vector = xmm[i];
    const home = unit.homeVectors[i];
    if (vector === undefined || home === undefined || vector.home === i) continue;
    for (const code of partsOf(home)) overwritten.add(code);
    const isCopy = partsOf(vector).some((part) => unit.vectorHomeCodes.has(part));
    if (isCopy) copies.push([vector, home]);
    xmm[i] = isCopy ? home : { ...vector, home: i };
  }
  if (overwritten.size === 0) return;
  // What was known of what was there does not hold any more, but what is known of a copied number does
  unit.state.float = withoutFacts(float, overwritten);
  for (const [from, to] of copies)
    for (const part of ['whole', 'low', 'low32'] as const)
      unit.state.float = withFactsOf(unit.state.float, to[part], float, from[part]);
}

const partsOf = ({ whole, low, low32, rest }: Vector): Code[] =>
  [whole, low, low32, rest].filter((code) => code !== undefined);

export const copyState = (state: PathState): PathState => ({
  ...state,
  gpr: [...state.gpr],
  xmm: [...state.xmm],
  groups: new Map(state.groups),
});
