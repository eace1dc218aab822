// Our WebAssembly writer, part one: expressions. Code is a nested array of bytes with a few symbolic nodes (scopes,
// jumps, calls), composed by functions that are named like the instructions: i64.add(a, b) is the code of a, then the
// code of b, then the opcode. wasm-module.ts resolves labels and callees and flattens the whole into a module.
// Code is a value: using the same Code twice evaluates it twice, so keep results in locals.

export type Type = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';
export const TYPE_BYTE: Record<Type, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };

/** A branch target; compared by identity. */
export interface Label {
  readonly name: string;
}
export interface Scope {
  readonly scope: 0x02 | 0x03 | 0x04; // block, loop, if
  readonly label: Label;
  readonly result: number; // block type byte
  readonly body: Code;
  readonly orElse?: Code;
  /** For `if`: 0 when the condition is rarely true, 1 when it nearly always is. */
  readonly hint?: 0 | 1;
}
export interface Jump {
  readonly jump: 0x0c | 0x0d; // br, br_if
  readonly to: Label;
}
export interface JumpTable {
  readonly targets: readonly Label[];
  readonly otherwise: Label;
}
/** A call by name: a function of the same module or an import. */
export interface Call {
  readonly callee: string;
  /** Instead of returning: `return_call`. */
  readonly tail?: true;
}
/** Type index, looked up when the module is put together. */
export interface Signature {
  readonly parameters: readonly Type[];
  readonly results: readonly Type[];
}
export type Code = number | readonly Code[] | Scope | Jump | JumpTable | Call | Signature;

/** The numbers that nearly all code has are one object each: a machine is some 100 000 expressions. */
const SMALL_LEBS: readonly (readonly number[])[] = Array.from({ length: 4096 }, (_unused, value) =>
  longLeb(value),
);
const ONE_BYTE: readonly (readonly number[])[] = Array.from({ length: 128 }, (_unused, byte) => [byte]);

export const unsignedLeb = (value: number): readonly number[] => SMALL_LEBS[value] ?? longLeb(value);

function longLeb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest === 0 ? low : low | 128);
    if (rest === 0) return bytes;
  }
}

export function signedLeb(value: bigint): readonly number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = Number(rest & 127n);
    rest >>= 7n;
    if ((rest === 0n && low < 64) || (rest === -1n && low >= 64)) {
      bytes.push(low);
      return bytes;
    }
    bytes.push(low | 128);
  }
}

function smallLeb(value: number): readonly number[] {
  if (value >= -64 && value < 64) return ONE_BYTE[value & 127] ?? [];
  if (value !== (value | 0)) return signedLeb(BigInt(value));
  const bytes: number[] = [];
  let rest = value;
  for (; rest < -64 || rest >= 64; rest >>= 7) bytes.push((rest & 127) | 128);
  bytes.push(rest & 127);
  return bytes;
}

const unary = (opcode: number) => (a: Code): Code => [a, opcode]; // prettier-ignore
const binary = (opcode: number) => (a: Code, b: Code): Code => [a, b, opcode]; // prettier-ignore
const saturating = (opcode: number) => (a: Code): Code => [a, 0xfc, opcode]; // prettier-ignore
/** Memory operations say alignment 1: guest addresses may be unaligned. */
const load = (opcode: number) => (address: Code, offset = 0): Code => [address, opcode, 0, unsignedLeb(offset)]; // prettier-ignore
const store = (opcode: number) => (address: Code, value: Code, offset = 0): Code => [address, value, opcode, 0, unsignedLeb(offset)]; // prettier-ignore

export const i32 = {
  const: (value: number): Code => [0x41, smallLeb(value | 0)],
  load: load(0x28), load8_s: load(0x2c), load8_u: load(0x2d), load16_s: load(0x2e), load16_u: load(0x2f),
  store: store(0x36), store8: store(0x3a), store16: store(0x3b),
  eqz: unary(0x45), eq: binary(0x46), ne: binary(0x47), lt_s: binary(0x48), lt_u: binary(0x49), gt_s: binary(0x4a),
  gt_u: binary(0x4b), le_s: binary(0x4c), le_u: binary(0x4d), ge_s: binary(0x4e), ge_u: binary(0x4f),
  clz: unary(0x67), ctz: unary(0x68), popcnt: unary(0x69), add: binary(0x6a), sub: binary(0x6b), mul: binary(0x6c),
  div_s: binary(0x6d), div_u: binary(0x6e), rem_s: binary(0x6f), rem_u: binary(0x70), and: binary(0x71),
  or: binary(0x72), xor: binary(0x73), shl: binary(0x74), shr_s: binary(0x75), shr_u: binary(0x76),
  rotl: binary(0x77), rotr: binary(0x78), wrap_i64: unary(0xa7), reinterpret_f32: unary(0xbc),
  extend8_s: unary(0xc0), extend16_s: unary(0xc1),
  trunc_sat_f32_s: saturating(0), trunc_sat_f32_u: saturating(1), trunc_sat_f64_s: saturating(2), trunc_sat_f64_u: saturating(3),
} as const; // prettier-ignore

export const i64 = {
  const: (value: number | bigint): Code => [
    0x42,
    typeof value === 'number' ? smallLeb(value) : signedLeb(BigInt.asIntN(64, value)),
  ],
  load: load(0x29), load8_s: load(0x30), load8_u: load(0x31), load16_s: load(0x32), load16_u: load(0x33),
  load32_s: load(0x34), load32_u: load(0x35), store: store(0x37), store8: store(0x3c), store16: store(0x3d), store32: store(0x3e),
  eqz: unary(0x50), eq: binary(0x51), ne: binary(0x52), lt_s: binary(0x53), lt_u: binary(0x54), gt_s: binary(0x55),
  gt_u: binary(0x56), le_s: binary(0x57), le_u: binary(0x58), ge_s: binary(0x59), ge_u: binary(0x5a),
  clz: unary(0x79), ctz: unary(0x7a), popcnt: unary(0x7b), add: binary(0x7c), sub: binary(0x7d), mul: binary(0x7e),
  div_s: binary(0x7f), div_u: binary(0x80), rem_s: binary(0x81), rem_u: binary(0x82), and: binary(0x83),
  or: binary(0x84), xor: binary(0x85), shl: binary(0x86), shr_s: binary(0x87), shr_u: binary(0x88),
  rotl: binary(0x89), rotr: binary(0x8a), extend_i32_s: unary(0xac), extend_i32_u: unary(0xad), reinterpret_f64: unary(0xbd),
  extend8_s: unary(0xc2), extend16_s: unary(0xc3), extend32_s: unary(0xc4),
  trunc_sat_f32_s: saturating(4), trunc_sat_f32_u: saturating(5), trunc_sat_f64_s: saturating(6), trunc_sat_f64_u: saturating(7),
} as const; // prettier-ignore

function floatBytes(value: number, size: 4 | 8): number[] {
  const view = new DataView(new ArrayBuffer(8));
  if (size === 4) view.setFloat32(0, value, true);
  else view.setFloat64(0, value, true);
  return [...new Uint8Array(view.buffer, 0, size)];
}

export const f32 = {
  const: (value: number): Code => [0x43, floatBytes(value, 4)],
  load: load(0x2a), store: store(0x38),
  eq: binary(0x5b), ne: binary(0x5c), lt: binary(0x5d), gt: binary(0x5e), le: binary(0x5f), ge: binary(0x60),
  abs: unary(0x8b), neg: unary(0x8c), ceil: unary(0x8d), floor: unary(0x8e), trunc: unary(0x8f), nearest: unary(0x90),
  sqrt: unary(0x91), add: binary(0x92), sub: binary(0x93), mul: binary(0x94), div: binary(0x95), min: binary(0x96),
  max: binary(0x97), copysign: binary(0x98), convert_i32_s: unary(0xb2), convert_i32_u: unary(0xb3),
  convert_i64_s: unary(0xb4), convert_i64_u: unary(0xb5), demote_f64: unary(0xb6), reinterpret_i32: unary(0xbe),
} as const; // prettier-ignore

export const f64 = {
  const: (value: number): Code => [0x44, floatBytes(value, 8)],
  load: load(0x2b), store: store(0x39),
  eq: binary(0x61), ne: binary(0x62), lt: binary(0x63), gt: binary(0x64), le: binary(0x65), ge: binary(0x66),
  abs: unary(0x99), neg: unary(0x9a), ceil: unary(0x9b), floor: unary(0x9c), trunc: unary(0x9d), nearest: unary(0x9e),
  sqrt: unary(0x9f), add: binary(0xa0), sub: binary(0xa1), mul: binary(0xa2), div: binary(0xa3), min: binary(0xa4),
  max: binary(0xa5), copysign: binary(0xa6), convert_i32_s: unary(0xb7), convert_i32_u: unary(0xb8),
  convert_i64_s: unary(0xb9), convert_i64_u: unary(0xba), promote_f32: unary(0xbb), reinterpret_i64: unary(0xbf),
} as const; // prettier-ignore

export const local = {
  /** A new object each time: the compiler notes on it what the local holds at this place (compile/values.ts). */
  get: (index: number): Code => [0x20, unsignedLeb(index)],
  set: (index: number, value: Code): Code => [value, 0x21, unsignedLeb(index)],
  tee: (index: number, value: Code): Code => [value, 0x22, unsignedLeb(index)],
} as const;

export const memory = {
  copy: (to: Code, from: Code, length: Code): Code => [to, from, length, 0xfc, 10, 0, 0],
  fill: (to: Code, value: Code, length: Code): Code => [to, value, length, 0xfc, 11, 0],
} as const;

const VOID = 0x40;
const blockType = (result: Type | undefined): number => (result === undefined ? VOID : TYPE_BYTE[result]);

export const label = (name: string): Label => ({ name });
export const block = (to: Label, body: Code, result?: Type): Code => ({ scope: 0x02, label: to, result: blockType(result), body }); // prettier-ignore
export const loop = (to: Label, body: Code, result?: Type): Code => ({ scope: 0x03, label: to, result: blockType(result), body }); // prettier-ignore
/** `if`; with a result type it is an expression. */
export const when = (condition: Code, then: Code, orElse?: Code, result?: Type): Code => {
  const scope = { scope: 0x04, label: label('if'), result: blockType(result), body: then } as const;
  return [condition, orElse === undefined ? scope : { ...scope, orElse }];
};
/** `if` whose condition is rarely true: what it does is kept out of the way, registers are not spilled for it. */
export const unlikely = (condition: Code, then: Code, orElse?: Code): Code => {
  const scope = { scope: 0x04, label: label('if'), result: VOID, body: then, hint: 0 } as const;
  return [condition, orElse === undefined ? scope : { ...scope, orElse }];
};
export const br = (to: Label): Code => ({ jump: 0x0c, to });
export const brIf = (condition: Code, to: Label): Code => [condition, { jump: 0x0d, to }];
export const brTable = (index: Code, targets: readonly Label[], otherwise: Label): Code => [
  index,
  { targets, otherwise },
];
export const call = (callee: string, ...values: Code[]): Code => [values, { callee }];
export const tailCall = (callee: string, ...values: Code[]): Code => [values, { callee, tail: true }];
export const callIndirect = (signature: Signature, index: Code, ...values: Code[]): Code => [
  values,
  index,
  0x11,
  signature,
  0,
];
/** Instead of returning what the callee returns: `return_call_indirect`. */
export const tailCallIndirect = (signature: Signature, index: Code, ...values: Code[]): Code => [
  values,
  index,
  0x13,
  signature,
  0,
];
/** `select`: both values are evaluated, whatever the condition. */
export const select = (condition: Code, ifTrue: Code, ifFalse: Code): Code => [
  ifTrue,
  ifFalse,
  condition,
  0x1b,
];
export const drop = (value: Code): Code => [value, 0x1a];
export const ret = (value: Code): Code => [value, 0x0f];
