// Makes a program that differs smaller: instructions become NOPs as long as it still differs. What is left is printed.

import { differences } from './compare.ts';
import type { Emulated } from './emulated.ts';
import { runPasses } from './emulated.ts';
import { instructionsOf } from './listing.ts';
import type { Case, Result } from './records.ts';
import { codeBase, newResult } from './records.ts';

const NOP = 0x90;

/** What a program should do: as the real CPU, or for the compiler's tier as the interpreter. */
export type Reference = (test: Case) => Result | undefined;

/** Lines of what differs in a program; empty: nothing. */
function differs(reference: Reference, emulated: Emulated, passes: number, test: Case): string[] {
  const right = reference(test);
  let found: string[] = [];
  let executed = right?.executed ?? -1;
  runPasses(emulated, test, passes, newResult(), (ours, pass) => {
    if (right === undefined || found.length > 0) return;
    const { map } = emulated.machine.code;
    found = differences('program', test, right, ours, { x87Pointers: false, mmx: true, encoding: '', map });
    if (executed >= 0 && executed !== ours.executed)
      found.push(`instructions: ${executed}, ours ${ours.executed}`);
    if (found.length > 0) found.push(`in pass ${pass + 1}`);
    executed = ours.executed;
  });
  return found;
}

/** The case's code is changed. Gives the listing of what matters and its differences. */
export function shrink(reference: Reference, emulated: Emulated, passes: number, test: Case): string[] {
  let lines = differs(reference, emulated, passes, test);
  if (lines.length === 0) return ['no difference when run alone'];
  for (let removed = true; removed;) {
    removed = false;
    for (const { at, length } of instructionsOf(emulated, test).reverse()) {
      const before = test.code.slice(at, at + length);
      if (before.every((byte) => byte === NOP || byte === 0xcc)) continue;
      test.code.fill(NOP, at, at + length);
      const left = differs(reference, emulated, passes, test);
      if (left.length > 0) [lines, removed] = [left, true];
      else test.code.set(before, at);
    }
  }
  const listing = instructionsOf(emulated, test)
    .filter(({ text }) => text !== 'nop')
    .map(({ at, length, text }) => {
      const bytes = [...test.code.subarray(at, at + length)].map((byte) =>
        byte.toString(16).padStart(2, '0'),
      );
      return `${(codeBase(test) + test.codeOffset + at).toString(16)}: ${bytes.join(' ').padEnd(30)} ${text}`;
    });
  return [...listing, ...lines];
}
