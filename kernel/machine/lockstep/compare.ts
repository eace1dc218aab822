// What must be equal between the two halves of a case, and what the manual leaves undefined.

import type { Case, Result } from './records.ts';
import { PLACE } from './records.ts';

export const FLAG = { C: 1, P: 4, A: 16, Z: 64, S: 128, O: 2048, D: 1024 } as const;
const ALL = 0x8d5;

/** Arithmetic flags that are undefined after an instruction (SDM vol. 2, by mnemonic); shifts depend on the count. */
export const UNDEFINED: Record<string, number> = {
  and: FLAG.A, or: FLAG.A, xor: FLAG.A, test: FLAG.A,
  mul: FLAG.S | FLAG.Z | FLAG.A | FLAG.P, imul: FLAG.S | FLAG.Z | FLAG.A | FLAG.P,
  div: ALL, idiv: ALL,
  bsf: ALL & ~FLAG.Z, bsr: ALL & ~FLAG.Z,
  bt: ALL & ~(FLAG.C | FLAG.Z), bts: ALL & ~(FLAG.C | FLAG.Z), btr: ALL & ~(FLAG.C | FLAG.Z), btc: ALL & ~(FLAG.C | FLAG.Z),
  shl: FLAG.A | FLAG.O, sal: FLAG.A | FLAG.O, shr: FLAG.A | FLAG.O, sar: FLAG.A | FLAG.O,
  rol: FLAG.O, ror: FLAG.O, rcl: FLAG.O, rcr: FLAG.O,
  shld: FLAG.A | FLAG.O, shrd: FLAG.A | FLAG.O,
}; // prettier-ignore

/** The flags that are undefined after this case; undefined itself where the whole result is. */
function undefinedFlags(mnemonic: string, encoding: string, test: Case): number | undefined {
  // 16-bit double shifts by more than 16 leave everything undefined
  if (/^sh[lr]d$/.test(mnemonic) && test.code.includes(0x66)) return undefined;
  const flags = UNDEFINED[mnemonic] ?? 0;
  if (!/^(sh|sa|ro|rc)[lr]d?$/.test(mnemonic)) return flags;
  // By one, overflow is defined; by zero, nothing changes
  let count = Number((test.gpr[1] ?? 0n) & 63n);
  if (/^D[01] /.test(encoding)) count = 1;
  else if (encoding.endsWith(' ib')) count = (test.code[test.code.length - 1] ?? 0) & 63;
  if (count === 0) return 0;
  return count === 1 ? flags & ~FLAG.O : flags;
}

export interface CompareOptions {
  /** Also the last instruction's pointer, data pointer and opcode of the x87. */
  readonly x87Pointers: boolean;
  /** The instruction works on MMX registers. */
  readonly mmx: boolean;
  readonly encoding: string;
}

const hex = (value: bigint | number): string => `0x${value.toString(16)}`;
const NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15']; // prettier-ignore

function hexBytes(bytes: Uint8Array, from: number, length: number): string {
  let text = '';
  for (let i = length - 1; i >= 0; i--) text += (bytes[from + i] ?? 0).toString(16).padStart(2, '0');
  return text;
}

/** What can be relied on in a result, by name. Undefined where the manual leaves the whole outcome open. */
function visible(
  mnemonic: string,
  test: Case,
  result: Result,
  options: CompareOptions,
): Map<string, string> | undefined {
  const flags = undefinedFlags(mnemonic, options.encoding, test);
  if (flags === undefined) return undefined;
  const seen = new Map<string, string>();
  // Deviation: a non-canonical address through RSP or RBP raises #GP here, not #SS
  const trap = result.trap === 12 ? 13 : result.trap;
  seen.set('trap', hex(trap));
  seen.set('rip', hex(BigInt.asUintN(64, result.rip - BigInt(PLACE.code))));
  // Of kernel addresses the real page tables show whether there is a page
  if ((trap === 13 || trap === 14) && result.address < 1n << 63n) seen.set('error code', hex(result.error));
  // Which byte of a masked store or of a large image is named first is the implementation's choice
  if (trap === 14 && !/^(maskmov|fxsave|fxrstor|xsave|xrstor|fnstenv|fldenv|fnsave|frstor)/.test(mnemonic))
    seen.set('cr2', hex(result.address));
  const undefinedTarget = (mnemonic === 'bsf' || mnemonic === 'bsr') && (result.rflags & FLAG.Z) !== 0;
  for (let i = 0; i < 16 && !undefinedTarget; i++) seen.set(NAMES[i] ?? '', hex(result.gpr[i] ?? 0n));
  seen.set('flags', hex(result.rflags & (ALL | FLAG.D) & ~flags));
  const field = (what: string, at: number, bytes: number): void => {
    seen.set(what, hexBytes(result.fx, at, bytes));
  };
  for (let i = 0; i < 16; i++) field(`xmm${i}`, 160 + i * 16, 16);
  field('mxcsr', 24, 4);
  // A real MMX store or maskmovq that faults has set TOP to 0 already
  if (trap === 3 || !options.mmx) {
    for (let i = 0; i < 8; i++) field(`st${i}`, 32 + i * 16, 10);
    field('fcw', 0, 2);
    field('fsw', 2, 2);
    field('ftw', 4, 1);
  }
  if (options.x87Pointers) field('fop fip fdp', 6, 18);
  // A store of ten bytes is two, of which a real CPU may have done the first when the second faults
  if (/^f(b?stp|nsave|nstenv)$/.test(mnemonic) && trap === 14) return seen;
  const changes = [...result.changes].map((change) => `${hex(change >>> 8)}=${hex(change & 255)}`);
  seen.set('memory', changes.join(' '));
  return seen;
}

/** Functions whose last place is the CPU's choice, and with it whether it was rounded up (SDM 1 8.3.10). */
export const APPROXIMATE = /^(f2xm1|fyl2x|fyl2xp1|fsin|fcos|fsincos|fptan|fpatan)$/;
const C1 = 0x200;
function isNear(mnemonic: string, test: Case, what: string, a: string, b: string): boolean {
  if (what !== 'fsw' && !/^st\d$/.test(what)) return false;
  if (what === 'fsw') return ((parseInt(a, 16) ^ parseInt(b, 16)) & ~C1) === 0;
  // Without the integer bit, neighbours are neighbours across powers of two
  const [x, y] = [a, b].map((text) => (BigInt(`0x${text}`) >> 64n << 63n) | BigInt.asUintN(63, BigInt(`0x${text}`))); // prettier-ignore
  if (x === undefined || y === undefined) return false;
  // Beyond ±(1 - √½) FYL2XP1 is undefined
  const beyond =
    mnemonic === 'fyl2xp1' && ((((test.fx[41] ?? 0) << 8) & 0x7fff) | (test.fx[40] ?? 0)) >= 0x3ffd;
  const places = beyond ? 4n : 1n;
  return x - y <= places && y - x <= places;
}

/** A masked store of nothing may fault or not (SDM 2B, MASKMOVDQU). */
const isOpen = (mnemonic: string, native: Result): boolean =>
  mnemonic.startsWith('maskmov') && native.trap !== 3;

/** The differences as lines, native first. Empty: equal. */
export function differences(
  mnemonic: string,
  test: Case,
  native: Result,
  ours: Result,
  options: CompareOptions,
): string[] {
  // prettier-ignore
  const real = visible(mnemonic, test, native, options);
  const emulated = visible(mnemonic, test, ours, options);
  if (real === undefined || emulated === undefined) return [];
  if (isOpen(mnemonic, native) && ours.trap === 3) return [];
  const found: string[] = [];
  for (const what of new Set([...real.keys(), ...emulated.keys()])) {
    const [a, b] = [real.get(what), emulated.get(what)];
    if (APPROXIMATE.test(mnemonic) && isNear(mnemonic, test, what, a ?? '0', b ?? '0')) continue;
    if (a !== b) found.push(`${what}: real ${(a ?? '').slice(0, 200)}, ours ${(b ?? '').slice(0, 200)}`);
  }
  return found;
}

/** A checksum of all that can be relied on in a result; '-' where that is nothing. */
export function checksum(
  mnemonic: string,
  test: Case,
  result: Result,
  options: Omit<CompareOptions, 'x87Pointers'>,
): string {
  // prettier-ignore
  const seen = visible(mnemonic, test, result, { ...options, x87Pointers: false });
  if (seen === undefined || isOpen(mnemonic, result) || APPROXIMATE.test(mnemonic)) return '-';
  let hash = 0x811c_9dc5;
  for (const [what, value] of seen)
    for (const character of `${what} ${value};`)
      hash = Math.imul(hash ^ character.charCodeAt(0), 0x0100_0193);
  return (hash >>> 0).toString(36);
}
