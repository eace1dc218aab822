// Which cases there are: those of each declared form that the options ask for, made from their seeds, and programs. A case
// has a name that makes it again: 'add [00 /r Eb Gb] 123' or 'program integer,sse 123'.

import type { FormEntry } from '../decode/opcode-map.ts';
import type { Emulated } from './emulated.ts';
import { caseFor, isComparable } from './generate.ts';
import { hostHas } from './native.ts';
import type { Vocabulary } from './program.ts';
import { programFor, vocabularyOf } from './program.ts';
import type { Case } from './records.ts';
import { oneCase } from './generate.ts';

export const FAMILIES = ['integer', 'sse', 'x87', 'avx'] as const;
export type FamilyName = (typeof FAMILIES)[number];
export function familyOf(entry: FormEntry): FamilyName {
  const feature = entry.instruction.feature ?? 'base';
  if (feature === 'x87') return 'x87';
  if (entry.parsed.vex !== undefined && entry.operands.some(({ register }) => register !== 'gpr'))
    return 'avx';
  return /^(mmx|s?sse|fxsr|aes|pclmul|sha)/.test(feature) ? 'sse' : 'integer';
}

/** Which cases of single instructions. */
export interface CaseOptions {
  readonly families: readonly string[];
  readonly cases: number;
  readonly seed: number;
  readonly only: RegExp;
}

/** A seed for the case, from what names it, so that other forms do not move it. */
export function seedOf(name: string, seed: number, number: number): number {
  let hash = Math.imul(seed, 0x9e37_79b1) + Math.imul(number, 0x85eb_ca6b);
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x0100_0193);
  return hash | 0;
}

/** A form with what its cases have in common. */
export interface Form {
  readonly entry: FormEntry;
  readonly name: string;
  readonly encoding: string;
  readonly label: string; // 'add [00 /r Eb Gb]'
  readonly mmx: boolean;
}
export function formsOf(emulated: Emulated, options: Omit<CaseOptions, 'cases' | 'seed'>): Form[] {
  return entriesOf(emulated, options).map((entry) => {
    const name = entry.instruction.mnemonic;
    const { encoding } = entry;
    const mmx = entry.operands.some((operand) => operand.register === 'mmx');
    return { entry, name, encoding, label: `${name} [${[encoding, ...entry.letters].join(' ')}]`, mmx };
  });
}

export interface FormCases {
  readonly name: string;
  readonly encoding: string;
  readonly label: string;
  readonly mmx: boolean;
  readonly cases: readonly { readonly seed: number; readonly test: Case }[];
}
/** The cases of single instructions that the options ask for, form by form. */
export function casesOf(emulated: Emulated, options: CaseOptions): FormCases[] {
  return formsOf(emulated, options).map(({ entry, name, encoding, label, mmx }) => {
    const seeds = Array.from({ length: options.cases }, (_unused, i) => seedOf(label, options.seed, i));
    return { name, encoding, label, mmx, cases: seeds.map((seed) => ({ seed, test: caseFor(entry, seed) })) };
  });
}

export function entriesOf(emulated: Emulated, options: Omit<CaseOptions, 'cases' | 'seed'>): FormEntry[] {
  return emulated.machine.code.map.entries.filter(
    (entry) =>
      options.families.includes(familyOf(entry)) &&
      isComparable(entry) &&
      options.only.test(entry.instruction.mnemonic),
  );
}

/** Those that this host's CPU has; on a host without one nothing is left out. */
export const onHost = (entries: readonly FormEntry[]): FormEntry[] =>
  entries.filter(({ instruction }) => hostHas(instruction.feature ?? 'base'));

/** A case made again from its name; undefined when there is no such form any more. */
export function caseNamed(
  emulated: Emulated,
  name: string,
): { form: Omit<Form, 'entry'>; seed: number; test: Case } | undefined {
  const program = /^program (\S+) (-?\d+)$/.exec(name);
  if (program !== null) {
    const families = (program[1] ?? '').split(',');
    const seed = Number(program[2]);
    const test = oneCase();
    const encoding = programFor(vocabularyFor(emulated, families), seed, test);
    return {
      form: { name: 'program', encoding, label: `program ${program[1] ?? ''}`, mmx: true },
      seed,
      test,
    };
  }
  const single = /^(.*) (-?\d+)$/.exec(name);
  if (single === null) return undefined;
  const form = formsOf(emulated, { families: FAMILIES, only: /^/ }).find(({ label }) => label === single[1]);
  if (form === undefined) return undefined;
  const seed = Number(single[2]);
  return { form, seed, test: caseFor(form.entry, seed) };
}

export const vocabularyFor = (emulated: Emulated, families: readonly string[]): Vocabulary =>
  vocabularyOf(onHost(entriesOf(emulated, { families, only: /^/ })));
