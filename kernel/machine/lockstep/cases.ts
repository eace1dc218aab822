// Which cases there are: those of each declared form that the options ask for, made from their seeds.
import type { FormEntry } from '../decode/opcode-map.ts';
import type { Emulated } from './emulated.ts';
import { caseFor, isComparable } from './generate.ts';
import type { Case } from './records.ts';

export type FamilyName = 'integer' | 'sse' | 'x87';
export function familyOf(entry: FormEntry): FamilyName {
  const feature = entry.instruction.feature ?? 'base';
  if (feature === 'x87') return 'x87';
  return /^(mmx|s?sse|fxsr)/.test(feature) ? 'sse' : 'integer';
}

/** Which cases of single instructions. */
export interface CaseOptions {
  readonly families: readonly string[];
  readonly cases: number;
  readonly seed: number;
  readonly only: RegExp;
}

/** A seed for the case, from what names it, so that other forms do not move it. */
function seedOf(entry: FormEntry, seed: number, number: number): number {
  let hash = seed * 0x9e37_79b1 + number * 0x85eb_ca6b;
  for (const character of `${entry.instruction.mnemonic} ${entry.encoding}`)
    hash = Math.imul(hash ^ character.charCodeAt(0), 0x0100_0193);
  return hash | 0;
}

/** The cases of single instructions that the options ask for, form by form. */
export function casesOf(emulated: Emulated, options: CaseOptions): FormCases[] {
  return entriesOf(emulated, options).map((entry) => {
    const mmx = entry.operands.some((operand) => operand.register === 'mmx');
    const seeds = Array.from({ length: options.cases }, (_unused, i) => seedOf(entry, options.seed, i));
    const cases = seeds.map((seed) => ({ seed, test: caseFor(entry, seed) }));
    return { name: entry.instruction.mnemonic, encoding: entry.encoding, mmx, cases };
  });
}

export interface FormCases {
  readonly name: string;
  readonly encoding: string;
  readonly mmx: boolean;
  readonly cases: readonly { readonly seed: number; readonly test: Case }[];
}

export function entriesOf(emulated: Emulated, options: CaseOptions): FormEntry[] {
  return emulated.machine.code.map.entries.filter(
    (entry) =>
      options.families.includes(familyOf(entry)) &&
      isComparable(entry) &&
      options.only.test(entry.instruction.mnemonic),
  );
}
