/**
 * Makes a C program of many lines, and what it prints: functions of random arithmetic on 32-bit numbers, each
 * calling some that come before it. For compilers in the guest to work through, and for others to compare.
 */

export interface GeneratedProgram {
  readonly source: string;
  readonly expected: string;
}

interface Step {
  readonly text: string;
  readonly apply: (value: number, other: number) => number;
}

/** What a function gives when another calls it, and when main does. */
interface Calculation {
  readonly plain: (value: number, other: number) => number;
  readonly withCall: (value: number, other: number) => number;
}

const LINES_PER_FUNCTION = 20;

/** A linear congruential generator: the same seed gives the same program on every host. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function randomStep(random: (below: number) => number): Step {
  const constant = 1 + random(0x7fffffff);
  const shift = 1 + random(31);
  const steps: Step[] = [
    { text: `value += ${constant}u;`, apply: (value) => (value + constant) >>> 0 },
    { text: `value ^= ${constant}u;`, apply: (value) => (value ^ constant) >>> 0 },
    { text: `value *= ${constant}u;`, apply: (value) => Math.imul(value, constant) >>> 0 },
    { text: `value -= other >> ${shift};`, apply: (value, other) => (value - (other >>> shift)) >>> 0 },
    {
      text: `value = (value << ${shift}) | (value >> ${32 - shift});`,
      apply: (value) => ((value << shift) | (value >>> (32 - shift))) >>> 0,
    },
    {
      text: `if (value % 7 == 3) value = ~value + other;`,
      apply: (value, other) => (value % 7 === 3 ? (~value + other) >>> 0 : value),
    },
    {
      text: `for (int i = 0; i < ${1 + (shift % 5)}; i++) value = value * 33u + ${shift}u;`,
      apply: (value) => {
        let result = value;
        for (let i = 0; i < 1 + (shift % 5); i++) result = (Math.imul(result, 33) + shift) >>> 0;
        return result;
      },
    },
    {
      text: `value = value / ${1 + (constant % 1000)}u + other;`,
      apply: (value, other) => (Math.floor(value / (1 + (constant % 1000))) + other) >>> 0,
    },
  ];
  const step = steps[random(steps.length)];
  if (step === undefined) throw new Error('The generator went out of its range.');
  return step;
}

/** A program of about `lineCount` lines. */
export function largeProgram(lineCount: number, seed = 1): GeneratedProgram {
  const random = generator(seed);
  const functionCount = Math.max(1, Math.floor(lineCount / LINES_PER_FUNCTION));
  const functions: Calculation[] = [];
  const lines = ['#include <stdio.h>', 'typedef unsigned int u32;', ''];
  for (let index = 0; index < functionCount; index++) {
    const steps = Array.from({ length: LINES_PER_FUNCTION - 6 }, () => randomStep(random));
    const callee = index === 0 ? undefined : random(index);
    const call = callee === undefined ? undefined : functions[callee];
    lines.push(
      `static u32 f${index}(u32 value, u32 other, int depth)`,
      '{',
      ...steps.map((step) => `    ${step.text}`),
    );
    // One level of calls: more would make the running time explode.
    lines.push(
      `    if (depth > 0) value ^= ${callee === undefined ? 'other' : `f${callee}(other, value, 0)`};`,
    );
    lines.push('    return value;', '}', '');
    const plain = (value: number, other: number) =>
      steps.reduce((now, step) => step.apply(now, other), value);
    const withCall = (value: number, other: number) => {
      const now = plain(value, other);
      return (now ^ (call === undefined ? other : call.plain(other, now))) >>> 0;
    };
    functions.push({ plain, withCall });
  }
  lines.push('int main(void)', '{', '    u32 value = 1, other = 2;');
  let value = 1;
  let other = 2;
  const printed: string[] = [];
  functions.forEach(({ withCall }, index) => {
    const next = withCall(value, other);
    other = value;
    value = next;
    lines.push(`    { u32 next = f${index}(value, other, 1); other = value; value = next; }`);
    if (index % 10 === 9) {
      lines.push(`    printf("${index} %08x\\n", value);`);
      printed.push(`${index} ${value.toString(16).padStart(8, '0')}`);
    }
  });
  lines.push('    printf("result %08x\\n", value);', '    return 0;', '}', '');
  printed.push(`result ${value.toString(16).padStart(8, '0')}`, '');
  return { source: lines.join('\n'), expected: printed.join('\n') };
}
