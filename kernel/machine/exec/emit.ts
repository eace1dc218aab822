// The interpreter's emitter: from a declaration and a variant of one of its forms to the wasm code of a handler, which
// works on a predecoded record. A handler is a function of its own (context, record) → EXIT, or is emitted into the run
// loop, where it ends by branching instead of returning.

import type { Instruction, Operand, OperandKind, OperandLetter } from '../isa/declare.ts';
import { CONTEXT, EXIT, RAM_BASE, RECORD, RECORD_BYTES, TLB_ENTRIES } from '../layout.ts';
import { VECTOR } from '../machine.ts';
import type { Body, Locals } from './body.ts';
import { createBody } from './body.ts';
import type { InstructionEmitter } from './emitter.ts';
import * as lazyFlags from './flags.ts';
import type { Code, Label } from './wasm.ts';
import { br, call, f32, f64, i32, i64, local, ret, unlikely } from './wasm.ts';
import { v128 } from './wasm-simd.ts';

/** How the address of a memory operand is computed: register operand, base + displacement, with index, with segment or 67h. */
export type Addressing = 'none' | 'base' | 'index' | 'full';

export interface Variant {
  readonly operandSize: 2 | 4 | 8;
  readonly addressing: Addressing;
  readonly repeat: 'none' | 'rep' | 'repne';
  readonly address32: boolean;
}

export interface FormCode {
  readonly instruction: Instruction;
  readonly encoding: string;
  readonly letters: readonly string[];
  readonly operands: readonly OperandLetter[];
  readonly options: readonly string[];
}

/** Where an inlined handler continues. */
export interface InlineTarget {
  readonly record: number; // locals
  readonly target: number;
  readonly next: Label; // go on with `record`
  readonly lookup: Label; // go on at address `target`
  readonly fault: Label;
  /** Goes on with the conditional branch of the next record, in one go. */
  readonly branch?: { readonly condition: number; readonly remaining: number };
}

interface PlacedOperand extends Operand {
  readonly form: OperandLetter;
  readonly second: boolean; // second immediate: it lies in the displacement
  linear: Code | undefined;
  host: Code | undefined;
  place: Code | undefined;
  translation: Code[]; // filled when it is known whether the operand is written
  written: boolean;
}

function sizeOf(size: OperandLetter['size'], variant: Variant): number {
  if (size === 'v') return variant.operandSize;
  if (size === 'z') return variant.operandSize === 2 ? 2 : 4;
  if (size === 'y') return variant.operandSize === 8 ? 8 : 4;
  return size;
}

function placeOperands(form: FormCode, variant: Variant): PlacedOperand[] {
  let immediates = 0;
  return form.operands.map((letter, i): PlacedOperand => {
    const inRegister = letter.kind === 'modrm' && variant.addressing === 'none';
    const kind: OperandKind =
      letter.kind !== 'modrm' ? letter.kind : inRegister ? (letter.register ?? 'gpr') : 'memory';
    const size = inRegister && letter.registerSize !== undefined ? letter.registerSize : letter.size;
    if (kind === 'immediate') immediates++;
    return {
      letter: form.letters[i] ?? '',
      kind,
      size: sizeOf(size, variant),
      form: letter,
      second: kind === 'immediate' && immediates === 2,
      linear: undefined,
      host: undefined,
      place: undefined,
      translation: [],
      written: false,
    };
  });
}

/** From a register's lower half to the upper one. */
const HIGH_HALF = CONTEXT.ymmHigh - CONTEXT.xmm;
const isVector = (operand: PlacedOperand): boolean => operand.kind === 'xmm' || operand.kind === 'ymm';

const FIXED_OFFSET: Record<string, number> = { AL: 0, AX: 0, EAX: 0, rAX: 0, CL: 8, DX: 16 };
const LOAD = { 1: i64.load8_u, 2: i64.load16_u, 4: i64.load32_u, 8: i64.load } as const;
const STORE = { 1: i64.store8, 2: i64.store16, 4: i64.store32, 8: i64.store } as const;
type IntegerSize = 1 | 2 | 4 | 8;
const isIntegerSize = (size: number): size is IntegerSize =>
  size === 1 || size === 2 || size === 4 || size === 8;

function loadInteger(host: Code, size: number): Code {
  if (!isIntegerSize(size)) throw new Error(`no integer of ${size} bytes`);
  return LOAD[size](host);
}

function storeInteger(host: Code, value: Code, size: number): Code {
  if (!isIntegerSize(size)) throw new Error(`no integer of ${size} bytes`);
  return STORE[size](host, value);
}

/** i32 host address for a linear address; the TLB hit is inline, the rest is readSlow or writeSlow (mmu/). */
function translationCode(
  body: Body,
  linear: Code,
  size: number,
  write: boolean,
  host: number,
  fault: Code,
): Code {
  // (linear / 4096 mod TLB_ENTRIES) × 16
  const scaled = i32.shr_u(i32.wrap_i64(linear), i32.const(8));
  const entry = i32.add(body.context, i32.and(scaled, i32.const((TLB_ENTRIES - 1) << 4)));
  const last = size === 1 ? linear : i64.add(linear, i64.const(size - 1));
  const tlb = write ? CONTEXT.tlbWrite : CONTEXT.tlbRead;
  return [
    local.set(host, entry),
    unlikely(
      i64.ne(i64.load(local.get(host), tlb), i64.and(last, i64.const(-4096))),
      [
        local.set(host, call(write ? 'writeSlow' : 'readSlow', body.context, linear, i32.const(size))),
        unlikely(i32.eqz(local.get(host)), fault),
      ],
      local.set(host, i32.add(i32.load(local.get(host), tlb + 8), i32.wrap_i64(linear))),
    ),
  ];
}

/** Emits the handler of one variant. `inline` is given when it becomes part of the run loop. */
export function emitHandler(
  form: FormCode,
  variant: Variant,
  context: Code,
  record: Code,
  locals: Locals,
  inline: InlineTarget | undefined,
): Code {
  // prettier-ignore
  const body = createBody(context, locals);
  const operands = placeOperands(form, variant);
  const faultCode: Code = inline === undefined ? ret(i32.const(EXIT.fault)) : br(inline.fault);
  const isVex = form.encoding.startsWith('VEX.');
  const field = (offset: number): Code => i32.load16_u(record, offset);
  const slot = (offset: number): Code => i32.add(context, field(offset));
  const registerSlot = (at: OperandLetter['field']): Code => {
    if (at === 'vvvv') return i32.add(context, i32.shl(i32.load8_u(record, RECORD.vvvv), i32.const(3)));
    return slot(at === 'reg' ? RECORD.reg : at === 'is4' ? RECORD.is4 : RECORD.rm);
  };
  const placed = (operand: Operand): PlacedOperand => {
    const found = operands.find((candidate) => candidate === operand);
    if (found === undefined) throw new Error('an operand of another instruction');
    return found;
  };

  const effective = (operand: PlacedOperand, further?: Code): Code => {
    if (operand.letter.startsWith('O')) return i64.load(record, RECORD.immediate);
    const register = i64.load(slot(RECORD.base));
    const base = further === undefined ? register : i64.add(register, further);
    const displacement = i64.load32_s(record, RECORD.displacement);
    if (variant.addressing === 'base') return i64.add(base, displacement);
    const scale = i64.load8_u(record, RECORD.scale);
    const indexed = operand.form.vectorIndex === undefined ? i64.add(base, i64.shl(i64.load(slot(RECORD.index)), scale)) : base; // prettier-ignore
    const sum = i64.add(indexed, displacement);
    if (variant.addressing === 'index') return sum;
    const mask = i64.sub(i64.shl(i64.load8_u(record, RECORD.address32), i64.const(32)), i64.const(1));
    // mask is 2^32 - 1 with 67h and all ones (0 - 1) without
    return i64.and(sum, mask);
  };
  const linearOf = (operand: PlacedOperand): Code => {
    if (operand.linear !== undefined) return operand.linear;
    const offset = effective(operand);
    const segment = (): Code => i64.load(slot(RECORD.segment));
    const linear = body.let('i64', variant.addressing === 'full' ? i64.add(offset, segment()) : offset);
    operand.linear = linear;
    return linear;
  };
  const hostOf = (operand: PlacedOperand): Code => {
    if (operand.host !== undefined) return operand.host;
    const linear = linearOf(operand);
    if (operand.form.aligned)
      e.raiseIf(i32.wrap_i64(i64.and(linear, i64.const(operand.size - 1))), VECTOR.generalProtection);
    const host = locals.allocate('i32');
    body.emit(operand.translation);
    operand.host = local.get(host);
    finishers.push(() => {
      operand.translation.push(translationCode(body, linear, operand.size, operand.written, host, faultCode));
    });
    return operand.host;
  };
  const finishers: (() => void)[] = [];
  let compared: lazyFlags.Compared | undefined;
  /** i32 address of the operand's bytes, wherever they are. */
  const placeOf = (operand: PlacedOperand): Code => {
    if (operand.kind === 'memory') return hostOf(operand);
    if (operand.kind === 'fixed') return i32.add(context, i32.const(FIXED_OFFSET[operand.letter] ?? 0));
    operand.place ??= body.let('i32', registerSlot(operand.form.field));
    return operand.place;
  };
  const writeBack = (host: Code): void => {
    body.unlikely(i32.lt_u(host, i32.const(RAM_BASE)), () => body.emit(call('writeBack', context)));
  };
  const enterMmx = (operand: PlacedOperand): void => {
    // A write to an MMX register sets its exponent to ones, TOP to 0 and all tags to valid (SDM 1 9.5.2)
    body.emit(i64.store16(placeOf(operand), i64.const(0xffff), 8));
  };
  const storeTo = (operandOpaque: Operand, store: (place: Code) => Code): void => {
    const operand = placed(operandOpaque);
    operand.written = true;
    const place = placeOf(operand);
    body.emit(store(place));
    if (operand.kind === 'memory' && operand.size > 1) writeBack(place);
    if (operand.kind === 'mmx') enterMmx(operand);
    if (isVex && operand.kind === 'xmm') body.emit(v128.store(place, v128.const(0n, 0n), HIGH_HALF));
  };

  const first = operands[0];
  const size = form.options.includes('b') ? 1 : first === undefined ? variant.operandSize : first.size;

  const readInteger = (operand: PlacedOperand): Code => {
    if (operand.kind === 'immediate')
      return operand.second ? i64.load32_s(record, RECORD.displacement) : i64.load(record, RECORD.immediate);
    if (operand.kind === 'constant') return i64.const(1);
    return loadInteger(placeOf(operand), operand.size);
  };
  const leave = (status: number): void => {
    if (inline !== undefined) throw new Error('this exit is for handler functions only');
    body.emit(ret(i32.const(status)));
  };

  const e: InstructionEmitter = {
    ...body,
    size,
    repeat: variant.repeat,
    address32: variant.address32,
    encoding: form.encoding,
    vectorBytes: isVex && /^VEX\.(256|L1)/.test(form.encoding) ? 32 : 16,
    isMemory: (operand) => operand.kind === 'memory',
    constant: (operand) => (operand.kind === 'constant' ? 1 : undefined),
    read(opaque) {
      const operand = placed(opaque);
      if (operand.form.vectorIndex !== undefined) return body.let('v128', v128.load(slot(RECORD.index)));
      if (isVector(operand)) return body.let('v128', v128.load(placeOf(operand)));
      if (operand.kind === 'memory' && operand.form.register === 'xmm' && operand.size < 16) {
        const place = placeOf(operand);
        if (operand.size === 8) return body.let('v128', v128.load64_zero(place));
        if (operand.size === 4) return body.let('v128', v128.load32_zero(place));
      }
      if (operand.kind === 'memory' && (operand.size === 16 || operand.size === 32))
        return body.let('v128', v128.load(placeOf(operand)));
      return body.let('i64', readInteger(operand));
    },
    readHigh(opaque) {
      const operand = placed(opaque);
      if (operand.form.vectorIndex !== undefined)
        return body.let('v128', v128.load(slot(RECORD.index), HIGH_HALF));
      return body.let('v128', v128.load(placeOf(operand), operand.kind === 'memory' ? 16 : HIGH_HALF));
    },
    readSigned(opaque) {
      const operand = placed(opaque);
      return body.let('i64', lazyFlags.signExtend(readInteger(operand), operand.size));
    },
    readI64: (operand) => body.let('i64', i64.load(placeOf(placed(operand)))),
    readI32: (operand) => body.let('i32', i32.load(placeOf(placed(operand)))),
    readF64: (operand) => body.let('f64', f64.load(placeOf(placed(operand)))),
    readF32: (operand) => body.let('f32', f32.load(placeOf(placed(operand)))),
    write(opaque, value) {
      const operand = placed(opaque);
      if (operand.kind === 'xmm' || (operand.kind === 'memory' && operand.size === 16))
        return storeTo(operand, (place) => v128.store(place, value));
      if (operand.kind === 'memory' && operand.form.register === 'xmm')
        return storeTo(operand, (place) => storeInteger(place, [value, 0xfd, 29, 0], operand.size));
      if ((operand.kind === 'gpr' || operand.kind === 'fixed') && operand.size === 4)
        return storeTo(operand, (place) => i64.store(place, i64.extend_i32_u(i32.wrap_i64(value))));
      storeTo(operand, (place) => storeInteger(place, value, operand.size));
    },
    writeHalves(opaque, low, high) {
      const upperAt = opaque.kind === 'memory' ? 16 : HIGH_HALF;
      storeTo(opaque, (place) => [v128.store(place, low), v128.store(place, high, upperAt)]);
    },
    writeI64: (operand, value) => storeTo(operand, (place) => i64.store(place, value)),
    writeI32: (operand, value) => storeTo(operand, (place) => i32.store(place, value)),
    writeF64: (operand, value) => storeTo(operand, (place) => f64.store(place, value)),
    writeF32: (operand, value) => storeTo(operand, (place) => f32.store(place, value)),
    address(opaque, further) {
      const operand = placed(opaque);
      if (further === undefined) return linearOf(operand);
      const offset = effective(operand, further);
      return body.let(
        'i64',
        variant.addressing === 'full' ? i64.add(offset, i64.load(slot(RECORD.segment))) : offset,
      );
    },
    elementAddress(opaque, index) {
      return e.address(opaque, i64.shl(index, i64.load8_u(record, RECORD.scale)));
    },
    offset: (operand) => body.let('i64', effective(placed(operand))),
    hostForRead: (operand) => hostOf(placed(operand)),
    hostForWrite(opaque) {
      const operand = placed(opaque);
      operand.written = true;
      return hostOf(operand);
    },
    done: (operand) => writeBack(hostOf(placed(operand))),
    expectWrite: () => undefined,
    registerAddress: (operand) => placeOf(placed(operand)),
    regField: () => field(RECORD.reg),
    segmentBase: () => i64.load(slot(RECORD.segment)),
    stIndex: () => field(RECORD.rm),
    target: () => body.let('i64', i64.add(i64.load(context, CONTEXT.pageBase), i64.load(record, RECORD.immediate))), // prettier-ignore

    loadAt(address, bytes) {
      return body.let('i64', loadInteger(e.hostAt(address, bytes, 'read'), bytes));
    },
    hostAt(address, bytes, access) {
      const linear = body.let('i64', address);
      const host = locals.allocate('i32');
      body.emit(translationCode(body, linear, bytes, access === 'write', host, faultCode));
      return local.get(host);
    },
    doneAt: writeBack,
    register(number, bytes = 8) {
      const address = i32.add(context, i32.const(CONTEXT.gpr + number * 8));
      return body.let('i64', loadInteger(address, bytes));
    },
    setRegister(number, value, bytes = 8) {
      const stored = bytes === 4 ? i64.extend_i32_u(i32.wrap_i64(value)) : value;
      const address = i32.add(context, i32.const(CONTEXT.gpr + number * 8));
      body.emit(storeInteger(address, stored, bytes === 4 ? 8 : bytes));
    },
    push(value) {
      const bytes = variant.operandSize === 2 ? 2 : 8;
      const pushed = body.let('i64', value);
      const top = body.let('i64', i64.sub(e.register(4), i64.const(bytes)));
      const host = e.hostAt(top, bytes, 'write');
      body.emit(storeInteger(host, pushed, bytes));
      writeBack(host);
      e.setRegister(4, top);
    },
    top: () => e.loadAt(e.register(4), variant.operandSize === 2 ? 2 : 8),

    add: (a, b) => body.let('i64', i64.add(a, b)),
    sub: (a, b) => body.let('i64', i64.sub(a, b)),
    zero(value, bytes = size) {
      if (bytes === 8) return value;
      if (bytes === 4) return body.let('i64', i64.extend_i32_u(i32.wrap_i64(value)));
      return body.let('i64', i64.and(value, i64.const(bytes === 1 ? 0xff : 0xffff)));
    },
    sign: (value, bytes = size) => body.let('i64', lazyFlags.signExtend(value, bytes)),

    flags(recipe, a, b, result, bytes = size) {
      if (inline?.branch === undefined) return lazyFlags.emitFlags(body, recipe, a, b, result, bytes);
      const r = e.sign(result, bytes);
      const isLogic = recipe === 'logic';
      compared = {
        a: isLogic ? r : e.sign(a, bytes),
        b: isLogic ? i64.const(0) : e.sign(b, bytes),
        result: r,
      };
      lazyFlags.emitFlags(body, 'sub', compared.a, compared.b, r, 8);
    },
    flagsOf: (result, carry, overflow, bytes = size) => lazyFlags.emitFlagsOf(body, result, carry, overflow, bytes), // prettier-ignore
    setFlags: (values) => lazyFlags.emitSetFlags(body, values),
    flag(name) {
      if (name === 'C') return body.let('i32', lazyFlags.carryFlag(body));
      const bits = lazyFlags.flagBits(body);
      return body.let('i32', i32.and(i32.shr_u(bits, i32.const(lazyFlags.FLAG_BIT[name])), i32.const(1)));
    },
    flagBits: () => body.let('i32', lazyFlags.flagBits(body)),
    condition: (code) => body.let('i32', lazyFlags.conditionOf(body, code)),

    rip: () => i64.add(i64.load(context, CONTEXT.pageBase), i64.extend_i32_u(field(RECORD.offset))),
    nextRip: () => i64.add(e.rip(), i64.load8_u(record, RECORD.length)),
    jump(address) {
      const to = body.let('i64', address);
      const canonical = i64.shr_s(i64.shl(to, i64.const(16)), i64.const(16));
      e.raiseIf(i64.ne(canonical, to), VECTOR.generalProtection);
      e.jumpTo(to);
    },
    jumpTo(to) {
      if (inline === undefined) {
        body.emit(i64.store(context, to, CONTEXT.rip));
        return leave(EXIT.jump);
      }
      body.emit([local.set(inline.target, to), br(inline.lookup)]);
    },
    jumpRelative(operand) {
      if (inline !== undefined) {
        const link = body.let('i32', i32.load(record, RECORD.link));
        body.when(link, () => body.emit([local.set(inline.record, link), br(inline.next)]));
      }
      e.jumpTo(e.target(operand));
    },
    raise(vector, errorCode) {
      body.emit(i32.store(context, i32.const(vector), CONTEXT.trapVector));
      body.emit(i32.store(context, errorCode ?? i32.const(0), CONTEXT.trapError));
      body.emit(faultCode);
    },
    raiseIf(condition, vector, errorCode) {
      body.unlikely(condition, () => e.raise(vector, errorCode));
    },
    faultIf(condition) {
      body.unlikely(condition, () => body.emit(faultCode));
    },
    leaveIf: () => undefined,
    privileged() {
      e.raiseIf(e.get('cpl'), VECTOR.generalProtection);
    },
    exit(kind) {
      body.emit(i64.store(context, e.nextRip(), CONTEXT.rip));
      leave(EXIT[kind]);
    },
  };

  // A write to an MMX register or a read of one makes the x87 stack an MMX register file (SDM 1 9.5.1)
  const usesMmx = operands.some((operand) => operand.kind === 'mmx');
  // An x87 exception that waits comes first
  if (usesMmx) e.raiseIf(i32.and(e.get('fsw'), i32.const(0x80)), VECTOR.floatingPoint);
  form.instruction.emit(e, ...operands);
  if (usesMmx) {
    e.set('fsw', i32.and(e.get('fsw'), i32.const(~0x3800)));
    e.set('ftw', i32.const(0));
  }
  if (inline?.branch !== undefined) {
    if (compared === undefined) throw new Error('only comparisons are fused with branches');
    const { condition, remaining } = inline.branch;
    body.emit(local.set(inline.record, i32.add(record, i32.const(RECORD_BYTES))));
    body.unlikely(i32.eqz(local.get(remaining)), () => body.emit(br(inline.next)));
    body.emit(local.set(remaining, i32.sub(local.get(remaining), i32.const(1))));
    body.when(lazyFlags.comparedCondition(compared, condition), () => {
      const link = body.let('i32', i32.load(record, RECORD.link));
      body.when(link, () => body.emit([local.set(inline.record, link), br(inline.next)]));
      const target = i64.add(i64.load(context, CONTEXT.pageBase), i64.load(record, RECORD.immediate));
      body.emit([local.set(inline.target, target), br(inline.lookup)]);
    });
  }
  for (const finish of finishers) finish();
  const end: Code = inline === undefined ? i32.const(EXIT.next) : [];
  return [body.take(), end];
}
