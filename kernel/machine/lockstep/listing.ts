// A program's instructions one after the other, and whether it keeps to them: a return to a computed address may come into the
// middle of one, and what is executed there may be anything, also what leaves flags undefined.

import { disassembleOne } from '../decode/disassemble.ts';
import type { Emulated } from './emulated.ts';
import { visitInstructions } from './emulated.ts';
import type { Case } from './records.ts';
import { codeBase } from './records.ts';

export interface Line {
  readonly at: number; // offset in the case's code
  readonly length: number;
  readonly text: string;
}

/** From the program's start to its end. */
export function instructionsOf(emulated: Emulated, test: Case): Line[] {
  const found: Line[] = [];
  const start = codeBase(test) + test.codeOffset;
  for (let at = 0; at < test.codeLength;) {
    const one = disassembleOne(emulated.machine.code.map, test.code, at, test.codeLength, start + at);
    const length = Math.max(1, one.length);
    found.push({ at, length, text: one.text });
    at += length;
  }
  return found;
}

/** Whether it comes into the middle of one of its instructions. */
export function goesAstray(emulated: Emulated, test: Case): boolean {
  const start = codeBase(test) + test.codeOffset;
  const own = new Set(instructionsOf(emulated, test).map(({ at }) => start + at));
  let isAstray = false;
  visitInstructions(emulated, test, (address) => {
    if (address >= start && address < start + test.codeLength && !own.has(address)) isAstray = true;
  });
  return isAstray;
}
