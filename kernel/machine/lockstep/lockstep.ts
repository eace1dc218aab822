// Runs generated cases of every declared instruction form on the real CPU and in the emulated one and compares the
// states bit for bit.
//
//   node kernel/machine/lockstep/lockstep.ts [--families integer,sse,x87] [--cases N] [--seed N] [--only REGEX] [--show N]
//     [--sequences N] [--x87-pointers] [--record]
//
// --cases: cases for each form. --sequences: cases of several instructions in a row. --only: mnemonics.
// --x87-pointers: the x87's last instruction and data pointers count too.
// --record: writes vectors/FAMILY.json, what the real CPU did, for hosts that have none. --show: failures printed for each mnemonic.

import { parseArgs } from 'node:util';
import { casesOf, entriesOf, type CaseOptions } from './cases.ts';
import { differences } from './compare.ts';
import { bootEmulated, runEmulated } from './emulated.ts';
import type { Emulated } from './emulated.ts';
import { isSequential, sequenceFor } from './generate.ts';
import type { NativeHost } from './native.ts';
import { buildNative, disassemble, removeNative, runNative } from './native.ts';
import type { Case } from './records.ts';
import { recordVectors } from './vectors.ts';

const BATCH = 4000;

export interface Failure {
  readonly name: string;
  readonly encoding: string;
  readonly seed: number;
  readonly test: Case;
  readonly lines: readonly string[];
}
export interface Report {
  readonly cases: number;
  readonly forms: number;
  readonly failures: readonly Failure[];
}

export interface Options extends CaseOptions {
  /** Cases of several instructions in a row. */
  readonly sequences: number;
  readonly x87Pointers: boolean;
}

export function runLockstep(host: NativeHost, emulated: Emulated, options: Options): Report {
  const failures: Failure[] = [];
  let count = 0;
  let batch: { name: string; encoding: string; mmx: boolean; seed: number; test: Case }[] = [];
  const finish = (): void => {
    const results = runNative(host, batch.map(({ test }) => test)); // prettier-ignore
    batch.forEach(({ name, encoding, mmx, seed, test }, i) => {
      const native = results[i];
      if (native === undefined) return;
      const ours = runEmulated(emulated, test);
      const lines = differences(name, test, native, ours, {
        x87Pointers: options.x87Pointers,
        mmx,
        encoding,
      });
      if (lines.length > 0) failures.push({ name, encoding, seed, test, lines });
    });
    count += batch.length;
    batch = [];
  };
  const add = (item: (typeof batch)[number]): void => {
    if (batch.push(item) === BATCH) finish();
  };
  const forms = casesOf(emulated, options);
  for (const { name, encoding, mmx, cases } of forms)
    for (const { seed, test } of cases) add({ name, encoding, mmx, seed, test });
  const sequential = entriesOf(emulated, options).filter(isSequential);
  for (let i = 0; i < options.sequences; i++) {
    const seed = (options.seed * 0x9e37_79b1 + i * 0x85eb_ca6b) | 0;
    const made = sequenceFor(sequential, seed);
    if (made !== undefined) add({ name: 'sequence', encoding: made.text, mmx: true, seed, test: made.test });
  }
  if (batch.length > 0) finish();
  return { cases: count, forms: forms.length, failures };
}

export function describeFailure(host: NativeHost, { name, encoding, seed, test, lines }: Failure): string {
  const bytes = [...test.code].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  const head = `${name} [${encoding}] seed ${seed}: ${bytes}   ${disassemble(host, test.code)}`;
  return [head, ...lines.map((line) => `    ${line}`)].join('\n');
}

function main(): number {
  const { values } = parseArgs({
    options: {
      families: { type: 'string', default: 'integer,sse,x87' },
      cases: { type: 'string', default: '40' },
      seed: { type: 'string', default: '1' },
      only: { type: 'string', default: '' },
      sequences: { type: 'string', default: '2000' },
      record: { type: 'boolean', default: false },
      'x87-pointers': { type: 'boolean', default: false },
      show: { type: 'string', default: '2' },
    },
  });
  const host = buildNative();
  if (host === undefined) {
    process.stderr.write('lockstep needs x86-64 Linux with gcc\n');
    return 2;
  }
  if (values.record) {
    for (const family of values.families.split(',')) recordVectors(host, bootEmulated(), family);
    removeNative(host);
    return 0;
  }
  const options: Options = {
    families: values.families.split(','),
    cases: Number(values.cases),
    seed: Number(values.seed),
    sequences: Number(values.sequences),
    x87Pointers: values['x87-pointers'],
    only: new RegExp(`^(${values.only === '' ? '.*' : values.only})$`),
  };
  const report = runLockstep(host, bootEmulated(), options);
  const shown = new Map<string, number>();
  for (const failure of report.failures) {
    const { name } = failure;
    const before = shown.get(name) ?? 0;
    shown.set(name, before + 1);
    if (before < Number(values.show)) process.stdout.write(`${describeFailure(host, failure)}\n`);
  }
  process.stdout.write(`${report.forms} forms, ${report.cases} cases, ${report.failures.length} differ\n`);
  if (shown.size > 0)
    process.stdout.write(`${[...shown].map(([name, number]) => `${name} ${number}`).join(', ')}\n`);
  removeNative(host);
  return report.failures.length === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = main();
