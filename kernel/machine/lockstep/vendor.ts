// Where this host's CPU is another vendor's and does otherwise than Intel's, whose ways are ours: one entry for each
// difference, with what it is and where that is written, and the test by which compare.ts knows it in a result. On Intel's own
// CPUs there are none, and all is compared. A way is to say no more than it must: what else differs in the same case still counts.

import { disassembleOne } from '../decode/disassemble.ts';
import type { OpcodeMap } from '../decode/opcode-map.ts';
import { hostVendor } from './native.ts';
import type { Case, Result } from './records.ts';
import { STATE, codeBase } from './records.ts';

/** A case of which the two CPUs made something different. */
export interface Ending {
  readonly test: Case;
  readonly real: Result;
  readonly ours: Result;
}

export interface Way {
  readonly what: string;
  /** The manual (APM: AMD64 Architecture Programmer's Manual); 'measured' where it says nothing, on a Zen 3. */
  readonly source: string;
  /** The instruction in question as the disassembler writes it: a case's only one, or that at which a program ended. */
  readonly instruction: RegExp;
  /** Which of the two ended there, if not the real CPU. */
  readonly endsOurs?: true;
  /** Its results may go anywhere in a program, so there it is not. */
  readonly neverInPrograms?: true;
  /** Whether it accounts for a difference in what compare.ts calls `name`. */
  readonly explains: (name: string, ending: Ending, text: string) => boolean;
}

const [BREAKPOINT, INVALID_OPCODE, STACK, PROTECTION, PAGE, SIMD] = [3, 6, 12, 13, 14, 19];
const word = ({ state }: Result, at: number): number => state[at] ?? 0;
const trapOf = (result: Result): number => word(result, STATE.trap);
const isAccessFault = (result: Result): boolean => [STACK, PROTECTION, PAGE].includes(trapOf(result));
const isAtSamePlace = ({ real, ours }: Ending): boolean => word(real, STATE.rip) === word(ours, STATE.rip);
const isFaultName = (name: string): boolean => /^(trap|error code|cr2)$/.test(name);

const GPRS = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'];
const MASKS = 0x3f; // of FCW
const [UNDERFLOW, C1, SUMMARY] = [0x10, 0x200, 0x8080]; // of FSW
const [MM, STICKY] = [0x2_0000, 0x3f]; // of MXCSR

/** Lanes of so many bytes of 16 bytes of a vector register ('xmm3', 'ymm3 high'): the real CPU's, ours, and before. */
function everyLane(
  name: string,
  bytes: 4 | 8,
  { test, real, ours }: Ending,
  holds: (real: bigint, ours: bigint, before: bigint) => boolean,
): boolean {
  const place = 16 * Number(/\d+/.exec(name)?.[0]);
  const [image, offset, at] = name.endsWith('high')
    ? [test.ymm, 0, STATE.ymm]
    : [test.fx, 160, STATE.fx + 40];
  const starts = [real, ours].map(({ state }) => [state, at * 4 + place] as const);
  const views = [...starts, [image, offset + place] as const].map(([array, from]) => new DataView(array.buffer, array.byteOffset + from, 16)); // prettier-ignore
  for (let lane = 0; lane < 16; lane += bytes) {
    const [a = 0n, b = 0n, before = 0n] = views.map((view) => bytes === 8 ? view.getBigUint64(lane, true) : BigInt(view.getUint32(lane, true))); // prettier-ignore
    if (!holds(a, b, before)) return false;
  }
  return true;
}
const isNaN32 = (bits: bigint): boolean => (bits & 0x7fff_ffffn) > 0x7f80_0000n;
const isNaN64 = (bits: bigint): boolean => (bits & 0x7fff_ffff_ffff_ffffn) > 0x7ff0_0000_0000_0000n;

/** Whether ST(number) is a denormal. */
function isDenormal(result: Result, number: number): boolean {
  const [low = 0, high = 0, exponent = 0] = [8, 9, 10].map((at) => word(result, STATE.fx + at + 4 * number));
  return (exponent & 0x7fff) === 0 && high >= 0 && (high | low) !== 0;
}

/** Offsets in memory of the bytes that the two CPUs left different. */
function differingBytes({ real, ours }: Ending): Set<number> {
  const lists = [real, ours].map((one) => [...one.changes.subarray(0, one.changeCount)]);
  const isShared = (change: number): boolean => lists.every((list) => list.includes(change));
  return new Set(
    lists.flatMap((list) => list.filter((change) => !isShared(change)).map((change) => change >>> 8)),
  );
}

const AMD: readonly Way[] = [
  {
    what: 'FXSAVE says in MXCSR_MASK that MXCSR.MM (bit 17) exists.',
    source: 'APM 1, MXCSR Register',
    instruction: /^fxsave/,
    explains: (name, ending) =>
      name === 'memory' && [...differingBytes(ending)].map((at) => at & 15).join() === '14',
  },
  {
    what: 'MXCSR.MM can be set.',
    source: 'APM 1, MXCSR Register; CPUID Fn8000_0001 ECX.MisAlignSse',
    instruction: /^(fxrstor|v?ldmxcsr)/,
    explains: (_name, { real }) => trapOf(real) === BREAKPOINT && (word(real, STATE.fx + 6) & MM) !== 0,
  },
  {
    what: 'FOP, FIP and FDP are saved as zero unless an unmasked exception waits.',
    source: 'APM 2, FXSAVE and FXRSTOR Instructions; Linux, X86_BUG_FXSAVE_LEAK and X86_FEATURE_XSAVEERPTR',
    instruction: /^/,
    explains: (name, { real }) =>
      name === 'fop fip fdp' &&
      (word(real, STATE.fx) & 0x80_0000) === 0 &&
      [1, 2, 3, 4, 5].every((i) => word(real, STATE.fx + i) >>> (i === 1 ? 16 : 0) === 0),
  },
  {
    what: 'There are no far pointers of 16:64: REX.W is ignored.',
    source: 'APM 3, CALL (Far), JMP (Far), LSS; Linux, arch/x86/kernel/head_64.S',
    instruction: /^((call|jmp) far|lss \w+,|lfs \w+,|lgs \w+,) qword/,
    explains: () => true,
  },
  {
    what: 'Far returns read all of what they pop before they check selectors, IRET checks RIP before SS.',
    source: 'measured',
    instruction: /^(iret|ret far)/,
    explains: (name, ending) =>
      isFaultName(name) && isAccessFault(ending.real) && trapOf(ending.ours) === PROTECTION && isAtSamePlace(ending),
  },
  {
    what: 'A near call checks its target before it pushes.',
    source: 'measured',
    instruction: /^call (?!far)/,
    explains: (name, { real, ours }) =>
      trapOf(real) === PROTECTION &&
      (name === 'memory' ? real.changeCount === 0 && ours.changeCount <= 8 : isFaultName(name) && isAccessFault(ours)),
  },
  {
    what: 'A store whose unmasked exception keeps it from being done checks its memory operand nonetheless.',
    source: 'measured',
    instruction: /^f(b?stp?|istt?p?) (\w*word|tbyte)/,
    explains: (_name, ending) =>
      isAccessFault(ending.real) && (word(ending.real, STATE.fx) & MASKS) !== MASKS && !isAtSamePlace(ending),
  },
  {
    what: 'FSCALE by zero and FPREM by infinity round what they leave as it is: a denormal underflows where that is not masked.',
    source: 'measured; SDM 2A and APM 5, FSCALE and FPREM, have ST(0) as the result',
    instruction: /^f(scale|prem1?)$/,
    neverInPrograms: true,
    explains: (name, { real, ours }) =>
      /^(fsw|st0)$/.test(name) &&
      isDenormal(ours, 0) &&
      ((word(real, STATE.fx) ^ word(ours, STATE.fx)) >>> 16) === (UNDERFLOW | SUMMARY) &&
      (word(real, STATE.fx) & UNDERFLOW) === 0, // FCW: not masked
  },
  {
    what: 'A function whose last place decides whether the result is a denormal reports underflow accordingly.',
    source: 'SDM 1 8.3.10 leaves the last place open',
    instruction: /^f(2xm1|yl2xp?1?|sin|cos|sincos|ptan|patan)/,
    explains(name, { real, ours }) {
      const isAtEdge = [0, 1].some((at) => isDenormal(real, at) !== isDenormal(ours, at));
      return name === 'fsw' && isAtEdge && ((word(real, STATE.fx) ^ word(ours, STATE.fx)) >>> 16 & ~(UNDERFLOW | C1)) === 0;
    },
  },
  {
    what: 'With 67h, a repeated string instruction clears upper halves only as far as it gets.',
    source: 'measured',
    instruction: /^rep/,
    explains(name, { test, real, ours }) {
      const at = GPRS.indexOf(name) * 2;
      if (!/^r(cx|si|di)$/.test(name) || word(real, STATE.gpr + at) !== word(ours, STATE.gpr + at)) return false;
      return word(ours, STATE.gpr + at + 1) === 0 && word(real, STATE.gpr + at + 1) === test.gpr[at + 1];
    },
  },
  {
    what: 'After a repeated comparison that faults, flags are those of the last one before.',
    source: 'measured; SDM 2B, REP has it that they are restored',
    instruction: /^repn?e? (cmps|scas)/,
    explains: (name, ending) => name === 'flags' && isAccessFault(ending.real) && isAtSamePlace(ending),
  },
  {
    what: 'PREFETCH with a register operand is #UD.',
    source: 'APM 3, PREFETCH',
    instruction: /^nop \w+$/,
    explains: (_name, { real }) => trapOf(real) === INVALID_OPCODE,
  },
  {
    what: 'UD0 and UD1 are undefined before their ModRM byte is fetched.',
    source: 'measured',
    instruction: /^ud /,
    explains: (name, ending) =>
      isFaultName(name) && trapOf(ending.real) === INVALID_OPCODE && trapOf(ending.ours) === PAGE && isAtSamePlace(ending),
  },
  {
    what: 'MOVSXD with 66h reads 32 bits.',
    source: 'APM 3, MOVSXD; measured',
    instruction: /^movsxd \w+, word/,
    explains: (_name, { real }) => isAccessFault(real),
  },
  {
    what: 'SHA instructions take unaligned operands.',
    source: 'measured; SDM 2B gives them exceptions of type 4',
    instruction: /^sha\d.* xmmword/,
    endsOurs: true,
    explains: (_name, { ours }) => trapOf(ours) === PROTECTION,
  },
  {
    what: 'Of several NaNs, DPPS and DPPD choose another: they add in another order.',
    source: 'SDM 2A and APM 4, DPPS, leave it open; measured',
    instruction: /^v?dpp[sd]/,
    neverInPrograms: true,
    explains(name, ending, text) {
      const [bytes, isNaN] = text.includes('dpps') ? ([4, isNaN32] as const) : ([8, isNaN64] as const);
      return /^[xy]mm/.test(name) && everyLane(name, bytes, ending, (real, ours) => real === ours || (isNaN(real) && isNaN(ours)));
    },
  },
  {
    what: 'VCVTPS2PH raises no exception when its store faults.',
    source: 'measured',
    instruction: /^vcvtps2ph \w+ (gs:)?\[/,
    explains(name, ending) {
      const { real, ours } = ending;
      if (!isAccessFault(real) || !isAtSamePlace(ending)) return false;
      if (name === 'mxcsr') return ((word(real, STATE.fx + 6) ^ word(ours, STATE.fx + 6)) & ~STICKY) === 0;
      return isFaultName(name) && trapOf(ours) === SIMD;
    },
  },
  {
    what: 'MASKMOVDQU names the first byte of its operand in CR2, chosen or not.',
    source: 'measured',
    instruction: /^v?maskmov(q|dqu)/,
    explains: (name, { real, ours }) => name === 'error code' && trapOf(real) === PAGE && trapOf(ours) === PAGE,
  },
  {
    what: 'A gather that faults leaves the mask of elements to come as it is, and the upper half of both registers.',
    source: 'measured; SDM 2C, VPGATHERDD lets only the masks of elements that are done be relied on',
    instruction: /^vp?gather/,
    explains(name, ending, text) {
      const [, target = '', mask = ''] = /^\w+ \wmm(\d+), .*, \wmm(\d+)/.exec(text) ?? [];
      const number = /^[xy]mm(\d+)/.exec(name)?.[1];
      if (!isAccessFault(ending.real) || (number !== target && number !== mask)) return false;
      return everyLane(name, 4, ending, (real, ours, before) => real === ours || real === before);
    },
  },
]; // prettier-ignore

const WAYS: Readonly<Record<string, readonly Way[]>> = { AuthenticAMD: AMD, HygonGenuine: AMD };
const waysHere = (): readonly Way[] => WAYS[hostVendor()] ?? [];

export const hasOtherWays = (): boolean => waysHere().length > 0;

export const isNeverInPrograms = (mnemonic: string): boolean =>
  waysHere().some(
    ({ neverInPrograms, instruction }) => neverInPrograms === true && instruction.test(mnemonic),
  );

/** The case's only instruction, or the one at which a program ended in one of the two. */
function instructionOf(map: OpcodeMap, mnemonic: string, test: Case, result: Result): string {
  const start = codeBase(test) + test.codeOffset;
  const at = mnemonic === 'program' ? word(result, STATE.rip) - start : 0;
  return at < 0 || at >= test.codeLength
    ? ''
    : disassembleOne(map, test.code, at, test.codeLength, start + at).text;
}

/** Which differences, by name, are the host's own ways. */
export function explainer(map: OpcodeMap, mnemonic: string, ending: Ending): (name: string) => boolean {
  const ways = waysHere();
  if (ways.length === 0) return () => false;
  const [real, ours] = [ending.real, ending.ours].map((one) =>
    instructionOf(map, mnemonic, ending.test, one),
  );
  const textFor = (way: Way): string => (way.endsOurs === true ? ours : real) ?? '';
  const fitting = ways.filter((way) => way.instruction.test(textFor(way)));
  return (name) => fitting.some((way) => way.explains(name, ending, textFor(way)));
}
