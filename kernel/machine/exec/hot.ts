// The handlers that are emitted into the run loop, by frequency in real programs (gcc -O2 code, libc, shells, compilers).
// Every other instruction works as well, at the cost of an indirect call. A longer list makes the loop slower to compile.
//
// A line: mnemonic; encodings, of which 'a=b' lets form b use the handler of form a (their records mean the same);
// operand sizes; addressings.

import { variantKey } from '../decode/variant.ts';
import type { FormEntry, OpcodeMap } from '../decode/opcode-map.ts';
import type { Addressing, Variant } from './emit.ts';

export interface HotEntry {
  readonly form: FormEntry;
  readonly variant: Variant;
  readonly condition?: number;
  /** Keys of the variants that it serves; a fused one is found by fusedKey of each. */
  readonly keys: readonly number[];
}

export type HandlerLine = readonly [mnemonic: string, encodings: string, sizes: string, addressings: string];
export const CONDITIONS = [
  'o',
  'no',
  'b',
  'ae',
  'e',
  'ne',
  'be',
  'a',
  's',
  'ns',
  'p',
  'np',
  'l',
  'ge',
  'le',
  'g',
] as const;
const hex = (byte: number): string => byte.toString(16).toUpperCase();
const ALL = 'none base index';

const HOT: readonly HandlerLine[] = [
  ['mov', '89 /r', '4 8', ALL],
  ['mov', '8B /r', '4 8', ALL],
  ['mov', '8B /r', '8', 'full'],
  ['mov', '88 /r', '4', 'base index'],
  ['mov', '8A /r', '4', 'base index'],
  ['mov', 'C7 /0 iz', '4 8', 'none base'],
  ['mov', 'C6 /0 ib', '4', 'base'],
  ['mov', 'B8+r iv', '4 8', 'none'],
  ['lea', '8D /r', '4 8', 'base index'],
  ['movzx', '0F B6 /r', '4', ALL],
  ['movzx', '0F B7 /r', '4', ALL],
  ['movsx', '0F BE /r', '4', 'none base'],
  ['movsxd', '63 /r', '8', ALL],
  ['add', '01 /r', '4 8', 'none base'],
  ['add', '03 /r', '4 8', 'base index'],
  ['add', '83 /0 ib=81 /0 iz', '4 8', 'none base'],
  ['add', '05 iz', '4 8', 'none'],
  ['sub', '29 /r', '4 8', 'none'],
  ['sub', '2B /r', '4 8', 'base'],
  ['sub', '2B /r', '8', 'full'],
  ['sub', '83 /5 ib=81 /5 iz', '4 8', 'none base'],
  ['and', '21 /r', '4 8', 'none'],
  ['and', '23 /r', '4 8', 'base index'],
  ['and', '83 /4 ib=81 /4 iz', '4 8', 'none'],
  ['and', '25 iz', '4 8', 'none'],
  ['or', '09 /r', '4 8', 'none'],
  ['or', '0B /r', '4 8', 'base'],
  ['or', '83 /1 ib=81 /1 iz', '4 8', 'none'],
  ['xor', '31 /r', '4 8', 'none'],
  ['xor', '33 /r', '4 8', 'base index'],
  ['xor', '83 /6 ib=81 /6 iz', '4', 'none'],
  ['cmp', '39 /r', '4 8', 'none base'],
  ['cmp', '3B /r', '4 8', 'base index'],
  ['cmp', '83 /7 ib=81 /7 iz', '4 8', 'none base index'],
  ['cmp', '80 /7 ib', '4', 'none base index'],
  ['cmp', '38 /r', '4', 'none base'],
  ['cmp', '3A /r', '4', 'base index'],
  ['cmp', '3C ib', '4', 'none'],
  ['cmp', '3D iz', '4 8', 'none'],
  ['test', '85 /r', '4 8', 'none'],
  ['test', '84 /r', '4', 'none'],
  ['test', 'F6 /0 ib', '4', 'none base'],
  ['test', 'A8 ib', '4', 'none'],
  ['shl', 'C1 /4 ib', '4 8', 'none'],
  ['shr', 'C1 /5 ib', '4 8', 'none'],
  ['sar', 'C1 /7 ib', '4 8', 'none'],
  ['imul', '0F AF /r', '4 8', 'none base index'],
  ['imul', '6B /r ib=69 /r iz', '4 8', 'none'],
  ['inc', 'FF /0', '4 8', 'none'],
  ['dec', 'FF /1', '4 8', 'none'],
  ['neg', 'F7 /3', '4 8', 'none'],
  ['cbw/cwde/cdqe', '98', '8', 'none'],
  ['push', '50+r', '8', 'none'],
  ['push', '6A ib=68 iz', '8', 'none'],
  ['push', 'FF /6', '8', 'base'],
  ['pop', '58+r', '8', 'none'],
  ['leave', 'C9', '8', 'none'],
  ['call', 'E8 cz', '4', 'none'],
  ['call', 'FF /2', '4', 'none base'],
  ['ret', 'C3', '4', 'none'],
  ['jmp', 'EB cb=E9 cz', '4', 'none'],
  ['jmp', 'FF /4', '4', 'none base'],
  ['movups', 'NP 0F 10 /r', '4', 'base'],
  ['movups', 'NP 0F 11 /r', '4', 'base'],
  ['movaps', 'NP 0F 28 /r', '4', 'none base'],
  ['movaps', 'NP 0F 29 /r', '4', 'base'],
  ['movapd', '66 0F 28 /r', '4', 'none'],
  ['movdqa', '66 0F 6F /r', '4', 'none base'],
  ['movdqu', 'F3 0F 6F /r', '4', 'base'],
  ['movsd', 'F2 0F 10 /r', '4', 'base index'],
  ['movsd', 'F2 0F 11 /r', '4', 'base index'],
  ['movss', 'F3 0F 10 /r', '4', 'base'],
  ['movss', 'F3 0F 11 /r', '4', 'base'],
  ['pxor', '66 0F EF /r', '4', 'none'],
  ['nop', '90=0F 1F /r=0F 1E /r', '4', 'none'],
  ...CONDITIONS.map((name, i): HandlerLine => [
    `j${name}`,
    `${hex(0x70 + i)} cb=0F ${hex(0x80 + i)} cz`,
    '4',
    'none',
  ]),
  ['cmove', '0F 44 /r', '4 8', 'none'],
  ['cmovne', '0F 45 /r', '4 8', 'none'],
  ['sete', '0F 94 /r', '4', 'none'],
  ['setne', '0F 95 /r', '4', 'none'],
];

/** Comparisons that swallow the conditional branch behind them, by the branch's condition. */
const FUSED: readonly (readonly [...HandlerLine, conditions: string])[] = [
  ['cmp', '39 /r', '4 8', 'none', 'b ae e ne be a l ge le g'],
  ['cmp', '83 /7 ib=81 /7 iz', '4 8', 'none', 'b ae e ne be a l ge le g'],
  ['cmp', '83 /7 ib=81 /7 iz', '4 8', 'base', 'e ne'],
  ['cmp', '80 /7 ib', '4', 'base', 'e ne'],
  ['cmp', '80 /7 ib', '4', 'none', 'e ne be a'],
  ['cmp', '3C ib', '4', 'none', 'e ne be a'],
  ['test', '85 /r', '4 8', 'none', 'e ne s ns le g'],
  ['test', '84 /r', '4', 'none', 'e ne s ns'],
];

export const ADDRESSING: Record<string, Addressing> = {
  none: 'none',
  base: 'base',
  index: 'index',
  full: 'full',
};

/** Forms on which the operand size has no influence are decoded with 4. */
export function sizesOf(entry: FormEntry, wanted: string): (2 | 4 | 8)[] {
  if (!entry.usesOperandSize) return [4];
  return wanted.split(' ').map((size) => (size === '2' ? 2 : size === '8' ? 8 : 4));
}

export function formsByName(map: OpcodeMap): Map<string, FormEntry> {
  return new Map(map.entries.map((entry) => [`${entry.instruction.mnemonic} ${entry.encoding}`, entry]));
}

export function hotHandlers(map: OpcodeMap): HotEntry[] {
  const byName = formsByName(map);
  const hot: HotEntry[] = [];
  const lines: (readonly [...HandlerLine, conditions?: string])[] = [...HOT, ...FUSED];
  for (const [mnemonic, encodings, sizes, addressings, conditions] of lines) {
    const forms = encodings.split('=').map((encoding) => byName.get(`${mnemonic} ${encoding}`));
    const [form] = forms;
    if (form === undefined) throw new Error(`no such form: ${mnemonic} ${encodings}`);
    for (const operandSize of sizesOf(form, sizes)) {
      for (const name of addressings.split(' ')) {
        const variant: Variant = {
          operandSize,
          addressing: ADDRESSING[name] ?? 'none',
          repeat: 'none',
          address32: false,
        };
        const keys = forms.flatMap((served) => (served === undefined ? [] : [variantKey(served, variant)]));
        if (conditions === undefined) hot.push({ form, variant, keys });
        for (const [condition, branch] of CONDITIONS.entries())
          if (conditions?.split(' ').includes(branch) === true) hot.push({ form, variant, keys, condition });
      }
    }
  }
  return hot;
}
