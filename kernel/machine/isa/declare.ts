// How an instruction is declared, and how the manual's notation for encodings and operands is read. From a declaration
// follow the opcode map, the interpreter, the disassembler, the CPUID gate and the coverage list. isa/README.md explains
// the notation to those who write families.

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code, Type } from '../exec/wasm.ts';

/** Operands are opaque to emit(): pass them to e.read, e.write and so on. */
export interface Operand {
  /** As declared: 'Ev', 'Gb', 'Wq', 'rAX' … */
  readonly letter: string;
  readonly kind: OperandKind;
  /** In bytes, in the variant that is being emitted. */
  readonly size: number;
}
export type OperandKind =
  | 'gpr' // number in the record's reg or rm field
  | 'fixed' // AL, rAX, CL …: always the same register
  | 'xmm'
  | 'ymm'
  | 'mmx'
  | 'segment'
  | 'control' // CR, DR: number in the record's reg field
  | 'debug'
  | 'st'
  | 'memory'
  | 'immediate'
  | 'relative' // branch target
  | 'constant'; // the 1 of a shift

export const FEATURES = [
  'base', 'cmov', 'cx8', 'cx16', 'mmx', 'fxsr', 'x87', 'sse', 'sse2', 'sse3', 'ssse3', 'sse4.1', 'sse4.2', 'popcnt',
  'lahf', 'syscall', 'rdtscp', 'clflush', 'xsave', 'rdrand', 'rdseed', 'fsgsbase', 'erms', 'avx', 'avx2', 'bmi1', 'bmi2', 'lzcnt',
  'movbe', 'adx', 'aes', 'pclmulqdq', 'sha', 'f16c', 'fma',
] as const; // prettier-ignore
export type Feature = (typeof FEATURES)[number];

/** Encoding, operands, options ('lock', 'd64', 'rep' …). */
export type Form = readonly [encoding: string, operands: string, options?: string];

export interface InstructionSpec {
  readonly mnemonic: string;
  readonly source: string;
  readonly forms: readonly Form[];
  /** Flags that it writes, of OSZAPC; those that it leaves undefined count as written. */
  readonly writes?: string;
  /** The CPUID feature without which it raises #UD. */
  readonly feature?: Feature;
  /** What is not implemented, for the coverage page. */
  readonly missing?: string;
  emit(e: InstructionEmitter, ...operands: Operand[]): void;
}
export type Instruction = Readonly<InstructionSpec>;

export function instruction(spec: InstructionSpec): Instruction {
  return spec;
}

/** A function in wasm that several instructions call: e.call('name', …). Parameter 0 is, by custom, the context. */
export interface Helper {
  readonly name: string;
  readonly parameters: readonly Type[];
  readonly result?: Type;
  /** Gets the code of each parameter (up to six; those that it has not are of no use); what it returns is the result's code (statements go through f.emit). */
  emit(f: Emitter, a: Code, b: Code, c: Code, d: Code, g: Code, h: Code): Code | void;
}

/** What one file of isa/ exports. */
export interface Family {
  readonly instructions: readonly Instruction[];
  readonly helpers?: readonly Helper[];
}

export type MandatoryPrefix = 'none' | '66' | 'F2' | 'F3';
export interface Encoding {
  readonly map: '' | '0F' | '0F38' | '0F3A';
  readonly opcode: number;
  /** Undefined: any prefix, with its usual meaning. 'none' is NP. */
  readonly prefix: MandatoryPrefix | undefined;
  readonly rexW: boolean | undefined;
  /** '+r': the register is in the opcode's low three bits. */
  readonly registerInOpcode: boolean;
  readonly hasModRm: boolean;
  /** '/0' to '/7'. */
  readonly digit: number | undefined;
  /** A whole ModRM byte that belongs to the opcode: first and last value ('D9 E8', 'D8 C0+i'). */
  readonly modRm: readonly [number, number] | undefined;
  /** ib iw id iq iz iv cb cz moffs, in order; is4: a register in the upper half of a byte. */
  readonly immediates: readonly string[];
  /** Of VEX encodings the L bit; undefined where it is ignored. */
  readonly vex: { readonly length: 0 | 1 | undefined } | undefined;
}

const IMMEDIATES: readonly string[] = ['is4', 'ib', 'iw', 'id', 'iz', 'iq', 'iv', 'cb', 'cz', 'moffs'];
const isHex = (token: string): boolean =>
  token.length >= 2 && !Number.isNaN(Number(`0x${token.slice(0, 2)}`));

const VEX_LENGTHS: Record<string, 0 | 1 | undefined> = {
  '128': 0,
  LZ: 0,
  L0: 0,
  '256': 1,
  L1: 1,
  LIG: undefined,
};
const isMandatory = (text: string | undefined): text is '66' | 'F2' | 'F3' =>
  text === '66' || text === 'F2' || text === 'F3';

/** 'VEX.256.66.0F38.W0': length, prefix (NP or none: no prefix), map, W. */
function parseVex(text: string): Pick<Encoding, 'vex' | 'prefix' | 'map' | 'rexW'> {
  const parts = text.split('.').slice(1);
  const length = parts.shift() ?? '';
  const prefix = isMandatory(parts[0]) ? parts[0] : 'none';
  if (prefix !== 'none' || parts[0] === 'NP') parts.shift();
  const [map, w] = parts;
  if (!(length in VEX_LENGTHS) || (map !== '0F' && map !== '0F38' && map !== '0F3A'))
    throw new Error(`unreadable encoding: ${text}`);
  const rexW = w === 'W1' ? true : w === 'W0' ? false : undefined;
  return { vex: { length: VEX_LENGTHS[length] }, prefix, map, rexW };
}

export function parseEncoding(text: string): Encoding {
  const [start = '', ...rest] = text.split(' ');
  if (!start.startsWith('VEX.')) return parseTokens(text);
  return { ...parseTokens(`0F ${rest.join(' ')}`), ...parseVex(start) };
}

function parseTokens(text: string): Encoding {
  const bytes: string[] = [];
  const immediates: string[] = [];
  let prefix: MandatoryPrefix | undefined;
  let rexW: boolean | undefined;
  let hasModRm = false;
  let digit: number | undefined;
  for (const token of text.split(' ')) {
    if (token === 'NP') prefix = 'none';
    else if (token === 'REX.W') rexW = true;
    else if (token === 'W0') rexW = false;
    else if (token === '/is4') immediates.push('is4');
    else if (token.startsWith('/')) {
      hasModRm = true;
      if (token !== '/r') digit = Number(token[1]);
    } else if (IMMEDIATES.includes(token)) immediates.push(token);
    else if (isHex(token)) bytes.push(token);
    else throw new Error(`unreadable encoding: ${text}`);
  }
  const [first] = bytes;
  if (bytes.length > 1 && isMandatory(first)) {
    prefix = first;
    bytes.shift();
  }
  let map: Encoding['map'] = '';
  if (bytes[0] === '0F') {
    bytes.shift();
    map = '0F';
    const escape: string | undefined = bytes[0];
    if (bytes.length > 1 && (escape === '38' || escape === '3A')) {
      map = escape === '38' ? '0F38' : '0F3A';
      bytes.shift();
    }
  }
  const [opcode, fixed] = bytes;
  if (opcode === undefined || bytes.length > 2) throw new Error(`unreadable encoding: ${text}`);
  const modRm = fixed === undefined ? undefined : parseInt(fixed, 16);
  return {
    map,
    opcode: parseInt(opcode, 16),
    prefix,
    rexW,
    registerInOpcode: opcode.endsWith('+r'),
    hasModRm: hasModRm || modRm !== undefined,
    digit,
    modRm: modRm === undefined ? undefined : [modRm, fixed?.endsWith('+i') === true ? modRm + 7 : modRm],
    immediates,
    vex: undefined,
  };
}

/** What an operand letter means. Sizes in bytes; 'v' is 2, 4 or 8, 'y' 4 or 8, 'z' 2 or 4. */
export interface OperandLetter {
  readonly kind: OperandKind | 'modrm'; // modrm: register or memory, as ModRM says
  readonly register: 'gpr' | 'xmm' | 'ymm' | 'mmx' | undefined; // of ModRM.rm in register form
  readonly field: 'reg' | 'rm' | 'vvvv' | 'is4' | 'none';
  readonly size: number | 'v' | 'y' | 'z';
  readonly registerSize?: OperandLetter['size']; // where it differs from that of memory
  readonly aligned: boolean; // a vector in memory that must be aligned (#GP)
  /** Of gathers: the index is a vector register of this kind, its elements are so many bytes. */
  readonly vectorIndex?: { readonly register: 'xmm' | 'ymm'; readonly bytes: 4 | 8 };
}

const SIZE: Record<string, number | 'v' | 'y' | 'z'> = {
  b: 1, w: 2, d: 4, q: 8, x: 16, dq: 16, u: 16, v: 'v', y: 'y', z: 'z', t: 10, s: 14, '512': 512, '28': 28, '94': 94, '108': 108, '0': 0,
}; // prettier-ignore
const FIXED: Record<string, number | 'v'> = { AL: 1, CL: 1, AX: 2, DX: 2, EAX: 4, rAX: 'v' };

/** The operands of VEX forms: sizes x and X are that of the vector, of which X must be aligned in memory; h is half of it. */
function vectorLetter(text: string, vectorBytes: 16 | 32): OperandLetter | undefined {
  const index = /^vm(32|64)([xy])$/.exec(text);
  if (index !== null) {
    const vectorIndex = {
      register: index[2] === 'x' ? 'xmm' : 'ymm',
      bytes: index[1] === '32' ? 4 : 8,
    } as const;
    return { kind: 'memory', register: undefined, field: 'rm', size: 0, aligned: false, vectorIndex };
  }
  const bySuffix: Record<string, number> = {
    x: vectorBytes,
    X: vectorBytes,
    h: vectorBytes / 2,
    dq: 16,
    qq: 32,
  };
  const size = bySuffix[text.slice(1)] ?? SIZE[text.slice(1)];
  if (typeof size !== 'number') return undefined;
  const register = size === 32 ? 'ymm' : 'xmm';
  const aligned = text.endsWith('X');
  switch (text[0]) {
    case 'V': return { kind: register, register, field: 'reg', size, aligned: false };
    case 'H': return { kind: register, register, field: 'vvvv', size, aligned: false };
    case 'L': return { kind: register, register, field: 'is4', size, aligned: false };
    case 'U': return { kind: register, register, field: 'rm', size, aligned: false };
    case 'W': return { kind: 'modrm', register, field: 'rm', size, aligned };
    case 'M': return { kind: 'memory', register: undefined, field: 'rm', size, aligned };
    default: return undefined;
  } // prettier-ignore
}

/** `vectorBytes`: of a VEX form. */
export function operandLetter(text: string, vectorBytes?: 16 | 32): OperandLetter {
  const vector = vectorBytes === undefined ? undefined : vectorLetter(text, vectorBytes);
  if (vector !== undefined) return vector;
  const plain = { register: undefined, field: 'none', aligned: false } as const;
  const fixed = FIXED[text];
  if (fixed !== undefined) return { ...plain, kind: 'fixed', size: fixed };
  if (text === '1') return { ...plain, kind: 'constant', size: 1 };
  if (text === 'STi') return { ...plain, kind: 'st', field: 'rm', size: 10 };
  if (text === 'ST0') return { ...plain, kind: 'st', size: 10 };
  if (text === 'sIb' || text === 'Iz') return { ...plain, kind: 'immediate', size: 'v' };
  const split = /^R([bwdqv])M([bwdq])$/.exec(text); // register of one size or memory of another
  if (split !== null) {
    const registerSize = SIZE[split[1] ?? ''];
    const size = SIZE[split[2] ?? ''];
    if (typeof size === 'number' && registerSize !== undefined)
      return { kind: 'modrm', register: 'gpr', field: 'rm', size, registerSize, aligned: false };
  }
  const size = SIZE[text.slice(1)] ?? (text === 'M' ? 0 : undefined);
  if (size === undefined) throw new Error(`unknown operand: ${text}`);
  const aligned = text.endsWith('x') || text.endsWith('dq');
  switch (text[0]) {
    case 'E': return { kind: 'modrm', register: 'gpr', field: 'rm', size, aligned: false };
    case 'W': return { kind: 'modrm', register: 'xmm', field: 'rm', size, aligned };
    case 'Q': return { kind: 'modrm', register: 'mmx', field: 'rm', size, aligned: false };
    case 'M': return { kind: 'memory', register: undefined, field: 'rm', size, aligned };
    case 'O': return { ...plain, kind: 'memory', size };
    case 'G': return { kind: 'gpr', register: 'gpr', field: 'reg', size, aligned: false };
    case 'R': return { kind: 'gpr', register: 'gpr', field: 'rm', size, aligned: false };
    case 'B': return { kind: 'gpr', register: 'gpr', field: 'vvvv', size, aligned: false };
    case 'Z': return { kind: 'gpr', register: 'gpr', field: 'reg', size, aligned: false };
    case 'V': return { kind: 'xmm', register: 'xmm', field: 'reg', size, aligned: false };
    case 'U': return { kind: 'xmm', register: 'xmm', field: 'rm', size, aligned: false };
    case 'P': return { kind: 'mmx', register: 'mmx', field: 'reg', size, aligned: false };
    case 'N': return { kind: 'mmx', register: 'mmx', field: 'rm', size, aligned: false };
    case 'S': return { ...plain, kind: 'segment', field: 'reg', size };
    case 'C': return { ...plain, kind: 'control', field: 'reg', size };
    case 'D': return { ...plain, kind: 'debug', field: 'reg', size };
    case 'I': return { ...plain, kind: 'immediate', size };
    case 'J': return { ...plain, kind: 'relative', size };
    default: throw new Error(`unknown operand: ${text}`);
  } // prettier-ignore
}
