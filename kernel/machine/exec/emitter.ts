// What emit() of an instruction gets: the one vocabulary in which the meaning of instructions is written. The
// interpreter implements it (emit.ts), and the compiler tier once more, over wasm locals (compile/emit.ts).
//
// Values are Code: expressions without side effects. What e.read, e.let and the arithmetic here return is the content
// of a local, so it may be used any number of times; composed expressions (i64.add(…)) are evaluated at each use.
// Integers are i64, zero-extended from the operand's size unless said otherwise.
//
// Order in an emit(): read everything, compute, write the memory operand (that may fault), then registers, then flags.

import type { Operand } from '../isa/declare.ts';
import type { Known } from '../isa/x87-stack.ts';
import type { Code, Type } from './wasm.ts';

/** Arithmetic whose flags are derived from operands and result. */
export type FlagRecipe = 'add' | 'sub' | 'adc' | 'sbb' | 'logic' | 'inc' | 'dec' | 'imul';
export type FlagName = 'C' | 'P' | 'A' | 'Z' | 'S' | 'O';

/** Context fields that instructions may get and set. Integers of fewer than 64 bits are i32. */
export type ContextField =
  | 'fcw' | 'fsw' | 'ftw' | 'fop' | 'fip' | 'fdp' | 'mxcsr' | 'fsBase' | 'gsBase' | 'rflags' | 'cpl' | 'rip' | 'cr2' | 'cr3'; // prettier-ignore

export interface Variable {
  readonly get: Code;
  set(value: Code): void;
}

/** Part of the vocabulary that helpers have too. */
export interface Emitter {
  /** i32: address of the CPU's context in memory; layout.ts has the offsets. */
  readonly context: Code;
  /** Appends a statement (code that leaves nothing on the stack). */
  emit(statement: Code): void;
  /** Evaluates now and keeps the value in a local. */
  let(type: Type, value: Code): Code;
  /** A local to assign; its first value must be set before it is read. */
  variable(type: Type): Variable;
  when(condition: Code, then: () => void, otherwise?: () => void): void;
  /** The same for what rarely happens. */
  unlikely(condition: Code, then: () => void, otherwise?: () => void): void;
  /** Repeats until leave() is emitted inside it; again() restarts. At the end of the body it repeats by itself. */
  loop(body: (leave: (condition?: Code) => void, again: (condition?: Code) => void) => void): void;
  /** Calls a helper of any family; yields its result. Helpers without a result: e.emit(e.call(…)). */
  call(helper: string, ...values: Code[]): Code;
  get(field: ContextField): Code;
  set(field: ContextField, value: Code): void;
}

/**
 * What an instruction takes for granted of floating-point numbers: then the host's operation is all there is to do. Vectors
 * count with all their lanes. That MXCSR is as usual (sse-lanes.ts) is taken for granted always.
 */
export interface Expectation {
  readonly bits: 32 | 64; // of each number
  readonly vector: boolean;
  /** They are not denormal. */
  readonly operands?: readonly Code[];
  /** The operands are no NaNs. */
  readonly ordered?: boolean;
  /** Neither zero, denormal, of the least binade, infinite nor NaN. */
  readonly result?: Code;
  /** i32, not zero: something further is not as it should. */
  readonly doubt?: Code;
  /** Evaluated when one of these does not hold. i32, not zero: the host's operation will not do. */
  odd(): Code;
}

export interface InstructionEmitter extends Emitter {
  /**
   * In compiled code: true if the values may be used as if what is expected held. It is checked before anything can be
   * seen, together with what others expect; where it fails, the interpreter executes the instructions.
   */
  readonly expect?: (expectation: Expectation) => boolean;
  /** In compiled code: the number, or each of the vector, is finite and not denormal. */
  readonly isOrdinary?: (bits: 32 | 64, value: Code) => void;
  /** Operation size in bytes: that of the first operand in this variant (1, 2, 4, 8; 16 …). */
  readonly size: number;
  /** The repeat prefix of forms with option 'rep' or 'repz'. */
  readonly repeat: 'none' | 'rep' | 'repne';
  /** Is the 67h prefix there (string instructions, loop, jrcxz)? */
  readonly address32: boolean;
  readonly encoding: string; // of the form that is being emitted
  /** Of a VEX form: bytes of its vectors. Otherwise 16. */
  readonly vectorBytes: 16 | 32;
  /** Of the halves of a ymm operation, whose SIMD exceptions are raised together: runs the lanes (isa/avx-lift.ts). */
  readonly collectExceptions?: (lanes: () => void) => void;
  /** In compiled code: what is known of the x87 here (isa/x87-stack.ts). */
  readonly x87?: { known: Known | undefined };
  isMemory(operand: Operand): boolean;
  /**
   * The value of an immediate of one byte (0 to 255), of a constant operand or the i of an STi, where it is known while code is emitted: in
   * the compiler tier. Undefined in the interpreter, whose handlers serve every immediate: then e.read() has it at run time.
   */
  constant(operand: Operand): number | undefined;

  // Operands
  /** gpr, fixed, immediate, memory of 1 to 8 bytes, mmx: i64 zero-extended. xmm and memory of 16 bytes: v128; ymm and memory of 32 bytes: v128, the lower half; a smaller xmm-or-memory operand: v128, upper part zero if memory, the whole register if register. */
  read(operand: Operand): Code;
  /** v128: the upper half of a ymm or 32-byte memory operand. */
  readHigh(operand: Operand): Code;
  /** The same, sign-extended to i64. */
  readSigned(operand: Operand): Code;
  /** Low 8 or 4 bytes of an xmm, mmx, gpr or memory operand. */
  readI64(operand: Operand): Code;
  readI32(operand: Operand): Code;
  readF64(operand: Operand): Code;
  readF32(operand: Operand): Code;
  /** Truncates to the operand's size. 32-bit registers zero their upper half. xmm: v128 (memory: its low `size` bytes). May fault when memory. VEX forms zero the register above bit 127. */
  write(operand: Operand, value: Code): void;
  /** Both halves of a ymm or 32-byte memory operand, v128 each. */
  writeHalves(operand: Operand, low: Code, high: Code): void;
  /** Writes the low part only; the rest of an xmm register stays (but VEX forms zero what is above bit 127). */
  writeI64(operand: Operand, value: Code): void;
  writeI32(operand: Operand, value: Code): void;
  writeF64(operand: Operand, value: Code): void;
  writeF32(operand: Operand, value: Code): void;
  /** Effective address (with segment base) as i64; `further` is added before 67h wraps it. */
  address(operand: Operand, further?: Code): Code;
  /** Of a gather's memory operand: linear address of the element with this index (i64, sign-extended). e.read and e.readHigh of it give the index vector. */
  elementAddress(operand: Operand, index: Code): Code;
  /** Effective address without segment base, for LEA. */
  offset(operand: Operand): Code;
  /** i32 host address of a memory operand of any size, present for reading / for writing; when the operand crosses a page this is a scratch copy, so call done(operand) after the stores. */
  hostForRead(operand: Operand): Code;
  hostForWrite(operand: Operand): Code;
  done(operand: Operand): void;
  /** A hint: the operand will be written unless something rare forbids it. Compiled code looks here whether it is there. */
  expectWrite(operand: Operand): void;
  /** i32 host address of the register of an xmm, mmx or gpr operand. */
  registerAddress(operand: Operand): Code;
  /** i32: context offset or number of a segment register operand, or what else the reg field holds. */
  regField(): Code;
  /** i64: base of the segment that a prefix names, or 0. For implicit memory operands (strings, XLAT). */
  segmentBase(): Code;
  /** i32: the i of an STi operand. */
  stIndex(operand: Operand): Code;
  /** i64 target of a branch operand. */
  target(operand: Operand): Code;

  // Any memory: `address` is a linear address as i64. Reads may fault; nothing architectural may have been written before.
  loadAt(address: Code, size: 1 | 2 | 4 | 8): Code;
  hostAt(address: Code, size: number, access: 'read' | 'write'): Code;
  /** After stores to hostAt(…, 'write'). */
  doneAt(host: Code): void;

  // Registers by number
  register(number: number, size?: number): Code;
  setRegister(number: number, value: Code, size?: number): void;

  // Stack; the operation size is 8 unless the form says otherwise. push validates, stores, moves RSP.
  push(value: Code): void;
  /** Reads the top; RSP moves with dropStack(bytes) after everything that may fault. */
  top(): Code;

  // Arithmetic at 64 bits, kept in locals; mask with zero() or sign() where the upper part matters.
  add(a: Code, b: Code): Code;
  sub(a: Code, b: Code): Code;
  /** Zero- or sign-extends from the operation's size. */
  zero(value: Code, size?: number): Code;
  sign(value: Code, size?: number): Code;

  // Flags
  flags(recipe: FlagRecipe, a: Code, b: Code, result: Code, size?: number): void;
  /** S, Z, P from the result; C and O given as i32 0/1; A clear. */
  flagsOf(result: Code, carry: Code, overflow: Code, size?: number): void;
  /** Sets the named flags (i32 0/1) and leaves the others. */
  setFlags(values: Partial<Record<FlagName, Code>>): void;
  /** i32 0/1. */
  flag(name: FlagName): Code;
  /** i32: the six arithmetic flags at their places in RFLAGS. */
  flagBits(): Code;
  /** i32 0/1 for the condition code 0 to 15 of Jcc, SETcc, CMOVcc. */
  condition(code: number): Code;

  // Control. Addresses are i64.
  rip(): Code;
  nextRip(): Code;
  /** Near branch to an address that the program computed; #GP if not canonical. Ends the instruction. */
  jump(address: Code): void;
  /** The same for an address that is known to be canonical. */
  jumpTo(address: Code): void;
  /** Ends the instruction. */
  jumpRelative(operand: Operand): void;

  // Exceptions
  /** A fault: the instruction has not happened. Vectors: machine.ts VECTOR. */
  raise(vector: number, errorCode?: Code): void;
  raiseIf(condition: Code, vector: number, errorCode?: Code): void;
  /** If a helper that returns i32 reports a fault that it has already stored in the context: leave. */
  faultIf(condition: Code): void;
  /** Compiled code is left behind this instruction, when it has happened; the interpreter goes on there anyway. */
  leaveIf(condition: Code, before?: () => void): void;
  /** #GP(0) unless CPL is 0. */
  privileged(): void;
  /** Leaves the run loop behind this instruction. */
  exit(kind: 'syscall' | 'trap' | 'halt' | 'privilege'): void;
}
