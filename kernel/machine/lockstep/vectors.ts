// Recorded vectors: for some cases of each form a checksum of the state that the real CPU left, so that tests of the
// instructions run where there is no such CPU. Cases are made again from their seeds; after a change of the generator
// or of an encoding record anew: node kernel/machine/lockstep/lockstep.ts --record

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { checksum } from './compare.ts';
import type { Emulated } from './emulated.ts';
import { runEmulated } from './emulated.ts';
import type { FormCases } from './cases.ts';
import { casesOf, onHost } from './cases.ts';
import type { NativeHost } from './native.ts';
import { runNative } from './native.ts';
import { batchOf } from './records.ts';

const CASES = 4;
const SEED = 1;

/** Checksums by form, 'mnemonic [encoding operands]'; '-' where the manual leaves the outcome open. */
type Vectors = Record<string, string>;

const fileOf = (family: string): string => join(import.meta.dirname, 'vectors', `${family}.json`);
const formsOf = (emulated: Emulated, family: string): FormCases[] =>
  casesOf(emulated, { families: [family], cases: CASES, seed: SEED, only: /^/ });

export function recordVectors(host: NativeHost, emulated: Emulated, family: string): void {
  const forms = formsOf(emulated, family);
  const onThisHost = new Set(
    onHost(emulated.machine.code.map.entries).map(({ instruction }) => instruction.mnemonic),
  );
  const cases = forms.flatMap((form) => form.cases.map(({ test }) => test));
  const results = runNative(host, batchOf(cases), cases.length);
  const vectors: Vectors = {};
  let next = 0;
  for (const form of forms) {
    const sums = form.cases.map(({ test }) => {
      const result = results[next++];
      return result === undefined || !onThisHost.has(form.name)
        ? '-'
        : checksum(form.name, test, result, form);
    });
    vectors[form.label] = sums.join(' ');
  }
  mkdirSync(dirname(fileOf(family)), { recursive: true });
  writeFileSync(fileOf(family), `${JSON.stringify(vectors, undefined, 1)}\n`);
}

/** The forms whose outcome differs from the recorded one, and those that have no record. */
export function replayVectors(emulated: Emulated, family: string): string[] {
  const parsed: unknown = JSON.parse(readFileSync(fileOf(family), 'utf8'));
  const recorded = new Map<string, unknown>(typeof parsed === 'object' && parsed !== null ? Object.entries(parsed) : []); // prettier-ignore
  const wrong: string[] = [];
  for (const form of formsOf(emulated, family)) {
    const known = recorded.get(form.label);
    if (typeof known !== 'string') {
      wrong.push(`${form.label}: not recorded`);
      continue;
    }
    const sums = known.split(' ');
    form.cases.forEach(({ seed, test }, i) => {
      if (sums[i] === '-') return;
      const ours = checksum(form.name, test, runEmulated(emulated, test), form);
      if (ours !== sums[i]) wrong.push(`${form.label}: seed ${seed}`);
    });
  }
  return wrong;
}
