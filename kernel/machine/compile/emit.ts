// The compiler's emitter: the vocabulary of exec/emitter.ts over locals. What an instruction does to control is handed to
// `Control` (function.ts). Something it has no answer for (state that only the context has) throws Unsupported, and
// function.ts lets the interpreter's handler execute the instruction instead.

import type { Expectation, InstructionEmitter, Variable } from '../exec/emitter.ts';
import { conditionOf, flagOf, flagWord, rawWords } from './flags.ts';
import type { FlagHome, Flags } from './flags.ts';
import { signExtend } from '../exec/flags.ts';
import { noteOrdinary } from './speculation.ts';
import type { Operand, OperandKind, OperandLetter } from '../isa/declare.ts';
import { spill } from '../isa/x87-stack.ts';
import { CONTEXT } from '../layout.ts';
import { VECTOR } from '../machine.ts';
import type { Code, Type } from '../exec/wasm.ts';
import {
  block,
  br,
  brIf,
  call,
  f32,
  f64,
  i32,
  i64,
  label,
  local,
  loop,
  unlikely,
  when,
} from '../exec/wasm.ts';
import { f32x4, f64x2, i32x4, i64x2, v128 } from '../exec/wasm-simd.ts';
import type { Access, SlotPicker } from './memory.ts';
import { accessMemory, placeOfAccess } from './memory.ts';
import type { Instruction } from './region.ts';
import type { Assignment, PathState, Unit, Vector } from './unit.ts';
import { CHEAP_FLAG, FLAG_LOCALS, LOCAL, allocate, collect, context, copyState, emit, freshValue, keep, readGpr, setTogether, setVector, valueOf, vectorOf, wholeVector, writeGpr, zeroExtended } from './unit.ts'; // prettier-ignore
import type { Value } from './values.ts';
import { ROOT, constantOf, fold, notesFor } from './values.ts';

export class Unsupported extends Error {}
function unsupported(what: string): never {
  throw new Unsupported(what);
}

/** What instructions do to control. */
export interface Control extends SlotPicker {
  /** Leaves in front of the instruction, for the interpreter to execute it. */
  stepCode(): Code;
  /** Leaves behind the instruction. */
  leaveCode(): Code;
  /** Goes on at a static address, as an offset from the entry's page. */
  branchTo(at: number): void;
  /** Goes on at an address that is known only then. */
  jumpTo(address: Code): void;
  /** Floating point is as expected, or the region is left in front of it: checked by `settle`, before anything is seen. */
  expect(expectation: Expectation): boolean;
  settle(): void;
}

interface Placed extends Operand {
  readonly form: OperandLetter;
  readonly second: boolean;
  address: Value | undefined;
  access: Access | undefined;
}

const FIXED_REGISTER: Record<string, number> = { AL: 0, AX: 0, EAX: 0, rAX: 0, CL: 1, DX: 2 };
const LOAD = { 1: i64.load8_u, 2: i64.load16_u, 4: i64.load32_u, 8: i64.load } as const;
const STORE = { 1: i64.store8, 2: i64.store16, 4: i64.store32, 8: i64.store } as const;
type IntegerSize = keyof typeof LOAD;
function integerSize(size: number): IntegerSize {
  return size === 1 || size === 2 || size === 4 || size === 8
    ? size
    : unsupported(`integer of ${size} bytes`);
}

function sizeOf(size: OperandLetter['size'], operandSize: number): number {
  if (size === 'v') return operandSize;
  if (size === 'z') return operandSize === 2 ? 2 : 4;
  if (size === 'y') return operandSize === 8 ? 8 : 4;
  return size;
}

function place(instruction: Instruction): Placed[] {
  const { entry, variant } = instruction;
  let immediates = 0;
  return entry.operands.map((letter, i): Placed => {
    const inRegister = letter.kind === 'modrm' && variant.addressing === 'none';
    const kind: OperandKind =
      letter.kind !== 'modrm' ? letter.kind : inRegister ? (letter.register ?? 'gpr') : 'memory';
    const size = inRegister && letter.registerSize !== undefined ? letter.registerSize : letter.size;
    if (kind === 'immediate') immediates++;
    return {
      letter: entry.letters[i] ?? '',
      kind,
      size: sizeOf(size, variant.operandSize),
      form: letter,
      second: kind === 'immediate' && immediates === 2,
      address: undefined,
      access: undefined,
    };
  });
}

/** Low and high parts of what a register holds differ in the arms of a condition: they meet in new locals. */
function meet(unit: Unit, thenCode: Code[], afterThen: PathState, elseCode: Code[], afterElse: PathState): void {
  const merged = copyState(afterElse);
  merged.executed = afterThen.executed;
  const inArm = (arm: Code[], state: PathState, fill: () => void): void => {
    const [statements, old] = [unit.statements, unit.state];
    unit.statements = arm;
    unit.state = state;
    fill();
    unit.statements = statements;
    unit.state = old;
  };
  afterThen.gpr.forEach((value, i) => {
    const other = afterElse.gpr[i];
    if (other === undefined || other.code === value.code) return;
    const index = allocate(unit, 'i64');
    inArm(thenCode, afterThen, () => emit(unit, local.set(index, value.code)));
    inArm(elseCode, afterElse, () => emit(unit, local.set(index, other.code)));
    merged.gpr[i] = freshValue(unit.values, local.get(index), Math.max(value.bits, other.bits));
  });
  afterThen.xmm.forEach((vector, i) => {
    if (vector === afterElse.xmm[i]) return;
    const index = allocate(unit, 'v128');
    inArm(thenCode, afterThen, () => emit(unit, local.set(index, wholeVector(unit, i))));
    inArm(elseCode, afterElse, () => emit(unit, local.set(index, wholeVector(unit, i))));
    const whole = local.get(index);
    freshValue(unit.values, whole, 64);
    merged.xmm[i] = { whole, low: undefined, low32: undefined, rest: undefined, home: -1 };
  });
  if (afterThen.flags !== afterElse.flags) {
    for (const [arm, state] of [[thenCode, afterThen], [elseCode, afterElse]] as const)
      inArm(arm, state, () => {
        if (state.flags.kind === 'locals') return;
        emit(unit, setTogether(flagSets(rawWords(state.flags, flagHome(unit)))));
      });
    merged.flags = { kind: 'locals' };
  }
  unit.state = merged;
} // prettier-ignore

const flagHomes = new WeakMap<Unit, FlagHome>();

/** Where flags of the unit are that no instruction of the path has set. */
export function flagHome(unit: Unit): FlagHome {
  const known = flagHomes.get(unit);
  if (known !== undefined) return known;
  const home = {
    emitter: baseEmitter(unit),
    locals: FLAG_LOCALS,
    toContext() {
      emit(unit, call('storeFlags', context, ...FLAG_LOCALS));
      // Flags that only keep some of these (INC keeps C) are still to be made
      if (unit.state.flags.kind === 'locals') unit.state.flags = { kind: 'context' };
    },
  };
  flagHomes.set(unit, home);
  return home;
}

/** What the path knows of the x87 goes to the context. */
export function spillX87(unit: Unit): void {
  if (unit.state.x87 !== undefined) spill(baseEmitter(unit), unit.state.x87);
  unit.state.x87 = undefined;
}

/** Words as assignments to their locals. */
export const flagSets = (words: readonly (Code | undefined)[]): Assignment[] =>
  words.flatMap((word, i) => (word === undefined ? [] : [[LOCAL.flagKind + i, word] as const]));

export function storeFlagWords(unit: Unit, [kind, a, b, result]: readonly [Code, Code, Code, Code]): void {
  // What is kept of earlier flags is read from the words that are overwritten here
  const first = allocate(unit, 'i64');
  const last = allocate(unit, 'i64');
  emit(unit, local.set(first, a));
  emit(unit, local.set(last, result));
  emit(unit, i32.store(context, kind, CONTEXT.flagKind));
  emit(unit, i64.store(context, local.get(first), CONTEXT.flagA));
  emit(unit, i64.store(context, b, CONTEXT.flagB));
  emit(unit, i64.store(context, local.get(last), CONTEXT.flagResult));
}

type BaseEmitter = Pick<
  InstructionEmitter,
  'context' | 'emit' | 'let' | 'variable' | 'when' | 'unlikely' | 'loop' | 'call' | 'get' | 'set'
>;

const WIDE_FIELDS: readonly string[] = ['fip', 'fdp', 'fsBase', 'gsBase', 'rflags', 'cr2', 'cr3'];
const NARROW_FIELDS: readonly string[] = ['fcw', 'fsw', 'ftw', 'fop'];

/** Statements, conditions, context fields. */
function baseEmitter(unit: Unit, settle: () => void = () => undefined): BaseEmitter {
  const conditional =
    (rare: boolean) =>
    (given: Code, then: () => void, otherwise?: () => void): void => {
      const condition = fold(given);
      const constant = constantOf(condition);
      if (constant !== undefined) {
        if (constant !== 0n) then();
        else otherwise?.();
        return;
      }
      settle();
      const before = unit.state;
      const arm = (fill: (() => void) | undefined): { code: Code[]; state: PathState } => {
        unit.state = copyState(before);
        unit.nesting++;
        const code = collect(unit, () => fill?.());
        unit.nesting--;
        return { code, state: unit.state };
      };
      const first = arm(then);
      const second = arm(otherwise);
      for (const state of [first.state, second.state]) state.groups = before.groups;
      // meet() appends to the arms
      if (first.state.ended) unit.state = second.state;
      else if (second.state.ended) unit.state = first.state;
      else meet(unit, first.code, first.state, second.code, second.state);
      const make = rare ? unlikely : when;
      emit(unit, make(condition, first.code, second.code.length === 0 ? undefined : second.code));
    };
  return {
    context,
    emit: (statement) => emit(unit, statement),
    let(type, value) {
      return keep(unit, type, value);
    },
    variable(type: Type): Variable {
      const index = allocate(unit, type);
      // Not a value: it changes. Every use gets its own code, so that nobody takes it for one
      return { get: [0x20, lebOf(index)], set: (value) => emit(unit, local.set(index, value)) };
    },
    when: conditional(false),
    unlikely: conditional(true),
    loop(body) {
      settle();
      const out = label('leave');
      const top = label('again');
      const jump = (to: typeof out) => (condition?: Code) =>
        emit(unit, condition === undefined ? br(to) : brIf(condition, to));
      const before = copyState(unit.state);
      const code = collect(unit, () => body(jump(out), jump(top)));
      const changed = unit.state.gpr.some((value, i) => value.code !== before.gpr[i]?.code);
      if (changed || unit.state.flags !== before.flags || unit.state.xmm.some((x, i) => x !== before.xmm[i]))
        unsupported('registers that change in a loop of one instruction');
      unit.state.groups = before.groups;
      emit(unit, block(out, loop(top, [code, br(top)])));
    },
    call: (helper, ...values) => call(helper, ...values),
    get(field) {
      if (field === 'rip') return unsupported('rip');
      if (WIDE_FIELDS.includes(field)) return i64.load(context, CONTEXT[field]);
      return NARROW_FIELDS.includes(field) ? i32.load16_u(context, CONTEXT[field]) : i32.load(context, CONTEXT[field]); // prettier-ignore
    },
    set(field, value) {
      if (field === 'rip' || field === 'fsBase' || field === 'cpl' || field === 'cr3')
        return unsupported(field);
      if (WIDE_FIELDS.includes(field)) emit(unit, i64.store(context, value, CONTEXT[field]));
      else if (NARROW_FIELDS.includes(field)) emit(unit, i32.store16(context, value, CONTEXT[field]));
      else emit(unit, i32.store(context, value, CONTEXT[field]));
    },
  };
}

function lebOf(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...lebOf(value >> 7)];
}

const gprOf = (offset: number): { number: number; high: boolean } => ({ number: offset >> 3, high: (offset & 7) === 1 }); // prettier-ignore
const xmmOf = (offset: number): number => (offset - CONTEXT.xmm) >> 4;

/**
 * What emits instructions of a unit, one after the other; the `end` of control goes to `control`. The vocabulary is made
 * once, not for each of them: `first` and those that follow only change what it speaks of.
 */
export function instructionEmitter(
  unit: Unit,
  control: Control,
  first: Instruction,
): (next: Instruction) => void {
  let { entry, variant, decoded, at, length } = first;
  let operands = place(first);
  let current = first;
  const home = flagHome(unit);
  const base = baseEmitter(unit, control.settle);
  const placed = (operand: Operand): Placed =>
    operands.find((known) => known === operand) ?? unsupported('operand');
  const ripAt = (offset: number): Code => {
    const code = keep(unit, 'i64', i64.add(local.get(LOCAL.base), i64.const(offset)));
    notesFor(unit.values, code).value = { code, bits: 64, root: ROOT.page, offset, home: -1 };
    return code;
  };
  const registerValue = (offset: number): Value => {
    unit.usedGpr.add(offset >> 3);
    return unit.state.gpr[offset >> 3] ?? unsupported('register');
  };
  const fsBase = (): Code => {
    unit.usesFs = true;
    return local.get(LOCAL.fsBase);
  };
  const segmentCode = (): Code =>
    decoded.segment === CONTEXT.fsBase ? fsBase() : decoded.segment === CONTEXT.zero ? i64.const(0) : i64.load(context, decoded.segment); // prettier-ignore

  /** Without the segment's base. */
  const effective = (operand: Placed, further?: Code): Value => {
    if (operand.letter.startsWith('O')) {
      const high = BigInt.asIntN(32, BigInt(decoded.immediateHigh));
      return valueOf(unit, i64.const((high << 32n) | BigInt.asUintN(32, BigInt(decoded.immediateLow))));
    }
    let sum: Code;
    if (decoded.ripRelative) sum = ripAt(at + length + decoded.displacement);
    else {
      const hasBase = decoded.base !== CONTEXT.zero;
      const hasIndex = decoded.index !== CONTEXT.zero;
      sum = hasBase ? registerValue(decoded.base).code : i64.const(0);
      if (hasIndex) {
        const index = registerValue(decoded.index).code;
        const scaled = decoded.scale === 0 ? index : i64.shl(index, i64.const(decoded.scale));
        sum = hasBase ? indexed(sum, scaled, decoded.scale, index) : keep(unit, 'i64', scaled);
      }
      if (decoded.displacement !== 0) sum = i64.add(sum, i64.const(decoded.displacement));
    }
    if (further !== undefined) sum = i64.add(sum, further);
    if (decoded.address32) sum = i64.and(sum, i64.const(0xffff_ffff));
    return valueOf(unit, sum);
  };
  /** base + index: the same pair of values gives the same root. */
  const indexed = (left: Code, scaled: Code, scale: number, index: Code): Code => {
    const [a, b] = [valueOf(unit, left), valueOf(unit, index)];
    const name = `${a.root},${a.offset},${b.root},${b.offset},${scale}`;
    const known = unit.pairs.get(name);
    const code = keep(unit, 'i64', i64.add(left, scaled));
    if (known === undefined || typeof code !== 'object') {
      const { root, offset } = valueOf(unit, code);
      unit.pairs.set(name, { root, offset });
      return code;
    }
    notesFor(unit.values, code).value = { code, bits: 64, root: known.root, offset: known.offset, home: -1 };
    return code;
  };
  const linearOf = (operand: Placed): Value => {
    if (operand.address !== undefined) return operand.address;
    const offset = effective(operand);
    const linear =
      decoded.segment === CONTEXT.zero ? offset : valueOf(unit, i64.add(segmentCode(), offset.code));
    operand.address = linear;
    return linear;
  };
  /** A class of accesses that probably lie in one extent. */
  const className = (): string =>
    decoded.ripRelative ? `rip${(at + length + decoded.displacement) >> 12}` : `${decoded.base},${decoded.index},${decoded.segment},${unit.loop ?? -1}`; // prettier-ignore
  const step = (): Code => control.stepCode();
  const accessOf = (operand: Placed, write: boolean): Access => {
    if (write) control.settle();
    const known = operand.access;
    if (known !== undefined && (!write || known.group.write)) return known;
    const address = linearOf(operand);
    if (operand.form.aligned)
      emit(unit, unlikely(i32.wrap_i64(i64.and(address.code, i64.const(15))), step()));
    if (operand.size === 0) unsupported('memory of no size');
    const access = accessMemory(unit, control, address, operand.size, write, className(), step);
    operand.access = access;
    return access;
  };
  const accessAt = (address: Code, size: number, write: boolean, name: string): Access => {
    if (write) control.settle();
    return accessMemory(unit, control, valueOf(unit, address), size, write, name, step);
  };

  const immediateOf = (operand: Placed): Code => {
    if (operand.second) return i64.const(decoded.displacement);
    const high = BigInt.asIntN(32, BigInt(decoded.immediateHigh));
    return i64.const((high << 32n) | BigInt.asUintN(32, BigInt(decoded.immediateLow)));
  };
  const gprPlace = (operand: Placed): { number: number; high: boolean } => {
    if (operand.kind === 'fixed') return { number: FIXED_REGISTER[operand.letter] ?? 0, high: false };
    return gprOf(operand.form.field === 'reg' ? decoded.reg : decoded.rm);
  };
  const xmmNumber = (operand: Placed): number =>
    xmmOf(operand.form.field === 'reg' ? decoded.reg : decoded.rm);
  const isGpr = (operand: Placed): boolean => operand.kind === 'gpr' || operand.kind === 'fixed';

  const loadFrom = (access: Access, size: number): Code => {
    const { host, offset } = placeOfAccess(unit, access);
    return LOAD[integerSize(size)](host, offset);
  };
  const readInteger = (operand: Placed): Code => {
    if (operand.kind === 'immediate') return immediateOf(operand);
    if (operand.kind === 'constant') return i64.const(1);
    if (isGpr(operand)) {
      const { number, high } = gprPlace(operand);
      return readGpr(unit, number, operand.size, high);
    }
    if (operand.kind === 'memory') return keep(unit, 'i64', loadFrom(accessOf(operand, false), operand.size));
    return unsupported(operand.kind);
  };
  const sizeNow = (): number =>
    entry.options.includes('b') ? 1 : (operands[0]?.size ?? variant.operandSize);
  let size = sizeNow();

  const lowF64 = (number: number): Code => {
    const vector = vectorOf(unit, number);
    if (vector.low !== undefined) return vector.low;
    const low = keep(unit, 'f64', f64x2.extract_lane(wholeVector(unit, number), 0));
    const now = vectorOf(unit, number);
    unit.state.xmm[number] = { ...now, low, rest: now.rest ?? now.whole };
    return low;
  };
  const lowF32 = (number: number): Code => {
    const vector = vectorOf(unit, number);
    if (vector.low32 !== undefined) return vector.low32;
    const low32 = keep(unit, 'f32', f32x4.extract_lane(wholeVector(unit, number), 0));
    const now = vectorOf(unit, number);
    unit.state.xmm[number] = { ...now, low32, rest: now.rest ?? now.whole };
    return low32;
  };
  /** A copy of the register takes its parts over; other uses join them. */
  const vectorCode = (number: number): Code => {
    const vector = vectorOf(unit, number);
    if (vector.whole !== undefined || vector.rest === undefined) return wholeVector(unit, number);
    const code = vector.low === undefined ? f32x4.replace_lane(vector.rest, 0, vector.low32 ?? 0) : f64x2.replace_lane(vector.rest, 0, vector.low); // prettier-ignore
    if (typeof code === 'object') unit.scalars.set(code, vector);
    return code;
  };
  /** The upper part of a register whose low scalar is about to be replaced. */
  const above = (number: number, other: 'low' | 'low32'): Code | undefined => {
    const vector = vectorOf(unit, number);
    if (vector.whole === undefined && vector[other] !== undefined) return wholeVector(unit, number);
    return vector.rest ?? vector.whole;
  };
  const setLow = (number: number, value: Partial<Vector>, rest: Code | undefined): void =>
    setVector(unit, number, { whole: undefined, low: undefined, low32: undefined, rest, home: -1, ...value });
  const storeAt = (operand: Placed, store: (host: Code, offset: number) => Code): void => {
    const { host, offset } = placeOfAccess(unit, accessOf(operand, true));
    emit(unit, store(host, offset));
  };
  const scalarMemory = (operand: Placed): { host: Code; offset: number } => placeOfAccess(unit, accessOf(operand, false)); // prettier-ignore

  const e: { -readonly [name in keyof InstructionEmitter]: InstructionEmitter[name] } = {
    ...base,
    expect: (expectation) => control.expect(expectation),
    isOrdinary: (bits, value) => noteOrdinary(unit, bits, value),
    size,
    repeat: variant.repeat,
    address32: variant.address32,
    encoding: entry.encoding,
    vectorBytes: 16,
    x87: {
      get known() {
        return unit.state.x87;
      },
      set known(known) {
        unit.state.x87 = known;
      },
    },
    isMemory: (operand) => operand.kind === 'memory',
    constant(operand) {
      if (operand.kind === 'st') return decoded.rm;
      if (operand.kind !== 'immediate') return undefined;
      return Number(BigInt.asIntN(64, constantOf(immediateOf(placed(operand))) ?? 0n));
    },
    read(opaque) {
      const operand = placed(opaque);
      if (operand.kind === 'xmm') return vectorCode(xmmNumber(operand));
      if (operand.kind === 'memory' && operand.form.register === 'xmm' && operand.size < 16) {
        const { host, offset } = scalarMemory(operand);
        const zero = v128.const(0n, 0n);
        const isDouble = operand.size === 8;
        if (!isDouble && operand.size !== 4) return unsupported('vector memory');
        const low = keep(unit, isDouble ? 'f64' : 'f32', isDouble ? f64.load(host, offset) : f32.load(host, offset)); // prettier-ignore
        const code = isDouble ? f64x2.replace_lane(zero, 0, low) : f32x4.replace_lane(zero, 0, low);
        if (typeof code === 'object')
          unit.scalars.set(code, { whole: undefined, low: isDouble ? low : undefined, low32: isDouble ? undefined : low, rest: zero, home: -1 }); // prettier-ignore
        return code;
      }
      if (operand.kind === 'memory' && operand.size === 16) {
        const { host, offset } = scalarMemory(operand);
        return keep(unit, 'v128', v128.load(host, offset));
      }
      return readInteger(operand);
    },
    readSigned(opaque) {
      const operand = placed(opaque);
      return keep(unit, 'i64', signExtend(readInteger(operand), operand.size));
    },
    readI64(opaque) {
      const operand = placed(opaque);
      if (operand.kind === 'memory') {
        const { host, offset } = scalarMemory(operand);
        return keep(unit, 'i64', i64.load(host, offset));
      }
      if (operand.kind !== 'xmm') return isGpr(operand) ? readGpr(unit, gprPlace(operand).number, 8) : unsupported(operand.kind); // prettier-ignore
      const number = xmmNumber(operand);
      const { low, whole } = vectorOf(unit, number);
      if (low !== undefined && whole === undefined) return keep(unit, 'i64', i64.reinterpret_f64(low));
      return keep(unit, 'i64', i64x2.extract_lane(wholeVector(unit, number), 0));
    },
    readI32(opaque) {
      const operand = placed(opaque);
      if (operand.kind === 'memory') {
        const { host, offset } = scalarMemory(operand);
        return keep(unit, 'i32', i32.load(host, offset));
      }
      if (operand.kind !== 'xmm') return isGpr(operand) ? keep(unit, 'i32', i32.wrap_i64(readGpr(unit, gprPlace(operand).number, 8))) : unsupported(operand.kind); // prettier-ignore
      const number = xmmNumber(operand);
      const { low32, whole } = vectorOf(unit, number);
      if (low32 !== undefined && whole === undefined) return keep(unit, 'i32', i32.reinterpret_f32(low32));
      return keep(unit, 'i32', i32x4.extract_lane(wholeVector(unit, number), 0));
    },
    readF64(opaque) {
      const operand = placed(opaque);
      if (operand.kind === 'xmm') return lowF64(xmmNumber(operand));
      if (operand.kind !== 'memory') return unsupported(operand.kind);
      const { host, offset } = scalarMemory(operand);
      return keep(unit, 'f64', f64.load(host, offset));
    },
    readF32(opaque) {
      const operand = placed(opaque);
      if (operand.kind === 'xmm') return lowF32(xmmNumber(operand));
      if (operand.kind !== 'memory') return unsupported(operand.kind);
      const { host, offset } = scalarMemory(operand);
      return keep(unit, 'f32', f32.load(host, offset));
    },
    write(opaque, value) {
      const operand = placed(opaque);
      if (operand.kind === 'xmm') {
        const scalar = typeof value === 'object' ? unit.scalars.get(value) : undefined;
        if (scalar !== undefined) return setVector(unit, xmmNumber(operand), scalar);
        const whole = keep(unit, 'v128', value);
        return setVector(unit, xmmNumber(operand), {
          whole,
          low: undefined,
          low32: undefined,
          rest: undefined,
          home: -1,
        });
      }
      if (operand.kind === 'memory' && operand.size === 16)
        return storeAt(operand, (host, offset) => v128.store(host, value, offset));
      if (operand.kind === 'memory' && operand.form.register === 'xmm')
        return storeAt(operand, (host, offset) => STORE[integerSize(operand.size)](host, i64x2.extract_lane(value, 0), offset)); // prettier-ignore
      if (operand.kind === 'memory')
        return storeAt(operand, (host, offset) => STORE[integerSize(operand.size)](host, value, offset));
      if (!isGpr(operand)) return unsupported(operand.kind);
      const { number, high } = gprPlace(operand);
      writeGpr(unit, number, operand.size, value, high);
    },
    writeI64(opaque, value) {
      const operand = placed(opaque);
      if (operand.kind === 'memory')
        return storeAt(operand, (host, offset) => i64.store(host, value, offset));
      if (operand.kind !== 'xmm') return isGpr(operand) ? writeGpr(unit, gprPlace(operand).number, 8, value) : unsupported(operand.kind); // prettier-ignore
      const number = xmmNumber(operand);
      const rest = above(number, 'low32');
      setLow(number, { low: keep(unit, 'f64', f64.reinterpret_i64(value)) }, rest);
    },
    writeI32(opaque, value) {
      const operand = placed(opaque);
      if (operand.kind === 'memory')
        return storeAt(operand, (host, offset) => i32.store(host, value, offset));
      if (operand.kind !== 'xmm') return unsupported(operand.kind);
      const number = xmmNumber(operand);
      const rest = above(number, 'low');
      setLow(number, { low32: keep(unit, 'f32', f32.reinterpret_i32(value)) }, rest);
    },
    writeF64(opaque, value) {
      const operand = placed(opaque);
      if (operand.kind === 'memory')
        return storeAt(operand, (host, offset) => f64.store(host, value, offset));
      if (operand.kind !== 'xmm') return unsupported(operand.kind);
      const number = xmmNumber(operand);
      const low = keep(unit, 'f64', value);
      setLow(number, { low }, above(number, 'low32'));
    },
    writeF32(opaque, value) {
      const operand = placed(opaque);
      if (operand.kind === 'memory')
        return storeAt(operand, (host, offset) => f32.store(host, value, offset));
      if (operand.kind !== 'xmm') return unsupported(operand.kind);
      const number = xmmNumber(operand);
      const low32 = keep(unit, 'f32', value);
      setLow(number, { low32 }, above(number, 'low'));
    },
    readHigh: () => unsupported('upper half'),
    writeHalves: () => unsupported('upper half'),
    elementAddress: () => unsupported('vector index'),
    address(opaque, further) {
      const operand = placed(opaque);
      if (further === undefined) return linearOf(operand).code;
      const offset = effective(operand, further);
      return decoded.segment === CONTEXT.zero ? offset.code : keep(unit, 'i64', i64.add(segmentCode(), offset.code)); // prettier-ignore
    },
    offset: (operand) => effective(placed(operand)).code,
    hostForRead(operand) {
      const { host, offset } = placeOfAccess(unit, accessOf(placed(operand), false));
      return keep(unit, 'i32', i32.add(host, i32.const(offset)));
    },
    hostForWrite(operand) {
      const { host, offset } = placeOfAccess(unit, accessOf(placed(operand), true));
      return keep(unit, 'i32', i32.add(host, i32.const(offset)));
    },
    done: () => undefined,
    expectWrite: (operand) => void accessOf(placed(operand), true),
    registerAddress: () => unsupported('address of a register'),
    regField: () => i32.const(decoded.reg),
    segmentBase: segmentCode,
    stIndex: () => i32.const(decoded.rm),
    target: () => ripAt(at + length + decoded.relative),

    loadAt(address, bytes) {
      return keep(unit, 'i64', loadFrom(accessAt(address, bytes, false, 'at'), bytes));
    },
    hostAt(address, bytes, access) {
      const { host, offset } = placeOfAccess(unit, accessAt(address, bytes, access === 'write', 'at'));
      return keep(unit, 'i32', i32.add(host, i32.const(offset)));
    },
    doneAt: () => undefined,
    register: (number, bytes = 8) => readGpr(unit, number, bytes),
    setRegister: (number, value, bytes = 8) => writeGpr(unit, number, bytes, value),
    push(value) {
      control.settle();
      const bytes = variant.operandSize === 2 ? 2 : 8;
      const pushed = keep(unit, 'i64', value);
      const top = valueOf(unit, i64.sub(readGpr(unit, 4, 8), i64.const(bytes)));
      const { host, offset } = placeOfAccess(
        unit,
        accessMemory(unit, control, top, bytes, true, 'stack', step),
      );
      emit(unit, STORE[bytes](host, pushed, offset));
      writeGpr(unit, 4, 8, top.code);
    },
    top() {
      const bytes = variant.operandSize === 2 ? 2 : 8;
      const top = valueOf(unit, readGpr(unit, 4, 8));
      return keep(
        unit,
        'i64',
        loadFrom(accessMemory(unit, control, top, bytes, false, 'stack', step), bytes),
      );
    },

    add: (a, b) => keep(unit, 'i64', i64.add(a, b)),
    sub: (a, b) => keep(unit, 'i64', i64.sub(a, b)),
    zero: (value, bytes = size) => zeroExtended(unit, value, bytes),
    sign: (value, bytes = size) => keep(unit, 'i64', signExtend(value, bytes)),

    flags(recipe, a, b, result, bytes = size) {
      const before = unit.state.flags;
      const r = keep(unit, 'i64', result, CHEAP_FLAG);
      let flags: Flags;
      if (recipe === 'logic') flags = { kind: 'logic', result: r, size: bytes };
      else if (recipe === 'inc' || recipe === 'dec') flags = { kind: recipe, result: r, size: bytes, before };
      else if (recipe === 'imul') flags = { kind: 'imul', a, b, result: r, size: bytes };
      else flags = { kind: recipe, a: zeroExtended(unit, a, bytes), b: zeroExtended(unit, b, bytes), result: r, size: bytes }; // prettier-ignore
      unit.state.flags = flags;
    },
    flagsOf(result, carry, overflow, bytes = size) {
      const part = (code: Code): Code => keep(unit, 'i32', code, CHEAP_FLAG);
      unit.state.flags = {
        kind: 'shift',
        result: keep(unit, 'i64', result, CHEAP_FLAG),
        carry: part(carry),
        overflow: part(overflow),
        size: bytes,
      };
    },
    setFlags(values) {
      const kept: typeof values = {};
      for (const name of ['C', 'P', 'A', 'Z', 'S', 'O'] as const) {
        const value = values[name];
        if (value !== undefined) kept[name] = keep(unit, 'i32', value, CHEAP_FLAG);
      }
      unit.state.flags = { kind: 'partial', values: kept, before: unit.state.flags };
    },
    flag: (name) => keep(unit, 'i32', flagOf(unit.state.flags, name, home)),
    flagBits: () => keep(unit, 'i32', flagWord(unit.state.flags, home)),
    condition: (code) => keep(unit, 'i32', conditionOf(unit.state.flags, code, home)),

    rip: () => ripAt(at),
    nextRip: () => ripAt(at + length),
    jump(address) {
      const to = keep(unit, 'i64', address);
      const canonical = i64.shr_s(i64.shl(to, i64.const(16)), i64.const(16));
      e.raiseIf(i64.ne(canonical, to), VECTOR.generalProtection);
      e.jumpTo(to);
    },
    jumpTo(to) {
      control.jumpTo(keep(unit, 'i64', to));
    },
    jumpRelative() {
      control.branchTo(at + length + decoded.relative);
    },
    raise() {
      emit(unit, step());
      unit.state.ended = true;
    },
    raiseIf(condition, vector, errorCode) {
      e.unlikely(condition, () => e.raise(vector, errorCode));
    },
    faultIf(condition) {
      e.unlikely(condition, () => e.raise(0));
    },
    leaveIf(condition, before) {
      e.unlikely(condition, () => {
        before?.();
        emit(unit, control.leaveCode());
        unit.state.ended = true;
      });
    },
    privileged() {
      unsupported('privileged');
    },
    exit() {
      unsupported('exit');
    },
  };
  const speakOf = (next: Instruction, its: Placed[]): void => {
    current = next;
    operands = its;
    ({ entry, variant, decoded, at, length } = next);
    size = sizeNow();
    e.size = size;
    e.repeat = variant.repeat;
    e.address32 = variant.address32;
    e.encoding = entry.encoding;
  };
  const emitNow = (): void => {
    if (operands.some((operand) => operand.kind === 'mmx')) unsupported('mmx');
    // Upper halves and VEX.vvvv have no place here yet
    if (entry.parsed.vex !== undefined) unsupported('VEX');
    const [target, source] = operands;
    const isCleared =
      CLEARS.test(entry.instruction.mnemonic) && target !== undefined && source?.kind === 'xmm';
    if (isCleared && xmmNumber(target) === xmmNumber(source)) return clearVector(unit, xmmNumber(target));
    entry.instruction.emit(e, ...operands);
  };
  return (next) => {
    // A branch writes what it leads to before it is done itself
    const [before, its] = [current, operands];
    speakOf(next, place(next));
    try {
      emitNow();
    } finally {
      speakOf(before, its);
    }
  };
}

/** With the same register twice the result depends on nothing. */
const CLEARS = /^(?:pxor|xorp[sd])$/;
function clearVector(unit: Unit, number: number): void {
  const whole = v128.const(0n, 0n);
  const [low, low32] = [f64.const(0), f32.const(0)];
  setVector(unit, number, { whole, low, low32, rest: whole, home: -1 });
  for (const bits of [64, 32] as const) noteOrdinary(unit, bits, whole);
  noteOrdinary(unit, 64, low);
  noteOrdinary(unit, 32, low32);
}
