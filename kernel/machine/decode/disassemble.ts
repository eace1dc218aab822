// Instructions as text, for debugging, from the declarations: Intel operand order, sizes by operand letter.

import type { OpcodeMap, FormEntry } from './opcode-map.ts';
import type { Decoded } from './decode.ts';
import { decode, newDecoded } from './decode.ts';
import { CONTEXT } from '../layout.ts';

const NAMES64 = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'] as const;
const SIZE_NAMES: Record<number, string> = {
  1: 'byte',
  2: 'word',
  4: 'dword',
  8: 'qword',
  10: 'tbyte',
  16: 'xmmword',
  32: 'ymmword',
};

function gprName(offset: number, size: number): string {
  const number = offset >> 3;
  if (number >= 8) return `r${number}${size === 8 ? '' : size === 4 ? 'd' : size === 2 ? 'w' : 'b'}`;
  const wide = NAMES64[number] ?? '';
  const short = wide.slice(1);
  if (size === 8) return wide;
  if (size === 4) return `e${short}`;
  if (size === 2) return short;
  if ((offset & 7) === 1) return `${short[0] ?? ''}h`;
  return number < 4 ? `${short[0] ?? ''}l` : `${short}l`;
}

function registerName(offset: number, size: number): string {
  if (offset >= CONTEXT.x87) return `mm${(offset - CONTEXT.x87) >> 4}`;
  return offset >= CONTEXT.xmm
    ? `${size === 32 ? 'y' : 'x'}mm${(offset - CONTEXT.xmm) >> 4}`
    : gprName(offset, size);
}

const signedHex = (value: number): string =>
  value < 0 ? `-0x${(-value).toString(16)}` : `+0x${value.toString(16)}`;

function memoryText(decoded: Decoded, size: number, address: number): string {
  const prefix = SIZE_NAMES[size];
  const segment =
    decoded.segment === CONTEXT.fsBase ? 'fs:' : decoded.segment === CONTEXT.gsBase ? 'gs:' : '';
  const start = `${prefix === undefined ? '' : `${prefix} `}${segment}`;
  if (decoded.ripRelative)
    return `${start}[0x${(address + decoded.length + decoded.displacement).toString(16)}]`;
  const parts: string[] = [];
  if (decoded.base !== CONTEXT.zero) parts.push(gprName(decoded.base, 8));
  if (decoded.index !== CONTEXT.zero) {
    const vectorBytes = decoded.entry?.can.vectorIndex?.register === 'ymm' ? 32 : 16;
    const size = decoded.entry?.can.vectorIndex === undefined ? 8 : vectorBytes;
    parts.push(`${registerName(decoded.index, size)}*${1 << decoded.scale}`);
  }
  const sum = parts.join('+');
  if (decoded.displacement === 0 && sum !== '') return `${start}[${sum}]`;
  return `${start}[${sum}${signedHex(decoded.displacement)}]`;
}

const FIXED: Record<string, number> = { AL: 0, AX: 0, EAX: 0, rAX: 0, CL: 8, DX: 16 };
const FIXED_SIZES: Record<string, number> = { AL: 1, AX: 2, EAX: 4, CL: 1, DX: 2 };

function operandText(entry: FormEntry, at: number, decoded: Decoded, address: number): string {
  const operand = entry.operands[at];
  const letter = entry.letters[at] ?? '';
  if (operand === undefined) return '';
  const sizeOf = (size: typeof operand.size): number => {
    if (size === 'v') return decoded.operandSize;
    if (size === 'y') return decoded.operandSize === 8 ? 8 : 4;
    return size === 'z' ? (decoded.operandSize === 2 ? 2 : 4) : size;
  };
  const size = sizeOf(operand.size);
  switch (operand.kind) {
    case 'fixed': return gprName(FIXED[letter] ?? 0, FIXED_SIZES[letter] ?? decoded.operandSize);
    case 'constant': return '1';
    case 'st': return letter === 'ST0' ? 'st0' : `st${decoded.rm}`;
    case 'segment': return ['es', 'cs', 'ss', 'ds', 'fs', 'gs'][decoded.reg] ?? '?';
    case 'control': return `cr${decoded.reg}`;
    case 'debug': return `dr${decoded.reg}`;
    case 'relative': return `0x${(address + decoded.length + decoded.relative).toString(16)}`;
    case 'immediate': {
      const value = BigInt.asUintN(size * 8, (BigInt(decoded.immediateHigh) << 32n) + BigInt(decoded.immediateLow >>> 0));
      return `0x${value.toString(16)}`;
    }
    case 'memory': return memoryText(decoded, size, address);
    case 'modrm':
      if (decoded.addressing !== 'none') return memoryText(decoded, size, address);
      return registerName(decoded.rm, sizeOf(operand.registerSize ?? operand.size));
    default: {
      const places = { reg: decoded.reg, rm: decoded.rm, vvvv: decoded.vvvv * 8, is4: decoded.immediateHigh >> 16, none: 0 };
      return registerName(places[operand.field], size);
    }
  } // prettier-ignore
}

export interface DisassembledInstruction {
  readonly address: number;
  readonly length: number;
  readonly text: string;
}

/** One instruction at bytes[at…end), which lies at `address` in the program. */
export function disassembleOne(
  map: OpcodeMap,
  bytes: Uint8Array,
  at: number,
  end: number,
  address: number,
): DisassembledInstruction {
  // prettier-ignore
  const decoded = newDecoded();
  const status = decode(map, bytes, at, end, decoded);
  const entry = decoded.entry;
  if (status !== 'ok' || entry === undefined)
    return { address, length: 1, text: `(bad) 0x${(bytes[at] ?? 0).toString(16)}` };
  const repeat = decoded.repeat === 'none' ? '' : decoded.repeat === 'rep' ? 'rep ' : 'repne ';
  const operands = entry.operands.map((_operand, i) => operandText(entry, i, decoded, address));
  const text = `${repeat}${entry.instruction.mnemonic} ${operands.join(', ')}`.trim();
  return { address, length: decoded.length, text };
}
