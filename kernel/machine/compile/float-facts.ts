// What a path knows of floating-point numbers: that a value is not denormal, is no NaN; and that MXCSR asks for no more
// than the host does. Values are assigned once, and these lists never change: a path's state refers to its own.

import type { Code } from '../exec/wasm.ts';

interface Fact {
  readonly code: Code;
  readonly facts: number;
  readonly next: Fact | undefined;
}
export interface FloatFacts {
  readonly control: boolean;
  readonly known: Fact | undefined;
}
export const NO_FACTS: FloatFacts = { control: false, known: undefined };

export type NumberBits = 32 | 64;
export const FACT = { notDenormal: 1, notNaN: 2, both: 3 } as const;
const shiftOf = (bits: NumberBits): number => (bits === 64 ? 0 : 2);

/** Which of FACT hold for a number, or all numbers of a vector, of so many bits. */
export function factsOf({ known }: FloatFacts, bits: NumberBits, code: Code): number {
  let facts = 0;
  for (let fact = known; fact !== undefined; fact = fact.next) if (fact.code === code) facts |= fact.facts;
  return (facts >> shiftOf(bits)) & FACT.both;
}

export function withFact(float: FloatFacts, bits: NumberBits, code: Code, facts: number): FloatFacts {
  if ((factsOf(float, bits, code) & facts) === facts) return float;
  return { ...float, known: { code, facts: facts << shiftOf(bits), next: float.known } };
}

/** Without what is known of these. */
export function withoutFacts(float: FloatFacts, codes: ReadonlySet<Code>): FloatFacts {
  let [any, known]: [boolean, Fact | undefined] = [false, undefined];
  for (let fact = float.known; fact !== undefined; fact = fact.next) {
    if (codes.has(fact.code)) any = true;
    else known = { ...fact, next: known };
  }
  return any ? { ...float, known } : float;
}

/** With what `others` know of a number for its copy. */
export function withFactsOf(float: FloatFacts, copy: Code | undefined, others: FloatFacts, code: Code | undefined): FloatFacts {
  if (copy === undefined || code === undefined) return float;
  let { known } = float;
  for (let fact = others.known; fact !== undefined; fact = fact.next)
    if (fact.code === code) known = { code: copy, facts: fact.facts, next: known };
  return { ...float, known };
} // prettier-ignore
