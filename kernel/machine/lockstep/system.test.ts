// System instructions at CPL 3 against the real CPU: those that fault, selectors in and out, far branches and returns. The
// selectors are Linux's; those of 32-bit code and of the host's own segments are left out, and so are FS and GS.
import { afterAll, describe, expect, it } from 'vitest';
import type { FormEntry } from '../decode/opcode-map.ts';
import { differences } from './compare.ts';
import { bootEmulated, runEmulated } from './emulated.ts';
import { setRegister } from './encode.ts';
import { caseFor, oneCase, vectorState } from './generate.ts';
import { buildNative, disassemble, removeNative, runNative } from './native.ts';
import type { Case } from './records.ts';
import { PAGE, PLACE, batchOf } from './records.ts';
import type { Chance } from './values.ts';
import { below, bits32, chance, oneIn, pick } from './values.ts';

const host = buildNative();
afterAll(() => {
  if (host !== undefined) removeNative(host);
});

interface Named {
  readonly name: string;
  readonly test: Case;
}

function judge(cases: readonly Named[]): string[] {
  if (host === undefined) return [];
  const emulated = bootEmulated('v2');
  const results = runNative(host, batchOf(cases.map(({ test }) => test)), cases.length);
  return cases.flatMap(({ name, test }, i) => {
    const native = results[i];
    if (native === undefined) return ['no result'];
    const ours = runEmulated(emulated, test);
    const { map } = emulated.machine.code;
    const lines = differences(name, test, native, ours, {
      x87Pointers: false,
      mmx: false,
      encoding: '',
      map,
    });
    if (lines.length === 0) return [];
    const [text] = disassemble(host, test.code.subarray(0, test.codeLength));
    return [`${name} ${text ?? ''}: ${lines.join('; ')}`];
  });
}

const entriesOf = (wanted: (entry: FormEntry) => boolean): FormEntry[] =>
  bootEmulated('v2').machine.code.map.entries.filter(wanted);

const FAULTING = /^(in|out|ins|outs|cli|sti|hlt|clts|invd.*|lmsw|lgdt|lidt|lldt|ltr|rdmsr|wrmsr|rdpmc|sysret|swapgs|invlpg)$/; // prettier-ignore
const isSystemMove = ({ encoding }: FormEntry): boolean => /^0F 2[0-3] /.test(encoding);

const anySelector = (from: Chance): number =>
  oneIn(from, 8) ? 0x80 + (bits32(from) & 0xff7f) : pick(from, [0, 0x10, 0x18, 0x28, 0x30]) | below(from, oneIn(from, 6) ? 8 : 4); // prettier-ignore
const usualSelector = (from: Chance, usual: number): number => (oneIn(from, 4) ? anySelector(from) : usual);

/** All registers hold selectors, memory does as well. */
function selectorCase(entry: FormEntry, seed: number): Case {
  const test = caseFor(entry, seed);
  const from = chance(seed);
  const isQuery = /^(l|v)/.test(entry.instruction.mnemonic);
  const next = (): number => (isQuery && oneIn(from, 8) ? 0x40 + below(from, 0x38) : anySelector(from));
  const isRegister = (test.code[test.codeLength - 1] ?? 0) >= 0xc0 && (test.code[test.codeLength - 2] ?? 0) === entry.parsed.opcode; // prettier-ignore
  if (entry.parsed.hasModRm && isRegister)
    for (let i = 0; i < 16; i++) if (i !== 4) setRegister(test.gpr, i, next() + 0x1_0000 * below(from, 3));
  for (let at = 0; at + 1 < test.windowLength; at += 2) {
    const selector = next();
    test.window[at] = selector;
    test.window[at + 1] = selector >> 8;
  }
  return test;
}

const RETURNS = { iret: [[0xcf], 5], retf: [[0xcb], 2], 'retf 16': [[0xca, 16, 0], 2] } as const;
type Size = readonly [bytes: number, prefix: readonly number[]];
const SIZES: readonly [Size, Size, Size] = [
  [4, []],
  [8, [0x48]],
  [2, [0x66]],
];

function put(test: Case, at: number, value: number, bytes: number): void {
  for (let i = 0; i < bytes; i++) test.window[at + i] = Math.floor(value / 2 ** (8 * i)) & 255;
}

/** Code at the window's start of the data pages, and its registers. */
function begin(code: readonly number[], from: Chance): Case {
  const test = oneCase();
  test.codeOffset = 0x7f0;
  test.codeLength = code.length;
  test.code.set(code);
  for (let i = 0; i < 16; i++) setRegister(test.gpr, i, i * 0x1_0101);
  vectorState(from, test, false);
  test.rflags = 0x202 | (bits32(from) & 0x8d5);
  test.windowOffset = oneIn(from, 3) ? PAGE - below(from, 40) : 64;
  test.windowLength = 64;
  return test;
}

function returnCase(name: keyof typeof RETURNS, seed: number): Case {
  const from = chance(seed);
  bits32(from);
  const [opcode, count] = RETURNS[name];
  const [bytes, prefix] = pick<Size>(from, SIZES);
  const test = begin([...prefix, ...opcode], from);
  const rip = oneIn(from, 8) ? pick(from, [2 ** 47, 2 ** 63, 0]) : PLACE.code + 0x900 + below(from, 64);
  const values = [rip, usualSelector(from, 0x33), bits32(from) & 0x3ed5, PLACE.stack + below(from, 2048), usualSelector(from, 0x2b)]; // prettier-ignore
  values.slice(0, count).forEach((value, i) => put(test, i * bytes, value, bytes));
  const outside = oneIn(from, 5) ? 2 * PAGE - 64 - below(from, 50) : 0;
  const below0 = oneIn(from, 5);
  if (below0) {
    const before = below(from, 5 * bytes);
    test.windowOffset = 0;
    test.window.copyWithin(0, before);
    setRegister(test.gpr, 4, PLACE.data - before);
  } else setRegister(test.gpr, 4, PLACE.data + test.windowOffset + outside);
  return test;
}

/** jmp and call far [rbx]. */
function farCase(digit: 3 | 5, seed: number): Case {
  const from = chance(seed);
  bits32(from);
  const [bytes, prefix] = pick<Size>(from, SIZES);
  const test = begin([...prefix, 0xff, (digit << 3) | 3], from);
  setRegister(test.gpr, 3, PLACE.data + test.windowOffset);
  setRegister(
    test.gpr,
    4,
    oneIn(from, 10) ? PLACE.data + below(from, 16) : PLACE.stack + 1024 + below(from, 8),
  );
  const rip = oneIn(from, 8) ? pick(from, [2 ** 47, 2 ** 63, 0]) : PLACE.code + 0x900 + below(from, 64);
  put(test, 0, rip, bytes);
  put(test, bytes, usualSelector(from, pick(from, [0x33, 0x30, 0x31])), 2);
  return test;
}

const seeds = (count: number): number[] => Array.from({ length: count }, (_unused, i) => i * 7919 + 1);

describe.skipIf(host === undefined)('system instructions as on the real CPU, at CPL 3', () => {
  it('fault', () => {
    const forms = entriesOf((entry) => FAULTING.test(entry.instruction.mnemonic) || isSystemMove(entry));
    expect(forms.length).toBeGreaterThan(30);
    const cases = forms.flatMap((entry) =>
      seeds(40).map((seed) => ({ name: entry.instruction.mnemonic, test: caseFor(entry, seed) })),
    );
    expect(judge(cases)).toEqual([]);
  });
  it('answer questions about selectors', () => {
    const forms = entriesOf(({ instruction }) => /^(lar|lsl|verr|verw)$/.test(instruction.mnemonic));
    const cases = forms.flatMap((entry) =>
      seeds(300).map((seed) => ({ name: entry.instruction.mnemonic, test: selectorCase(entry, seed) })),
    );
    expect(judge(cases)).toEqual([]);
  });
  it('load DS, ES and SS', () => {
    const forms = entriesOf(({ encoding }) => encoding === '8E /r' || encoding === '0F B2 /r');
    expect(forms.length).toBe(2);
    const cases = forms.flatMap((entry) =>
      seeds(400).map((seed) => ({ name: 'mov to segment', test: selectorCase(entry, seed) })),
    );
    const isOther = ({ test }: Named): boolean => {
      const at = test.code.lastIndexOf(0x8e, test.codeLength - 1);
      return at < 0 || (((test.code[at + 1] ?? 0) >> 3) & 7) < 4;
    };
    expect(judge(cases.filter(isOther))).toEqual([]);
  });
  it.each(['iret', 'retf', 'retf 16'] as const)('%s', (name) => {
    expect(judge(seeds(600).map((seed) => ({ name, test: returnCase(name, seed) })))).toEqual([]);
  });
  it.each([3, 5] as const)('far branch /%i', (digit) => {
    expect(judge(seeds(600).map((seed) => ({ name: 'far', test: farCase(digit, seed) })))).toEqual([]);
  });
});
