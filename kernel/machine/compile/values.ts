// Values of compiled code: expressions whose content is fixed (a local that is assigned once, a constant), with what the
// compiler knows of them: how many low bits may be set, and how they lie to each other (`root` + `offset`), so that
// accesses off the same pointer are recognised through additions of constants.

import type { Code } from '../exec/wasm.ts';
import { i32, i64 } from '../exec/wasm.ts';

export interface Value {
  readonly code: Code;
  /** The value is below 2^bits. */
  readonly bits: number;
  /** Values with the same root differ by their offsets. */
  readonly root: number;
  readonly offset: number;
  /** The register that has this value at home, or -1. */
  readonly home: number;
}

/** Roots that every region has; others are numbered from FIRST_ROOT. */
export const ROOT = { zero: 0, page: 1 } as const;
const FIRST_ROOT = 2;

export interface Values {
  nextRoot: number;
}
export const newValues = (): Values => ({ nextRoot: FIRST_ROOT });

/**
 * What is known of a piece of code, kept on the code itself, as looking it up happens all the time: in a WeakMap, hashing and
 * the garbage collector took a third of all compile time. `owner` is of the region: code may be shared between regions.
 */
interface Notes {
  readonly owner: Values;
  value: Value | undefined;
  /** Operations, if it is a value that is written out at each use. */
  cost: number | undefined;
  /** General registers whose home locals it reads, as bits. */
  homes: number | undefined;
  /** The value of its lower 32 bits, once that was asked for. */
  low32: Code | undefined;
}
interface Noted extends ReadonlyArray<Code> {
  notes?: Notes;
}
const isNoted = (code: Code): code is Noted => Array.isArray(code);

/** The notes of a piece of code that is no symbolic node; undefined when there are none. */
export function notesOf(owner: Values, code: Code): Notes | undefined {
  if (!isNoted(code)) return undefined;
  const { notes } = code;
  return notes?.owner === owner ? notes : undefined;
}

/** The same; makes them. */
export function notesFor(owner: Values, code: Code): Notes {
  const known = notesOf(owner, code);
  if (known !== undefined) return known;
  const notes: Notes = { owner, value: undefined, cost: undefined, homes: undefined, low32: undefined };
  if (isNoted(code)) code.notes = notes;
  return notes;
}

/** What an expression is known to be. */
export const knownOf = (values: Values, code: Code): Value | undefined => notesOf(values, code)?.value;

const isArray = (code: Code): code is readonly Code[] => Array.isArray(code);

function signedOfLeb(bytes: Code | undefined): bigint | undefined {
  if (bytes === undefined || !isArray(bytes)) return undefined;
  const [first] = bytes;
  if (typeof first === 'number' && first < 128) return BigInt(first < 64 ? first : first - 128);
  let value = 0n;
  let shift = 0n;
  for (const byte of bytes) {
    if (typeof byte !== 'number') return undefined;
    value |= BigInt(byte & 127) << shift;
    shift += 7n;
    if ((byte & 128) === 0) return (byte & 64) === 0 ? value : value - (1n << shift);
  }
  return undefined;
}

/** The number of an i64.const or i32.const. */
export function constantOf(code: Code): bigint | undefined {
  if (!isArray(code) || code.length !== 2 || (code[0] !== 0x42 && code[0] !== 0x41)) return undefined;
  return signedOfLeb(code[1]);
}

type Fold = (a: bigint, b: bigint) => bigint;
const unsigned = (value: bigint): bigint => BigInt.asUintN(64, value);
const FOLD64: Readonly<Record<number, Fold>> = {
  0x7c: (a, b) => a + b,
  0x7d: (a, b) => a - b,
  0x7e: (a, b) => a * b,
  0x83: (a, b) => a & b,
  0x84: (a, b) => a | b,
  0x85: (a, b) => a ^ b,
  0x86: (a, b) => a << (b & 63n),
  0x87: (a, b) => BigInt.asIntN(64, a) >> (b & 63n),
  0x88: (a, b) => unsigned(a) >> (b & 63n),
};
const FOLD32: Readonly<Record<number, Fold>> = {
  0x6a: (a, b) => a + b,
  0x6b: (a, b) => a - b,
  0x71: (a, b) => a & b,
  0x72: (a, b) => a | b,
  0x73: (a, b) => a ^ b,
};
const TRUTH64: Readonly<Record<number, (a: bigint, b: bigint) => boolean>> = {
  0x51: (a, b) => a === b,
  0x52: (a, b) => a !== b,
  0x54: (a, b) => unsigned(a) < unsigned(b),
  0x56: (a, b) => unsigned(a) > unsigned(b),
  0x58: (a, b) => unsigned(a) <= unsigned(b),
  0x5a: (a, b) => unsigned(a) >= unsigned(b),
};

const ZERO64 = i64.const(0);
const ZERO32 = i32.const(0);

/** Evaluates an operation on constants; anything else comes back as it is. */
export function fold(code: Code): Code {
  if (!isArray(code)) return code;
  if (code.length === 2) {
    const [inner, opcode] = code;
    if (inner === undefined || (opcode !== 0xa7 && opcode !== 0xad)) return code;
    const value = constantOf(fold(inner));
    if (value === undefined) return code;
    return opcode === 0xa7 ? i32.const(Number(BigInt.asIntN(32, value))) : i64.const(BigInt.asUintN(32, value)); // prettier-ignore
  }
  if (code.length !== 3) return code;
  const [left, right, opcode] = code;
  if (left === undefined || right === undefined || typeof opcode !== 'number') return code;
  if (left === right) {
    // XOR and SUB of a register with itself, TEST
    if (opcode === 0x83 || opcode === 0x84 || opcode === 0x71 || opcode === 0x72) return left;
    if (opcode === 0x85 || opcode === 0x7d) return ZERO64;
    if (opcode === 0x73 || opcode === 0x6b) return ZERO32;
  }
  const wide = FOLD64[opcode];
  const truth = TRUTH64[opcode];
  const narrow = FOLD32[opcode];
  if (wide === undefined && truth === undefined && narrow === undefined) return code;
  const b = constantOf(fold(right));
  if (b === undefined) return code;
  const a = constantOf(fold(left));
  if (a === undefined) return code;
  if (truth !== undefined) return i32.const(truth(a, b) ? 1 : 0);
  if (narrow !== undefined) return i32.const(Number(BigInt.asIntN(32, narrow(a, b))));
  return wide === undefined ? code : i64.const(BigInt.asIntN(64, wide(a, b)));
}

const bitLength = (value: bigint): number => (value < 0n ? 64 : value.toString(2).length);

/** How many low bits an expression may have set, as far as its last operation tells. */
export function bitsOf(values: Values, code: Code): number {
  if (!isArray(code)) return 64;
  const known = knownOf(values, code);
  if (known !== undefined) return known.bits;
  const constant = constantOf(code);
  if (constant !== undefined) return bitLength(constant);
  const loaded = code[1];
  if (code.length === 4 && code[2] === 0) return loaded === 0x31 ? 8 : loaded === 0x33 ? 16 : loaded === 0x35 ? 32 : 64; // prettier-ignore
  if (code.length === 2 && code[1] === 0xad) return bitsOfNarrow(code[0]);
  if (code.length !== 3) return 64;
  const [left, right, opcode] = code;
  if (left === undefined || right === undefined) return 64;
  switch (opcode) {
    case 0x83: return Math.min(bitsOf(values, left), bitsOf(values, right));
    case 0x84:
    case 0x85: return Math.max(bitsOf(values, left), bitsOf(values, right));
    case 0x88: {
      const count = constantOf(right);
      return count === undefined ? bitsOf(values, left) : Math.max(bitsOf(values, left) - Number(count & 63n), 1);
    }
    default: return 64;
  } // prettier-ignore
}

/** Comparisons give one bit. */
function bitsOfNarrow(code: Code | undefined): number {
  if (code === undefined || !isArray(code)) return 32;
  const opcode = code[code.length - 1];
  return typeof opcode === 'number' && code.length >= 2 && opcode >= 0x45 && opcode <= 0x66 ? 1 : 32;
}

/** Where a value lies: its root and offset, numbers below 2^31 apart. */
export function placeOf(values: Values, code: Code): { root: number; offset: number } | undefined {
  if (!isArray(code)) return undefined;
  const known = knownOf(values, code);
  if (known !== undefined) return known;
  const constant = constantOf(code);
  if (constant !== undefined && constant > -(2n ** 31n) && constant < 2n ** 31n)
    return { root: ROOT.zero, offset: Number(constant) };
  if (code.length !== 3 || (code[2] !== 0x7c && code[2] !== 0x7d)) return undefined;
  const [left, right, opcode] = code;
  if (left === undefined || right === undefined) return undefined;
  const b = constantOf(right);
  const a = b === undefined ? undefined : placeOf(values, left);
  if (a === undefined || b === undefined || b < -(2n ** 31n) || b > 2n ** 31n) return undefined;
  const offset = a.offset + (opcode === 0x7c ? Number(b) : -Number(b));
  return Math.abs(offset) < 2 ** 31 ? { root: a.root, offset } : undefined;
}
